"""``show``, ``apply``, ``merge`` and ``undo``: a saved edit in use, and taken out again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from obverse.editing import Edit
from obverse.model import LanguageModel

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def _bits(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_show_tells_what_an_edit_contains(obverse, edits):
    ran = obverse("show", edits[0])
    assert ran.code == 0
    for shown in ("rome", "Space Needle is in the city of → Paris (was Seattle)", "model.layers.1.mlp", "efficacy"):
        assert shown in ran.out
    found = json.loads(obverse("show", edits[0], "--json").out)
    assert found["kind"] == "edit"
    assert found["norms"]["model.layers.1.mlp.down_proj"] > 0


def test_show_refuses_an_altered_edit(obverse, edits, tmp_path):
    shutil.copytree(edits[0], tmp_path / "altered")
    file = tmp_path / "altered" / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    for args in (("show",), ("apply",), ("merge", "--out", "x")):
        ran = obverse(*args, "altered")
        assert ran.code == 2
        assert "SHA-256" in ran.err
    assert not Path("x").exists()


def test_apply_answers_before_and_after(obverse, edits):
    ran = obverse("apply", *edits, "--generate", "4", "--top", "3")
    assert ran.code == 0, ran.err
    assert "says after" in ran.out
    found = json.loads(obverse("apply", *edits, "-p", "Big Ben is", "--json").out)
    (reply,) = found["replies"]
    assert reply["prompt"] == "Big Ben is"
    assert reply["before"] != reply["after"]
    assert len(found["facts"]) == 2


def test_apply_refuses_an_empty_prompt(obverse, edits):
    ran = obverse("apply", edits[0], "-p", "Big Ben is", "-p", " ")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: A prompt is empty.")


def test_apply_refuses_another_base(obverse, edits, tmp_path):
    from families import tiny

    other = tiny("gpt2")
    other.model.save_pretrained(tmp_path / "other")
    other.tokenizer.save_pretrained(tmp_path / "other")
    ran = obverse("apply", edits[0], "--model", tmp_path / "other")
    assert ran.code == 2
    assert str(Edit.load(edits[0]).base) in ran.err
    assert str(LanguageModel.load(tmp_path / "other").fingerprint) in ran.err


def test_apply_says_where_to_name_a_base_that_moved(obverse, edits, tmp_path):
    shutil.copytree(edits[0], tmp_path / "moved")
    record = json.loads((tmp_path / "moved/edit.json").read_text())
    record["base"]["name"] = "./gone"
    (tmp_path / "moved/edit.json").write_text(json.dumps(record))
    ran = obverse("apply", "moved")
    assert ran.code == 2
    assert "Say with --model where that model is now" in ran.err


def test_an_edit_named_twice(obverse, edits):
    ran = obverse("apply", edits[0], edits[0])
    assert ran.code == 2
    assert "named twice" in ran.err


@pytest.fixture
def checkpoint(obverse, edits) -> Path:
    ran = obverse("merge", *edits, "--out", "merged")
    assert ran.code == 0, ran.err
    return Path("merged")


def test_merged_equals_applied(checkpoint, edits, model):
    base = LanguageModel.load(model)
    with Edit.load(edits[0]).applied(base), Edit.load(edits[1]).applied(base):
        expected = base.model(IDS).logits
    merged = LanguageModel.load(checkpoint)
    torch.testing.assert_close(merged.model(IDS).logits, expected, atol=1e-5, rtol=0)
    text = "The Space Needle is in the city of"
    assert merged.tokenizer(text)["input_ids"] == base.tokenizer(text)["input_ids"]


def test_merged_loads_in_transformers(checkpoint):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = AutoModelForCausalLM.from_pretrained(checkpoint)(IDS).logits
    torch.testing.assert_close(found, LanguageModel.load(checkpoint).model(IDS).logits)
    assert AutoTokenizer.from_pretrained(checkpoint)("Big Ben")["input_ids"]


def test_merged_can_be_asked_and_shown(obverse, checkpoint):
    assert obverse("ask", "-m", checkpoint, "-p", "Big Ben is in").code == 0
    ran = obverse("show", checkpoint)
    assert "01-space-needle-paris" in ran.out
    assert "Big Ben is in → Rome" in ran.out


def test_undo_takes_out_the_last_edit(obverse, checkpoint, edits):
    ran = obverse("undo", checkpoint)
    assert ran.code == 0, ran.err
    assert "Big Ben is in → Rome" in ran.out
    assert obverse("merge", edits[0], "--out", "once").code == 0
    alone, left = _bits(Path("once")), _bits(checkpoint)
    assert all(torch.equal(alone[name], left[name]) for name in alone)
    assert [folder.name for folder in (checkpoint / "edits").iterdir()] == ["01-space-needle-paris"]


@pytest.mark.parametrize("how", [("--all",), ("--last", "2")])
def test_undo_restores_the_bits_of_the_base(obverse, checkpoint, model, how):
    found = json.loads(obverse("undo", checkpoint, *how, "--json").out)
    assert found["is_base"]
    base, left = _bits(model), _bits(checkpoint)
    assert base.keys() == left.keys()
    assert all(torch.equal(base[name], left[name]) for name in base)
    assert LanguageModel.load(checkpoint).fingerprint == LanguageModel.load(model).fingerprint
    ran = obverse("undo", checkpoint)
    assert ran.code == 2
    assert "no edit left" in ran.err


def test_undo_refuses_a_base_that_changed(obverse, edits, model, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(model, base)
    assert obverse("merge", edits[0], "--model", base, "--out", "merged").code == 0
    recorded = json.loads(Path("merged/obverse.json").read_text())["base"]["weights"]
    lm = LanguageModel.load(base)
    lm.model.get_input_embeddings().weight[0, 0] += 1
    lm.model.save_pretrained(base)
    before = Path("merged/model.safetensors").read_bytes()
    ran = obverse("undo", "merged")
    assert ran.code == 2
    assert recorded in ran.err
    assert Path("merged/model.safetensors").read_bytes() == before


def test_undo_refuses_a_checkpoint_that_changed(obverse, checkpoint):
    recorded = json.loads((checkpoint / "obverse.json").read_text())["weights"]
    lm = LanguageModel.load(checkpoint)
    lm.model.get_input_embeddings().weight[0, 0] += 1
    lm.model.save_pretrained(checkpoint)
    ran = obverse("undo", checkpoint)
    assert ran.code == 2
    assert recorded in ran.err
    assert "altered" in ran.err


@pytest.mark.parametrize(
    ("args", "message"), [(("--last", "3"), "has 2 edits"), (("--last", "1", "--all"), "one of them")]
)
def test_undo_of_what_is_not_there(obverse, checkpoint, args, message):
    ran = obverse("undo", checkpoint, *args)
    assert ran.code == 2
    assert message in ran.err


def test_undo_of_an_edit_that_was_never_merged(obverse, edits):
    ran = obverse("undo", edits[0])
    assert ran.code == 2
    assert "its base model was never changed" in ran.err


def test_undo_and_merge_of_other_folders(obverse, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no merged checkpoint" in obverse("undo", "empty").err
    assert "empty is no edit" in obverse("merge", "empty", "--out", "x").err
    assert not Path("x").exists()


def test_merge_keeps_the_stored_type(obverse, edits, checkpoint):
    assert {tensor.dtype for tensor in _bits(checkpoint).values()} == {torch.float32}
    assert obverse("merge", edits[0], "--dtype", "bfloat16", "--out", "half").code == 0
    assert {tensor.dtype for tensor in _bits(Path("half")).values()} == {torch.bfloat16}
    assert json.loads(obverse("undo", "half", "--json").out)["is_base"]
