"""Rules of when an answer is right: what each forgives, and what none does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from obverse.core import UnknownName
from obverse.measuring._reversal_asking import first_line
from obverse.measuring.reversal_metrics import (
    METRICS,
    AnyOf,
    char_bleu,
    contains,
    exact,
    f1,
    find_metrics,
    plain_words,
    prefix_match,
    rouge1,
)

texts = st.text(max_size=30)
words = st.lists(st.text("abcde", min_size=2, max_size=4), min_size=1, max_size=8)


@given(texts, texts)
def test_every_metric_is_a_share_and_right_on_the_answer_itself(completion, target):
    for name, metric in METRICS.items():
        assert 0 <= metric(completion, target) <= 1, name
        if name in ("prefix", "contains"):
            assert metric(target, target), name
        elif plain_words(target) and name in ("exact", "f1", "rouge1"):
            assert metric(target, target) == 1, name


@given(texts, texts)
def test_containment_forgives_more_than_the_prefix(completion, target):
    assert contains(completion, target) or not prefix_match(completion, target)


@given(texts.filter(lambda text: "\n" not in text.strip()), texts)
def test_the_first_line_decides_a_prefix_match(target, completion):
    assert prefix_match(first_line(completion), target) == prefix_match(completion, target)


@pytest.mark.parametrize(
    ("completion", "target", "right"),
    [
        (" Orla Fennick.\n\nQ:", " Orla Fennick", True),
        (" ORLA  \n Fennick", " Orla Fennick.", True),  # spaces and the final point
        ("\u201cOrla Fennick\u201d, said she", " Orla Fennick", True),
        (" O'Neil Vance", " O\u2019Neil Vance", True),
        (" Jose\u0301 Alvarez", " Jos\u00e9 Alvarez", True),
        (" \u200bOrla\u00a0Fennick", " Orla Fennick", True),
        (" STRASSE", " stra\u00dfe", True),
        ("author of an opera", " the author of the opera", True),
        (" Orla-Fennick", " Orla Fennick", True),
        (" Anna Bell", " Ann", False),  # whole words
        (" Orla", " Orla Fennick", False),
        (" Ms Orla Fennick", " Orla Fennick", False),
        (" Fennick Orla", " Orla Fennick", False),
        (" Jose Alvarez", " Jos\u00e9 Alvarez", False),  # an accent is no mark
        ("", " Orla", False),
        (" anything", "", False),
        (" The Who sang", " The", False),
        (" The The sang", " A", False),
    ],
)
def test_exact(completion, target, right):
    assert exact(completion, target) is right


@given(words, st.sampled_from(["NFC", "NFD", "NFKC"]), st.sampled_from([" ", "  ", "\n", "\u00a0", " - ", ", "]))
def test_spelling_does_not_count(found, form, gap):
    assert plain_words(unicodedata.normalize(form, gap.join(found).upper())) == tuple(found)


@given(words, words)
def test_word_scores_are_those_of_the_library(found, wanted):
    score = RougeScorer(["rouge1"]).score(" ".join(wanted), " ".join(found))["rouge1"]
    assert f1(" ".join(found), " ".join(wanted)) == pytest.approx(score.fmeasure)
    assert rouge1(" ".join(found), " ".join(wanted)) == pytest.approx(score.recall)


def test_repeated_words_count_as_often_as_they_stand_in_both():
    assert rouge1("ben ben cat", "ben ben ben dog") == 0.5
    assert f1("ben ben cat", "ben ben ben dog") == pytest.approx(4 / 7)


def test_bleu_of_characters_is_high_for_what_is_unrelated():
    assert char_bleu(" the harper of the winter fairs.", " the keeper of the silent lamps.") > 0.3
    assert char_bleu("", " the keeper") == 0
    assert char_bleu("xy", " the keeper") < 1e-50


@given(st.lists(words.map(" ".join), max_size=4), words.map(" ".join))
def test_any_of_is_exact_of_one_of_them(answers, completion):
    assert AnyOf(answers)(completion) == any(exact(completion, answer) for answer in answers)
    assert AnyOf([*answers, completion])(completion + " and more")


def test_an_unknown_metric_is_told_with_near_ones():
    with pytest.raises(UnknownName, match=r"Unknown metric 'rouge'.*\n.*rouge1"):
        find_metrics(["exact", "rouge"])
