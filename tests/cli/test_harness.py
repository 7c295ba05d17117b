"""``obverse harness``."""

import json
from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra harness)")

FACTS = "subject,prompt,target,target_true,reverse\nSpace Needle,The {} is in the city of,Paris,Seattle,In {} is the\n"


@pytest.fixture
def tasks(obverse, tmp_path, tmp_path_factory, monkeypatch):
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
    (tmp_path / "my-facts.csv").write_text(FACTS)
    ran = obverse("harness", "--export", "tasks", "--facts", "my-facts.csv")
    assert ran.code == 0, ran.err
    assert "my_facts_efficacy_said" in ran.out
    assert "obverse harness --include tasks --tasks my_facts" in ran.out
    return "tasks"


def test_facts_become_tasks_that_are_asked_before_and_after(obverse, tasks, model, edits):
    args = ("harness", "--include", tasks, "--tasks", "my_facts,my_facts_said", "--edit", edits[0], "--model", model)
    ran = obverse(*args, "--out", "result.json")
    assert ran.code == 0, ran.err
    assert "The Space Needle is in the city of → Paris" in ran.out
    assert "0.0000" in ran.out
    told = json.loads(obverse(*args, "--json").out)
    kept = json.loads(Path("result.json").read_text("utf-8"))
    assert kept["run"]["config"]["tasks"] == ["my_facts", "my_facts_said"]
    assert kept["scores"] == told["scores"]
    assert {score["task"] for score in told["scores"]} == {
        *("my_facts_efficacy", "my_facts_efficacy_said", "my_facts_reverse", "my_facts_reverse_said"),
        *("my_facts", "my_facts_said"),
    }
    assert obverse(*args, "--out", "result.json").code == 2
    assert obverse(*args, "--out", "result.json", "--overwrite").code == 0
    again = obverse("harness", "--export", tasks, "--facts", "my-facts.csv", "--name", "other", "--overwrite", "--json")
    assert json.loads(again.out)["documents"]["other_reverse"] == 1


def test_the_unedited_model_alone(obverse, tasks, model):
    ran = obverse("harness", "--include", tasks, "--tasks", "my_facts_efficacy", "--model", model)
    assert ran.code == 0, ran.err
    assert "value" in ran.out
    assert "difference" not in ran.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "One of --tasks and --export must be given"),
        (("--tasks", "a", "--export", "b"), "One of --tasks and --export must be given"),
        (("--tasks", " , "), "--tasks names no task"),
        (("--export", "b"), "--export is given without --facts"),
        (("--tasks", "a", "--include", "nowhere"), "There is no folder nowhere"),
    ],
)
def test_mistakes(obverse, args, message):
    ran = obverse("harness", *args)
    assert ran.code == 2
    assert message in ran.err
