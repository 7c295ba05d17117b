"""Figures of a benchmark: what is drawn where, and names that do not cover each other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_folders import write_run, write_sequential, write_single
from obverse.recipes.bench.report import read_report
from obverse.report._labels import Box, arrange
from obverse.report.bench_figures import curves, iso_score, scatter, sweep, write_bench_figures

pytest.importorskip("matplotlib")


@given(st.floats(0.05, 0.95), st.floats(0.05, 1))
def test_lines_of_equal_score(score, across):
    up = iso_score(score, across)
    if up is not None:
        assert 3 / (2 / up + 1 / across) == pytest.approx(score)
        assert 0 < up <= 1
    else:
        assert 3 / (2 / 1 + 1 / across) < score + 1e-9  # even with all edits held


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(50, 950), st.floats(50, 950)), min_size=1, max_size=8))
def test_names_keep_apart_and_inside(marks):
    frame = Box(0, 0, 1000, 1000)
    boxes = arrange(marks, [(60.0, 12.0)] * len(marks), frame)
    for n, box in enumerate(boxes):
        assert box.overlap(frame) == pytest.approx(60 * 12)
        assert box.distance(marks[n]) < 75
        assert sum(box.overlap(other) for other in boxes[:n]) == 0


def test_the_scatter_has_a_mark_and_a_name_a_run(tmp_path):
    write_single(tmp_path, {"rome": (0.9, 0.7, 0.0), "ft": (0.9, 0.7, 0.0)}, 10)
    report, _ = read_report([tmp_path])
    figure = scatter(report.rows)
    for axes in figure.axes:
        assert {"unedited", "rome", "ft"} <= {text.get_text() for text in axes.texts}
        assert len(axes.containers) == 3
    found = report.rows[1].metrics
    across, up = figure.axes[0].containers[1].lines[0].get_data()
    assert (across[0], up[0]) == (found["specificity_success"].mean, found["efficacy_success"].mean)
    assert sweep(report.rows) is None
    assert curves(report.curves, report.rows) is None


def test_a_sweep_stands_in_order(tmp_path):
    swept = {f"rome,layers=[{layer}]": (1 - layer / 20, 0.5, 0.0) for layer in (10, 2, 0, 4)}
    report, _ = read_report([write_single(tmp_path, swept, 8)])
    (axes,) = sweep(report.rows).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "2", "4", "10"]
    line = next(line for line in axes.lines if line.get_label() == "ES")
    rows = {row.label: row.metrics["efficacy_success"].mean for row in report.rows}
    assert list(line.get_ydata()) == [rows[f"rome,layers=[{layer}]"] for layer in (0, 2, 4, 10)]


def test_curves_of_sequences(tmp_path):
    write_sequential(tmp_path, {"rome": (0.9, 0.1, 0.1)}, 20)
    report, _ = read_report([tmp_path])
    figure = curves(report.curves, report.rows)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["S", "ES", "PS", "NS", "drift", "Kept at the end: ES by age"]
    assert list(figure.axes[1].lines[0].get_xdata()) == [1, 2, 5, 10, 20]
    assert list(figure.axes[1].lines[1].get_xdata()) == [20]  # where it was found to be a ruin


def test_files_are_equal_for_equal_numbers(tmp_path):
    report, _ = read_report([write_single(tmp_path / "b", {"rome": (0.9, 0.7, 0.0)}, 6)])
    one, two = (write_bench_figures(report, tmp_path / name, ("svg",)) for name in ("one", "two"))
    assert [path.name for path in one] == ["scatter.svg"]
    assert one[0].read_bytes() == two[0].read_bytes()


def test_nothing_to_draw(tmp_path):
    write_run(tmp_path / "rome", [{"id": "0", "values": {"drift_kl": 0.1}, "place": 0}])
    report, _ = read_report([tmp_path])
    assert write_bench_figures(report, tmp_path / "figures") == []
