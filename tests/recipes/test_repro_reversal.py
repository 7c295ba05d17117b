"""The claims about the reversal curse judged on made-up answers, which models are trained, and one tiny run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, RunConflict, UnknownName
from obverse.measuring.statistics import paired_difference
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_reversal import run_repro_reversal
from obverse.recipes.repro_reversal_claims import verdicts
from obverse.recipes.repro_reversal_plan import (
    CLAIMS,
    MLE,
    UNTRAINED,
    ReversalScale,
    Trial,
    check_claims,
    load_scale,
    trials,
)
from obverse.recipes.repro_reversal_results import (
    BOTH,
    FORWARD,
    REVERSE,
    WORDINGS,
    Cell,
    Measured,
    Results,
    gap,
    gaps,
    right,
)
from obverse.recipes.repro_reversal_tables import sheets
from obverse.recipes.repro_run import ReproRequest
from obverse.recipes.repro_sheet import markdown

TINY = [
    "entities=4", "model={hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2, "
    "num_key_value_heads: 2, max_position_embeddings: 64}",
    "training={per_device_train_batch_size: 4, learning_rate: 0.01, warmup_steps: 50}", "steps=2",
    "mitigations.steps=3", "seeds=1", "mitigations.seeds=1",
    "mitigations.arms={infilling: {objective: {name: infilling}, queries: [left-to-right, blank]}, "
    "mlm-u: {objective: {name: mlm-u}, queries: [fill]}}",
]  # fmt: skip


def answered(rate: float, distance: float, first: int, people: int = 20, wordings: int = 4) -> tuple[Cell, ...]:
    """Answers of which a share is right, and whose right answers are likelier by a distance, with a little spread."""
    return tuple(
        Cell(first + who, wording, who < rate * people, -5.0 + distance + (who - (people - 1) / 2) / 50, -5.0)
        for who in range(people)
        for wording in range(wordings)
    )


def made_up(trial: Trial, forward: float, reverse: float, distance: float, both: float = 1.0) -> Measured:
    """A model that answers so in every way."""
    rates = {**dict.fromkeys(FORWARD, forward), **dict.fromkeys(REVERSE, reverse), **dict.fromkeys(BOTH, both)}
    cells = {
        f"{way}/{wordings}/{subtask}": answered(
            rate, distance if subtask in REVERSE else 9.0, {"N": 0, "D": 20, "b": 40}[subtask[0]]
        )
        for way in ("left-to-right", "blank", "fill")
        for wordings in WORDINGS
        for subtask, rate in rates.items()
    }
    return Measured(trial, cells, 1.0)


def judged(scale: ReversalScale, mle: Measured, lifted: dict[str, tuple[float, float]]) -> list[Verdict]:
    found: list[Measured] = []
    for trial in trials(scale, CLAIMS):
        if trial.arm == UNTRAINED:
            found.append(made_up(trial, 0, 0, 0.0, 0))
        elif trial.arm == MLE:
            found.append(Measured(trial, mle.cells, 1.0))
        else:
            found.append(made_up(trial, 1, *lifted.get(trial.arm, (0.0, 0.0))))
    return verdicts(Results(found), scale, CLAIMS)


def outcome(found: list[Verdict], words: str) -> str:
    (one,) = [verdict for verdict in found if words in verdict.statement]
    return one.outcome


def test_verdicts_hold_where_the_answers_do() -> None:
    lifted = {"reverse-entity": (0.9, 9.0), "permutation": (0.9, 9.0), "infilling": (0.9, 9.0), "bico": (0.1, 4.0)}
    found = judged(load_scale("demo"), made_up(Trial(MLE, 0, 300), 1.0, 0.0, 0.0), lifted)
    assert {verdict.outcome for verdict in found if verdict.claim == "claim1"} == {"held"}
    assert len([verdict for verdict in found if verdict.claim == "claim1"]) == 8
    assert outcome(found, "at least 3 lift it") == "held"
    assert outcome(found, "reverse-word lifts") == "did not hold"
    assert outcome(found, "bico: the gap") == "held"
    assert outcome(found, "bico-entity: the gap") == "did not hold"


def test_verdicts_fall_where_the_answers_do_not_hold() -> None:
    found = judged(load_scale("demo"), made_up(Trial(MLE, 0, 300), 0.3, 0.5, -4.0, 0.2), {"permutation": (0.9, 9.0)})
    assert {verdict.outcome for verdict in found if verdict.claim == "claim1"} == {"did not hold"}
    assert outcome(found, "at least 3 lift it") == "did not hold"


def test_every_arm_has_a_row_of_each_way_it_was_asked() -> None:
    scale = load_scale("demo", seeds=1)
    found = [made_up(trial, 1, 0, 0.0) for trial in trials(scale, CLAIMS)]
    tables = list(sheets(Results(found), scale, CLAIMS))
    assert [sheet.claim for sheet in tables] == ["claim1", "claim1", *["claim2"] * 4]
    assert all(len(row) == len(sheet.headers) for sheet in tables for row in sheet.rows)
    assert [row[2] for row in tables[2].rows if row[0] == "infilling"] == ["left-to-right", "blank"]
    assert {row[0] for row in tables[2].rows} == {MLE, *scale.mitigations.arms}  # pyright: ignore[reportOptionalMemberAccess]
    assert markdown([], tables, "A title").startswith("# A title")


def test_too_few_people_leave_a_claim_open() -> None:
    scale = load_scale("demo", seeds=1)
    found = judged(scale, made_up(Trial(MLE, 0, 300), 1.0, 0.0, 0.0), {})
    assert outcome(found, "NTP answers nothing in reverse, held-out") == "open"  # 0 of 40 persons: up to 9 %


@settings(max_examples=10)
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_gains_are_differences_of_gaps_by_person(first: float, second: float) -> None:
    one, other = (made_up(Trial(MLE, 0, 1), 1, 0, distance) for distance in (first, second))
    found = paired_difference(gaps([one], REVERSE), gaps([other], REVERSE))
    assert found.mean == pytest.approx(first - second, abs=1e-9)
    assert found.high - found.low == pytest.approx(0, abs=1e-9)  # persons differ alike in both
    assert gap([one], REVERSE[:1]).mean == pytest.approx(first)


def test_the_same_person_in_two_seeds_is_two() -> None:
    models = [made_up(Trial(MLE, seed, 1), 0.5, 0, 0.0) for seed in (0, 1)]
    found = right(models, ["N2D"])
    assert (found.mean, found.n) == (0.5, 40)


def test_a_measured_model_comes_back_from_json() -> None:
    one = made_up(Trial("bico", 3, 1000), 1, 0.5, 1.25)
    for same in (one, replace(one, seconds=None)):
        assert Measured.from_json(json.loads(json.dumps(same.to_json()))) == same


def test_the_presets_name_objectives_and_arguments_that_exist(tmp_path: Path) -> None:
    from obverse.recipes.repro_reversal_train import trial_config
    from obverse.recipes.repro_reversal_work import Work

    for preset in ("smoke", "demo"):
        scale = load_scale(preset)
        for trial in {trial.arm: trial for trial in trials(scale, CLAIMS)}.values():
            config = trial_config(Work(scale, tmp_path, trial))
            assert config.seed == trial.seed
            assert config.training.arguments["max_steps"] == max(1, trial.steps)
            layers = 2 if trial.arm == "infilling-prefix" else 1
            assert config.model.settings["num_hidden_layers"] == layers


def test_each_model_is_trained_once_and_the_longest_first() -> None:
    scale = load_scale("demo")
    needed = trials(scale, CLAIMS)
    assert len({trial.id for trial in needed}) == len(needed)
    assert [trial.steps for trial in needed] == sorted((trial.steps for trial in needed), reverse=True)
    assert {trial.steps for trial in needed if trial.arm == MLE} == {300, 1000, 3000}
    assert len(trials(scale, ["claim1"])) == 5 + 5 + 2


def test_what_is_asked_for_wrongly() -> None:
    with pytest.raises(UnknownName, match="claim9"):
        check_claims(["claim9"], load_scale("smoke"))
    with pytest.raises(ConfigError, match="leave claim2 out"):
        check_claims(["claim2"], load_scale("smoke", overrides=["mitigations=null"]))
    with pytest.raises(UnknownName, match="huge"):
        load_scale("huge")
    with pytest.raises(ConfigError, match="trains nothing"):
        load_scale("demo", seeds=0)
    with pytest.raises(ConfigError, match="max_steps is set by"):
        load_scale("demo", overrides=["training.max_steps=3"])
    with pytest.raises(ConfigError, match="another name"):
        load_scale("demo", overrides=["mitigations.arms={mle: {objective: {name: mle}}}"])
    with pytest.raises(ConfigError, match="--workers 0"):
        run_repro_reversal(ReproRequest(workers=0))


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "run"
    plans = []
    asked = ReproRequest("smoke", out, workers=1, overrides=TINY)
    result = run_repro_reversal(asked, plans.append)
    assert (plans[0].trials, plans[0].done) == (6, 0)
    kept = [json.loads(line)["trial"]["arm"] for line in (out / "records.00000.jsonl").read_text("utf-8").splitlines()]
    assert sorted(kept) == sorted([UNTRAINED, MLE, MLE, "reverse-entity", "infilling", "mlm-u"])
    assert (out / "report.md").read_text("utf-8").startswith("# The reversal curse, reproduced")
    (table,) = [sheet for sheet in result.sheets if sheet.title == "Right answers by objective, held-out wordings"]
    assert [row[2] for row in table.rows] == [*["left-to-right"] * 3, "blank", "fill"]
    again = run_repro_reversal(asked, plans.append)
    assert plans[1].done == 6
    assert again.verdicts == result.verdicts
    with pytest.raises(RunConflict, match="entities"):
        run_repro_reversal(ReproRequest("smoke", out, workers=1, overrides=[*TINY, "entities=5"]))


@pytest.mark.slow
@pytest.mark.timeout(200, method="thread")  # Ray swallows the signal of the other method
def test_on_ray_the_models_are_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    few = [*TINY, "mitigations=null", "entities=2"]
    alone = run_repro_reversal(ReproRequest("smoke", tmp_path / "alone", workers=1, overrides=few))
    spread = run_repro_reversal(ReproRequest("smoke", tmp_path / "ray", overrides=few, ray="local"))
    assert spread.plan.trials == 2
    assert spread.verdicts == alone.verdicts
    assert spread.sheets == alone.sheets
