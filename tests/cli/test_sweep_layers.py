"""``obverse sweep-layers`` from flags to a profile, and ``obverse edit --layer auto`` that uses it."""

import json
from pathlib import Path

import pytest

from command_line import SPACE_NEEDLE
from obverse.cli.sweep_tables import verdict
from obverse.core import Interval
from obverse.editing.profile import Prediction

QUICK = ("--set", "contexts.lengths=[[4, 2]]", "--set", "moment=null", "--set", "steps=4")
FACTS = """subject,prompt,target,target_true,paraphrases,neighbours
Space Needle,The {} is in the city of,Paris,Seattle,To see the {} go to,Pike Place is in => Seattle
Big Ben,{} is in,Rome,London,To see {} go to,Tower Bridge is in => London
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("obverse.recipes.sweep.find_spec", lambda _: None)
    monkeypatch.setattr("obverse.editing.cost._speed", lambda _: 1e10)


@pytest.fixture
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")  # of its own: a profile would be seen by the next test


@pytest.fixture
def sweep(obverse, model):
    Path("facts.csv").write_text(FACTS)
    return lambda *args: obverse("sweep-layers", "-m", model, "--facts", "facts.csv", *QUICK, "--samples", "2", *args)


def test_the_measured_layer_is_used(sweep, obverse, model):
    edit = ("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--layer", "auto", "--dry-run")
    ran = obverse(*edit)
    assert ran.code == 2
    assert "has no profile for rome" in ran.err
    assert f"obverse sweep-layers --model {model}" in ran.err.replace("\n", "")

    ran = sweep("--json", "--out", "x")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    best = found["profile"]["best"]
    assert list(found["profile"]["table"]) == ["0", "1", "2"]
    assert json.loads(Path("x/profile.json").read_text()) == found["profile"]
    assert json.loads(Path("x/summary.json").read_text())["profile"] == found["profile"]
    assert json.loads(Path("x/run.json").read_text())["config"]["method"] == "rome"

    words = " ".join(obverse(*edit).out.split())
    assert f"layer {best} (model.layers.{best}.mlp.down_proj), measured profile of 20" in words
    assert "2 facts at 3 of 3 layers" in words
    assert "with other" not in words
    other = " ".join(obverse(*edit, "--set", "steps=5").out.split())
    assert "2 facts at 3 of 3 layers, with other steps" in other
    plan = json.loads(obverse(*edit, "--json").out)["plan"]
    assert plan["layers"] == [best]
    assert "preset" not in plan["layer_from"]


def test_prints_plan_table_and_verdict(sweep):
    ran = sweep()
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    for shown in (
        "layers 3 of 3: 0-2", "facts 2 (facts.csv)", "edits 6, each on the fresh model", "cost about",
        "n = 2 facts", "unedited", "Best layer:", "obverse edit --layer auto takes layer",
    ):  # fmt: skip
        assert shown in words
    assert len(list(Path("runs").glob("sweep-*"))) == 1


def test_dry_run_writes_nothing(sweep):
    ran = sweep("--layers", "0,2", "--limit", "1", "--dry-run")
    assert ran.code == 0, ran.err
    assert "layers 2 of 3: 0, 2" in " ".join(ran.out.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--layers", "0;2"), "is no list of layers"),
        (("--layers", "-1"), "is no list of layers"),
        (("--layers", "0,9"), "Layer 9 is out of range"),
        (("--dataset", "builtin"), "both given"),
        (("--set", "layers=[2]"), "what is swept"),
    ],
)
def test_a_mistake_is_one_message(sweep, args, message):
    ran = sweep(*args)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert not Path("runs").exists()


def test_an_unknown_data_set_or_layer(obverse, model):
    assert "Unknown data set 'known'" in obverse("sweep-layers", "-m", model, "--dataset", "known").err
    for given in (("five",), ("auto", "--layer", "2"), ("-1",)):
        ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--layer", *given)
        assert ran.code == 2
        assert "is not one layer, nor auto alone" in ran.err


@pytest.mark.parametrize(
    ("low", "high", "lost", "words"),
    [
        (0.2, 0.8, 0.0, "edits hold better on this model"),
        (-0.8, -0.2, 0.3, "no guide to the layer to edit"),
        (-0.3, 0.4, 0.3, "tells nothing certain"),
        (-0.3, 0.4, 0.3, "would lose 40 points of S"),
        (-0.3, 0.4, 0.0, "not told apart from the best"),
    ],
)
def test_the_verdict_follows_the_interval(low, high, lost, words):
    correlation = Interval((low + high) / 2, low, high, 18)
    assert words in verdict(Prediction("mlp", {}, correlation, 3, Interval(0.4, lost, 0.6, 8)))


def test_no_verdict_without_a_correlation():
    assert "nothing can be said" in verdict(Prediction("mlp", {}, None, 3, Interval(0.0, 0.0, 0.0, 8)))
