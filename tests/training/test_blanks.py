"""Laws of blank infilling: where spans go, and that nothing of a row is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError
from obverse.training.example import IGNORED
from obverse.training.objectives._blanks import choose_spans, draw_spans, lay_out, length_shares

MASK, START, END = 900, 901, 902
seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 60), st.integers(0, 5), st.floats(0.01, 0.99), st.floats(0.2, 8))
def test_spans_lie_in_the_document_apart_and_hold_enough(seed, length, start, rate, mean):
    goal = max(1, int(rate * length))
    spans = draw_spans(start, start + length, goal, length_shares(mean, 39), np.random.default_rng(seed))
    assert all(s < e for s, e in spans)
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
    assert spans[0][0] >= start
    assert spans[-1][1] <= start + length
    held = [e - s for s, e in spans]
    # Enough, unless the document is full; and no span more than it takes, in whatever order they were drawn.
    assert sum(held) >= goal or sum(held) + len(held) >= length
    assert sum(held) - max(held) < goal


@given(seeds, st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=8), st.integers(1, 20))
def test_chosen_spans_do_not_touch(seed, pairs, goal):
    given_spans = [(s, s + n) for s, n in pairs]
    chosen = choose_spans(given_spans, goal, np.random.default_rng(seed))
    assert set(chosen) <= set(given_spans)
    assert chosen
    assert all(end < begin for (_, end), (begin, _) in pairwise(chosen))


@st.composite
def blanked(draw):
    ids = np.array(draw(st.lists(st.integers(0, 99), min_size=1, max_size=40)))
    rng = np.random.default_rng(draw(seeds))
    spans = draw_spans(0, len(ids), max(1, len(ids) // 4), length_shares(2, 9), rng)
    return ids, [spans[i] for i in rng.permutation(len(spans))]


def rebuilt(layout):
    """Put what part B holds back where its blanks are."""
    part_b, spans = layout.ids[layout.part_a :], []
    for token in part_b[:-1].tolist():
        if token == START:
            spans.append([])
        else:
            spans[-1].append(token)
    places = layout.anchor[layout.part_a :][part_b == START]
    by_place = dict(zip(places.tolist(), spans, strict=True))
    return [t for i, a in enumerate(layout.ids[: layout.part_a].tolist()) for t in by_place.get(i, [a])]


@given(blanked())
def test_part_a_and_the_spans_are_the_row(case):
    ids, spans = case
    layout = lay_out(ids, ids, spans, mask=MASK, start=START, end=END, ignored=IGNORED)
    assert rebuilt(layout) == ids.tolist()
    assert (layout.ids[: layout.part_a] == MASK).sum() == len(spans)
    assert len(layout.ids) == len(ids) + 2 * len(spans) + 1


@given(blanked())
def test_every_token_cut_out_is_a_target_once_and_no_other_is(case):
    ids, spans = case
    layout = lay_out(ids, ids, spans, mask=MASK, start=START, end=END, ignored=IGNORED)
    targets = (layout.labels != IGNORED) & (layout.labels != END)
    assert sorted(layout.owner[targets].tolist()) == sorted(i for s, e in spans for i in range(s, e))
    assert layout.labels[targets].tolist() == ids[layout.owner[targets]].tolist()
    assert (layout.labels == END).sum() == len(spans)
    assert (layout.labels[: layout.part_a + 1] == IGNORED).all()  # neither part A nor the first start token
    ends = layout.owner[layout.labels == END]
    assert sorted(ends.tolist()) == sorted(e - 1 for _, e in spans)


def test_a_row_without_blanks_is_refused():
    with pytest.raises(ConfigError, match="without blanks"):
        lay_out(np.arange(5), np.arange(5), [], mask=MASK, start=START, end=END, ignored=IGNORED)
