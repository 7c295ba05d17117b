"""``obverse attribute``."""

import json
from pathlib import Path

import pytest

PROMPT = "The Space Needle is in the city of"


def test_the_strongest_neurons_of_what_the_model_says(obverse, model):
    ran = obverse("attribute", PROMPT, "-m", model, "--steps", "4", "-k", "3")
    assert ran.code == 0, ran.err
    assert "what it writes makes likelier" in ran.out
    found = json.loads(obverse("attribute", PROMPT, "-m", model, "--steps", "4", "-k", "3", "--json").out)
    asked = json.loads(obverse("ask", "-m", model, "-p", PROMPT, "--json").out)["asked"][0]["top"][0]
    assert (found["answer"], found["answer_ids"]) == (asked["text"], [asked["id"]])
    assert found["probability"] == pytest.approx(asked["probability"], rel=1e-4)
    assert found["fact"]["subject"] == "The Space Needle"
    assert len(found["top"]) == 3
    assert all(len(neuron["promotes"]) == 5 for neuron in found["top"])
    assert found["top"][0]["share"] == 1
    assert "scores" not in found
    for neuron in found["top"]:
        assert f"{neuron['score']:+.2%}" in ran.out


def test_scores_and_a_figure_are_written(obverse, model):
    pytest.importorskip("matplotlib")
    from obverse.locating.neurons import Attribution

    ran = obverse("attribute", "The {} is in the city of", "-s", "Space Needle", "-a", "Seattle now", "-m", model,
                  "--position", "subject-last", "--steps", "2", "--out", "a/scores.safetensors",
                  "--figure", "a/scores.png", "--memory", "0.001")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "Scores: a/scores.safetensors" in ran.out
    assert Path("a/scores.png").stat().st_size > 1000
    found = Attribution.load("a/scores.safetensors")
    assert "Needle".endswith(found.tokens[found.position].strip())
    assert found.answer.strip() == "Seattle now"
    assert (found.steps, found.reading, found.rule, found.at) == (2, "sequence", "midpoint", "key")


def test_what_is_guessed_and_what_is_coarse_is_said(obverse, model):
    ran = obverse("attribute", PROMPT, "-m", model, "--steps", "1", "--rule", "reference", "--position", "subject-last")
    assert "guessed 'The Space Needle'" in ran.err
    assert "raise --steps" in ran.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((" ",), "The prompt is empty"),
        (("The {} is in",), "Say --subject"),
        (("it is in", "--position", "subject-last"), "Say --subject"),
        ((PROMPT, "-s", "Eiffel Tower"), "does not occur"),
        ((PROMPT, "--position", "40"), "is not in the prompt"),
        ((PROMPT, "--at", "output", "--rule", "none"), "2 mistakes"),
        ((PROMPT, "--steps", "0"), "steps"),
        ((PROMPT, "--at", "preactivation"), "--at key"),
        ((PROMPT, "--figure", "a.gif"), ".png"),
    ],
)
def test_mistakes_are_named(obverse, model, args, message):
    ran = obverse("attribute", *args, "-m", model)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""


def test_help_has_examples(obverse):
    ran = obverse("attribute", "--help")
    assert ran.code == 0
    assert "Examples" in ran.out
