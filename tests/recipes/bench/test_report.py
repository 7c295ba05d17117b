"""The report of a benchmark: its tables hold what the records say, in whatever order they were made."""

import csv
import io
import json
import math
import re
import time

import numpy as np
import pytest

from bench_folders import failure, record, rome_case, write_rome, write_run, write_sequential, write_single
from obverse.core import DataError, Interval, UnknownName
from obverse.recipes.bench.cases import case_rows
from obverse.recipes.bench.report import read_report, swept, write_report_files
from obverse.recipes.bench.results import read_bench
from obverse.recipes.bench.tables import COLUMNS, csv_text, latex, markdown
from obverse.report.bench_rows import SHOWN, Row, best
from obverse.report.bench_sheets import all_sheets, cost_sheet, metric_sheets

METHODS = {"rome": (0.9, 0.7, 0.01), "ft": (0.95, 0.3, 0.2), "ft-l": (0.6, 0.75, 0.0)}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_single(tmp_path_factory.mktemp("bench"), METHODS, 14, failing=("ft",))


def rows_of(report):
    return {row.label: row for row in report.rows}


def test_the_csv_file_read_again_gives_the_numbers(few):
    report, _ = read_report([few])
    found = list(csv.DictReader(io.StringIO(csv_text(report))))
    assert tuple(found[0]) == COLUMNS
    assert len(found) == sum(len(row.metrics) for row in report.rows)
    for line in found:
        wanted = rows_of(report)[line["run"]].metrics[line["metric"]]
        numbers = [float(line[name]) for name in ("mean", "low", "high", "n")]
        assert numbers == [wanted.mean, wanted.low, wanted.high, wanted.n]


def test_tables_do_not_tell_how_the_records_came_about(few, tmp_path):
    """Another order, two shards, half a line at the end and other times: a resumed run's table is the same."""
    for run in few.iterdir():
        if not (run / "run.json").is_file():
            continue
        lines = (run / "records.00000.jsonl").read_text().splitlines()
        other = tmp_path / run.name
        other.mkdir()
        (other / "run.json").write_text((run / "run.json").read_text())
        later = [json.dumps({**json.loads(line), "seconds": {"edit": 99.0}}) for line in reversed(lines)]
        (other / "records.00000.jsonl").write_text("\n".join(later[:5]) + "\n")
        (other / "records.00001.jsonl").write_text("\n".join(later[5:]) + '\n{"id": "ha')
    one, two = (write_report_files(read_bench(folder)) for folder in (few, tmp_path))
    for a, b in zip(one[:2], two[:2], strict=True):
        assert a.name == b.name in ("table.md", "table.csv")
        assert a.read_bytes() == b.read_bytes()


def test_files_and_where_they_are(few):
    names = {str(path.relative_to(few)) for path in write_report_files(read_bench(few))}
    assert {"table.md", "table.csv", "report.html"} <= names
    assert "seconds" not in (few / "table.md").read_text().lower()


def test_means_are_those_of_the_records(few):
    report, found = read_report([few])
    for one in found:
        values = [case["efficacy_success"] for case in one.values().values()]
        shown = rows_of(report)[one.label].metrics["efficacy_success"]
        assert (shown.mean, shown.n) == (pytest.approx(np.mean(values)), 14)
    ft = rows_of(report)["ft"]
    assert (ft.failed, ft.n) == (3, 14)
    unedited = read_bench(few).unedited()
    assert next(one for one in found if one.label == "ft").values()["6"] == unedited["6"]


def test_the_best_is_told_by_the_metrics_own_way(few):
    report, _ = read_report([few])
    rows = rows_of(report)
    top = max(METHODS, key=lambda name: rows[name].metrics["efficacy_success"].mean)
    assert top in best(report.rows, "efficacy_success")
    assert best(report.rows, "drift_kl") == {"ft-l"}  # lower
    assert best(report.rows, "drift_nll") == {"ft-l"}  # nearer to the unedited model
    assert best(report.rows[1:], "drift_nll") == set()  # which is not known
    assert best(report.rows[:2], "efficacy_success") == set()  # one editor alone
    assert "unedited" not in best(report.rows, "specificity_success")


def test_tests_are_against_one_run_and_corrected(few):
    report, _ = read_report([few], "rome")
    seconds = [one.second for one in report.comparisons]
    assert set(seconds) == {"rome", "unedited"}
    for second in set(seconds):
        tests = [one for one in report.comparisons if one.second == second]
        assert {one.first for one in tests} == set(METHODS) - {second}
        assert min(t.adjusted for t in tests) == pytest.approx(min(1, min(t.found.p for t in tests) * len(tests)))
    with pytest.raises(UnknownName, match="Unknown run 'rom'"):
        read_report([few], "rom")


def test_only_columns_that_a_run_has(few, tmp_path):
    heads = [name for sheet in metric_sheets(read_report([few])[0].rows) for name in sheet.head]
    assert "S, n=14" in heads
    assert not any(name.startswith(("SA", "RS", "NS+", "essence")) for name in heads)
    zsre = write_single(tmp_path, {"rome": (0.9, 0.5, 0.0)}, 6, probes=(1, 1, 1, 0), rivals=False)
    report, _ = read_report([zsre])
    heads = [name for sheet in metric_sheets(report.rows) for name in sheet.head]
    assert [name.partition(",")[0] for name in heads if name != "Run"] == (
        ["SA", "EA", "EX", "PA", "PX", "NA", "NX", "KL", "GE", "drift", "NLL"]
    )
    assert {one.metric for one in report.comparisons} >= {"efficacy_token_accuracy", "efficacy_generated"}


def test_no_metric_is_left_out():
    found = {name: Interval(0.5, 0.4, 0.6, 9) for name in SHOWN if name != "accuracy_score"}
    row = Row("rome", "rome", "single", 0, 9, 0, 0, found)
    heads = {name.partition(",")[0] for sheet in metric_sheets([row]) for name in sheet.head}
    assert heads == {"Run", *(SHOWN[name].label for name in found)}


def test_tables_fit_a_terminal_of_100_columns(few):
    for sheet in all_sheets(read_report([few])[0]):
        shown = [[f"{cell.text} ({cell.interval})" for cell in row] for row in sheet.rows]
        assert sum(max(map(len, column)) + 2 for column in zip(sheet.head, *shown, strict=True)) <= 100, sheet.title


def test_markdown_and_latex_escape_names(tmp_path):
    write_single(tmp_path, {"ft_l 50%|#": (0.9, 0.5, 0.0), "rome": (0.5, 0.5, 0.0)}, 4)
    sheets = all_sheets(read_report([tmp_path])[0])
    for line in markdown(sheets).splitlines():
        if line.startswith("| "):
            assert len(re.split(r"(?<!\\)\|", line)) in (3 + n for n in range(1, 7))
    text = latex(sheets)
    assert r"ft\_l 50\%\textbar{}\#" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == len(sheets)
    assert not re.search(r"(?<!\\)[#_]|(?<!\\)%(?! needs)", text)


@pytest.mark.parametrize(
    ("label", "point"),
    [("rome", {}), ("rome,layers=[3]", {"layers": "[3]"}), ("ft,layers=[1,2],a=.1", {"layers": "[1,2]", "a": ".1"})],
)  # fmt: skip
def test_swept_settings_are_read_off_the_label(label, point):
    assert swept(label) == point


def test_sequences_have_curves_and_collapse(tmp_path):
    write_sequential(tmp_path, {"rome": (0.98, 0.2, 0.1), "alphaedit": (0.98, 0.0, 0.0)}, 20)
    report, _ = read_report([tmp_path])
    curves = {curve.label: curve for curve in report.curves}
    assert [point.after for point in curves["rome"].points] == [1, 2, 5, 10, 20]
    assert curves["rome"].collapsed_after == 20  # 2 nats; 1 nat is not above the bound
    assert curves["alphaedit"].collapsed_after is None
    kept = curves["rome"].forgetting
    assert {age: value.n for age, value in kept.items()} == {0: 1, 1: 1, 2: 3, 5: 5, 10: 10}
    assert kept[10].mean < curves["alphaedit"].forgetting[10].mean
    after = {int(line["after"]) for line in csv.DictReader(io.StringIO(csv_text(report))) if line["run"] == "rome"}
    assert after == {1, 2, 5, 10, 20}
    assert rows_of(report)["rome"].after == 20


def test_several_folders_share_the_unedited_run_and_keep_names_apart(few, tmp_path):
    again = write_single(tmp_path / "again", {"rome": (0.2, 0.9, 0.0)}, 14)  # the same seed, the same unedited run
    report, _ = read_report([few, again])
    labels = [row.label for row in report.rows]
    assert labels == ["unedited", "ft", "ft-l", f"{few.name}/rome", "again/rome"]
    other = write_single(tmp_path / "other", {"kn": (0.2, 0.9, 0.0)}, 10, seed=5)
    report, _ = read_report([few, other])
    assert [row.label for row in report.rows if row.baseline] == [f"{few.name}/unedited", "other/unedited"]
    assert any("different numbers of cases" in note for note in report.notes)


def test_a_run_alone_finds_the_unedited_model_beside_it(few):
    report, _ = read_report([few / "ft"])
    assert [row.label for row in report.rows] == ["unedited", "ft"]
    assert rows_of(report)["ft"].metrics["efficacy_success"].n == 14


def test_what_is_no_run(tmp_path):
    with pytest.raises(DataError, match="holds no run"):
        read_report([tmp_path])
    with pytest.raises(UnknownName, match="Unknown folder"):
        read_report([tmp_path / "none"])


def test_folders_of_romes_own_program(tmp_path):
    cases = rome_case(0), rome_case(1, new=1.5), rome_case(2, neighborhood_prompts_probs=[])
    run = write_rome(tmp_path / "ROME" / "run_000", *cases)
    (run / "params.json").write_text('{"layers": [5]}')
    report, _ = read_report([tmp_path / "ROME"])
    assert [row.label for row in report.rows] == ["unedited", "ROME/run_000"]
    row = report.rows[1]
    assert row.metrics["efficacy_success"].mean == pytest.approx(2 / 3)
    assert row.metrics["specificity_success"].n == 2  # one case has no neighbours
    assert math.isnan(row.printed["specificity_success"][0])  # of which their program makes NaN
    assert row.printed["efficacy_success"] == (66.67, 47.14)
    assert row.seconds == 2
    assert "66.67 (47.14)" in markdown(all_sheets(report))
    assert report.origin["Settings of ROME/run_000"]["layers"] == [5]


def test_the_most_telling_cases_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    good = [record(rng, place, 1.0, 1.0) for place in range(30)]
    bad = [record(rng, place, 0.0 if place == 17 else 1.0, 1.0) for place in range(30)]
    bad[4] = failure(4)
    write_run(tmp_path / "unedited", good, "unedited", "unedited")
    write_run(tmp_path / "rome", good)
    write_run(tmp_path / "ft", bad, "ft", "ft")
    _, found = read_report([tmp_path])
    rows, total = case_rows(found, 3)
    assert total == 30
    assert [row.id for row in rows][:2] == ["4", "17"]
    assert rows[0].errors == {"ft": "The subject of 0 is <missing>."}
    assert rows[1].prompt == "Fact 17 is"
    assert rows[1].details["answers"].keys() == {"unedited", "rome", "ft"}
    assert cost_sheet(read_report([tmp_path])[0].rows) is not None


def test_a_thousand_cases_take_seconds(tmp_path):
    write_single(tmp_path, {"rome": (0.9, 0.7, 0.0), "ft": (0.9, 0.3, 0.1)}, 1000)
    started = time.process_time()
    paths = write_report_files(read_bench(tmp_path))
    assert time.process_time() - started < 8  # under 2 s on an idle core; room for a busy one
    assert paths[-1].stat().st_size < 2_000_000
    assert "300 of 1,000 cases" in paths[-1].read_text("utf-8")
