"""What holds for every scorer that is installed."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import Config, ConfigError
from obverse.measuring.scorers import scorers
from obverse.measuring.scorers.loading import load_scorer

NAMES = scorers.names()
TEXTS = st.lists(st.text(max_size=60), max_size=4)


def made(name):
    try:
        return load_scorer(name)
    except ConfigError as error:
        assert error.hint.startswith("pip install")  # noqa: PT017
        pytest.skip(error.message)


def same(first, second):
    return len(first) == len(second) and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(first, second))  # noqa: B905


def test_what_there_is():
    assert {"pep8", "pii", "toxicity", "detoxify", "alt-profanity", "presidio", "scrubadub"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_counts(name):
    kind = scorers.load(name)
    assert issubclass(kind.config_type, Config)
    assert kind.segments in ("sentences", "lines")
    assert kind.unit
    assert all(field.description for field in kind.config_type.model_fields.values())


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("detoxify", "alt-profanity")]
)  # weights to download; slow to import
def test_one_number_a_text_whatever_stands_beside_it(name):
    scorer = made(name)

    @settings(max_examples=8)
    @given(TEXTS, TEXTS)
    def law(first, second):
        both = scorer.score([*first, *second])
        assert same(both, [*scorer.score(first), *scorer.score(second)])
        assert all(math.isnan(score) or score >= 0 for score in both)

    law()


@pytest.mark.parametrize("name", ["pep8", "pii", "toxicity"])
def test_nothing_has_no_fault(name):
    scorer = made(name)
    assert scorer.score([]) == []
    assert scorer.score([""]) == [0]
