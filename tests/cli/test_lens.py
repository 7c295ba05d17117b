"""``obverse lens``."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from obverse.cli.lens import _print
from obverse.core.plotting import visible
from obverse.editing import Edit, LowRank
from obverse.locating.lens import lens
from obverse.recipes.lens import LensResult

PROMPT = "The Space Needle is in the city of"


def test_the_last_token_by_layer(obverse, model):
    ran = obverse("lens", PROMPT, "-m", model, "-k", "3", "--answer", "Seattle")
    assert ran.code == 0, ran.err
    for shown in ("embedding", "would say", "entropy", "' of'", "Seat"):
        assert shown in ran.out
    found = json.loads(obverse("lens", PROMPT, "-m", model, "-k", "3", "--answer", "Seattle", "--json").out)
    (reading,) = found["before"]["readings"]
    assert [cell["layer"] for cell in reading["layers"]] == [-1, 0, 1, 2]
    assert all(len(cell["top"]) == 3 for cell in reading["layers"])
    asked = json.loads(obverse("ask", "-m", model, "-p", PROMPT, "-k", "3", "--json").out)["asked"][0]["top"]
    assert [token["id"] for token in reading["layers"][-1]["top"]] == [token["id"] for token in asked]
    assert [token["probability"] for token in reading["layers"][-1]["top"]] == pytest.approx(
        [token["probability"] for token in asked], rel=1e-5
    )


def test_every_token(obverse, model):
    ran = obverse("lens", PROMPT, "-m", model, "--all-tokens")
    assert ran.code == 0, ran.err
    found = json.loads(obverse("lens", PROMPT, "-m", model, "--all-tokens", "--json").out)["before"]
    assert [reading["position"] for reading in found["readings"]] == list(range(len(found["tokens"])))
    assert f"{len(found['tokens']) - 1} of" in ran.out


def test_a_long_prompt_is_broken_into_tables_that_fit(obverse, model):
    ran = obverse("lens", " ".join(["Paris is in Rome."] * 6), "-m", model, "--all-tokens")
    assert ran.out.count("layer ") > 1
    assert max(map(len, ran.out.splitlines())) <= 160


@pytest.mark.parametrize("edited", [False, True])
def test_a_narrow_terminal_cuts_the_words_not_the_numbers(edited, tiny_lm):
    lm = tiny_lm("llama")
    before = lens(lm, PROMPT, positions=[-1])
    screen = io.StringIO()
    _print(Console(file=screen, width=80), LensResult(before, before if edited else None))
    lines = screen.getvalue().splitlines()
    rows = [line for line in lines if line.startswith(("embedding ", "0 ", "1 ", "2 "))]
    for depth, row in enumerate(rows):
        assert f"{before.probability[0, depth]:{'.1%' if edited else '.2%'}}" in row
        assert str(before.rank[0, depth].item()) in row
        assert visible(before.top(before.positions[0], depth - 1)[0].text) in row
    assert len(rows) == len(before.layers)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("token", "upto"), [("Needle", "The Space Needle"), ("0", "T"), ("-1", PROMPT)])
def test_a_token_of_choice(token, upto, obverse, model):
    found = json.loads(obverse("lens", PROMPT, "-m", model, "--token", token, "--json").out)["before"]
    (reading,) = found["readings"]
    assert "".join(found["tokens"][: reading["position"] + 1]).startswith(upto)


def test_a_token_that_occurs_twice_is_said(obverse, model):
    ran = obverse("lens", "Paris is in Paris", "-m", model, "--token", "Paris", "--json")
    assert "Note: 'Paris' occurs 2 times in the prompt; the first is taken." in ran.err
    assert json.loads(ran.out)["before"]["readings"][0]["position"] < 3


@pytest.fixture
def strong(edits, tmp_path) -> Path:
    """An edit of layer 1 so large that the tiny model says something else."""
    edit = Edit.load(edits[0])
    deltas = {name: LowRank(50 * delta.left, delta.right) for name, delta in edit.deltas.items()}
    replace(edit, deltas=deltas).save(tmp_path / "strong")
    return tmp_path / "strong"


def test_before_and_after_an_edit(obverse, strong):
    args = ("lens", PROMPT, "--edit", strong)
    ran = obverse(*args)
    assert ran.code == 0, ran.err
    for shown in ("before", "after", "moved", "→ Paris", "moved from layer 1 on"):
        assert shown in ran.out
    found = json.loads(obverse(*args, "--json").out)
    before, after = found["before"], found["after"]
    assert before["answer"] == after["answer"] == after["readings"][0]["layers"][-1]["top"][0]["text"]
    assert found["moves_at"] == [1]
    assert found["moved"][0][:2] == [0, 0]
    tops = [[cell["top"] for cell in one["readings"][0]["layers"]] for one in (before, after)]
    assert [old == new for old, new in zip(*tops, strict=True)] == [True, True, False, False]
    assert found["parts_at"] in ([1], [2])
    assert f"they part at layer {found['parts_at'][0]}" in ran.out


def test_an_edit_that_changes_nothing_said(obverse, edits):
    ran = obverse("lens", PROMPT, "--edit", edits[0])
    assert "moved from layer 1 on; in the end both say the same" in ran.out


def test_every_token_before_and_after_stacked_edits(obverse, edits):
    args = ("lens", PROMPT, "--all-tokens", "--edit", edits[0], "--edit", edits[1])
    ran = obverse(*args)
    assert ran.code == 0, ran.err
    assert "Before" in ran.out
    assert "After" in ran.out
    found = json.loads(obverse(*args, "--json").out)
    assert len(found["facts"]) == 2
    assert set(found["moves_at"]) == {0}


@pytest.mark.parametrize("more", [(), ("--all-tokens",)])
def test_a_figure(more, obverse, model):
    pytest.importorskip("matplotlib")
    ran = obverse("lens", PROMPT, "-m", model, "--figure", "figures/lens.svg", *more)
    assert ran.code == 0, ran.err
    assert "Figure: figures/lens.svg" in ran.out
    assert Path("figures/lens.svg").read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((PROMPT, "--token", "99"), "There is no token 99: the prompt has tokens 0 to"),
        ((PROMPT, "--token", "Tower"), "The prompt has no 'Tower'."),
        ((PROMPT, "--token", "Needle", "--all-tokens"), "Both a token, 'Needle', and all tokens are asked for."),
        (("",), "The prompt is empty."),
        ((PROMPT * 20,), "reads at most 128"),
        ((PROMPT, "--figure", "lens.bmp"), "A figure cannot be written as 'lens.bmp'"),
        ((PROMPT, "--edit", "nowhere"), "is no edit"),
        ((PROMPT, "--answer", ""), "No token holds the continuation ''"),
    ],
)
def test_a_mistake_is_one_clear_error(args, message, obverse, model):
    ran = obverse("lens", *args, "-m", model)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_an_edit_of_another_model(obverse, edits, tmp_path):
    from families import tiny

    other = tiny("gpt2")
    other.model.save_pretrained(tmp_path / "other")
    other.tokenizer.save_pretrained(tmp_path / "other")
    ran = obverse("lens", PROMPT, "--edit", edits[0], "--model", tmp_path / "other")
    assert (ran.code, ran.out) == (2, "")
    assert "This edit was made for" in ran.err
