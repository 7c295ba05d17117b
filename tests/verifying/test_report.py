import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Case, Fact, Probe
from obverse.verifying import PROTOCOLS, Answer, CaseReport, Drift, Report
from obverse.verifying.probes import starts_with

FACT = Fact("Space Needle", "The {} is in", "Paris", "Seattle")
shares = st.floats(0, 1)


def answer(kind="efficacy", p=0.5, other: float | None = 0.1, rank=1, accuracy=1.0, exact=False):
    return Answer(kind, Probe("Q", "A", "B"), p, -1.0, other, rank, accuracy, accuracy == 1, " A is", exact)


def report(before, after, drift=None):
    return Report((CaseReport(Case.of(FACT), tuple(before), tuple(after)),), "rome", "model", drift)


@given(shares, shares)
def test_success_is_a_positive_magnitude_and_a_tie_fails(p, other):
    made = answer(p=p, other=other)
    assert made.magnitude == p - other
    assert made.success is (p > other)
    assert made.success is (made.magnitude > 0)
    assert answer(p=p, other=p).success is False


def test_without_an_alternative_there_is_no_success():
    made = answer(other=None)
    assert made.success is None
    assert made.magnitude is None
    whole = report([made], [made])
    assert whole.interval("efficacy", "success") is None
    assert "success" not in whole.summary()["efficacy"]
    assert "probability" in whole.summary()["efficacy"]


@given(st.lists(st.tuples(shares, shares, st.integers(1, 50_000), shares), min_size=1, max_size=8))
def test_intervals_contain_the_mean_and_count_all(rows):
    answers = [answer(p=p, other=other, rank=rank, accuracy=accuracy) for p, other, rank, accuracy in rows]
    whole = report(answers, answers)
    for protocol, read in PROTOCOLS.items():
        found = whole.interval("efficacy", protocol)
        assert found is not None
        assert found.n == len(rows)
        values = [read(a) for a in answers]
        assert found.mean == pytest.approx(sum(values) / len(values))
        slack = 1e-9 * max(1.0, abs(found.mean))
        assert found.low - slack <= found.mean <= found.high + slack
        assert min(values) - slack <= found.low or protocol in ("success", "all_tokens", "generated", "token_accuracy")


@given(
    st.lists(st.tuples(shares, st.none() | shares, st.integers(1, 50_000), shares), min_size=1, max_size=8),
    st.sampled_from(["efficacy", "reverse"]),
)
def test_intervals_at_once_are_those_one_by_one(rows, kind):
    answers = [answer(kind, p, other, rank, accuracy) for p, other, rank, accuracy in rows]
    whole = report(answers, answers[::-1])
    at_once = whole.intervals(kind)
    for protocol in PROTOCOLS:
        for after in (False, True):
            one, other = whole.interval(kind, protocol, after=after), at_once.get((protocol, after))
            assert (one is None) == (other is None)
            if one is not None:
                assert other.n == one.n
                pairs = [(other.mean, one.mean), (other.low, one.low), (other.high, one.high)]
                assert all(ours == pytest.approx(theirs, rel=1e-12, abs=1e-12) for ours, theirs in pairs)
    assert whole.intervals("specificity") == {}


def test_all_ranks_of_one_are_no_share_of_successes():
    found = report([], [answer(rank=1)] * 5).interval("efficacy", "rank")
    assert found is not None
    assert (found.low, found.mean, found.high) == (1, 1, 1)


def test_all_successes_of_few_keep_an_honest_interval():
    found = report([], [answer()] * 5).interval("efficacy", "success")
    assert found is not None
    assert found.mean == 1
    assert found.low == pytest.approx(0.5655, abs=1e-3)


def test_the_score_is_the_harmonic_mean_of_three():
    won, lost = answer(p=0.9), answer(p=0.05)
    three = [
        won,
        replace(won, kind="generalization"),
        replace(lost, kind="generalization"),
        replace(won, kind="specificity"),
    ]
    assert report(three, three).score == pytest.approx(3 / (1 + 2 + 1))
    none = [*three[:3], replace(lost, kind="specificity")]
    assert report(none, none).score == 0
    assert report(three[:3], three[:3]).score is None


def test_before_and_after_are_kept_apart():
    whole = report([answer(p=0.01, rank=90)], [answer(p=0.9, rank=1)])
    found = whole.summary()["efficacy"]
    assert (found["success"]["before"]["mean"], found["success"]["after"]["mean"]) == (0, 1)
    assert (found["rank"]["before"]["mean"], found["rank"]["after"]["mean"]) == (90, 1)
    assert [a.rank for a in whole.answers("efficacy", after=False)] == [90]
    assert whole.answers("reverse") == []


def test_json_has_every_answer_and_survives_a_round_trip():
    whole = report([answer(p=0.01)], [answer(p=0.9)], Drift(20.0, 21.0, 0.01, 99, {"mlp": 0.02}))
    data = json.loads(json.dumps(whole.to_json()))
    (probe,) = data["cases"][0]["probes"]
    assert (probe["text"], probe["expected"], probe["kind"]) == ("Q", "A", "efficacy")
    assert (probe["before"]["success"], probe["after"]["success"]) == (False, True)
    assert probe["after"]["magnitude"] == pytest.approx(0.8)
    assert data["drift"]["tokens"] == 99
    assert data["summary"] == whole.summary()


def test_text_has_a_line_a_kind_and_the_drift():
    both = [answer(), replace(answer(), kind="reverse", probe=Probe("R", "A", contrast="S"))]
    lines = str(report(both, both, Drift(20.0, 21.0, 0.01, 99, {"mlp": 0.02}))).splitlines()
    assert lines[0] == "rome on model: The Space Needle is in → Paris"
    assert [row.split()[0] for row in lines[2:]] == ["efficacy", "reverse", "drift:"]
    assert "20.00 → 21.00" in lines[-1]
    assert "n = 99" in lines[-1]


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        (" Paris, France", "Paris", True),
        ("paris", " Paris ", True),
        ("\n Paris", "Paris", True),
        ("Parisian", "Paris", False),
        ("In Paris", "Paris", False),
        (" New York City", "New York", True),
        (" C++ is", "C++", True),
        (" C+", "C++", False),
        ("", "Paris", False),
    ],
)
def test_a_text_starts_with_an_answer_as_a_whole_word(text, expected, right):
    assert starts_with(text, expected) is right
