"""A benchmark stopped anywhere ends the same; shards together are the whole; what fails is a record."""

import json
from dataclasses import replace

import pytest
import torch

from bench_facts import FACTS, QUICK, request
from obverse.core import ConfigError, DataError, EditFailed, ObverseError, Run, RunConflict, UnknownName, read_records
from obverse.editing.rome import Rome
from obverse.recipes.bench import read_bench, run_bench
from obverse.recipes.bench.worker import Worker

SCHEDULES = [
    pytest.param({}, id="single"),
    pytest.param({"kind": "batch", "size": 3}, id="batch"),
    pytest.param({"kind": "sequential", "size": 4}, id="sequential"),
]


def told(folder):
    """All records without the times."""
    records = {path.parent.name: [*read_records(path.parent)] for path in sorted(folder.glob("*/run.json"))}
    return {
        name: sorted(({**record, "seconds": None} for record in found), key=lambda record: record["id"])
        for name, found in records.items()
    }


def metrics(folder):
    found = json.loads((folder / "summary.json").read_text())["runs"]
    return {label: (run["metrics"], run.get("points")) for label, run in found.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a benchmark's records and metrics are where nothing stops it; each schedule is run once for all tests."""
    found = {}

    def run(asked):
        if (key := repr(asked.schedule)) not in found:
            out = tmp_path_factory.mktemp("whole")
            run_bench(replace(asked, out=out))
            found[key] = told(out), metrics(out)
        return found[key]

    return run


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stop", [1, 2, 4, 6])
def test_a_stopped_benchmark_ends_the_same_bit_for_bit(facts, tmp_path, monkeypatch, undisturbed, schedule, stop):
    stopped = request(facts, tmp_path / "stopped", schedule=schedule)
    whole = undisturbed(stopped)
    append, count = Run.append, 0

    def dying(self, record):
        nonlocal count
        count += 1
        if count > stop:
            raise KeyboardInterrupt
        append(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            run_bench(stopped)
    run_bench(stopped)

    assert (told(tmp_path / "stopped"), metrics(tmp_path / "stopped")) == whole


def test_a_sequence_stopped_between_its_steps_ends_the_same(facts, tmp_path, monkeypatch):
    whole = request(facts, tmp_path / "whole", schedule={"kind": "sequential"}, methods=["ft-l"])
    run_bench(whole)
    from obverse.recipes.bench import sequence

    together, count = sequence.edit_together, 0

    def dying(*args):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return together(*args)

    stopped = replace(whole, out=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(sequence, "edit_together", dying)
        with pytest.raises(KeyboardInterrupt):
            run_bench(stopped)
    steps = []
    monkeypatch.setattr(sequence, "edit_together", lambda *args: steps.append(args[2][0].id) or together(*args))
    run_bench(stopped)

    assert steps == [fact["id"] for fact in FACTS[2:]]  # those that were done are not done again
    assert told(tmp_path / "stopped") == told(tmp_path / "whole")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_shards_together_are_the_whole(facts, tmp_path, undisturbed, schedule):
    parts = request(facts, tmp_path / "parts", schedule=schedule)
    for i in range(3):
        run_bench(replace(parts, shard=(i, 3)))
    assert (told(tmp_path / "parts"), metrics(tmp_path / "parts")) == undisturbed(parts)


def test_a_longer_run_of_single_edits_goes_on(facts, tmp_path, monkeypatch):
    run_bench(request(facts, tmp_path / "run", limit=2))
    done = []
    call = Worker.__call__
    monkeypatch.setattr(Worker, "__call__", lambda self, job: done.append((job.label, job.cases)) or call(self, job))
    result = run_bench(request(facts, tmp_path / "run", limit=4))
    assert done == [("unedited", range(2, 4)), ("rome", range(2, 4))]
    assert result.bench is not None
    assert result.bench.final("rome").n == 4


def test_another_method_shares_the_unedited_model(facts, tmp_path, monkeypatch):
    run_bench(request(facts, tmp_path / "run"))
    labels = []
    call = Worker.__call__
    monkeypatch.setattr(Worker, "__call__", lambda self, job: labels.append(job.label) or call(self, job))
    result = run_bench(request(facts, tmp_path / "run", methods=["ft-l"]))
    assert set(labels) == {"ft-l"}
    assert set(result.bench.runs) == {"unedited", "ft-l", "rome"}
    both = run_bench(request(facts, tmp_path / "both", methods=["rome", "ft-l"]))
    assert list(both.bench.runs) == ["unedited", "rome", "ft-l"]  # in the order asked for


def test_a_case_that_fails_is_a_record_and_counts_as_unedited(facts, tmp_path, monkeypatch):
    each = Rome.edit_each

    def failing(self, lm, chosen):
        if any(fact.subject == "Big Ben" for fact in chosen):
            raise EditFailed("It diverged.", "Try again.")
        return each(self, lm, chosen)

    monkeypatch.setattr(Rome, "edit_each", failing)
    result = run_bench(request(facts, tmp_path / "run"))
    records = {record["id"]: record for record in read_records(tmp_path / "run" / "rome")}
    assert records["ben"]["error"] == {"type": "EditFailed", "message": "It diverged.", "hint": "Try again."}
    assert "values" in records["needle"]  # it shared the batch of the one that failed
    point = result.bench.final("rome")
    assert (point.n, point.failed) == (5, 1)
    bench = read_bench(tmp_path / "run")
    unedited = bench.unedited()
    assert bench.runs["rome"].values(unedited)["ben"] == unedited["ben"]


def test_a_step_of_a_sequence_that_fails_adds_nothing(facts, tmp_path, monkeypatch):
    edit = Rome.edit

    def failing(self, lm, chosen):
        if chosen[0].subject in ("Space Needle", "Ann Keller"):
            raise EditFailed("It diverged.", "Try again.")
        return edit(self, lm, chosen)

    monkeypatch.setattr(Rome, "edit", failing)
    result = run_bench(request(facts, tmp_path / "run", schedule={"kind": "sequential"}))
    first, *_, last = result.bench.points("rome")
    assert (first.after, first.n, first.failed) == (1, 1, 1)
    assert (last.after, last.n, last.failed) == (5, 5, 2)
    ann = next(c for c in result.bench.runs["rome"].cases if c.case == "ann" and c.after == 5)
    assert ann.error == "It diverged."


def test_records_without_a_kind_of_probe_have_no_value_for_it(facts, tmp_path):
    bench = run_bench(request(facts, tmp_path / "run")).bench
    values = bench.runs["rome"].values(bench.unedited())
    assert "specificity_success" not in values["ben"]
    assert "ngram_entropy" not in values["ben"]
    assert {"specificity_success", "reverse_success", "ngram_entropy", "plus_kl"} <= values["needle"].keys()
    assert bench.final("rome").metrics["specificity_success"].n == 2


def test_memory_that_does_not_suffice_halves_the_batch(facts, tmp_path, monkeypatch, caplog):
    each = Rome.edit_each

    def greedy(self, lm, chosen):
        if len(chosen) > 1:
            raise torch.OutOfMemoryError("too much")
        return each(self, lm, chosen)

    monkeypatch.setattr(Rome, "edit_each", greedy)
    bench = run_bench(request(facts, tmp_path / "run", batch=4)).bench
    assert bench.final("rome").failed == 0
    assert "out of memory with 4 cases at once; trying 2" in caplog.text

    monkeypatch.setattr(Rome, "edit_each", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(ObverseError, match="one case at a time"):
        run_bench(request(facts, tmp_path / "other", batch=4))


def test_mistakes_are_found_before_the_model_is_loaded(facts, tmp_path, monkeypatch):
    from obverse.recipes.bench import run as runner

    monkeypatch.setattr(runner, "load_model", lambda _: pytest.fail("the model was loaded"))
    with pytest.raises(UnknownName, match="Did you mean ft-l"):
        run_bench(request(facts, tmp_path / "run", methods=["rome", "ftl"]))
    with pytest.raises(ConfigError, match="Named twice: rome"):
        run_bench(request(facts, tmp_path / "run", methods=["rome", "rome"]))
    with pytest.raises(ConfigError, match="did you mean steps"):
        run_bench(request(facts, tmp_path / "run", overrides=["rome.step=3"]))
    with pytest.raises(DataError, match="No case is left"):
        run_bench(request(facts, tmp_path / "run", first=99))
    with pytest.raises(UnknownName, match="starter"):
        run_bench(request(tmp_path / "stater", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_other_settings_are_refused_and_named(facts, tmp_path):
    run_bench(request(facts, tmp_path / "run"))
    with pytest.raises(RunConflict) as refused:
        run_bench(request(facts, tmp_path / "run", batch=3, measure={"seed": 7}))
    assert "batch" in refused.value.message
    assert "measure.seed" in refused.value.message


def test_conflicting_facts_in_one_edit(facts, tmp_path):
    records = [*FACTS, {**FACTS[1], "id": "again", "target": "Oslo"}]
    facts.write_text(json.dumps(records))
    run_bench(request(facts, tmp_path / "single"))  # each on the fresh model: nothing contradicts
    batch = request(facts, tmp_path / "run", schedule={"kind": "batch"})
    with pytest.raises(DataError, match="Big Ben is in"):
        run_bench(batch)
    result = run_bench(replace(batch, last_wins=True))
    assert len(result.plan.dropped) == 1
    assert {case.case for case in result.bench.runs["rome"].cases} == {r["id"] for r in records} - {"ben"}


def test_a_sweep_is_a_run_a_point(facts, tmp_path):
    quick = [text for text in QUICK if not text.startswith(("rome.steps", "rome.layers"))]
    bench = run_bench(request(facts, tmp_path / "run", sweep=["rome.steps=2,4", "layer=0,1"], overrides=quick)).bench
    assert list(bench.runs) == [
        "unedited", "rome,steps=2,layer=0", "rome,steps=2,layer=1", "rome,steps=4,layer=0", "rome,steps=4,layer=1"
    ]  # fmt: skip
    assert bench.runs["rome,steps=2,layer=1"].config["settings"]["layers"] == [1]


def test_a_dry_run_writes_nothing(facts, tmp_path):
    shown = []
    result = run_bench(request(facts, tmp_path / "run", dry_run=True), shown.append)
    assert shown == [result.plan]
    assert result.plan.probes == {"efficacy": 5, "generalization": 3, "specificity": 3, "reverse": 9}
    assert not (tmp_path / "run").exists()
