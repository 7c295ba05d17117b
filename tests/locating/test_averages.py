"""Averages of hand-made traces are those of the plain loop over facts and tokens."""

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, Fact, Interval, UnknownName
from obverse.locating.averages import Averages, student
from obverse.locating.trace import ROLES, CausalTrace
from obverse.model.fingerprint import Fingerprint

LAYERS = 3
KINDS = ("hidden", "mlp", "attn")


def trace(tokens, b, e, seed=0, kinds=KINDS, layers=LAYERS):
    draw = np.random.default_rng(seed)
    tables = {kind: torch.from_numpy(draw.random((tokens, layers))).float() for kind in kinds}
    return CausalTrace(
        fact=Fact("Zorbl", "{} hums in", "Oslo"), model="tiny", fingerprint=Fingerprint("c" * 64, "w" * 64),
        answer=" Oslo", answer_id=5, tokens=tuple(f"t{i}" for i in range(tokens)), token_ids=tuple(range(tokens)),
        subject=range(b, e), clean=float(draw.random()), corrupted=float(draw.random()), restored=tables, window=10,
        noise="s3", level=0.3, replace=False, samples=10, seed=1,
    )  # fmt: skip


@st.composite
def shapes(draw):
    """Tokens, begin and end of a subject: of one token or more, at the start, inside, before the last token, at it."""
    b = draw(st.integers(0, 3))
    e = b + draw(st.integers(1, 5))
    return e + draw(st.integers(0, 4)), b, e


many = st.lists(shapes(), min_size=1, max_size=7).map(lambda found: [trace(*s, seed=i) for i, s in enumerate(found)])

EDGES = [trace(1, 0, 1, 1), trace(5, 1, 2, 2), trace(6, 2, 6, 3), trace(4, 1, 3, 4), trace(9, 0, 5, 5)]
"""Only a subject; of one token; at the end; before the last token; with all roles."""


def looped(traces, kind, role, layer):
    """The paper's mean over tokens, and its standard error by leaving the algebra of the ratio estimator undone."""
    per_fact = []
    for one in traces:
        b, e, t = one.subject.start, one.subject.stop, len(one.tokens)
        places = {
            "first subject token": [b],
            "middle subject tokens": list(range(b + 1, e - 1)),
            "last subject token": [e - 1],
            "first subsequent token": [e] if e < t else [],
            "further tokens": list(range(e + 1, t - 1)),
            "last token": [t - 1],
        }[role]
        if places:
            per_fact.append([float(one.restored[kind][place, layer]) - one.corrupted for place in places])
    if not per_fact:
        return None
    observations = [effect for effects in per_fact for effect in effects]
    mean = sum(observations) / len(observations)
    n = len(per_fact)
    if n == 1:
        return Interval(mean, mean, mean, 1)
    squares = sum(sum(effect - mean for effect in effects) ** 2 for effects in per_fact)
    half = student(n - 1) * math.sqrt(n / (n - 1) * squares) / len(observations)
    return Interval(mean, mean - half, mean + half, n)


def close(found, expected):
    if expected is None:
        return found is None
    ends = ("mean", "low", "high")
    return found.n == expected.n and all(
        math.isclose(getattr(found, end), getattr(expected, end), abs_tol=1e-6) for end in ends
    )


@settings(max_examples=60)
@given(many)
def test_averages_are_those_of_the_plain_loop(traces):
    found = Averages.of(traces)
    for kind in KINDS:
        for role in ROLES:
            assert len(found.effects[kind][role]) == LAYERS
            for layer, effect in enumerate(found.effects[kind][role]):
                assert close(effect, looped(traces, kind, role, layer))


@given(many, st.randoms(use_true_random=False))
def test_order_changes_nothing(traces, random):
    mixed = random.sample(traces, len(traces))
    one, other = Averages.of(traces), Averages.of(mixed)
    for kind in KINDS:
        for role in ROLES:
            assert all(map(close, one.effects[kind][role], other.effects[kind][role]))


@given(many)
def test_one_fact_twice_weighs_as_two_facts(traces):
    one, two = Averages.of(traces), Averages.of([*traces, *traces])
    for role in ROLES:
        for once, twice in zip(one.effects["mlp"][role], two.effects["mlp"][role], strict=True):
            assert (once is None) == (twice is None)
            assert once is None or (math.isclose(once.mean, twice.mean, abs_tol=1e-9) and twice.n == 2 * once.n)


def test_roles_at_the_edges_are_counted():
    found = Averages.of(EDGES)
    counted = {role: effects[0].n for role, effects in found.effects["hidden"].items()}
    assert counted == {
        "first subject token": 5,
        "middle subject tokens": 2,
        "last subject token": 5,
        "first subsequent token": 3,
        "further tokens": 2,
        "last token": 5,
    }


def test_a_role_that_no_fact_has_is_none():
    found = Averages.of([trace(1, 0, 1), trace(4, 1, 3, 4)])
    assert found.effects["attn"]["middle subject tokens"] == (None,) * LAYERS
    assert found.peak("attn", "middle subject tokens") is None


def test_of_one_token_subjects_first_and_last_are_the_same():
    effects = Averages.of([trace(5, 1, 2, seed) for seed in range(4)]).effects["hidden"]
    assert effects["first subject token"] == effects["last subject token"]


def test_the_interval_is_that_of_a_mean_where_each_fact_has_one_token():
    traces = [trace(6, 1, 3, seed) for seed in range(9)]
    values = np.array([float(t.indirect_effect("mlp")[2, 1]) for t in traces])
    found = Averages.of(traces).effects["mlp"]["last subject token"][1]
    assert found.high - found.mean == pytest.approx(2.306 * values.std(ddof=1) / 3, rel=1e-3)  # t, 8 degrees


@pytest.mark.parametrize("n", [4, 25])
def test_the_interval_holds_the_truth_in_95_of_100_sets(n):
    """Facts have a level of their own, so tokens of one fact go together; facts differ in their number of tokens."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        traces = []
        for middle in draw.integers(1, 5, n):
            one = trace(middle + 3, 0, int(middle) + 2, kinds=("hidden",), layers=1)
            table = torch.from_numpy(draw.normal(0.2, 0.1) + draw.normal(0, 0.05, (len(one.tokens), 1)))
            traces.append(replace(one, restored={"hidden": table}, corrupted=0.0))
        interval = Averages.of(traces).effects["hidden"]["middle subject tokens"][0]
        held += interval.low <= 0.2 <= interval.high
    assert 0.90 < held / 400 < 0.98


def test_means_over_facts():
    found = Averages.of(EDGES)
    assert found.n == 5
    assert found.clean.mean == pytest.approx(np.mean([t.clean for t in EDGES]))
    assert found.corrupted.mean == pytest.approx(np.mean([t.corrupted for t in EDGES]))
    assert found.total_effect.mean == pytest.approx(found.clean.mean - found.corrupted.mean)
    for kind in KINDS:
        maxima = [float(t.indirect_effect(kind).max()) for t in EDGES]
        assert found.best[kind].mean == pytest.approx(np.mean(maxima), abs=1e-6)
        at_subject = [float(t.indirect_effect(kind)[t.subject.stop - 1].max()) for t in EDGES]
        assert found.best_at_subject[kind].mean == pytest.approx(np.mean(at_subject), abs=1e-6)


def test_intervals_of_probabilities_stay_within_their_range():
    found = Averages.of([replace(EDGES[0], clean=clean, corrupted=1 - clean) for clean in (0.9, 1.0, 0.1)])
    assert (found.clean.high, found.corrupted.low) == (1.0, 0.0)
    assert found.clean.mean + found.corrupted.mean == pytest.approx(1)
    assert found.total_effect.high > 1  # a difference of two means has no such claim


def test_the_peak_is_the_largest_mean():
    found = Averages.of(EDGES)
    layer, effect = found.peak("mlp", "last token")
    means = [one.mean for one in found.effects["mlp"]["last token"]]
    assert (layer, effect.mean) == (int(np.argmax(means)), max(means))
    with pytest.raises(UnknownName, match="kind 'severed-mlp'"):
        found.peak("severed-mlp", "last token")


def test_one_trace_has_no_width():
    effect = Averages.of([EDGES[4]]).effects["hidden"]["middle subject tokens"][0]
    assert effect.low == effect.mean == effect.high
    assert effect.n == 1


def test_as_a_frame_and_as_json():
    found = Averages.of([trace(1, 0, 1), trace(4, 1, 3, 4)])
    frame = found.to_frame()
    assert list(frame.columns) == ["kind", "role", "layer", "mean", "low", "high", "n"]
    assert len(frame) == 3 * 4 * LAYERS  # no middle and no further tokens
    row = frame.query("kind == 'mlp' and role == 'last token' and layer == 2").iloc[0]
    assert row["mean"] == found.effects["mlp"]["last token"][2].mean
    record = json.loads(json.dumps(found.to_json()))
    assert record["effects"]["mlp"]["last token"][2]["mean"] == row["mean"]
    assert record["effects"]["mlp"]["middle subject tokens"] == [None] * LAYERS
    assert record["n"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": Fingerprint("d" * 64, "w" * 64)}, "model: cccccccc-wwwwwwww and dddddddd-wwwwwwww"),
        ({"window": 5}, "window: 10 and 5"),
        ({"noise": "s1"}, "noise: s3 .* and s1"),
        ({"level": 0.2}, "level 0.3.*level 0.2"),
        ({"replace": True}, "in place"),
        ({"restored": {"hidden": torch.zeros(4, 3)}}, "kinds: hidden, mlp, attn and hidden"),
    ],
)
def test_unlike_traces_are_refused(change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Averages.of([trace(4, 1, 3), trace(4, 1, 3), replace(trace(4, 1, 3), **change)])
    assert caught.value.message.startswith("Traces 1 and 3")


def test_no_trace():
    with pytest.raises(ConfigError, match="no trace"):
        Averages.of([])


def test_a_thousand_traces_take_a_moment():
    traces = [trace(12, 2, 6, seed, layers=30) for seed in range(1000)]
    began = time.process_time()
    Averages.of(traces)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042), (10**6, 1.960)])
def test_quantiles_of_student(degrees, quantile):
    assert student(degrees) == pytest.approx(quantile, rel=0.01)
