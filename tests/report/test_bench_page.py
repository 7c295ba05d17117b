"""The page of a benchmark: whole, small, escaped, and it runs no script but its own."""

import base64
import hashlib
import json
import re

import pytest

from bench_folders import rome_case, write_rome, write_sequential, write_single
from checked_page import CheckedPage
from obverse.recipes.bench.cases import case_rows
from obverse.recipes.bench.report import read_report, write_report_page
from obverse.report.bench_page import render_bench

BAD = "<script>alert('1')</script>"


def page_of(folder, limit=300):
    report, found = read_report([folder])
    return render_bench(report, *case_rows(found, limit)), report


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return write_single(folder, {"rome": (0.9, 0.7, 0.01), "ft": (0.95, 0.3, 0.2)}, 12, failing=("ft",))


def test_it_is_whole_and_fetches_nothing(few):
    page, _ = page_of(few)
    checker = CheckedPage(page)
    assert not [value for name, value in checker.attributes if name in ("src", "href", "xlink:href", "action")]
    assert not [name for name, _ in checker.attributes if name.startswith("on")]
    for word in ("http://", "https://", "url(", "@import"):
        assert word not in page
    assert "prefers-color-scheme: dark" in page


def test_the_policy_lets_run_its_own_script_alone(few):
    page, _ = page_of(few)
    checker = CheckedPage(page)
    digest = base64.b64encode(hashlib.sha256(checker.scripts[1].encode()).digest()).decode()
    policy = re.search(r'content="(default-src[^"]*)"', page)[1]
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert not re.search(r"innerHTML|insertAdjacent|eval|Function\(|document\.write", checker.scripts[1])


def test_its_numbers_are_the_reports(few):
    page, report = page_of(few)
    checker = CheckedPage(page)
    shown = set(checker.values)
    assert {found.mean for row in report.rows for found in row.metrics.values()} <= shown
    assert {one.found.difference for one in report.comparisons} <= shown
    data = json.loads(checker.scripts[0])
    assert data["runs"] == ["unedited", "ft", "rome"]
    assert len(data["cases"]) == 12
    for case in data["cases"]:
        assert len(case["answers"]) == 3
        assert all(answers is None or len(answers) == len(case["probes"]) for answers in case["answers"])
    for text in (
        "Success against specificity",
        "Case by case",
        "Why edits failed",
        "Settings of rome",
        "steps",
        "0.1.0",
    ):
        assert text in page


def test_a_case_says_what_each_run_made_of_it(few):
    page, report = page_of(few)
    rows = re.findall(r"<tr data-n=\d+ data-f='(\w*)'>(.*?)</tr>", page)
    assert len(rows) == 12
    failed = [cells for flags, cells in rows if "f" in flags]
    assert len(failed) == report.rows[1].failed == 3
    assert all(
        'class=bad title="The subject of 1 is &lt;missing&gt;."' in cells for cells in failed if "Fact 1 " in cells
    )


def test_everything_is_escaped(tmp_path):
    folder = write_single(tmp_path, {"rome": (0.9, 0.7, 0.0), BAD.replace("/", ""): (0.5, 0.5, 0.0)}, 6,
                          failing=("rome",), text=f"{BAD} {{}} <img src=x onerror=alert(1)> is")  # fmt: skip
    page, _ = page_of(folder)
    checker = CheckedPage(page)
    assert len(checker.scripts) == 2
    assert "img" not in checker.tags
    assert BAD in json.loads(checker.scripts[0])["cases"][-1]["probes"][0][1]


def test_curves_are_drawn(tmp_path):
    page, _ = page_of(write_sequential(tmp_path, {"rome": (0.9, 0.1, 0.1), "memit": (0.9, 0.0, 0.0)}, 20))
    CheckedPage(page)
    assert page.count("lines small") == 6  # S, ES, PS, NS, drift, what is kept
    assert "rome after 20 facts" in page
    assert page.count('"point c1 ruin"') == 5


def test_what_was_swept_is_drawn_in_order(tmp_path, few):
    layers = {f"rome,layers=[{layer}]": (1 - layer / 20, 0.6, 0.1) for layer in (10, 2, 0)}
    page, report = page_of(write_single(tmp_path, layers))
    chart = page[page.index("Over the setting that was swept") : page.index("Which differences are beyond chance")]
    assert re.findall(r"<span style=left:[^>]*>(\d+)</span>", chart) == ["0", "2", "10"]
    told = {row.label: row.metrics["efficacy_success"] for row in report.rows}
    for layer in (10, 2, 0):
        mean, low, high = (
            f"{100 * getattr(told[f'rome,layers=[{layer}]'], end):.4g}" for end in ("mean", "low", "high")
        )
        assert f"ES, {layer} layers\n{mean} ({low} to {high}), n = 12" in chart
    assert "that was swept" not in page_of(few)[0]


def test_many_cases_and_methods_stay_small(tmp_path):
    methods = {f"method-{n}": (0.5, 0.5, 0.1) for n in range(15)}
    page, _ = page_of(write_single(tmp_path, methods, 110, probes=(1, 2, 10, 3)))
    assert len(page.encode()) < 2_000_000
    kept = json.loads(CheckedPage(page).scripts[0])["cases"]
    assert 20 < len(kept) < 110
    assert f"The answers of the first {len(kept)} are on this page" in page
    assert page.count("<tr data-n=") == 110


def test_romes_own_folders_have_a_page(tmp_path):
    folder = write_rome(tmp_path / "ROME" / "run_000", rome_case(0), rome_case(7, new=2.0))
    report, found = read_report([folder])
    page = write_report_page(tmp_path / "page.html", report, found).read_text("utf-8")
    CheckedPage(page)
    assert "Fact 7 is … <del>old 7</del> → <ins>new 7</ins>" in page
    assert "As ROME&#x27;s program prints it" in page
