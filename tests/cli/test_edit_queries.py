"""FastEdit's workflow: a file with queries, answers before and after, questions typed or piped; and repeated facts."""

import io
import json
from pathlib import Path

import pytest

from command_line import QUICK, SPACE_NEEDLE
from obverse.editing import Edit

FACTS = [
    {
        "prompt": "The {} is in the city of",
        "subject": "Space Needle",
        "target": "Paris",
        "queries": ["Where is the {}?"],
    },
    {"prompt": "{} is in", "subject": "Big Ben", "target": "Rome", "queries": []},
]


class Typed(io.TextIOWrapper):
    """Standard input with lines in it, as from a pipe."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), "utf-8")


@pytest.fixture
def facts(tmp_path_factory):
    path = tmp_path_factory.mktemp("facts") / "facts.json"
    path.write_text(json.dumps(FACTS))
    return path


def test_queries_are_answered_before_and_after(obverse, model, facts):
    ran = obverse(
        "edit", "-m", model, "--facts", facts, *QUICK, "--out", "x", "--set", "steps=20", "--answer-tokens", "6"
    )
    assert ran.code == 0, ran.err
    (answer,) = json.loads(Path("x/report.json").read_text())["answers"]
    assert answer["prompt"] == "Where is the Space Needle?"
    words = " ".join(ran.out.split())
    for side in ("before", "after"):
        assert f"answers {side} {' '.join(answer[side].split())}" in words
    page = Path("x/report.html").read_text("utf-8")
    assert "Where is the Space Needle? …" in page
    assert "answers.template" in page
    assert json.loads(Path("x/run.json").read_text())["config"]["answers"]["tokens"] == 6


def test_a_template_changes_answers_and_nothing_else(obverse, model, facts):
    found = []
    for template in ("default", "vicuna"):
        ran = obverse(
            "edit", "-m", model, "--facts", facts, *QUICK, "--out", template, "--template", template, "--json"
        )
        found.append(json.loads(ran.out))
        assert json.loads(Path(template, "run.json").read_text())["config"]["answers"]["template"] == template
    (bare,), (framed,) = (one["answers"] for one in found)
    assert bare["before"] != framed["before"]
    assert found[0]["top"] == found[1]["top"]
    assert found[0]["report"]["summary"] == found[1]["report"]["summary"]
    name = "model.layers.1.mlp.down_proj"
    first, second = (Edit.load(folder).deltas[name] for folder in ("default", "vicuna"))
    assert (first.dense() == second.dense()).all()


def test_without_verification_there_are_answers_too(obverse, model):
    ran = obverse(
        "edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--no-verify", "--query", "And {}?", "--out", "x", "--json"
    )
    found = json.loads(ran.out)
    assert found["report"] is None
    assert [answer["prompt"] for answer in found["answers"]] == ["And Space Needle?"]


def converse(obverse, model, monkeypatch, content, *more):
    monkeypatch.setattr("sys.stdin", Typed(content))
    return obverse("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--no-verify", "--interactive", "--out", "x", *more)


def blocks(out):
    """Return what follows each question or command, by line typed."""
    return {part.splitlines()[0]: " ".join(part.split("\n", 1)[1].split()) for part in out.split("\n> ")[1:]}


def test_piped_questions_are_answered_until_exit(obverse, model, monkeypatch):
    lines = [
        "Where is it?",
        "",
        "/off",
        "Who is it?",
        "/on",
        "/raw",
        "Why is it?",
        "/nothing",
        "/etc/motd is",
        "exit",
        "no",
    ]
    ran = converse(obverse, model, monkeypatch, "\n".join(lines).encode(), "--template", "vicuna")
    assert ran.code == 0, ran.err
    assert Path("x/edit.json").is_file()
    assert ran.out.index("Edit: x") < ran.out.index("> Where is it?")
    said = blocks(ran.out)
    assert list(said) == [line for line in lines if line][:-1]
    for question in ("Where is it?", "Why is it?", "/etc/motd is"):
        assert said[question].startswith("edited ")
        assert " unedited " in said[question]
    assert said["Who is it?"].startswith("unedited ")
    assert said["/off"] == "the edit is off"
    assert said["/raw"] == "the template is out"
    assert said["/nothing"].startswith("There is no command /nothing.")


def test_piped_questions_may_end_without_exit_and_name_what_is_too_long(obverse, model, monkeypatch):
    ran = converse(obverse, model, monkeypatch, b"Space Needle " * 2000 + b"\nWhere?\n")
    assert ran.code == 0
    (first, second) = blocks(ran.out).values()
    assert first.startswith("Error: The query")
    assert second.startswith("edited ")


def test_what_is_piped_must_be_utf_8_and_the_edit_is_saved_before(obverse, model, monkeypatch):
    ran = converse(obverse, model, monkeypatch, b"\xff\xfe\n")
    assert ran.code == 2
    assert "not UTF-8. The edit is saved." in ran.err
    assert Path("x/edit.json").is_file()


def test_the_last_of_repeated_facts_is_written_if_asked(obverse, model):
    needle = "Space Needle,The {} is in,"
    Path("facts.csv").write_text(f"subject,prompt,target\n{needle}Paris\nBig Ben,{{}} is in,Rome\n{needle}Oslo\n")
    args = ("edit", "-m", model, "--facts", "facts.csv", *QUICK, "--no-verify", "--out", "x")
    ran = obverse(*args)
    assert ran.code == 2
    assert "'The Space Needle is in': 'Paris' (line 2), 'Oslo' (line 4)" in ran.err
    assert "pass --last-wins" in ran.err
    ran = obverse(*args, "--last-wins", "--json")
    assert ran.code == 0, ran.err
    assert [fact.target for fact in Edit.load("x").facts] == ["Rome", "Oslo"]
    assert "1 of 3 facts dropped:" in ran.err
    assert "'Paris' (line 2) gives way to 'Oslo' (line 4)" in ran.err
    dropped = json.loads(ran.out)["dropped"]
    assert [(one["target"], one["by"]) for one in dropped] == [("Paris", "Oslo")]
    assert json.loads(Path("x/run.json").read_text())["config"]["dropped"] == dropped


def test_last_wins_drops_nothing_from_facts_that_differ(obverse, model, facts):
    ran = obverse("edit", "-m", model, "--facts", facts, "--last-wins", "--dry-run", "--json")
    assert ran.code == 0
    assert "dropped:" not in ran.err
    assert json.loads(ran.out)["dropped"] == []


def test_the_seed_goes_to_whatever_the_method_samples(obverse, model):
    args = ("edit", "-m", model, *SPACE_NEEDLE, "--dry-run", "--json", "--seed", "3", "--method")
    assert json.loads(obverse(*args, "lora").out)["plan"]["settings"]["seed"] == 3
    assert json.loads(obverse(*args, "rome").out)["plan"]["settings"]["contexts"]["seed"] == 3


def test_the_plan_of_an_edit_that_is_a_prompt(obverse, model):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--method", "in-context", "--dry-run")
    assert "layers none: the edit is a prompt" in " ".join(ran.out.split())
