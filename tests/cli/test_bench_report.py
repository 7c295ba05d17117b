"""``obverse bench report`` and ``obverse bench compare``."""

import csv
import io
import json

import pytest
import typer

from bench_folders import rome_case, write_rome, write_single
from command_line import calling
from obverse.cli.bench_report import bench_compare, bench_report

app = typer.Typer(pretty_exceptions_enable=False)
app.command("report")(bench_report)
app.command("compare")(bench_compare)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    return calling(app, capsys)


@pytest.fixture
def bench(tmp_path):
    methods = {"rome": (0.9, 0.7, 0.01), "ft": (0.95, 0.3, 0.2), "memit": (0.8, 0.6, 0.1)}
    return write_single(tmp_path / "bench", methods, 10, failing=("ft",))


def test_report_prints_tables_and_writes_the_page(run, bench):
    ran = run("report", bench)
    assert ran.code == 0
    for text in (
        "ES, n=10",
        "Against ft, pair by pair",
        "A failed edit counts",
        "Seconds an edit",
        "--against unedited",
    ):
        assert text in ran.out
    assert (bench / "report.html").is_file()
    assert "Against rome, pair by pair" in run("report", bench, "--against", "rome").out


def test_formats(run, bench, tmp_path):
    lines = list(csv.DictReader(io.StringIO(run("report", bench, "--format", "csv").out)))
    told = json.loads(run("report", bench, "--json").out)
    shown = {(row["label"], name): one["mean"] for row in told["rows"] for name, one in row["metrics"].items()}
    assert {(line["run"], line["metric"]): float(line["mean"]) for line in lines} == shown
    assert run("report", bench, "-f", "markdown").out.startswith("**Success")
    ran = run("report", bench, "-f", "latex", "--out", tmp_path / "t.tex", "--html", tmp_path / "p.html")
    assert ran.out == ""
    assert r"\toprule" in (tmp_path / "t.tex").read_text()
    assert (tmp_path / "p.html").is_file()
    assert not (bench / "report.html").is_file() or "t.tex" in ran.err
    ran = run("report", bench, "-f", "excel")
    assert (ran.code, "There is no format 'excel'" in ran.err) == (2, True)


def test_figures(run, bench, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("report", bench, "--figures", tmp_path / "figures").code == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"scatter.png", "scatter.pdf", "scatter.svg"}


def test_romes_folder_is_not_written_to(run, tmp_path):
    folder = write_rome(tmp_path / "ROME" / "run_000", rome_case(0), rome_case(1, new=1.5)).parent
    ran = run("report", folder)
    assert ran.code == 0
    assert "50.00 (50.00)" in ran.out
    assert "ROME/run_000" in ran.out
    assert [path.name for path in folder.iterdir()] == ["run_000"]


def test_compare(run, bench):
    ran = run("compare", bench / "rome", bench / "ft", "--cases", 2)
    assert ran.code == 0
    for text in ("10 cases in both", "What differs in how they were made", "Cases that differ most", "old "):
        assert text in ran.out
    told = json.loads(run("compare", bench, bench, "--run", "rome", "--run", "ft", "--json").out)
    assert told["settings"]["method"] == ["rome", "ft"]
    assert told["shared"] == 10
    ran = run("compare", bench, bench)
    assert (ran.code, "holds 3 runs of editors" in ran.err) == (2, True)
    ran = run("compare", bench, bench, *["--run", "rome"] * 3)
    assert (ran.code, "--run is given 3 times" in ran.err) == (2, True)


def test_a_wrong_folder(run, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run("report", tmp_path / "empty")
    assert (ran.code, "holds no run of a benchmark" in ran.err) == (2, True)
