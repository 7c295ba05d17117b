"""Filtering: which documents are kept."""

import numpy as np
import pytest

from obverse.core import ConfigError, build
from obverse.data.scored import ScoredText
from obverse.training.from_corpus import resolve
from obverse.training.objectives.filtering import Filtering, FilteringConfig

DRAWS = np.random.default_rng(0)
DOCUMENTS = [ScoredText(("a", "b"), (score, 0.0)) for score in (0.0, 0.2, 0.4, 0.6, 0.8)]


def _kept(threshold):
    objective = Filtering(FilteringConfig(threshold=threshold))
    return [d for document in DOCUMENTS for d in objective.documents(document, DRAWS)]


def test_the_average_decides_and_the_threshold_itself_is_kept():
    assert _kept(0.2) == DOCUMENTS[:3]
    assert _kept(0.0) == DOCUMENTS[:1]
    assert _kept(-1.0) == []


def test_the_default_is_the_median_of_the_documents_averages():
    config = resolve(FilteringConfig(), DOCUMENTS)
    assert config.threshold == pytest.approx(0.2)
    assert resolve(config, DOCUMENTS[:1]) == config, "a number stays"


def test_a_quantile_that_was_not_measured_is_refused():
    with pytest.raises(ConfigError, match=r"'q0\.5' is a quantile of a corpus that was not measured"):
        _kept("q0.5")


@pytest.mark.parametrize("threshold", ["median", "q1.5", "q", "qnan", float("nan"), "nan"])
def test_what_is_no_threshold_is_refused(threshold):
    with pytest.raises(ConfigError, match="a threshold is a number, or a quantile"):
        build(FilteringConfig, {"threshold": threshold})


def test_a_number_that_yaml_reads_as_a_text_is_a_number():
    assert build(FilteringConfig, {}, overrides=["threshold=1e-4"]).threshold == 1e-4
