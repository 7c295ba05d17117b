"""Tiny tokenizers of the kinds in use, trained in memory on a few sentences."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCAB = 512

TokenizerKind = Literal["bpe", "bpe_trimmed", "bpe_bos", "bpe_eos", "metaspace", "metaspace_first", "unigram"]
"""Byte-level BPE (as GPT-2; with offsets that leave out spaces, as Llama 3; with a BOS; with a closing EOS), and as
SentencePiece makes them: BPE with a space put before the text, by normalizer or by pre-tokenizer, and unigram."""

KINDS: tuple[TokenizerKind, ...] = (
    "bpe", "bpe_trimmed", "bpe_bos", "bpe_eos", "metaspace", "metaspace_first", "unigram",
)  # fmt: skip

_PEOPLE = (
    "Anna Keller",
    "Megan Rapinoe",
    "LeBron James",
    "Angela Merkel",
    "Steve Jobs",
    "Marie Curie",
    "Danielle Darrieux",
)
_PLACES = ("Seattle", "Paris", "Berlin", "Tokyo", "London", "Zürich", "Rome", "Madrid", "São Paulo")
_THINGS = ("Space Needle", "Eiffel Tower", "Brandenburg Gate", "Ueno Zoo", "Big Ben", "Colosseum", "Prado")
_SPORTS = ("soccer", "basketball", "tennis", "chess", "hockey")
_LANGUAGES = ("French", "English", "German", "Japanese", "Spanish")

SENTENCES: tuple[str, ...] = (
    *(f"{person} plays the sport of {sport}." for person in _PEOPLE for sport in _SPORTS),
    *(f"The mother tongue of {person} is {language}." for person in _PEOPLE for language in _LANGUAGES),
    *(f"The {thing} is located in the city of {place}." for thing in _THINGS for place in _PLACES),
    *(f"People who visit {thing} travel to {place}, found in Europe." for thing in _THINGS for place in _PLACES),
    *(f"{person}, a doctor, was born in {place} and worked there." for person in _PEOPLE for place in _PLACES),
)  # fmt: skip

_UNKNOWN, _START, _END = "<unk>", "<s>", "</s>"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def tokenizer(kind: TokenizerKind = "bpe") -> PreTrainedTokenizerFast:
    """Return a new tokenizer of at most `VOCAB` tokens."""
    assert kind in KINDS, kind
    if kind.startswith("bpe"):
        inner = Tokenizer.from_str(_byte_level(trim=kind == "bpe_trimmed"))
        return _with_ends(inner, "<|endoftext|>", "<|endoftext|>", kind)
    inner = Tokenizer.from_str(_unigram() if kind == "unigram" else _metaspace(by_normalizer=kind == "metaspace"))
    return _with_ends(inner, _START, _END, "_bos")


def _with_ends(inner: Tokenizer, start: str, end: str, kind: str) -> PreTrainedTokenizerFast:
    added = [(token, inner.token_to_id(token)) for token in {start, end}]
    if kind.endswith("_bos"):
        inner.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=added)
    elif kind.endswith("_eos"):
        inner.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=added)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=start, eos_token=end)


@cache
def _byte_level(trim: bool) -> str:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.post_processor = processors.ByteLevel(trim_offsets=trim)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [AddedToken("<|endoftext|>", special=True)]
    inner.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
    ))  # fmt: skip
    return inner.to_str()


@cache
def _metaspace(by_normalizer: bool) -> str:
    trained = Tokenizer(models.BPE(unk_token=_UNKNOWN))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = [_UNKNOWN, _START, _END]
    size = VOCAB - len(_BYTES)
    trained.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False,
    ))  # fmt: skip
    vocab, merges = _bpe_parts(trained)
    vocab |= {token: len(vocab) + i for i, token in enumerate(_BYTES)}
    inner = Tokenizer(models.BPE(vocab, merges, unk_token=_UNKNOWN, byte_fallback=True, fuse_unk=True))
    if by_normalizer:  # as Llama 2
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = _metaspace_decoder()
    inner.add_special_tokens(special)
    return inner.to_str()


def _bpe_parts(trained: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


@cache
def _unigram() -> str:
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.NFKC()
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = [_UNKNOWN, _START, _END]
    trained.train_from_iterator(SENTENCES, trainers.UnigramTrainer(
        vocab_size=VOCAB - len(_BYTES), special_tokens=special, unk_token=_UNKNOWN, show_progress=False,
    ))  # fmt: skip
    pieces = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"]]
    inner = Tokenizer(models.Unigram([*pieces, *((token, -20.0) for token in _BYTES)], unk_id=0, byte_fallback=True))
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = _metaspace_decoder()
    inner.add_special_tokens(special)
    return inner.to_str()


def _metaspace_decoder() -> decoders.Decoder:
    return decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
