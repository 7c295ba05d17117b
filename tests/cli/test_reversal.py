"""``obverse reversal build`` and ``instructions`` from flags to folders, and what they say of mistakes."""

import json
from pathlib import Path

import pytest

from obverse.data.instructions import read_instructions
from obverse.data.reversal import read_reversal

SMALL = ("--per-group", 3, "--train-wordings", 4, "--test-wordings", 2)


def build(reversal, *args):
    ran = reversal("build", "--out", "data", "--json", *args)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_builds_a_set(reversal):
    ran = reversal("build", "-o", "data", *SMALL, "--name", "test", "--seed", 5)
    assert ran.code == 0, ran.err
    (folder,) = Path("data").iterdir()
    made = read_reversal(folder)
    assert folder.name == f"test-{made.hash}"
    assert made.made_from["seed"] == 5
    assert len(made.train) == 3 * 4 * 4
    for shown in ("both_prompts_train.jsonl", "24", made.train[0].text, f"Set (written): data/{folder.name}"):
        assert shown in ran.out


def test_the_same_twice_is_there_already(reversal):
    first, second = build(reversal, *SMALL), build(reversal, *SMALL)
    assert (first["state"], second["state"]) == ("written", "there already")
    assert first["folder"] == second["folder"]
    Path(first["folder"], "p2d_prompts_train.jsonl").write_text("changed")
    ran = reversal("build", "-o", "data", *SMALL)
    assert ran.code == 2
    assert "its content is not what its name says" in ran.err
    assert build(reversal, *SMALL, "--overwrite")["state"] == "written"
    assert build(reversal, *SMALL)["state"] == "there already"


def test_dry_run_writes_nothing(reversal):
    assert build(reversal, *SMALL, "--dry-run")["rows"]["all_prompts_train"] == 48
    assert not Path("data").exists()


def test_one_order_only(reversal):
    rows = build(reversal, *SMALL, "--train-order", "name-first")["rows"]
    assert rows["all_prompts_train"] == rows["p2d_prompts_train"] == 12
    assert not any(stem.startswith(("d2p", "both")) for stem in rows)


def test_from_a_folder(reversal):
    whole = build(reversal, *SMALL)
    again = build(reversal, "--from", whole["folder"])
    assert again["folder"] == whole["folder"]
    assert again["state"] == "there already"
    part = build(reversal, "--from", whole["folder"], "--per-group", 2)
    assert part["rows"]["all_prompts_train"] == 2 * 4 * 4
    assert part["made_from"]["test_wordings"] == 2
    assert {row.text for row in read_reversal(Path(part["folder"])).train} < {
        row.text for row in read_reversal(Path(whole["folder"])).train
    }


def test_own_lists(reversal):
    Path("n.txt").write_text("Ann Lee\nBo Ray\nCy Fox\n")
    Path("d.txt").write_text("the oldest baker\nthe potter who [fired/firing] bowls\nthe mayor\n")
    Path("a.txt").write_text("<name> <did>.\nHere is <name>, <description>.\n")
    Path("b.txt").write_text("<Description> is <name>.\nFor <doing> they praised <name>.\n")
    files = ("--names", "n.txt", "--descriptions", "d.txt", "--templates-name-first", "a.txt",
             "--templates-description-first", "b.txt")  # fmt: skip
    sizes = ("--per-group", 3, "--train-wordings", 1, "--test-wordings", 1, "--train-order", "name-first")
    made = read_reversal(Path(build(reversal, *files, *sizes)["folder"]))
    assert {person.name for person in made.identities} == {"Ann Lee", "Bo Ray", "Cy Fox"}
    assert any(row.text.endswith(" fired bowls.") for row in made.train)
    ran = reversal("build", "-o", "data", "--from", "data", "--names", "n.txt")
    assert ran.code == 2
    assert "--from or the lists" in ran.err


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("build", "-o", "data", "--per-group", 100), "300 people are asked for, but there are 220 names"),
        (("build", "-o", "data", "--name", "a/b"), "is no name of a folder"),
        (("build", "-o", "data", "--from", "none"), "There is no folder none"),
        (("build", "-o", "data", "--from", "none", "--name-targets", "whole"), "Leave out --from or --name-targets"),
        (("build", "-o", "data", "--names", "none.txt"), "There is no file none.txt"),
        (("instructions", "-o", "data", "--per-document", "3"), "is not two numbers"),
        (("instructions", "-o", "data", "--per-document", "5,2"), "from 5 to 2"),
        (("instructions", "-o", "data", "--realized", 5000), "question-answer pairs"),
    ],
)
def test_mistakes(reversal, args, why):
    ran = reversal(*args)
    assert ran.code == 2
    assert why in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert not Path("data").exists()


def test_instructions(reversal):
    args = ("instructions", "-o", "data", "--realized", 30, "--unrealized", 5, "--order", "answer-first", "--json")
    made = json.loads(reversal(*args).out)
    found = read_instructions(Path(made["folder"]))
    assert made["folder"].endswith(f"instructions-{found.hash}")
    assert len(found.realized) == 30
    assert len(found.unrealized) == 5
    assert json.loads(reversal(*args).out)["state"] == "there already"
    split = json.loads(reversal(*args, "--split-prompt-completion").out)
    assert split["folder"] == made["folder"] + "-split"
    assert split["state"] == "written"
    other = json.loads(reversal(*args, "--order", "question-first").out)
    assert other["folder"] != made["folder"]
