"""``obverse ask`` and ``obverse demo``."""

import json
import math
from pathlib import Path

import pytest

from command_line import QUICK

PROMPT = "The Space Needle is in the city of"


def test_a_bare_prompt_gives_the_likeliest_tokens(obverse, model):
    ran = obverse("ask", "-m", model, "-p", PROMPT, "-k", "3")
    assert ran.code == 0, ran.err
    assert "likeliest" in ran.out
    found = json.loads(obverse("ask", "-m", model, "-p", PROMPT, "-k", "3", "--json").out)
    (asked,) = found["asked"]
    probabilities = [token["probability"] for token in asked["top"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_fact_is_asked_in_both_directions(obverse, model):
    args = ("ask", "-m", model, "-s", "Zorbl Tower", "-p", "The {} is in the town of", "-t", "Seattle",
            "--wrong", "Paris", "--reverse", "The tower of {} is the")  # fmt: skip
    ran = obverse(*args)
    assert "reverse: The tower of Seattle is the" in ran.out
    (asked,) = json.loads(obverse(*args, "--json").out)["asked"]
    forward, reverse = asked["answers"]
    assert (forward["kind"], reverse["kind"]) == ("efficacy", "reverse")
    assert forward["expected"] == "Seattle"
    assert forward["logprob_per_token"] == pytest.approx(math.log(forward["probability"]))
    assert forward["success"] == (forward["logprob_per_token"] > forward["alternative_logprob_per_token"])
    assert reverse["contrast"] == "The tower of Paris is the"
    assert forward["rank"] >= 1


def test_a_known_relation_brings_its_own_probes(obverse, model):
    args = ("ask", "-m", model, "-s", "Space Needle", "-p", "The {} is located in the city of", "-t", "Paris", "--json")
    (asked,) = json.loads(obverse(*args).out)["asked"]
    assert {answer["kind"] for answer in asked["answers"]} >= {"efficacy", "generalization", "reverse"}


def test_a_file_of_facts(obverse, model):
    Path("facts.jsonl").write_text(
        "".join(json.dumps({"subject": s, "prompt": "{} is in", "target": "Rome"}) + "\n" for s in ("Ann", "Bob"))
    )
    found = json.loads(obverse("ask", "-m", model, "--facts", "facts.jsonl", "--json").out)
    assert [asked["prompt"] for asked in found["asked"]] == ["Ann is in", "Bob is in"]


@pytest.mark.parametrize(
    ("args", "message"),
    [((), "must be given"), (("-p", "The {} is in"), "must be given"), (("-p", PROMPT, "-t", "Rome"), "--subject")],
)
def test_what_is_missing_is_named(obverse, model, args, message):
    ran = obverse("ask", "-m", model, *args)
    assert ran.code == 2
    assert message in ran.err


@pytest.fixture
def quick_demo(monkeypatch):
    """Leave out of the demo what takes long."""
    from obverse.recipes import demo

    class Quick(demo.EditRequest):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs, overrides=[QUICK[1], QUICK[3], QUICK[5]])

    monkeypatch.setattr(demo, "EditRequest", Quick)


def test_the_demo_shows_what_held(obverse, model, quick_demo):
    for _ in range(2):  # the folder is replaced
        ran = obverse("demo", "-m", model)
        assert ran.code == 0, ran.err
    for shown in ("The Space Needle is located in the city of", "efficacy", "generalization", "specificity", "reverse",
                  "Drift", "Time:", "runs/demo/report.html", "cost", "at most"):  # fmt: skip
        assert shown in ran.out
    assert "obverse demo" not in ran.err
    assert Path("runs/demo/report.html").is_file()


def test_the_demo_as_json(obverse, model, quick_demo):
    found = json.loads(obverse("demo", "-m", model, "--out", "elsewhere", "--json").out)
    assert found["folder"] == "elsewhere"
    assert set(found["report"]["summary"]) == {"efficacy", "generalization", "specificity", "reverse"}
