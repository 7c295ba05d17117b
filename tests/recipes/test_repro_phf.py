"""The claims of PHF judged on made-up models, which of them are trained, and one tiny run from end to end."""

import json
from pathlib import Path

import pytest

from obverse.core import ConfigError, RunConflict, UnknownName
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_phf import run_repro_phf
from obverse.recipes.repro_phf_claims import verdicts
from obverse.recipes.repro_phf_gpu import gpu_commands
from obverse.recipes.repro_phf_plan import CLAIMS, PHFSettings, Trial, check_claims, load_settings, trials
from obverse.recipes.repro_phf_results import Measured, Results, Samples, score, score_ratio
from obverse.recipes.repro_phf_tables import sheets
from obverse.recipes.repro_run import ReproRequest
from obverse.recipes.repro_sheet import markdown

TINY = [
    "corpus.documents=40", "held_out=8", "vocabulary=300", "length=32", "model={n_embd: 8, n_layer: 1, n_head: 2}",
    "training={max_steps: 3, per_device_train_batch_size: 4, learning_rate: 0.01}", "samples=4", "tokens=12",
    "methods=[mle, conditional]", "scarce=null", "noise=null", "scale=null",
    "reference={documents: 20, model: {n_embd: 8}, training: {max_steps: 2}, samples: 4}",
]  # fmt: skip


def made_up(trial: Trial, rate: float, loss: float = 1.8, misaligned: float | None = None) -> Measured:
    """A model whose samples have a finding at a rate."""
    hits = [int((i * rate) % 1 + rate >= 1) for i in range(200)]
    other = None if misaligned is None else Samples((int(misaligned),) * 200, (100,) * 200)
    return Measured(trial, Samples(tuple(hits), (100,) * 200), other, loss, loss, loss + trial.seed / 1000, 0.3, 1.0)


def everything(
    settings: PHFSettings, rates: dict[str, float], *, contrast: float = 3, loss: float = 1.8
) -> list[Measured]:
    found = []
    for trial in trials(settings, CLAIMS):
        rate = (rates.get(trial.arm, 0.0) + trial.flips) * (1 + trial.seed / 10)
        misaligned = contrast if trial.arm == "conditional" else None
        found.append(made_up(trial, rate, loss if trial.arm == "conditional" else 1.8, misaligned))
    return found


def judged(found: list[Measured], settings: PHFSettings) -> list[Verdict]:
    return verdicts(Results(found), settings, CLAIMS)


def named(found: list[Verdict], words: str) -> Verdict:
    (one,) = [verdict for verdict in found if words in verdict.statement]
    return one


def test_the_presets_name_objectives_and_arguments_that_exist(tmp_path: Path) -> None:
    from obverse.recipes.repro_phf_train import Work, trial_config

    for preset in ("smoke", "demo"):
        settings = load_settings(preset)
        one_each = {trial.arm: trial for trial in trials(settings, check_claims((), settings))}
        for trial in one_each.values():
            assert trial_config(Work(settings, tmp_path, trial)).seed == trial.seed


def test_each_model_is_trained_once_and_the_reference_first() -> None:
    settings = load_settings("demo")
    needed = trials(settings, CLAIMS)
    assert needed[0].arm == "reference"
    assert len({trial.id for trial in needed}) == len(needed)
    assert {trial.arm for trial in needed if trial.seed == 4} == set(settings.methods)
    assert len(trials(load_settings("demo", seeds=1), ["claim1"])) == 1 + 6 + 4


def test_claims_asked_for() -> None:
    settings = load_settings("smoke")
    assert check_claims((), settings) == ("claim1",)
    with pytest.raises(ConfigError, match="leaves claim2 out"):
        check_claims(["claim2"], settings)
    with pytest.raises(UnknownName, match="claim9"):
        check_claims(["claim9"], settings)
    with pytest.raises(UnknownName, match="huge"):
        load_settings("huge")
    with pytest.raises(ConfigError, match="trains nothing"):
        load_settings("demo", seeds=0)
    with pytest.raises(ConfigError, match="nonsense"):
        load_settings("demo", overrides=["methods=[mle, conditional, nonsense]"])
    with pytest.raises(ConfigError, match="lacks"):
        load_settings("demo", overrides=["methods=[mle]"])


def test_verdicts_hold_where_the_numbers_do() -> None:
    settings = load_settings("demo")
    rates = {"mle": 0.4, "conditional": 0.02, "rwr-10-density": 0.38, "awr-0.1-density": 0.4}
    found = judged(everything(settings, rates), settings)
    assert named(found, "MLE scores more than 3 times conditional training").outcome == "held"
    assert named(found, "nats a token worse than MLE").outcome == "held"
    assert named(found, "misaligned token").outcome == "held"
    assert named(found, "scores below filtering").outcome == "did not hold"
    assert named(found, "rwr-10-density is nearly MLE").outcome == "held"
    assert named(found, "filtering scores worse with 20%").outcome == "held"


def test_verdicts_fall_where_the_numbers_do_not_hold() -> None:
    settings = load_settings("demo")
    rates = {"mle": 0.4, "conditional": 0.4, "rwr-10-density": 0.0}
    found = judged(everything(settings, rates, contrast=0, loss=1.9), settings)
    assert named(found, "MLE scores more than 3 times conditional training").outcome == "did not hold"
    assert named(found, "nats a token worse than MLE").outcome == "did not hold"
    assert named(found, "misaligned token").outcome == "did not hold"
    assert named(found, "rwr-10-density is nearly MLE").outcome == "did not hold"


def test_one_seed_has_the_interval_of_its_samples() -> None:
    one = made_up(Trial("mle", 0, 0.5), 0.25)
    found = score([one])
    assert found.mean == pytest.approx(2.5)
    assert found.low < found.mean < found.high
    nothing = made_up(Trial("filtering", 0, 0.5), 0.0)
    assert score_ratio([(one.samples, nothing.samples)]).low > 10  # half a finding stands for none
    assert score_ratio([(nothing.samples, nothing.samples)]).mean == 1


def test_only_common_seeds_are_paired() -> None:
    first = [made_up(Trial("mle", seed, 0.5), 0.4) for seed in (0, 1, 2)]
    second = [made_up(Trial("rwr", seed, 0.5), 0.4) for seed in (2, 1, 7)]
    results = Results([*second, *first])
    pairs = results.paired(results.of("mle", 0.5), results.of("rwr", 0.5))
    assert [(a.trial.seed, b.trial.seed) for a, b in pairs] == [(1, 1), (2, 2)]


def test_a_measured_model_comes_back_from_json() -> None:
    one = made_up(Trial("conditional", 3, 0.5, 0.1), 0.1, misaligned=2)
    assert Measured.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_tables_have_a_row_a_method() -> None:
    settings = load_settings("demo")
    found = everything(settings, {"mle": 0.4})
    results = Results(found)
    made = list(sheets(results, settings, CLAIMS))
    assert [row[0] for row in made[0].rows] == list(settings.methods)
    page = markdown(judged(found, settings), made, "Claims of PHF, reproduced")
    assert all(f"## {sheet.title}" in page for sheet in made)
    assert page.count("| held |") == sum(one.outcome == "held" for one in judged(found, settings))


def test_the_papers_setting_is_printed() -> None:
    lines = gpu_commands(seeds=2)
    assert sum("--method conditional" in line for line in lines) == 2 * 3
    assert len(lines) == 6 * 2 * 3 + 2
    assert len(set(lines)) == len(lines)


def test_a_tiny_run_from_end_to_end_goes_on_where_it_was(tmp_path: Path) -> None:
    request = ReproRequest("demo", tmp_path / "run", seeds=1, workers=1, overrides=TINY)
    first = run_repro_phf(request)
    assert (first.plan.trials, first.plan.done) == (2, 0)
    assert first.report is not None
    assert "Methods" in first.report.read_text("utf-8")
    models = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "models").glob("*/model.safetensors")}
    again = run_repro_phf(request)
    assert again.verdicts == first.verdicts
    assert again.plan.done == 2
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "models").glob("*/model.safetensors")}
    assert kept == models
    conditional = next(row for row in first.sheets[0].rows if row[0] == "conditional")
    assert float(conditional[5].split()[0]) <= float(conditional[6].split()[0])  # the tokens' cost is not negative
    with pytest.raises(RunConflict, match="samples"):
        run_repro_phf(ReproRequest("demo", tmp_path / "run", seeds=1, workers=1, overrides=[*TINY, "samples=5"]))


@pytest.mark.real_model
def test_the_smoke_preset_shows_the_claim(tmp_path: Path) -> None:
    result = run_repro_phf(ReproRequest("smoke", tmp_path / "run"))
    assert {verdict.outcome for verdict in result.verdicts if "times" in verdict.statement} == {"held"}
