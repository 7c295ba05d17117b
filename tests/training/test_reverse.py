"""Reverse training: what a reversal is, and which texts are given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from families import tiny
from obverse.data.scored import ScoredText
from obverse.training.example import Example
from obverse.training.objectives.reverse import Reverse, ReverseConfig

NAMES = ["Anna Keller", "Big Ben", "Rome"]
seeds = st.integers(0, 2**32)


def reverse(text, names=(), seed=0, **settings):
    document = text if isinstance(text, ScoredText) else ScoredText((text,), (0.0,), {"entities": list(names)})
    objective = Reverse(ReverseConfig(keep="reversed", **settings))
    (found,) = objective.documents(document, np.random.default_rng(seed))
    return found


@given(st.lists(st.text(max_size=30), max_size=4))
def test_reversing_by_words_twice_gives_the_document(segments):
    document = ScoredText(tuple(segments), tuple(map(float, range(len(segments)))))
    assert reverse(reverse(document, unit="word"), unit="word").text == document.text


names_and_words = st.lists(st.sampled_from([*NAMES, "plays", "chess", "in", "the", "city"]), max_size=12)


@given(names_and_words, st.sampled_from(["entity", "segment"]), seeds, st.integers(1, 4))
def test_entities_stay_whole(parts, unit, seed, longest):
    found = reverse(" ".join(parts), NAMES, seed, unit=unit, longest=longest)
    for name in NAMES:
        assert found.text.count(name) == parts.count(name)
    assert sorted(found.text.split()) == sorted(" ".join(parts).split())


@given(names_and_words)
def test_reversing_by_entities_twice_gives_the_document(parts):
    text = ". ".join([" ".join(parts[:6]), " ".join(parts[6:])])
    assert reverse(reverse(text, NAMES).text, NAMES).text == text


@given(names_and_words, st.integers(0, 100))
def test_segments_of_one_word_are_a_reversal_of_words(parts, seed):
    text = " ".join(parts)
    assert reverse(text, (), seed, unit="segment", longest=1).text == reverse(text, unit="word").text


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [("word", "?Rome in Ben Big is Why"), ("entity", "?Rome in Big Ben is Why")],
)
def test_reversals(unit, wanted):
    assert reverse("Why is Big Ben in Rome?", NAMES, unit=unit).text == wanted


def test_segments_are_read_forwards_with_a_marker_between():
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    found = reverse(" ".join(words), (), 3, unit="segment", longest=3, marker="[REV]").text
    parts = [part.split() for part in found.split("[REV]")]
    assert len(parts) > 2
    assert [word for part in reversed(parts) for word in part] == words
    assert all(len(part) <= 3 for part in parts)


def test_scores_go_with_their_segments():
    found = reverse(ScoredText(("Good day. ", "Bad words."), (0.0, 1.0)), unit="word")
    assert found.segments == (".words Bad", " .day Good")
    assert found.scores == (1.0, 0.0)


def test_an_entity_across_segments_stays_whole():
    found = reverse(ScoredText(("Big ", "Ben."), (0.0, 1.0), {"entities": ["Big Ben"]}))
    assert (found.segments, found.scores) == ((".", "Big Ben"), (1.0, 0.0))


@pytest.mark.parametrize(("keep", "count"), [("both", {2}), ("either", {1}), ("reversed", {1})])
def test_how_many_texts_are_given(keep, count):
    document = ScoredText(("Rome is old.",), (0.0,))
    objective = Reverse(ReverseConfig(keep=keep))
    found = [tuple(t.text for t in objective.documents(document, np.random.default_rng(i))) for i in range(40)]
    assert {len(texts) for texts in found} == count
    forward = sum(texts[0] == document.text for texts in found) / len(found)
    assert {"both": forward == 1, "either": 0.2 < forward < 0.8, "reversed": forward == 0}[keep]


def set_up(**settings):
    objective = Reverse(ReverseConfig(**settings))
    lm = tiny("llama")
    objective.setup(lm, torch.Generator())
    return objective, lm


@given(st.lists(st.integers(0, 5), max_size=20), seeds)
def test_reversing_tokens_twice_gives_the_row(ids, seed):
    objective = Reverse(ReverseConfig(unit="token", keep="reversed"))
    objective._special = np.array([0])
    example = Example.of(ids, np.arange(len(ids)))
    once = objective.corrupt(example, np.random.default_rng(seed))
    twice = objective.corrupt(once, np.random.default_rng(seed))
    assert twice.ids.tolist() == twice.labels.tolist() == list(ids)
    assert twice.scores.tolist() == example.scores.tolist()


def test_tokens_are_reversed_document_by_document_in_every_other_row():
    objective, _ = set_up(unit="token")
    example = Example.of([0, 1, 2, 3, 0, 4, 5])
    found = [objective.corrupt(example, np.random.default_rng(seed)).ids.tolist() for seed in range(40)]
    assert {tuple(ids) for ids in found} == {(0, 1, 2, 3, 0, 4, 5), (0, 3, 2, 1, 0, 5, 4)}
    document = ScoredText(("x",), (0.0,))
    assert list(objective.documents(document, np.random.default_rng(0))) == [document]


def test_entities_of_a_row_of_tokens_move_along():
    objective, _ = set_up(unit="token", keep="reversed")
    example = replace(Example.of([0, 1, 2, 3, 4, 0, 5, 6]), spans=((1, 3), (7, 8)))
    found = objective.corrupt(example, np.random.default_rng(0))
    assert found.ids.tolist() == [0, 4, 3, 2, 1, 0, 6, 5]
    assert found.spans == ((3, 5), (6, 7))


def test_the_marker_becomes_a_token():
    _, lm = set_up(unit="segment", marker="[REV]")
    (found,) = [i for i, t in lm.tokenizer.added_tokens_decoder.items() if t.content == "[REV]"]
    assert lm.tokenizer("in [REV] Rome")["input_ids"].count(found) == 1
    assert lm.vocab > found
