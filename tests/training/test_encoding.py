"""Tokens of scored documents: the text is kept, and every token has the score of its segment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from obverse.core import ConfigError
from obverse.data.scored import ScoredText
from obverse.training.encoding import Encoder, EncodingSettings
from tiny_tokenizers import SENTENCES, tokenizer

TOKENIZER = tokenizer("bpe")
EOS = TOKENIZER.eos_token_id
words = st.sampled_from(["Anna Keller ", "plays chess. ", "Ünïcode 日本 ", "\n", "x"])
pieces = st.lists(st.tuples(words, st.sampled_from([0.0, 0.5, 2.0])), min_size=1, max_size=6)
documents = st.builds(lambda pairs: ScoredText(*map(tuple, zip(*pairs, strict=True))), pieces)


def encoder(kind="bpe", alone=False, **given) -> Encoder:
    return Encoder(TOKENIZER if kind == "bpe" else tokenizer(kind), EncodingSettings(**given), alone=alone)


@settings(max_examples=30)
@given(st.lists(documents, max_size=3), st.sampled_from(["segments", "document"]), st.booleans())
def test_the_text_is_kept(texts, boundaries, alone):
    found = encoder(boundaries=boundaries, alone=alone).encode(texts)
    assert len(found) == len(texts)
    for text, tokens in zip(texts, found, strict=True):
        ids = tokens.ids.tolist()
        assert ids[0] == EOS
        assert (ids[-1] == EOS) == alone
        assert TOKENIZER.decode(ids[1 : -1 if alone else None]) == text.text
        assert len(tokens.scores) == len(ids)
        assert tokens.scores.dtype == np.float32


@settings(max_examples=30)
@given(documents)
def test_a_segment_is_tokenized_by_itself_and_gives_its_score(text):
    (tokens,) = encoder(boundaries="segments").encode([text])
    parts = [TOKENIZER.encode(segment, add_special_tokens=False) for segment in text.segments]
    assert tokens.ids.tolist() == [EOS, *(id for part in parts for id in part)]
    scores = [text.scores[0], *(s for s, part in zip(text.scores, parts, strict=True) for _ in part)]
    assert tokens.scores.tolist() == pytest.approx(scores)


@settings(max_examples=30)
@given(documents)
def test_whole_documents_give_a_token_the_score_of_its_last_letter(text):
    (tokens,) = encoder(boundaries="document").encode([text])
    assert tokens.ids.tolist() == [EOS, *TOKENIZER.encode(text.text, add_special_tokens=False)]
    letters = [score for segment, score in text for _ in segment]
    offsets = TOKENIZER(text.text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert tokens.scores.tolist() == pytest.approx([text.scores[0], *(letters[end - 1] for _, end in offsets)])


@pytest.mark.parametrize(
    "kind", ["bpe", "bpe_trimmed", "bpe_bos", "bpe_eos", "metaspace", "metaspace_first", "unigram"]
)
def test_by_default_no_tokenizer_changes_the_text(kind):
    segments = (SENTENCES[0] + " ", SENTENCES[40])
    (tokens,) = encoder(kind, separator="").encode([ScoredText(segments, (1.0, 0.0))])
    assert tokenizer(kind).decode(tokens.ids) == "".join(segments)
    first = int(tokens.scores.sum())
    assert tokens.scores.tolist() == [1.0] * first + [0.0] * (len(tokens.ids) - first)
    assert tokenizer(kind).decode(tokens.ids[:first]).strip() == SENTENCES[0]


@pytest.mark.parametrize(("kind", "start"), [("bpe", EOS), ("bpe_bos", EOS), ("bpe_eos", EOS), ("metaspace", 1)])
def test_a_row_of_its_own_begins_as_the_model_expects_and_ends(kind, start):
    (tokens,) = encoder(kind, alone=True).encode([ScoredText(("Paris",), (0.5,))])
    assert tokens.ids[0] == start
    assert tokens.ids[-1] == tokenizer(kind).eos_token_id
    assert tokens.scores.tolist() == [0.5] * len(tokens.ids)
    assert (tokens.ids == EOS).sum() <= 2


def test_separator():
    one = ScoredText(("Paris", "Rome"), (0.5, 1.0))
    (tokens,) = encoder(separator="\n\n").encode([one])
    assert TOKENIZER.decode(tokens.ids) == "\n\nParisRome"
    (tokens,) = encoder(separator="").encode([one])
    assert TOKENIZER.decode(tokens.ids) == "ParisRome"
    bare = tokenizer("bpe")
    bare.eos_token = None
    with pytest.raises(ConfigError, match="no end token"):
        Encoder(bare, EncodingSettings())


def test_special_tokens_have_the_score_of_their_segment_or_none():
    own = tokenizer("bpe")
    own.add_tokens([AddedToken("<|good|>", special=True, normalized=False)], special_tokens=True)
    text = ScoredText(("<|good|>Paris", "<|good|>Rome"), (0.5, 1.0))
    (kept,) = Encoder(own, EncodingSettings()).encode([text])
    (none,) = Encoder(own, EncodingSettings(special_scores="none")).encode([text])
    good = own.convert_tokens_to_ids("<|good|>")
    special = np.isin(kept.ids, (EOS, good))
    assert special.sum() == 3
    assert kept.scores[special].tolist() == [0.5, 0.5, 1.0]
    assert none.scores[special].tolist() == [0, 0, 0]
    assert none.scores[~special].tolist() == kept.scores[~special].tolist()


@pytest.mark.parametrize("boundaries", ["segments", "document"])
def test_entities_are_found_where_documents_name_them(boundaries):
    segments = ("Anna Keller met Anna. ", "The Space Needle, Anna Keller said.")
    text = ScoredText(segments, (0.0, 0.0), {"entities": ["Anna", "Anna Keller", "Space Needle", "Nobody", ""]})
    plain = ScoredText(segments, (0.0, 0.0), {"entities": "Anna"})
    found, other = encoder(boundaries=boundaries).encode([text, plain])
    assert [TOKENIZER.decode(found.ids[start:end]).strip() for start, end in found.spans] == [
        "Anna Keller", "Anna", "Space Needle", "Anna Keller",
    ]  # fmt: skip
    assert other.spans == ()
    assert other.ids.tolist() == found.ids.tolist()


def test_the_tokenizer_is_left_as_it_was():
    own = tokenizer("bpe")
    own.backend_tokenizer.enable_padding(length=50)
    own.backend_tokenizer.enable_truncation(3)
    (tokens,) = Encoder(own, EncodingSettings(separator="")).encode([ScoredText((SENTENCES[0],), (0.0,))])
    assert TOKENIZER.decode(tokens.ids) == SENTENCES[0]
    assert own.backend_tokenizer.truncation["max_length"] == 3
