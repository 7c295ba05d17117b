"""Text and tokens: where a subject is, where a continuation starts, how rows are padded."""

import unicodedata

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import DataError, Fact, SubjectNotFound, UnsupportedModel
from obverse.model.tokens import encode, encode_all, join, join_all, joint, pad, pad_id
from tiny_tokenizers import KINDS, tokenizer

TOKENIZERS = {kind: tokenizer(kind) for kind in KINDS}
DECOMPOSED = unicodedata.normalize("NFD", "José Müller")
FACTS = [
    Fact("Space Needle", "The {} is in the city of", "Paris"),
    Fact("Big Ben", "{} is found in", "London"),
    Fact("Zürich", "People who visit {} travel to", "São Paulo"),
    Fact("北京", "{}是哪个国家的首都、答案是", "中国"),
    Fact("東京タワー", "観光地の{}がある都市は", "東京"),
    Fact("วัดพระแก้ว", "{}ตั้งอยู่ที่", "กรุงเทพ"),
    Fact("서울", "{} 은(는) 나라의 수도입니다:", "대한민국"),
    Fact("Красная площадь", "{} находится в городе", "Москва"),
    Fact("🗼 Tower 👩‍👩‍👧", "The {} is in", "🇫🇷 France"),
    Fact(DECOMPOSED, "{} plays the sport of", "e\u0301tude"),
    Fact("Needle", "The Space{} stands in", "Seattle"),
    Fact("rant", "F{}ançois speaks", "French"),
]
words = st.text(st.sampled_from("abcXYZ éü北東🙂ñ'-0"), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text
)


def composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def check_subject(kind: str, fact: Fact) -> None:
    encoded = encode(TOKENIZERS[kind], fact.text)
    start, end = fact.span
    tokens = encoded.tokens_of(start, end)
    covered = {char for i in tokens for char in range(*encoded.offsets[i])}
    letters = {i for i in range(start, end) if not fact.text[i].isspace() and not unicodedata.combining(fact.text[i])}
    assert letters <= covered
    for i in (tokens[0], tokens[-1]):
        s, e = encoded.offsets[i]
        assert s < end
        assert e > start
    text = composed(TOKENIZERS[kind].decode([encoded.ids[i] for i in tokens]))
    assert composed(fact.subject.strip()) in text


def check_target(kind: str, prompt: str, target: str) -> None:
    joined = join(TOKENIZERS[kind], prompt, target)
    ids = joined.encoded.ids
    assert joined.target.stop == len(ids)
    text = TOKENIZERS[kind].decode([ids[i] for i in joined.target])
    assert composed(text).strip().endswith(composed(target))
    assert joined.encoded.text == prompt + joint(prompt, target) + target
    before = joined.encoded.offsets[: joined.target.start]
    assert all(end <= len(prompt) for _, end in before)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.subject)
@pytest.mark.parametrize("kind", KINDS)
def test_subject_and_target(kind, fact):
    check_subject(kind, fact)
    check_target(kind, fact.text, fact.target)


@given(before=words, subject=words, after=words, target=words, kind=st.sampled_from(KINDS), space=st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_subject_and_target(before, subject, after, target, kind, space):
    gap = " " if space else ""
    fact = Fact(subject, f"{before}{gap}{{}}{gap}{after}", target)
    check_subject(kind, fact)
    check_target(kind, fact.text, target)


def test_a_subject_inside_a_token():
    """Its range takes in the whole token."""
    encoded = encode(TOKENIZERS["bpe"], "The Seattle")
    (token,) = encoded.tokens_of(5, 8)
    assert encoded.text[slice(*encoded.offsets[token])] == " Seattle"


def test_special_tokens_are_no_characters():
    plain, started = (encode(TOKENIZERS[kind], "Big Ben is in") for kind in ("bpe", "bpe_bos"))
    assert started.ids == (0, *plain.ids)
    assert started.offsets == ((0, 0), *plain.offsets)
    assert started.tokens_of(0, 7) == range(1, len(plain.tokens_of(0, 7)) + 1)


def test_a_closing_token_is_dropped():
    assert TOKENIZERS["bpe_eos"]("Big Ben")["input_ids"][-1] == TOKENIZERS["bpe_eos"].eos_token_id
    assert encode(TOKENIZERS["bpe_eos"], "Big Ben").ids == encode(TOKENIZERS["bpe"], "Big Ben").ids
    typed = encode(TOKENIZERS["bpe"], "Big Ben<|endoftext|>")
    assert typed.ids[-1] == TOKENIZERS["bpe"].eos_token_id


def test_the_token_that_starts_an_empty_text_stays():
    assert encode(TOKENIZERS["bpe_bos"], "").ids == (0,)


def test_no_token_covers_the_subject():
    with pytest.raises(SubjectNotFound, match="No token covers '' in 'Big Ben'"):
        encode(TOKENIZERS["bpe"], "Big Ben").tokens_of(7, 7)


def test_many_texts_at_once():
    texts = ["Big Ben", "", "The Space Needle is in"]
    assert encode_all(TOKENIZERS["bpe"], texts) == [encode(TOKENIZERS["bpe"], text) for text in texts]
    assert encode_all(TOKENIZERS["bpe"], []) == []
    pairs = [("Big Ben is in", "London"), ("Zürich", "Zoo")]
    assert join_all(TOKENIZERS["unigram"], pairs) == [join(TOKENIZERS["unigram"], *pair) for pair in pairs]


class Slow:
    is_fast = False


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(UnsupportedModel, match="Slow cannot say which characters a token covers") as caught:
        encode(Slow(), "Big Ben")
    assert "fast tokenizer" in caught.value.hint


@pytest.mark.parametrize(
    ("prompt", "target", "between"),
    [
        ("The city of", "Paris", " "),
        ("The city of ", "Paris", ""),
        ("The city of\n", "Paris", ""),
        ("The city of", " Paris", ""),
        ("", "Paris", ""),
        ("The city (", "Paris", ""),
        ("He said “", "Paris", ""),
        ("Trans-", "Siberian", ""),
        ("Answer:", "Paris", " "),
        ("首都是", "北京", ""),
        ("首都是", "Paris", ""),
        ("He lives in", "北京", " "),
        ("首都是「", "Paris", ""),
        ("首都は、", "東京", ""),
        ("ตั้งอยู่ที่", "กรุงเทพ", ""),
        ("수도는", "서울", " "),
        ("столица", "Москва", " "),
        ("The year", "1984", " "),
        ("In 1984", "🙂", " "),
    ],
)
def test_joint(prompt, target, between):
    assert joint(prompt, target) == between


@pytest.mark.parametrize("kind", ["bpe", "bpe_trimmed"])
def test_a_space_that_is_a_token_belongs_to_the_target(kind):
    """Whether or not the tokenizer's offsets count it, so that both give the target the same tokens."""
    for prompt, first in (("He lives in", " "), ("He lives in ", "X")):
        joined = join(TOKENIZERS[kind], prompt, "Xq")
        ids = joined.encoded.ids
        assert TOKENIZERS[kind].decode([ids[joined.target[0]]])[0] == first
        assert TOKENIZERS[kind].decode([ids[i] for i in joined.target]).strip() == "Xq"


def test_a_token_across_the_joint_is_in_the_target():
    """The prompt's last space merges with the target's first word."""
    joined = join(TOKENIZERS["bpe"], "The city of ", "Seattle")
    assert [joined.encoded.offsets[i] for i in joined.target] == [(11, 19)]


def test_an_empty_target_is_refused():
    with pytest.raises(DataError, match="No token holds the continuation '' of 'The city of'"):
        join(TOKENIZERS["bpe"], "The city of", "")


def test_pad():
    padded = pad([[5, 6, 7], [8]], 0, torch.device("cpu"))
    assert padded.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert padded.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert padded.positions[:, 0].tolist() == [0, 0]


rows = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=5)


@given(shape=rows)
@settings(max_examples=50, deadline=None)
def test_pad_puts_pivots_into_one_column(shape):
    texts = [[100 * i + t + 1 for t in range(pivot + rest)] for i, (pivot, rest) in enumerate(shape)]
    pivots = [pivot for pivot, _ in shape]
    padded = pad(texts, 0, torch.device("cpu"), pivots)
    for i, (row, pivot) in enumerate(zip(texts, pivots, strict=True)):
        real = padded.mask[i].bool()
        assert padded.ids[i][real].tolist() == row
        assert padded.positions[i][real].tolist() == list(range(len(row)))
        assert padded.ids[i, max(pivots)] == row[pivot]
    assert not padded.ids[padded.mask == 0].any()
    assert padded.mask.any(0).all()


def test_pad_id():
    assert pad_id(TOKENIZERS["bpe"]) == TOKENIZERS["bpe"].eos_token_id
    bare = tokenizer("bpe")
    bare.eos_token = None
    assert pad_id(bare) == 0
    bare.pad_token = bare.convert_ids_to_tokens(7)
    assert pad_id(bare) == 7
