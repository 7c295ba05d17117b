"""``obverse trace``: every mistake is one message, and nothing half-written is left."""

import signal
from pathlib import Path

import pytest

from obverse.recipes import trace_folder, traced

PROMPT = "The Space Needle is in the city of"
SUBJECT = ("--subject", "Space Needle")
NEEDLE = (PROMPT, *SUBJECT, "--samples", "2", "--noise", "0.5", "--window", "2")
FOLDER = Path("runs/trace-the-space-needle-is-in-the-city-of")


@pytest.fixture
def trace(obverse, model, monkeypatch):
    """Run the command as if matplotlib were not installed, which is quicker."""
    monkeypatch.setattr(trace_folder, "find_spec", lambda name: None)
    return lambda *args: obverse("trace", "-m", model, *args)


MISTAKES = {
    "nothing given": ((), "one of PROMPT, --facts, --dataset, --show is needed"),
    "two given": ((PROMPT, "--dataset", "known"), "PROMPT and --dataset are given together"),
    "subject of a file": (("--facts", "x.csv", *SUBJECT), "--subject go with PROMPT, not with --facts"),
    "ids of a prompt": ((PROMPT, "--ids", "1"), "--ids go with --dataset"),
    "subject missing": ((PROMPT, "-s", "Big Ben"), "'Big Ben' does not occur in the prompt"),
    "nothing to guess": (("nobody is in the",), "none can be guessed"),
    "place without subject": (("The {} is in",), "Add --subject"),
    "zero samples": ((*NEEDLE, "--samples", "0"), "samples: "),
    "unknown kind": ((*NEEDLE, "--kinds", "hiddn,mlp"), "Unknown kind of state 'hiddn'.\nDid you mean hidden"),
    "unknown sever": ((*NEEDLE, "--sever", "heads"), "Unknown kind of state 'severed-heads'"),
    "unknown noise": ((*NEEDLE, "--noise", "q9"), "Unknown noise rule 'q9'"),
    "unknown format": ((*NEEDLE, "--format", "png,gif"), "Unknown figure format 'gif'"),
    "unknown ending": ((*NEEDLE, "--figure", "a.gif"), ".gif"),
    "no such file": (("--facts", "nowhere.csv"), "nowhere.csv"),
    "two answers": ((*NEEDLE, "--expect", "a", "--answer", "b"), "--expect and --answer are given together"),
    "empty answer": ((*NEEDLE, "--answer", " "), "is empty.\nGive the answer"),
    "empty expected answer": ((*NEEDLE, "--expect", ""), "is empty.\nGive the answer"),
    "answer of a file": (("--facts", "x.csv", "--answer", "a"), "--answer go with PROMPT, not with --facts"),
    "answer of no reverse": ((*NEEDLE, "--reverse-answer", "own"), "--reverse-answer goes with --reverse"),
    "unknown answer in reverse": (
        (*NEEDLE, "--reverse", "auto", "--reverse-answer", "owm"),
        "Unknown answer in reverse 'owm'.\nDid you mean own",
    ),
    "no known reverse": (("Ann hums to", "-s", "Ann", "--reverse", "auto"), "its relation is not in the table"),
    "too long to reverse": (("Ann " + "so " * 200, "-s", "Ann", "--reverse", "{} is"), "longer than the context"),
    "unknown relation": ((*NEEDLE, "--reverse", "nothing to find"), "Write {} where the answer goes"),
    "too long": (("Ann " + "so " * 200, "-s", "Ann"), "longer than the context"),
}


@pytest.mark.parametrize(("args", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message(trace, tmp_path, args, message):
    ran = trace(*args)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert "tracing" not in ran.err  # before the work
    assert ran.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused_before_the_work(trace):
    Path("file").write_text("")
    for out in ("file", "file/below"):
        ran = trace(*NEEDLE, "--out", out)
        assert ran.code == 2
        assert "file is a file, where a folder is to stand" in ran.err
        assert "Loading" not in ran.err


def test_a_trace_of_another_model_or_format(obverse, trace):
    from safetensors import safe_open
    from safetensors.torch import save_file

    from families import tiny

    assert trace(*NEEDLE, "--out", "x").code == 0
    lm = tiny("llama", num_hidden_layers=2)
    lm.model.save_pretrained("other")
    lm.tokenizer.save_pretrained("other")
    ran = obverse("trace", "--show", "x/trace.safetensors", "-m", "./other")
    assert ran.code == 2
    assert "The trace was made on" in ran.err
    with safe_open("x/trace.safetensors", "pt") as file:
        header, tables = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tables, "newer.safetensors", {**header, "obverse_trace": "99"})
    for path, message in (("newer.safetensors", "of format 99"), ("other", "no trace in"), ("nowhere", "no file")):
        ran = obverse("trace", "--show", path)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err


def test_an_older_trace_is_replaced_only_if_that_is_said(trace):
    assert trace(*NEEDLE).code == 0
    (FOLDER / "old").touch()
    ran = trace(*NEEDLE)
    assert ran.code == 2
    assert "exists already" in ran.err
    assert "--overwrite" in ran.err
    assert trace(*NEEDLE, "--overwrite").code == 0
    assert not (FOLDER / "old").exists()
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    assert "it has no trace*.safetensors), and is not replaced" in trace(*NEEDLE, "--overwrite", "--out", "mine").err
    assert Path("mine/thesis.txt").is_file()


@pytest.mark.parametrize("place", [(traced, "trace_all"), (trace_folder, "write_trace_page")], ids=lambda p: p[1])
def test_ctrl_c_leaves_nothing(trace, monkeypatch, tmp_path, place):
    def stop(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(*place, stop)
    ran = trace(*NEEDLE, "--out", "runs/x")
    assert ran.code == 130
    assert [file for file in tmp_path.rglob("*") if file.is_file() or file.name.startswith(".")] == []
