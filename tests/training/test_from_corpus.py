"""Settings measured on the corpus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Config, ConfigError, DataError
from obverse.data.scored import ScoredText
from obverse.training import objectives
from obverse.training.from_corpus import is_open, misaligned_mean, resolve, resolve_threshold
from obverse.training.objectives.conditional import ConditionalConfig
from obverse.training.objectives.filtering import FilteringConfig

DOCUMENTS = [ScoredText(("a", "b", "c"), (0.0, 0.0, 0.6)), ScoredText(("d",), (0.2,)), ScoredText((), ())]


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_within_the_scores_and_below_it_is_its_share(scores, quantile):
    found = resolve_threshold(f"q{quantile}", scores)
    assert min(scores) - 1e-12 <= found <= max(scores) + 1e-12
    assert np.mean(np.asarray(scores) <= found + 1e-12) >= quantile - 1 / len(scores)


def test_a_quantile_is_of_what_the_threshold_is_held_against():
    assert resolve(FilteringConfig(threshold="q1"), DOCUMENTS).threshold == pytest.approx(0.2)  # averages
    assert resolve(ConditionalConfig(threshold="q1"), DOCUMENTS).threshold == pytest.approx(0.6)  # segments


def test_the_unit_of_rewards_is_the_mean_of_misaligned_segments():
    assert misaligned_mean(DOCUMENTS) == pytest.approx(0.4)
    assert misaligned_mean(DOCUMENTS[2:]) == 1


@pytest.mark.parametrize("name", ["awr", "rwr"])
def test_the_scale_is_measured_unless_given(name):
    kind = objectives.load(name).config_type
    assert is_open(kind())
    measured = resolve(kind(), DOCUMENTS)
    assert measured.scale == pytest.approx(0.4)
    assert not is_open(measured)
    assert resolve(kind(reward_scale="published"), DOCUMENTS).scale == 1
    assert resolve(kind(reward_scale=3), DOCUMENTS).scale == 3


def test_a_config_without_such_settings_stays():
    config = Config()
    assert not is_open(config)
    assert resolve(config, DOCUMENTS) is config


def test_a_quantile_of_nothing_is_refused():
    with pytest.raises(DataError, match="there are no scores"):
        resolve_threshold("q0.5", [])
    with pytest.raises(ConfigError, match="'median' is no threshold"):
        resolve_threshold("median", [1.0])
