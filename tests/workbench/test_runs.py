"""Runs below one folder, and nothing outside it; their numbers, records and settings; one, two, or as a zip."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError, ObverseError, Run, UnknownName
from obverse.workbench.run_details import LARGE, compare, export, numbers, records, settings
from obverse.workbench.run_folders import RunFolders
from obverse.workbench.view_runs import compare_page, framed_report, list_page, records_page, run_page

SCORE = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 8}


def made(root: Path, name: str, config=None, count: int = 3, **about) -> Path:
    about = {"command": "bench", "model": {"name": "gpt2"}, "start": "2026-11-21T10:00:00+00:00", **about}
    with Run.open(root / name, config or {"method": "rome", "steps": 20}, about=about) as run:
        for i in range(count):
            run.append({"id": str(i), "score": i / 2, "text": f"case <{i}>"})
        run.finish({"metrics": {"efficacy": SCORE}, "n": count, "plan": {"steps": 9}, "done": True})
    return root / name


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "run.json").write_text("{}")
    root = tmp_path / "runs"
    made(root, "first")
    made(root, "deep/second", {"method": "memit", "steps": 20}, count=45, start="2026-11-22T10:00:00+00:00")
    (root / "no run").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    return RunFolders(root)


@pytest.mark.parametrize(
    "name",
    ["../secret", "out", "first/../../secret", "", ".", "no run", "first/../..", "nothing", None, 7, "\0", "deep"],
)
def test_nothing_but_a_run_below_the_folder_is_opened(runs, name):
    with pytest.raises(UnknownName, match="Unknown run"):
        runs.get(name)


def test_an_absolute_path_outside_is_refused_and_one_inside_is_the_run(runs, tmp_path):
    with pytest.raises(UnknownName):
        runs.get(str(tmp_path / "secret"))
    assert runs.get("first") == runs.get(str(runs.root / "first"))


@given(name=st.text(st.sampled_from("./\\~ab%\0"), max_size=12))
def test_no_name_leads_out(tmp_path_factory, name):
    runs = RunFolders(tmp_path_factory.getbasetemp() / "all" / "runs")
    try:
        found = runs.get(name)
    except UnknownName:
        return
    assert found.is_relative_to(runs.root.resolve())


def test_runs_are_listed_latest_first_and_filtered(runs):
    assert [one.name for one in runs.list()] == ["deep/second", "first"]
    (one,) = runs.list("FIRST gpt2")
    assert (one.kind, one.model, one.finished) == ("bench", "gpt2", True)
    assert runs.list("first", kind="train") == []
    assert RunFolders(runs.root / "absent").list() == []
    html = list_page(runs.list(), "runs")
    assert html.count("data-action=") == 2
    assert "No run below" in list_page([], "runs")


def test_a_run_under_way_or_damaged_is_listed_all_the_same(runs):
    for name, text in (("half", "{"), ("list", "[]"), ("odd", '{"config": 3, "model": 4, "start": null}')):
        (runs.root / name).mkdir()
        (runs.root / name / "run.json").write_text(text)
    found = {one.name: one for one in runs.list()}
    assert {"half", "list", "odd"} <= found.keys()
    assert not found["half"].finished
    assert numbers(runs.get("half")) == {}


def test_a_folder_of_several_runs_is_of_their_kind_and_a_run_without_a_report_shows_theirs(runs):
    pytest.importorskip("gradio", reason="gradio is not installed (extra ui)")
    from obverse.workbench.runs_shown import read

    (runs.root / "deep" / "summary.json").write_text("{}")
    (runs.root / "deep" / "report.html").write_text("<p>all of <script>x</script>them</p>")
    (both,) = (one for one in runs.list() if one.name == "deep")
    assert (both.kind, both.model, both.start[:10]) == ("bench", "gpt2", "2026-11-22")
    status, page = read(runs, "deep/second")
    assert (status, "all of them" in page) == ("", True)
    status, _ = read(runs, "first")
    assert "first has no report" in status


def test_numbers_and_settings_have_dotted_names(runs):
    folder = runs.get("first")
    found = numbers(folder)
    assert set(found) == {"metrics.efficacy", "n"}
    assert (found["metrics.efficacy"].value, found["metrics.efficacy"].low, found["metrics.efficacy"].n) == (
        0.5,
        0.25,
        8,
    )
    assert settings(folder) == {"method": '"rome"', "steps": "20"}
    html = run_page("<first>", found, settings(folder))
    assert "&lt;first&gt;" in html
    assert "[0.25 to 0.75]" in html


def test_two_runs_side_by_side(runs):
    found = compare(runs.get("first"), runs.get("deep/second"))
    assert found.settings == {"method": ('"rome"', '"memit"')}
    assert found.same == 1
    ours, theirs = found.numbers["n"]
    assert (ours.value, theirs.value) == (3, 45)
    assert "+42" in compare_page("first", "deep/second", found)
    same = compare(runs.get("first"), runs.get("first"))
    assert same.settings == {}
    assert "All 2 settings are the same" in compare_page("first", "first", same)


@given(st.integers(-3, 9), st.integers(1, 50))
def test_pages_of_records_make_up_all_of_them(tmp_path_factory, number, size):
    folder = tmp_path_factory.getbasetemp() / "paged" / "run"
    if not folder.exists():
        made(folder.parent, "run", count=45)
    page = records(folder, number=number, size=size)
    assert 1 <= page.number <= page.pages
    together = [one["id"] for i in range(page.pages) for one in records(folder, number=i + 1, size=size).records]
    assert together == [str(i) for i in range(45)]


def test_records_are_filtered_shown_as_text_and_refused_if_damaged(runs):
    folder = runs.get("first")
    page = records(folder, "CASE <1>")
    assert [one["id"] for one in page.records] == ["1"]
    assert (page.found, page.all) == (1, 3)
    html = records_page(page)
    assert "case &lt;1&gt;" in html
    assert "1 of 3 records" in html
    with (folder / "records.00000.jsonl").open("a") as file:
        file.write("half a li")
    assert records(folder).all == 3
    with (folder / "records.00000.jsonl").open("a") as file:
        file.write("ne\n")
    with pytest.raises(DataError, match="line 4"):
        records(folder)


def test_cases_of_an_edit_and_samples_of_preferences_are_records(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"report": {"cases": [{"id": "0", "fact": {"prompt": "A"}}]}}))
    assert records(tmp_path).all == 1
    (tmp_path / "samples.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n{"te')
    assert [one["id"] for one in records(tmp_path).records] == ["0", "1"]
    assert "no records by case" in records_page(records(tmp_path / "absent"))


def test_an_export_holds_the_run_but_no_checkpoints_links_or_large_files(runs, tmp_path):
    folder = runs.get("first")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret" / "run.json")
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(LARGE + 1)
    path, left_out = export(folder, tmp_path)
    assert path.is_relative_to(tmp_path)
    with zipfile.ZipFile(path) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    assert names == {f"first/{name}" for name in ("run.json", "records.00000.jsonl", "summary.json")}
    assert len(left_out) == 3


def test_a_report_is_framed_so_that_nothing_in_it_runs():
    html = framed_report('<script>alert("x")</script>')
    assert "sandbox" in html
    assert "<script>" not in html


def test_a_folder_is_added_whole_or_not_at_all(runs, tmp_path):
    assert runs.add(tmp_path / "secret", "new").name == "new"
    assert runs.add(tmp_path / "secret", "new").name == "new-2"
    with pytest.raises((ObverseError, OSError)):
        runs.add(tmp_path / "absent", "other")
    assert not (runs.root / "other").exists()
