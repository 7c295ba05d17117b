"""A run loses nothing but the line being written, goes on only with equal settings, and lets one process write."""

import errno
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, DataError, ObverseError, Run, RunConflict, read_records

CONFIG = {"model": "gpt2", "trace": {"samples": 10, "kinds": ("hidden", "mlp")}}
FIRST = "records.00000.jsonl"

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
record_lists = st.lists(
    st.builds(lambda id, x: {"id": id, "x": x}, names, names), max_size=4, unique_by=lambda r: r["id"]
)


def fill(folder, ids, **options):
    with Run.open(folder, CONFIG, **options) as run:
        for id in run.todo(ids):
            run.append({"id": id})
        return run.records()


def ids_of(records):
    return [record["id"] for record in records]


@settings(max_examples=20)
@given(record_lists)
def test_a_run_cut_at_any_byte_loses_one_record_at_most_and_ends_the_same(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("run") / "a"
    with Run.open(folder, CONFIG) as run:
        for record in records:
            run.append(record)
    whole = (folder / FIRST).read_bytes()
    assert list(read_records(folder)) == records
    for cut in range(len(whole) + 1):
        (folder / FIRST).write_bytes(whole[:cut])
        with Run.open(folder, CONFIG) as run:
            kept = whole[:cut].count(b"\n")
            assert run.records() == records[:kept]
            assert run.done() == set(ids_of(records[:kept]))
            for id in run.todo(ids_of(records)):
                run.append(next(record for record in records if record["id"] == id))
        assert (folder / FIRST).read_bytes() == whole


@settings(max_examples=20)
@given(st.lists(names, max_size=8, unique=True), st.integers(1, 4), st.data())
def test_shards_in_any_order_do_every_case_once(tmp_path_factory, ids, n, data):
    folder = tmp_path_factory.mktemp("run") / "a"
    for i in data.draw(st.permutations(range(n))):
        fill(folder, ids, shard=(i, n))
    found = ids_of(read_records(folder))
    assert sorted(found) == sorted(ids)
    assert fill(folder, ids) == list(read_records(folder))  # one process that finds all done


def test_a_run_goes_on_with_what_other_shards_left(tmp_path):
    ids = list("abcdefg")
    fill(tmp_path / "a", ids, shard=(1, 3))
    assert sorted(ids_of(fill(tmp_path / "a", ids))) == ids
    assert ids_of(json.loads(line) for line in (tmp_path / "a" / FIRST).open()) == list("acdfg")


def test_what_is_on_disk(tmp_path):
    with Run.open(tmp_path / "a", CONFIG, about={"start": "noon"}) as run:
        assert not run.resumed
        run.append({"id": "é\u2028", "x": 1})
        assert (tmp_path / "a" / FIRST).read_text("utf-8") == '{"id": "é\u2028", "x": 1}\n'  # already, not at the end
        run.finish({"n": 1})
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    assert about == {"obverse_run": 1, "config": json.loads(json.dumps(CONFIG)), "start": "noon"}
    assert json.loads((tmp_path / "a" / "summary.json").read_text()) == {"n": 1}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [FIRST, "run.json", "summary.json"]
    with Run.open(tmp_path / "a", CONFIG, about={"start": "later"}) as run:
        assert run.resumed
    assert json.loads((tmp_path / "a" / "run.json").read_text())["start"] == "noon"


def test_all_settings_that_differ_are_named(tmp_path):
    fill(tmp_path / "a", "xy")
    other = {"model": "gpt2-xl", "trace": {"samples": 10, "kinds": ["mlp"]}, "seed": 3}
    with pytest.raises(RunConflict) as caught:
        Run.open(tmp_path / "a", other)
    assert caught.value.message.split("\n  ")[1:] == [
        'model: "gpt2-xl" given, "gpt2" stored',
        "seed: 3 given, null stored",
        'trace.kinds: ["mlp"] given, ["hidden", "mlp"] stored',
    ]
    assert "Give the stored settings" in caught.value.hint


def test_an_old_run_is_replaced_only_if_asked(tmp_path):
    fill(tmp_path / "a", "xy")
    (tmp_path / "a" / "cases").mkdir()
    with pytest.raises(RunConflict, match="holds a run already"):
        Run.open(tmp_path / "a", CONFIG, resume=False)
    with Run.open(tmp_path / "a", {"other": 1}, replace=True) as run:
        assert not run.resumed
        assert run.done() == set()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    assert not (tmp_path / "a" / "cases").exists()


@pytest.mark.parametrize("name", ["thesis.tex", "run.json"])
def test_a_folder_of_someone_else_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("[]")
    for replace in (False, True):
        with pytest.raises(RunConflict, match=r"no run|not that of a run"):
            Run.open(tmp_path, CONFIG, replace=replace)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(RunConflict, match="is a file"):
        Run.open(tmp_path / name, CONFIG)


def test_a_start_that_was_cut_short_is_no_obstacle(tmp_path):
    (tmp_path / ".run.json.0badcafe.part").write_text('{"obv')
    assert ids_of(fill(tmp_path, "xy")) == ["x", "y"]


def test_a_newer_format(tmp_path):
    (tmp_path / "run.json").write_text('{"obverse_run": 2, "config": {}}')
    with pytest.raises(RunConflict, match="format 2; this version writes format 1"):
        Run.open(tmp_path, {})
    Run.open(tmp_path, {}, replace=True).close()


def test_one_process_writes_to_a_shard(tmp_path):
    with Run.open(tmp_path / "a", CONFIG) as run:
        run.append({"id": "x"})
        for replace in (False, True):
            with pytest.raises(RunConflict, match="Another process is writing"):
                Run.open(tmp_path / "a", CONFIG, replace=replace)
        Run.open(tmp_path / "a", CONFIG, shard=(1, 2)).close()
    assert ids_of(fill(tmp_path / "a", "xy")) == ["x", "y"]


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from obverse.core import Run\n"
        "run = Run.open(Path(sys.argv[1]), {}); run.append({'id': 'x'}); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False).returncode == -9
    with Run.open(tmp_path / "a", {}) as run:
        assert run.todo("xy") == ["y"]


@pytest.mark.parametrize(
    "record", [{}, {"id": 3}, {"id": "x"}, {"id": "y", "p": float("nan")}, {"id": "y", "p": {1}}, {"id": "\ud800"}]
)
def test_what_is_no_record_is_refused(tmp_path, record):
    with Run.open(tmp_path / "a", CONFIG) as run:
        run.append({"id": "x"})
        with pytest.raises(DataError):
            run.append(record)
        run.append({"id": "z"})
        assert ids_of(run.records()) == ["x", "z"]


@pytest.mark.parametrize("line", ["{", "[]", '{"x": 1}', '{"id": 1}', "\xff", ""])
def test_a_damaged_line_is_named(tmp_path, line):
    fill(tmp_path / "a", "x")
    with (tmp_path / "a" / FIRST).open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    for _ in range(2):  # and the failure leaves no lock
        with pytest.raises(DataError, match=f"{FIRST}, line 2"):
            Run.open(tmp_path / "a", CONFIG)


def test_a_full_disk_is_said_and_the_half_line_dropped(tmp_path, monkeypatch):
    run = Run.open(tmp_path / "a", CONFIG)
    run.append({"id": "x"})

    class Full:
        def __init__(self, file):
            self.file, self.close, self.room = file, file.close, 5

        def write(self, data):
            if not self.room:
                raise OSError(errno.ENOSPC, "simulated")
            taken, self.room = self.file.write(data[: self.room]), 0
            return taken

    monkeypatch.setattr(run, "_file", Full(run._file))
    with pytest.raises(ObverseError, match="No space left"):
        run.append({"id": "y"})
    assert (tmp_path / "a" / FIRST).read_bytes() == b'{"id": "x"}\n{"id"'
    assert ids_of(fill(tmp_path / "a", "xy")) == ["x", "y"]


@pytest.mark.parametrize("shard", [(1, 1), (-1, 2), (0, 0)])
def test_shards_that_do_not_exist(tmp_path, shard):
    with pytest.raises(ConfigError, match="There is no shard"):
        Run.open(tmp_path / "a", CONFIG, shard=shard)


def test_a_shard_replaces_nothing(tmp_path):
    with pytest.raises(ConfigError, match="may not replace"):
        Run.open(tmp_path / "a", CONFIG, shard=(0, 2), replace=True)
