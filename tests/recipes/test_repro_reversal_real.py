"""Claims 3 to 6 judged on made-up answers and benchmarks, and run on tiny random models."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from obverse.core import ConfigError, DataError, RunConflict, UnknownName
from obverse.data.reversal import read_reversal
from obverse.measuring.statistics import paired_difference
from obverse.recipes.bench.results import read_bench
from obverse.recipes.repro_reversal_celebrities import CelebrityFindings, celebrity_sheets, celebrity_verdicts
from obverse.recipes.repro_reversal_edits import Edits, edit_sheets, edit_verdicts, run_edits
from obverse.recipes.repro_reversal_finetune import (
    FineTune,
    finetune_config,
    finetune_trials,
    prepare,
    run_finetunes,
)
from obverse.recipes.repro_reversal_finetune_claims import finetune_sheets, finetune_verdicts
from obverse.recipes.repro_reversal_instructions import (
    ORDERS,
    Instructions,
    InstructionWork,
    instruction_config,
    instruction_sheets,
    instruction_verdicts,
    run_instructions,
)
from obverse.recipes.repro_reversal_plan import UNTRAINED, Trial
from obverse.recipes.repro_reversal_real import REAL_CLAIMS, load_real, run_repro_reversal_real
from obverse.recipes.repro_reversal_results import FORWARD, REVERSE, WORDINGS, Cell, Measured, Results, gaps
from obverse.recipes.repro_reversal_work import Work
from obverse.recipes.repro_run import ReproRequest

SHAPE = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "max_position_embeddings": 128}  # fmt: skip
BATCH = {"per_device_train_batch_size": 2, "learning_rate": 0.01}


def cells(rate: float, distance: float, first: int, people: int = 20) -> tuple[Cell, ...]:
    """Answers of which a share is right, and whose right answers are likelier by a distance, with a little spread."""
    return tuple(
        Cell(first + who, wording, who < rate * people, -5.0 + distance + (who - people / 2) / 50, -5.0)
        for who in range(people)
        for wording in range(2)
    )


def tuned(arm: str, seed: int, forward: tuple[float, float], reverse: tuple[float, float]) -> Measured:
    """A fine-tuned model: share right and gap, in the direction trained and in the other."""
    of = {**dict.fromkeys(FORWARD, forward), **dict.fromkeys(REVERSE, reverse)}
    found = {
        f"left-to-right/{wordings}/{subtask}": cells(*values, {"N": 0, "D": 50}[subtask[0]])
        for wordings in WORDINGS
        for subtask, values in of.items()
    }
    return Measured(Trial(arm, seed, 0 if arm == UNTRAINED else 150), found, 1.0)


def outcomes(found) -> dict[str, str]:
    return {one.statement: one.outcome for one in found}


def only(found, words: str) -> str:
    (one,) = [outcome for statement, outcome in outcomes(found).items() if words in statement]
    return one


def models(reverse: tuple[float, float], bico: float, plain: float) -> Results:
    return Results(
        one
        for seed in (0, 1)
        for one in (
            tuned(UNTRAINED, seed, (0, 0.0), (0, 0.0)),
            tuned("mle", seed, (0.9, 9.0), reverse),
            tuned("bico", seed, (0.9, 9.0), (0.1, bico)),
            tuned("bico-no-flip", seed, (0.9, 9.0), (0.1, plain)),
        )
    )


def test_claim_3_holds_where_the_answers_do() -> None:
    scale = load_real().finetune
    assert scale is not None
    found = list(finetune_verdicts(models((0.0, 0.0), bico=4.0, plain=2.0), scale))
    assert {one for statement, one in outcomes(found).items() if statement.startswith("mle")} == {"held"}
    assert only(found, "bico widens") == "held"
    assert only(found, "turned positions widen the gap in reverse") == "held"
    assert only(found, "turned positions widen the gap forward") == "did not hold"  # they are equal there
    tables = list(finetune_sheets(models((0.0, 0.0), 4.0, 2.0), scale))
    assert all(len(row) == len(sheet.headers) for sheet in tables for row in sheet.rows)
    assert [row[0] for row in tables[0].rows[::4]] == [UNTRAINED, "mle", "bico", "bico-no-flip"]


def test_claim_3_falls_where_the_reverse_is_known_too() -> None:
    scale = load_real().finetune
    assert scale is not None
    found = list(finetune_verdicts(models((0.9, 9.0), bico=4.0, plain=4.5), scale))
    assert only(found, "mle answers nothing in reverse") == "did not hold"
    assert only(found, "mle: training widens the gap more forward") == "did not hold"
    assert only(found, "bico widens") == "did not hold"
    assert only(found, "turned positions widen the gap in reverse") == "did not hold"


@settings(max_examples=20)
@given(st.floats(-9, 9), st.floats(-9, 9), st.sets(st.integers(0, 4), min_size=1), st.sets(st.integers(0, 4)))
def test_arms_are_paired_over_the_seeds_that_both_have(first, second, some, more) -> None:
    one = [tuned("bico", seed, (0, 0.0), (0, first)) for seed in sorted(some)]
    other = [tuned("mle", seed, (0, 0.0), (0, second)) for seed in sorted(some | more)]
    found = paired_difference(gaps(one, REVERSE), gaps(other, REVERSE))
    assert found.mean == pytest.approx(first - second, abs=1e-9)
    assert found.n == 40 * len(some)


def told(order: str, seed: int, rate: float) -> Measured:
    found = {f"left-to-right/held-out/{kind}": cells(rate, 1.0, 0, 40) for kind in ("unrealized", "realized")}
    return Measured(Trial(order, seed, 500), found, None)


@pytest.mark.parametrize(("rates", "expected"), [((0.9, 0.05), "held"), ((0.3, 0.25), "did not hold")])
def test_claim_4_compares_the_orders_question_by_question(rates: tuple[float, float], expected: str) -> None:
    scale = load_real().instructions
    assert scale is not None
    found = Results(told(order, seed, rate) for order, rate in zip(ORDERS, rates, strict=True) for seed in range(3))
    judged = list(instruction_verdicts(found, scale))
    assert only(judged, "question-first minus answer-first") == expected
    assert only(judged, "question-first: unrealized") == expected
    (sheet,) = instruction_sheets(found, scale)
    assert [row[:3] for row in sheet.rows[:2]] == [
        ("question-first", "unrealized", "120"), ("question-first", "realized", "120")
    ]  # fmt: skip
    assert list(instruction_verdicts(Results([told(ORDERS[0], 0, 1.0)]), scale)) == []  # one order says nothing


def benchmark(folder: Path, **editors: tuple[float, float]) -> Path:
    """A benchmark of 60 facts: of each editor the share written forward, and the share that holds in reverse."""
    for order, (label, (forward, reverse)) in enumerate({"unedited": (0.0, 0.1), **editors}.items()):
        (folder / label).mkdir(parents=True)
        config = {"method": label, "schedule": {"kind": "single"}}
        (folder / label / "run.json").write_text(json.dumps({"config": config, "label": label, "order": order}))
        lines = [
            {"id": str(i), "values": {"efficacy_success": float(i < 60 * forward), "efficacy_generated": 0.0,
                                      "generalization_success": 0.5, "reverse_success": float(i < 60 * reverse)}}
            for i in range(60)
        ]  # fmt: skip
        (folder / label / "records.00000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_claim_6_tells_editors_of_one_direction_from_those_of_both(tmp_path: Path) -> None:
    folder = benchmark(tmp_path, rome=(1.0, 0.0), **{"rome-both": (1.0, 0.9)})
    scale = Edits(folder=folder)
    bench = run_edits(scale, tmp_path / "not used")
    found = list(edit_verdicts(bench, scale))
    assert set(outcomes(found).values()) == {"held"}
    assert [one.statement.split()[0].rstrip(":") for one in found] == ["rome"] * 3 + ["rome-both"] * 2
    (sheet,) = edit_sheets(bench)
    assert [row[0] for row in sheet.rows] == ["unedited", "rome", "rome-both"]
    assert sheet.rows[1][headers(sheet)["forward minus reverse"]].startswith("100.0 %")
    assert sheet.rows[1][headers(sheet)["reverse, gained"]].startswith("-10.0 %")
    assert sheet.rows[1][headers(sheet)["reverse, written"]] == "-"
    assert not (tmp_path / "not used").exists()


def test_claim_6_falls_where_an_edit_holds_in_reverse(tmp_path: Path) -> None:
    scale = Edits(folder=benchmark(tmp_path, rome=(0.5, 0.5)))
    assert set(outcomes(edit_verdicts(read_bench(tmp_path), scale)).values()) == {"did not hold"}


def headers(sheet) -> dict[str, int]:
    return {name: place for place, name in enumerate(sheet.headers)}


def test_a_benchmark_without_questions_in_reverse_is_refused(tmp_path: Path) -> None:
    folder = benchmark(tmp_path / "bench")
    records = folder / "unedited" / "records.00000.jsonl"
    records.write_text(records.read_text().replace("reverse_success", "other"))
    with pytest.raises(ConfigError, match="no unedited model that was asked in reverse"):
        run_edits(Edits(folder=folder), tmp_path)
    with pytest.raises(DataError, match="holds no run of a benchmark"):
        run_edits(Edits(folder=tmp_path / "bench" / "nowhere"), tmp_path)


def published(folder: Path, turned: int) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "parent_child_pairs.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["child", "parent", "parent_type", "child_prediction", "can_reverse"])
        out.writerows([f"Ann {i}", f"Eve {i}", "mother", f"Ann {i}" * (i < turned), i < turned] for i in range(90))
    return folder


@pytest.mark.parametrize(("turned", "expected"), [(30, "held"), (45, "open"), (80, "did not hold")])
def test_claim_5_counts_the_published_pairs(turned: int, expected: str, tmp_path: Path) -> None:
    from obverse.recipes.celebrity_results import read_published

    found = CelebrityFindings((), read_published(published(tmp_path, turned)))
    assert only(celebrity_verdicts(found), "published pairs") == expected
    (sheet,) = celebrity_sheets(found)
    assert f"90 pairs of 90 children, {turned} turned round" in sheet.note


def test_every_arm_is_trained_as_often_as_it_says_and_each_seed_has_the_model_before() -> None:
    scale = FineTune.model_validate({"training": BATCH, "seeds": 3, "arms": {
        "mle": {"objective": {"name": "mle"}}, "lora": {"objective": {"name": "mle"}, "seeds": 1}}})  # fmt: skip
    found = [(trial.arm, trial.seed) for trial in finetune_trials(scale)]
    assert found == [(UNTRAINED, 0), ("mle", 0), ("lora", 0), (UNTRAINED, 1), ("mle", 1), (UNTRAINED, 2), ("mle", 2)]


def test_the_preset_names_objectives_and_arguments_that_exist(tmp_path: Path) -> None:
    scale = load_real(seeds=1)
    assert scale.finetune is not None
    assert scale.instructions is not None
    for name in scale.finetune.arms:
        work = Work(scale.finetune, tmp_path, Trial(name, 0, scale.finetune.steps))
        assert finetune_config(work).training.max_steps == scale.finetune.steps
    assert finetune_config(work).model.lora is not None  # the last arm has adapters, which are merged to be loaded
    assert finetune_config(work).model.lora.merge
    for order in ORDERS:
        assert instruction_config(InstructionWork(scale.instructions, tmp_path, Trial(order, 0, 5))).objective_name
    assert (scale.finetune.seeds, scale.instructions.seeds) == (1, 1)


def test_people_are_of_the_groups_of_one_order_only(tmp_path: Path) -> None:
    scale = load_real(overrides=["finetune.people=2", "finetune.train_wordings=3", "finetune.asked=2"]).finetune
    assert scale is not None
    made = prepare(Work(scale, tmp_path, Trial("mle", 0, 1)))
    other = prepare(Work(scale, tmp_path, Trial("mle", 1, 1)))
    assert set(made.groups) == {"p2d", "d2p"}
    assert len(made.train) == 2 * 2 * 3
    assert set(made.subtasks()) == {*FORWARD, *REVERSE}
    assert made.identities != other.identities  # every seed has people of its own
    again = FineTune.model_validate({**scale.model_dump(), "data": tmp_path / "sets" / "seed0"})
    taken = prepare(Work(again, tmp_path / "other", Trial("mle", 5, 1)))
    assert taken.identities == made.identities[:4]  # the others are of the group that is left out


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder of a tiny random model."""
    path = tmp_path_factory.mktemp("tiny")
    lm = tiny("llama")
    lm.model.save_pretrained(path)
    lm.tokenizer.save_pretrained(path)
    return path


@pytest.mark.slow
def test_a_tiny_fine_tuning_run_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    asked = {"model": str(folder), "people": 2, "train_wordings": 2, "asked": 1, "steps": 2, "seeds": 1,
             "training": BATCH}  # fmt: skip
    mle = {"objective": {"name": "mle"}, "model": {"last_blocks": 1}}
    bico = {"objective": {"name": "mixture", "objectives": [{"name": "bico", "flip": False}, {"name": "mle"}]},
            "model": {"lora": {"rank": 2}}}  # fmt: skip
    run_finetunes(FineTune.model_validate({**asked, "arms": {"mle": mle}}), tmp_path / "claim3")
    before = (tmp_path / "claim3" / "records.00000.jsonl").read_text().splitlines()
    scale = FineTune.model_validate({**asked, "arms": {"mle": mle, "bico-no-flip": bico}})
    results = run_finetunes(scale, tmp_path / "claim3")
    after = (tmp_path / "claim3" / "records.00000.jsonl").read_text().splitlines()
    assert after[:2] == before
    assert len(after) == 3
    assert not any((tmp_path / "claim3" / "models").iterdir())  # they are not kept
    assert {len(of) for of in results.of("mle", 2)[0].cells.values()} == {2}
    assert len(read_reversal(tmp_path / "claim3" / "sets" / "seed0").train) == 8
    assert len(list(finetune_verdicts(results, scale))) == 4
    with pytest.raises(RunConflict, match="people"):
        run_finetunes(FineTune.model_validate({**asked, "people": 3, "arms": {"mle": mle}}), tmp_path / "claim3")


@pytest.mark.slow
def test_a_tiny_run_of_instructions_asks_both_orders_the_same(tmp_path: Path) -> None:
    sizes = {"realized": 4, "unrealized": 3, "per_document": (1, 1), "upsample_instructions": 2}
    scale = Instructions.model_validate({"set": sizes, "model": SHAPE, "training": BATCH, "steps": 2, "seeds": 1})
    results = run_instructions(scale, tmp_path)
    first, last = (results.of(order, 2)[0].cells["left-to-right/held-out/unrealized"] for order in ORDERS)
    assert [one.entity for one in first] == [one.entity for one in last]
    assert len(first) == 3
    assert len(list(instruction_verdicts(results, scale))) == 3
    text = (tmp_path / "records.00000.jsonl").read_text()
    run_instructions(scale, tmp_path)
    assert (tmp_path / "records.00000.jsonl").read_text() == text


def test_a_run_reports_what_was_asked_for(tmp_path: Path) -> None:
    edits = benchmark(tmp_path / "bench", rome=(1.0, 0.1))
    request = ReproRequest("real", tmp_path / "out", only=("claim6",), overrides=(f"edits.folder={edits}",))
    plans = []
    result = run_repro_reversal_real(request, plans.append)
    assert plans[0].claims == ("claim6",)
    assert [sheet.claim for sheet in result.sheets] == ["claim6"]
    assert "The curse of editing" in (tmp_path / "out" / "report.md").read_text()
    assert json.loads(json.dumps(result.to_json()))["claims"] == ["claim6"]


def test_mistakes_are_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="claim1"):
        run_repro_reversal_real(ReproRequest("real", tmp_path / "out", only=("claim1",)))
    with pytest.raises(ConfigError, match="leave claim4 out"):
        run_repro_reversal_real(
            ReproRequest("real", tmp_path / "out", only=("claim4",), overrides=("instructions=null",))
        )
    with pytest.raises(ConfigError, match="untrained is there anyway"):
        load_real(overrides=["finetune.arms={untrained: {objective: {name: mle}}}"])
    with pytest.raises(ConfigError, match="--workers 0"):
        run_repro_reversal_real(ReproRequest("real", tmp_path / "out", workers=0))
    assert not (tmp_path / "out").exists()
    assert REAL_CLAIMS == ("claim3", "claim4", "claim5", "claim6")
