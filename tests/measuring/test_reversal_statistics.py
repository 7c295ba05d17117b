"""Statistics by person: what is one observation, and what is paired with what."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from obverse.core import DataError
from obverse.data.reversal import Prompt
from obverse.measuring.exact_tests import clopper_pearson
from obverse.measuring.reversal import Answer
from obverse.measuring.reversal_statistics import by_run, summarize


def answer(who, right=0.0, random=None, run="", **verdicts):
    return Answer(Prompt("Who?", " I", who), "", right, 1, random, verdicts, run)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.floats(-9, 0)), min_size=1, max_size=20))
@settings(max_examples=25)
def test_a_person_is_one_observation(rows):
    answers = [answer(who, value, -3.0, exact=float(right)) for who, right, value in rows]
    people = sorted({who for who, _, _ in rows})
    means = [np.mean([right for who, right, _ in rows if who == one]) for one in people]
    found = summarize({"N2D": answers})["N2D"]
    assert (found.prompts, found.people) == (len(rows), len(people))
    exact = found.values["exact"]
    assert exact.n == len(people)
    assert exact.mean == pytest.approx(np.mean(means))
    assert (exact.low, exact.high) == clopper_pearson(math.fsum(means), len(people))
    gaps = [np.mean([value + 3 for who, _, value in rows if who == one]) for one in people]
    assert found.logprobs.gap.difference == pytest.approx(np.mean(gaps))
    again = summarize({"N2D": [one for one in answers for _ in range(3)]})["N2D"]
    assert (again.values, again.people) == (found.values, found.people)
    assert again.logprobs.gap.n == len(people)


def test_runs_count_apart_and_together():
    answers = [answer(who, run=f"seed {run}", prefix=float(who < run)) for run in (0, 1, 2) for who in range(4)]
    found = summarize({"D2N": answers})["D2N"].values["prefix"]
    assert (found.mean, found.n) == (0.25, 12)
    assert {run: of["prefix"] for run, of in by_run(answers).items()} == {"seed 0": 0, "seed 1": 0.25, "seed 2": 0.5}


def test_the_tests_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    right, random = rng.normal(-4, 1, 30).tolist(), rng.normal(-5, 1, 30).tolist()
    found = summarize({"N2D-reverse": [answer(i, a, b) for i, (a, b) in enumerate(zip(right, random, strict=True))]})
    logprobs = found["N2D-reverse"].logprobs
    assert logprobs.t == pytest.approx(stats.ttest_ind(right, random).pvalue)
    assert logprobs.paired_t == pytest.approx(stats.ttest_rel(right, random).pvalue)
    assert logprobs.ks == pytest.approx(stats.ks_2samp(right, random, method="asymp").pvalue, abs=0.05)
    assert (logprobs.right.mean, logprobs.random.mean) == pytest.approx((np.mean(right), np.mean(random)))
    assert logprobs.gap.low < logprobs.gap.difference < logprobs.gap.high
    assert logprobs.gap.p == pytest.approx(logprobs.paired_t, abs=0.01)


def test_values_that_are_no_verdicts_get_a_bootstrap_and_are_not_widened():
    answers = [answer(i, f1=0.5 + i / 100) for i in range(10)]
    found = summarize({"N2D": answers})["N2D"].values["f1"]
    assert 0.5 < found.low < found.mean < found.high < 0.6


def test_a_person_is_compared_with_itself_before_training():
    after = {"N2D": [answer(i, -1.0 - i, -5.0, "seed 1", exact=1.0) for i in (2, 0, 1)]}
    before = [answer(i, -3.0 - i, -4.0 - 2 * i, exact=0.0) for i in (0, 1, 2, 7)]
    change = summarize(after, {"N2D": before})["N2D"].change
    assert set(change) == {"exact", "logprob", "gap"}
    assert (change["exact"].difference, change["exact"].n) == (1, 3)
    assert (change["logprob"].low, change["logprob"].high) == (2, 2)
    assert change["gap"].difference == pytest.approx(np.mean([(4 - i) - (1 + i) for i in range(3)]))
    own = [answer(i, -1.0 - i, -5.0, "seed 1", exact=1.0) for i in range(3)]
    assert summarize(after, {"N2D": own})["N2D"].change["logprob"].difference == 0


def test_one_person_and_no_random_answers():
    found = summarize({"N2D": [answer(0, -1.0, exact=0.0), answer(0, -2.0, exact=1.0)]})["N2D"]
    assert found.logprobs is None
    one = summarize({"N2D": [answer(0, -1.0, -2.0)]})["N2D"].to_json()
    assert one["logprobs"]["t"] is None
    assert json.loads(json.dumps(one, allow_nan=False))["logprobs"]["gap"]["difference"] == 1


@pytest.mark.parametrize(
    ("after", "before", "message"),
    [
        ([], None, "N2D has no answers"),
        ([answer(1)], [], "untrained model has no answers of N2D"),
        ([answer(1)], [answer(2)], "not asked about person 1"),
        ([answer(1, run="a")], [answer(1, run="b")], "not asked about person 1 of run 'a'"),
    ],
)
def test_what_cannot_be_summed_up(after, before, message):
    with pytest.raises(DataError, match=message):
        summarize({"N2D": after}, None if before is None else {"N2D": before})
