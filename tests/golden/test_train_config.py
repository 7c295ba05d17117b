"""Composition of settings and the published hyper-parameters, as the original program merged them."""

import json

import pytest
from tests.golden.conftest import FOLDER

from obverse.core import ConfigError, merged
from obverse.recipes.train_presets import layers_of
from obverse.training.settings import train_config

OURS = {
    # The original evaluates digits and keeps all else as text; here values are YAML.
    "training.learning_rate=-1": -1,
    "training.fp16=false": False,
    "training.x=[1,2]": [1, 2],
    "training.seed=": None,
    "training.seed=007": 7,
}
METHODS = {"ul": "unlikelihood"}
SHIPPED_BESIDE = {"functions"}  # needs a file of prompts that is not ours to ship
STAGES = {"pretrain": "", "finetune": "-finetune"}


def _read(name):
    path = FOLDER / "phf" / name
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


COMPOSITION, SHIPPED = _read("config_composition.json"), _read("shipped_hyperparameters.json")
needs_golden = pytest.mark.skipif(COMPOSITION is None, reason=f"no golden folder: {FOLDER / 'phf'} (OBVERSE_GOLDEN)")


@needs_golden
def test_merging():
    assert merged(COMPOSITION["task"], COMPOSITION["method"]) == COMPOSITION["merged"]


@pytest.mark.parametrize("case", COMPOSITION["overrides"] if COMPOSITION else [], ids=lambda case: case["arg"])
def test_overrides(case):
    section, _, name = case["arg"].partition("=")[0].partition(".")
    found = merged(COMPOSITION["task"], COMPOSITION["method"], overrides=[case["arg"]])[section][name]
    wanted = OURS.get(case["arg"], case.get("value"))
    assert found == wanted
    assert type(found) is type(wanted)


@needs_golden
def test_a_value_with_an_equals_sign_is_read_and_one_without_is_refused():
    assert merged(overrides=["training.run=a=b"]) == {"training": {"run": "a=b"}}
    with pytest.raises(ConfigError, match="key=value"):
        merged(overrides=["training.run"])


@pytest.mark.parametrize("row", SHIPPED or [], ids=lambda row: f"{row['task']}-{row['stage']}-{row['method']}")
def test_shipped_hyperparameters(row):
    method = METHODS.get(row["method"], row["method"])
    config = train_config(*layers_of(row["task"] + STAGES[row["stage"]], method))
    told, training = config.objective.model_dump(), config.training
    if row["objective"] == "AWR":
        assert told["beta"] == row["beta"]
        assert told.get("alpha", 1) == row["alpha"]  # RWR is AWR with alpha 1
        assert told["reward_scale"] == "published"
    if row["score_threshold"] is not None:
        assert (told["threshold"], told["alpha"]) == (row["score_threshold"], row["alpha"])
    if row["filter_threshold"] is not None:
        assert told["threshold"] == row["filter_threshold"]
    if row["conditional"] is not None:
        for ours, theirs in (
            ("threshold", "threshold"), ("aligned_prefix", "aligned_prefix"),
            ("misaligned_prefix", "misaligned_prefix"), ("drop_fraction", "drop_token_fraction"),
        ):  # fmt: skip
            assert told[ours] == row["conditional"][theirs]
        assert all(one.prefix == told["aligned_prefix"] for one in config.evaluation.scenarios)
        assert config.kl.prefix == told["aligned_prefix"]
    assert training.arguments["learning_rate"] == row["lr"]
    assert training.arguments["per_device_train_batch_size"] == row["per_device"]
    assert training.arguments["save_steps"] == row["save_steps"]
    assert (training.effective_batch_size, training.num_tokens) == (row["effective_batch_size"], row["num_tokens"])
    assert config.data.skip_tokens == row["skip_tokens"] == row["tokens_already_seen"]
    step = training.effective_batch_size * config.data.length
    assert (training.num_tokens - config.data.skip_tokens) // step == row["max_steps"]
    assert (config.evaluation.every, list(config.evaluation.at)) == (row["eval_every"], row["force_call_on"])
    assert config.kl.every == row["kl_every"]
    assert {one.name for one in config.evaluation.scenarios} == {*row["scenarios"]} - SHIPPED_BESIDE
    assert config.model.drawn == row["from_scratch"]
