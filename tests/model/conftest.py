"""Tiny models on disk: a folder, a GGUF file, and packages that hold one in pieces."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from obverse.model._wheels import Wheel
from obverse.model.builtin import Builtin

LLAMA = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def write_gguf(path: Path, seed: int = 0) -> Path:
    import gguf

    hidden, inner, heads, vocab = 32, 48, 4, 300
    letters, draw, writer = _alphabet(), np.random.default_rng(seed), gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_block_count(2)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_vocab_size(vocab)
    tokens = ["<|endoftext|>", *letters, letters[0] + letters[1]]
    tokens += [f"<unused{number}>" for number in range(vocab - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (vocab - 1))
    writer.add_token_merges([f"{letters[0]} {letters[1]}"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (vocab, hidden), "output_norm": (hidden,), "output": (vocab, hidden)}
    for block in ("blk.0", "blk.1"):
        shapes |= {f"{block}.attn_{name}": (hidden, hidden) for name in ("q", "k", "v", "output")}
        shapes |= {f"{block}.ffn_{name}": (inner, hidden) for name in ("gate", "up")}
        shapes |= {
            f"{block}.ffn_down": (hidden, inner),
            f"{block}.attn_norm": (hidden,),
            f"{block}.ffn_norm": (hidden,),
        }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", draw.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def gguf_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def gguf_file(gguf_once: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "tiny.gguf"
    copy.write_bytes(gguf_once.read_bytes())
    return copy


@pytest.fixture
def llama() -> LlamaForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**LLAMA)).eval()


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    core = Tokenizer(models.BPE({token: i for i, token in enumerate(["<|endoftext|>", *_alphabet()])}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


@pytest.fixture
def folder(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    place = tmp_path / "tiny-llama"
    llama.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture
def packaged(gguf_file: Path, tmp_path: Path) -> Builtin:
    """A built-in model whose file lies in two packages; the wheels are in ``tmp_path / "wheels"``."""
    data = gguf_file.read_bytes()
    wheels: list[Wheel] = []
    for number, piece in enumerate((data[:10_000], data[10_000:]), 1):
        stem = f"obverse_tiny_part{number}"
        place = tmp_path / "wheels" / f"{stem}-1.0.0-py3-none-any.whl"
        place.parent.mkdir(exist_ok=True)
        info = f"{stem}-1.0.0.dist-info"
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr(f"{stem}/__init__.py", "raise RuntimeError('imported')")
            archive.writestr(f"{stem}/data/tiny.part{number}", piece)
            archive.writestr(f"{stem}/TERMS.txt", "terms")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {stem}\nVersion: 1.0.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        name = stem.replace("_", "-")
        wheels.append(
            Wheel(name, "1.0.0", digest, place.stat().st_size, f"{stem}/data/tiny.part{number}", (f"{stem}/TERMS.txt",))
        )
    return Builtin("tiny", "nobody/tiny", "none", hashlib.sha256(data).hexdigest(), tuple(wheels), "Read the terms.")
