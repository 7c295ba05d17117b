"""The metrics of a benchmark are ROME's where they have its names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Case, Fact, Probe
from obverse.measuring.divergence import Reading
from obverse.verifying.measures import Locality, Measured
from obverse.verifying.probes import Answer
from obverse.verifying.scores import METRICS, case_values, summarize
from obverse.verifying.summary import case_values as rome_values
from obverse.verifying.summary import summarize_rome

NLL = st.floats(0.01, 8)
PAIRS = st.lists(st.tuples(NLL, NLL), min_size=1, max_size=3)
FACT = Fact("Ann", "{} plays", "chess", "golf")


def answer(kind, own, other, correct=(True,), exact=False):
    alternative = None if other is None else math.exp(-other)
    return Answer(
        kind, Probe("Ann plays", "chess", "golf"), math.exp(-own), -own, alternative, 1,
        sum(correct) / len(correct), all(correct), "chess", exact,
    )  # fmt: skip


def measured(answers, **changes):
    return Measured(Case("0", FACT), tuple(answers), **changes)


@given(st.lists(st.tuples(PAIRS, PAIRS, PAIRS), min_size=1, max_size=5))
def test_counterfact_metrics_are_those_of_rome(cases):
    ours, theirs = [], []
    for number, (rewrite, paraphrase, neighbour) in enumerate(cases):
        ours.append(case_values(measured([
            *(answer("efficacy", new, true) for new, true in rewrite),
            *(answer("generalization", new, true) for new, true in paraphrase),
            *(answer("specificity", true, new) for new, true in neighbour),
        ])))  # fmt: skip
        probabilities = {
            name: [{"target_new": new, "target_true": true} for new, true in pairs]
            for name, pairs in (("rewrite_prompts_probs", rewrite), ("paraphrase_prompts_probs", paraphrase),
                                ("neighborhood_prompts_probs", neighbour))
        }  # fmt: skip
        theirs.append({"case_id": number, "post": probabilities})
    names = {"efficacy": "rewrite", "generalization": "paraphrase", "specificity": "neighborhood"}
    for suffix, rome_suffix in (("success", "success"), ("magnitude", "diff")):
        for kind, rome_kind in names.items():
            expected = rome_values(theirs)[f"post_{rome_kind}_{rome_suffix}"]
            assert [one[f"{kind}_{suffix}"] for one in ours] == pytest.approx(expected, abs=1e-12)
    summed = summarize_rome(theirs).metrics
    assert summarize(ours)["score"].mean * 100 == pytest.approx(summed["post_score"].mean, abs=0.006)


def test_a_tie_fails_and_a_missing_rival_gives_no_value():
    values = case_values(measured([answer("efficacy", 1.0, 1.0), answer("reverse", 1.0, None)]))
    assert values["efficacy_success"] == 0
    assert "reverse_success" not in values
    assert values["reverse_generated"] == 0
    assert "specificity_success" not in values


def test_values_are_means_over_prompts_then_over_cases():
    one = case_values(measured([answer("efficacy", 1.0, 2.0), answer("efficacy", 2.0, 1.0)]))
    two = case_values(measured([answer("efficacy", 1.0, 2.0)]))
    assert (one["efficacy_success"], two["efficacy_success"]) == (0.5, 1.0)
    interval = summarize([one, two])["efficacy_success"]
    assert (interval.mean, interval.n) == (0.75, 2)
    assert interval.low <= 0.75 <= interval.high


def test_teacher_forced_and_generated_stand_side_by_side():
    values = case_values(measured([answer("efficacy", 1.0, 2.0, correct=(True, False), exact=False)]))
    assert (values["efficacy_token_accuracy"], values["efficacy_generated"]) == (0.5, 0.0)


def test_locality_and_drift():
    found = measured(
        [answer("specificity", 1.0, 2.0)],
        locality=(Locality(0.1, 0.3, (0.5, 0.2)), Locality(0.3, 0.5, (0.2, 0.4))),
        drift=Reading(3.0, 0.25),
    )
    values = case_values(found)
    assert values["plus_success"] == 0.5
    assert values["plus_magnitude"] == pytest.approx(0.05)
    assert (values["neighbour_kl"], values["plus_kl"]) == (pytest.approx(0.2), pytest.approx(0.4))
    assert (values["drift_kl"], values["drift_nll"]) == (0.25, 3.0)


def test_score_is_zero_if_a_part_is_and_absent_without_it():
    whole = [answer(kind, 1.0, 2.0) for kind in ("efficacy", "generalization")]
    lost = case_values(measured([*whole, answer("specificity", 2.0, 1.0)]))
    assert summarize([lost])["score"].mean == 0
    assert "score" not in summarize([case_values(measured(whole))])


def test_numbers_that_are_not_finite_lose_comparisons():
    from obverse.recipes.bench.worker import recorded

    broken = Answer(
        "efficacy", Probe("Ann plays", "chess", "golf"), math.nan, math.nan, math.nan, 1, 0.0, False, "", False
    )
    record = recorded(measured([broken]))
    assert record["values"]["efficacy_success"] == 0
    assert record["broken"] == ["efficacy_magnitude"]
    assert record["answers"][0]["probability"] is None


def test_every_metric_has_a_name_of_its_own():
    labels = [metric.label for metric in METRICS.values()]
    assert len(set(labels)) == len(labels)
