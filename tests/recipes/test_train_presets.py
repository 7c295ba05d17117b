"""Tasks and methods that come with the package, against the published numbers."""

import itertools

import pytest
import yaml

from obverse.core import ConfigError, UnknownName
from obverse.recipes.train_presets import as_yaml, layers_of, presets, read_layer
from obverse.training import objectives
from obverse.training.settings import SECTIONS, train_config

FINETUNING = {
    # rate, batch, what the objective is told: "Pretraining Language Models with Human Preferences", released configs
    ("toxicity", "mle"): (5e-4, 64, {}),
    ("toxicity", "filtering"): (5e-4, 64, {"threshold": 7.8e-4}),
    ("toxicity", "conditional"): (5e-4, 64, {"threshold": 5.6e-4}),
    ("toxicity", "unlikelihood"): (5e-4, 64, {"threshold": 7.8e-4, "alpha": 1}),
    ("toxicity", "awr"): (1e-3, 512, {"alpha": 0.5, "beta": 10}),
    ("toxicity", "rwr"): (5e-4, 512, {"beta": 10}),
    ("pii", "mle"): (1e-4, 128, {}),
    ("pii", "filtering"): (1e-4, 128, {"threshold": 2.86e-4}),
    ("pii", "conditional"): (1e-4, 128, {"threshold": 0, "drop_fraction": 0.01}),
    ("pii", "unlikelihood"): (1e-4, 128, {"threshold": 0, "alpha": 1}),
    ("pii", "awr"): (1e-4, 512, {"alpha": 0.5, "beta": 0.1}),
    ("pii", "rwr"): (1e-4, 512, {"beta": 10}),
    ("pep8", "mle"): (8e-4, 64, {}),
    ("pep8", "filtering"): (8e-4, 64, {"threshold": 2.361e-3}),
    ("pep8", "unlikelihood"): (8e-4, 64, {"alpha": 0.01}),
    ("pep8", "awr"): (1e-3, 256, {"alpha": 0.05, "beta": 1}),
    ("pep8", "rwr"): (1e-3, 64, {"beta": 10}),
}


@pytest.mark.parametrize(("task", "method"), [*itertools.product(presets("task"), presets("method"))])
def test_every_pair_is_valid(task, method):
    config = train_config(*layers_of(task, method))
    assert config.objective_name in objectives.names()
    again = train_config(yaml.safe_load(as_yaml(config.resolved, SECTIONS)))
    assert again.resolved == config.resolved


@pytest.mark.parametrize(("task", "method"), FINETUNING)
def test_published_finetuning(task, method):
    rate, batch, told = FINETUNING[task, method]
    config = train_config(*layers_of(f"{task}-finetune", method))
    assert config.training.arguments["learning_rate"] == rate
    assert config.training.effective_batch_size == batch
    assert config.data.skip_tokens == (1_661_599_744 if task == "toxicity" else 1_649_999_872)
    given = config.objective.model_dump()
    assert {name: given[name] for name in told} == told


def test_a_file_of_ones_own(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("data: {sources: mine.jsonl}\nobjective: {threshold: 0.5}\n")
    method = tmp_path / "pii.yml"
    method.write_text("objective: {name: filtering}\ntasks: {mine: {seed: 7}, other: {seed: 8}}\n")
    config = train_config(*layers_of(str(mine), str(method)))
    assert (config.objective.model_dump()["threshold"], config.seed) == (0.5, 7)


@pytest.mark.parametrize(
    ("kind", "name", "error", "message"),
    [
        ("task", "toxicty", UnknownName, "toxicity"),
        ("method", "conditionel", UnknownName, "conditional"),
        ("task", "absent.yaml", UnknownName, "absent.yaml"),
        ("task", "broken.yaml", ConfigError, "not valid YAML"),
        ("task", "list.yaml", ConfigError, "no settings"),
    ],
)
def test_what_is_no_preset(tmp_path, monkeypatch, kind, name, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("a: [1")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(error, match=message):
        read_layer(kind, name)


def test_every_mistake_anywhere_is_in_one_message():
    wrong = {
        "data": {"lengtth": 3},
        "objective": {"name": "conditional", "thresholt": 1},
        "training": {"learning_rat": 1, "max_steps": "many"},
        "evaluation": {"scorer": "pii", "scenarios": [{"name": "a", "temperatuur": 1}]},
        "learning_rate": 1,
    }
    with pytest.raises(ConfigError) as caught:
        train_config(*layers_of("pii", "mle"), wrong)
    message = caught.value.message
    assert message.startswith("6 mistakes")
    for near in ("data.length", "objective.threshold", "training.learning_rate", "evaluation.scenarios.temperature"):
        assert f"did you mean {near}" in message, near
    assert "learning_rate: no such setting, did you mean training.learning_rate?" in message
    assert "training.max_steps: Input should be a valid integer" in message
