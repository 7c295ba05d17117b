import json
import re
import time
from dataclasses import replace

import pytest

import reports
from checked_page import CheckedPage
from obverse.core import Case, Fact
from obverse.report import render, write_report
from obverse.report._format import interval, percent, plain, points
from obverse.report._verdicts import level
from obverse.verifying import CaseReport, Continuation


@pytest.fixture(scope="module")
def needle():
    return reports.needle()


@pytest.fixture(scope="module")
def page(needle):
    return render(needle, **reports.BACKGROUND)


def test_the_page_is_whole_and_fetches_nothing(page):
    checker = CheckedPage(page)
    assert not [value for name, value in checker.attributes if name in ("src", "href", "xlink:href", "action")]
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("<script") == 1
    assert '<script type="application/json"' in page
    assert not [name for name, _ in checker.attributes if name.startswith("on")]


def test_it_says_what_changed_and_answers_every_question(page):
    assert "<h1>The Space Needle is located in the city of … <del>Seattle</del> → <ins>Paris</ins></h1>" in page
    for text in ("Does it say the new answer?", "In other words too?", "Did related facts stay?", "Does it hold in"):
        assert text in page
    for text in ("What else moved?", "Token accuracy", "obverse edit", "moment.samples", "edits/needle", "2026-01-02"):
        assert text in page
    assert "old answer" in page
    assert "prefers-color-scheme" in page
    assert "@media print" in page


def test_numbers_on_the_page_are_the_reports(needle, page):
    checker = CheckedPage(page)
    data = json.loads(checker.json)
    assert data == json.loads(json.dumps(needle.to_json() | {"cases_left_out": 0}))
    shown = set(checker.values)
    for protocols in data["summary"].values():
        for sides in protocols.values():
            assert {side["mean"] for side in sides.values()} <= shown
    for probe in data["cases"][0]["probes"]:
        assert {
            probe[side][key] for side in ("before", "after") for key in ("probability", "rank", "alternative")
        } <= shown
    assert {data["drift"]["perplexity_after"], data["drift"]["kl"], data["score"]} <= shown


def test_everything_is_escaped():
    bad = "<script>alert('1')</script>"
    fact = Fact(bad, "The {} & co <img src=x onerror=alert(1)> is in the", bad + '"', bad)
    case = Case.of(fact, paraphrases=(bad,), neighbours=((bad, bad),), reverse=(bad + "{}",), prompts=(bad,))
    made = reports.report([case])
    (only,) = made.cases
    spoiled = [tuple(replace(a, generated=bad) for a in row) for row in (only.before, only.after)]
    made = replace(
        made,
        cases=(CaseReport(case, *spoiled, (Continuation(bad, bad, bad),)),),
        model=bad,
        method=bad,
        drift=replace(made.drift, weight_change={bad: 0.1}),
    )
    page = render(
        made, settings={bad: bad}, versions={bad: bad}, seconds={bad: 1.0}, adapter=bad, command=bad,
        top_before=[(bad, 0.5)], top_after=[("\n<b>", 0.5)],
    )  # fmt: skip
    checker = CheckedPage(page)
    assert page.count("<script") == 1
    assert "img" not in checker.tags
    assert json.loads(checker.json)["model"] == bad


def test_a_thousand_cases_are_fast_and_small():
    made = reports.many(1000)
    started = time.process_time()
    page = render(made)
    assert time.process_time() - started < 10  # about 1.5 s on an idle core; room for a busy one
    assert len(page.encode()) < 2_000_000
    data = json.loads(CheckedPage(page).json)
    assert data["cases_left_out"] == 1000 - len(data["cases"]) > 0
    assert data["summary"]["specificity"]["success"]["after"]["n"] == 10_000
    assert "first 60 of 10,000" in page
    assert "1,000 facts changed" in page


def test_a_bare_report_leaves_out_what_is_not_known():
    fact = Fact("X", "{} is a", "Y")
    case = Case.of(fact)
    made = replace(reports.report([case]), drift=None)
    page = render(made)
    CheckedPage(page)
    assert "Not measured" in page
    assert page.count("Not asked") == 3
    assert "What the model would say next" not in page
    assert "nan" not in page.lower().split("<script")[0]


def test_write_report_replaces_the_page(tmp_path, needle):
    path = tmp_path / "deep" / "page.html"
    path.parent.mkdir()
    path.write_text("old")
    assert write_report(path, needle) == path
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.0341, "3.4 %"), (0.0012, "0.12 %"), (4e-7, "< 0.01 %")),
        *((0.996, "99.6 %"), (0.99996, "> 99.9 %"), (-0.2, "-20 %"), (1e-17, "0 %"), (1 - 1e-16, "100 %")),
    ],
)
def test_percentages(share, text):
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


def test_other_numbers(needle):
    assert points(0.25).endswith("points")
    assert points(0.25).startswith("+25")
    assert (plain(1234.6), plain(3.14159), plain(1.0)) == ("1,235", "3.14", "1")
    found = needle.interval("generalization", "probability")
    assert re.search(r"\[\S+ to \S+\s%\]", interval(found))


def test_words_for_shares():
    assert [level(s) for s in (1, 0.99, 0.75, 0.5, 0.25, 0.01, 0)] == (
        ["yes", "mostly", "mostly", "partly", "partly", "hardly", "no"]
    )
