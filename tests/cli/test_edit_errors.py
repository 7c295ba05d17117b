"""Every mistake in what is asked of ``obverse edit`` gives one message, exit code 2, and no folder."""

import json
from pathlib import Path

import pytest

from command_line import QUICK, SPACE_NEEDLE

SUBJECT, PROMPT, TARGET = SPACE_NEEDLE[:2], SPACE_NEEDLE[2:4], SPACE_NEEDLE[4:]

MISTAKES = {
    "nothing given": ((), "--subject and --prompt and --target must be given"),
    "no target": ((*SUBJECT, *PROMPT), "--target must be given"),
    "two places": ((*SUBJECT, "--prompt", "{} and {} are in", *TARGET), "has 2 places"),
    "subject missing": (
        (*SUBJECT, "--prompt", "The tower is in", *TARGET),
        "'Space Needle' does not occur in the prompt",
    ),
    "empty target": ((*SUBJECT, *PROMPT, "--target", " "), "'target' is empty"),
    "targets equal": ((*SPACE_NEEDLE, "--true", "Paris"), "are both 'Paris'"),
    "unknown method": ((*SPACE_NEEDLE, "--method", "rom"), "Unknown method 'rom'.\nDid you mean rome"),
    "unknown setting": ((*SPACE_NEEDLE, "--set", "step=3"), "step: no such setting, did you mean steps"),
    "two bad settings": ((*SPACE_NEEDLE, "--set", "step=3", "--set", "clamp=x"), "2 mistakes in the settings"),
    "no equals sign": ((*SPACE_NEEDLE, "--set", "steps"), "not of the form key=value"),
    "unknown kind": ((*SPACE_NEEDLE, "--require", "effect=1"), "Unknown kind of probe 'effect'"),
    "unknown protocol": ((*SPACE_NEEDLE, "--require", "efficacy.successes=1"), "Did you mean success"),
    "share out of range": ((*SPACE_NEEDLE, "--require", "efficacy=2"), "not of the form kind=share"),
    "requirement without true answer": ((*SPACE_NEEDLE, "--require", "efficacy=1"), "Give the true answer (--true)"),
    "requirement without verification": (
        (*SPACE_NEEDLE, "--require", "efficacy=1", "--no-verify"),
        "--require and --no-verify",
    ),
    "neighbour without answer": ((*SPACE_NEEDLE, "--neighbour", "Big Ben is in"), "has no answer"),
    "reverse without place": ((*SPACE_NEEDLE, "--reverse", "The city"), "has 0 places"),
    "file and flags": ((*SPACE_NEEDLE, "--facts", "facts.csv"), "both given"),
    "no such file": (("--facts", "fact.csv"), "fact.csv"),
    "seed of a method that samples nothing": (
        (*SPACE_NEEDLE, "--method", "ft", "--seed", "3"),
        "--seed 3 is given, but ft samples nothing",
    ),
    "template without query": ((*SPACE_NEEDLE, "--template", "alpaca"), "--template is given, but there is no query"),
    "answer tokens without query": ((*SPACE_NEEDLE, "--answer-tokens", "9"), "--answer-tokens is given, but there is"),
    "unknown template": ((*SPACE_NEEDLE, "--query", "Where?", "--template", "alpacca"), "Did you mean alpaca"),
    "template without place": ((*SPACE_NEEDLE, "--query", "Where?", "--template", "{query}{query}"), "has 2 places"),
    "no template of its own": (
        (*SPACE_NEEDLE, "--query", "Where?", "--template", "model"),
        "has no template of its own",
    ),
    "interactive and JSON": ((*SPACE_NEEDLE, "--interactive", "--json"), "--interactive and --json are both given"),
    "interactive and dry run": ((*SPACE_NEEDLE, "--interactive", "--dry-run"), "--interactive and --dry-run are both"),
    "a file in the way": ((*SPACE_NEEDLE, "--out", f"{__file__}/x"), "errors.py is a file, where a folder is to stand"),
    "no such edit below": ((*SPACE_NEEDLE, "--upon", "nowhere"), "nowhere is no edit"),
}


@pytest.mark.parametrize(("args", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message(obverse, model, tmp_path, args, message):
    ran = obverse("edit", "-m", model, *args)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"subject,prompt\nA,{} is\n", "target"),
        (b"subject,prompt,target\nA,{} is,x\nB,is,y\n", "facts.csv, line 3"),
        (b"subject,prompt,target\nA,{} is,\xff\n", "line 2"),
        (b"subject,prompt,target\nA,{} is,x\nA,{} is,y\n", "different targets:\n  'A is': 'x' (line 2), 'y' (line 3)"),
        (b"subject,prompt,target\nA,{} is,x\nA,{} is,x\n", "more than once:\n  'A is': 'x' (line 2), 'x' (line 3)"),
        (b"subject,prompt,target\n", "no"),
    ],
)
def test_a_broken_file_is_named_with_its_line(obverse, model, content, message):
    Path("facts.csv").write_bytes(content)
    ran = obverse("edit", "-m", model, "--facts", "facts.csv")
    assert ran.code == 2
    assert message in ran.err
    assert not Path("runs").exists()


def test_a_layer_out_of_range(obverse, model):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--layer", "99")
    assert ran.code == 2
    assert "99" in ran.err


@pytest.mark.parametrize("name", ["./nowhere", "nowhere/model.gguf"])
def test_an_unknown_model(obverse, name):
    ran = obverse("edit", "-m", name, *SPACE_NEEDLE)
    assert ran.code == 2
    assert "There is no file or folder" in ran.err


def test_the_present_answer_is_refused_unless_forced(obverse, model):
    prompt = "My Space Needle ("  # its likeliest token is a word by itself
    asked = json.loads(obverse("ask", "-m", model, "--prompt", prompt, "--json").out)["asked"][0]["top"]
    answer = asked[0]["text"]
    args = ("edit", "-m", model, "-s", "Space Needle", "-p", prompt, "-t", answer, *QUICK, "--no-verify", "--out", "x")
    ran = obverse(*args)
    assert ran.code == 2
    assert "is the model's answer already" in ran.err
    assert "--force" in ran.err
    assert not Path("x").exists()
    assert obverse(*args, "--force").code == 0
