import json
import os
import time
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from obverse.core import DataError, UnsupportedModel
from obverse.model.fingerprint import (
    Fingerprint,
    config_hash,
    files_hash,
    memory_hash,
    remembered_file_hash,
    tensor_hash,
    weight_files,
)
from obverse.model.language_model import LanguageModel


def load(folder: Path, cache: Path, **options: object) -> LanguageModel:
    return LanguageModel.load(folder, device="cpu", cache=cache, **options)


def test_short_form_and_json() -> None:
    mark = Fingerprint("c1a2b3c4" + "0" * 56, "d5e6f7a8" + "0" * 56)
    assert str(mark) == "c1a2b3c4-d5e6f7a8"
    assert Fingerprint.from_json(json.loads(json.dumps(mark.to_json()))) == mark
    with pytest.raises(FrozenInstanceError):
        mark.config = "x"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(DataError, match="not a fingerprint"):
        Fingerprint.from_json({"config": 3})


def test_tensor_hash_is_of_the_values_in_order() -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    assert tensor_hash(tensor) == tensor_hash(tensor.clone()) == tensor_hash(tensor.T.contiguous().T)
    assert tensor_hash(tensor) != tensor_hash(tensor.T)
    assert tensor_hash(tensor.bfloat16()) != tensor_hash(tensor)
    assert len(tensor_hash(torch.tensor(3))) == len(tensor_hash(torch.zeros(0))) == 64


def test_in_memory_equals_file(llama: LlamaForCausalLM, folder: Path, tmp_path: Path) -> None:
    in_memory = LanguageModel(llama, None).fingerprint  # pyright: ignore[reportArgumentType]
    assert load(folder, tmp_path / "cache").fingerprint == in_memory


def test_tied_weights_count_once(tmp_path: Path) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=50, n_positions=8))
    before = config_hash(model.config, "GPT2LMHeadModel"), memory_hash(model)
    model.save_pretrained(tmp_path / "gpt2")
    assert (config_hash(model.config, "GPT2LMHeadModel"), memory_hash(model)) == before
    assert files_hash(weight_files(tmp_path / "gpt2"), tmp_path) == before[1]


@pytest.mark.parametrize("family", ["Mixtral", "Qwen3Moe"])
def test_experts_hash_as_they_are_stored(family: str, tmp_path: Path) -> None:
    import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=50, hidden_size=16, intermediate_size=16, moe_intermediate_size=16, num_hidden_layers=1, head_dim=8,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=2, num_experts=2, num_experts_per_tok=1,
    )  # fmt: skip
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    model.save_pretrained(tmp_path / "moe")
    assert files_hash(weight_files(tmp_path / "moe"), tmp_path) == memory_hash(model)


def test_dtype_at_load_does_not_matter(folder: Path, tmp_path: Path) -> None:
    marks = {load(folder, tmp_path / "cache", dtype=dtype).fingerprint for dtype in ("float32", "bfloat16", "auto")}
    assert len(marks) == 1


def test_shards_hash_like_one_file(llama: LlamaForCausalLM, folder: Path, tmp_path: Path) -> None:
    llama.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    shards = weight_files(tmp_path / "shards")
    assert len(shards) > 1
    assert files_hash(shards, tmp_path / "a") == files_hash(weight_files(folder), tmp_path / "a")
    assert files_hash(shards[::-1], tmp_path / "b") == files_hash(shards, tmp_path / "c")
    shards[0].unlink()
    with pytest.raises(UnsupportedModel, match=shards[0].name):
        weight_files(tmp_path / "shards")


def test_one_changed_weight_shows(llama: LlamaForCausalLM) -> None:
    lm = LanguageModel(llama, None)  # pyright: ignore[reportArgumentType]
    before = lm.fingerprint
    llama.model.layers[0].mlp.down_proj.weight.data[0, 0] += 1
    assert lm.fingerprint is before  # computed once ...
    lm.weights_changed()  # ... until told
    assert lm.fingerprint.weights != before.weights
    assert lm.fingerprint.config == before.config


def test_merged_model_is_no_longer_its_files(folder: Path, tmp_path: Path) -> None:
    lm = load(folder, tmp_path / "cache")
    before = lm.fingerprint
    lm.model.get_parameter("model.layers.0.mlp.down_proj.weight").data[0, 0] += 1
    lm.weights_changed()
    assert lm.fingerprint.weights != before.weights


def test_config_hash_ignores_how_a_model_is_run(llama: LlamaForCausalLM) -> None:
    before = config_hash(llama.config, "X")
    llama.config.use_cache = False
    llama.config.transformers_version = "99"
    llama.config.dtype = torch.bfloat16
    llama.config._attn_implementation = "eager"
    assert config_hash(llama.config, "X") == before
    llama.config.rms_norm_eps = 0.5
    assert config_hash(llama.config, "X") != before


def test_hash_is_remembered_until_the_file_changes(folder: Path, tmp_path: Path, monkeypatch) -> None:
    cache, files = tmp_path / "cache", weight_files(folder)
    first = files_hash(files, cache)
    monkeypatch.setattr("obverse.model.fingerprint._hash_all", lambda *_: pytest.fail("hashed again"))
    assert files_hash(files, cache) == first
    os.utime(files[0], ns=(time.time_ns(), time.time_ns() + 10))
    with pytest.raises(BaseException, match="hashed again"):
        files_hash(files, cache)


def test_cache_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "x"
    file.write_text("text")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert len(remembered_file_hash(file, tmp_path / "cache")) == 64
