"""Blank infilling on rows and models."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from obverse.core import ConfigError, build
from obverse.training.example import IGNORED, Example, collate
from obverse.training.objectives.infilling import Infilling, InfillingConfig

EOS = 0  # of the tiny tokenizers
VOCAB = 512


@pytest.fixture(scope="module")
def made():
    """Return a function from settings to an objective and the model it was set up on."""

    def make(family="llama", **settings):
        lm = tiny(family)
        objective = Infilling(InfillingConfig(**settings))
        objective.setup(lm, torch.Generator().manual_seed(0))
        return lm, objective

    return make


@pytest.fixture(scope="module")
def plain(made):
    return made()[1]


def row(*documents):
    """Join documents, each behind an end token."""
    return Example.of([t for document in documents for t in (EOS, *document)])


def tokens_of(objective):
    return [objective._tokens[name] for name in ("mask", "start", "end")]


documents = st.lists(st.lists(st.integers(1, 255), min_size=1, max_size=30), min_size=1, max_size=3)


@settings(max_examples=40)
@given(documents, st.integers(0, 2**32))
def test_a_row_comes_out_whole_and_special_tokens_stay(plain, rows, seed):
    example = row(*rows)
    found = plain.corrupt(example, np.random.default_rng(seed))
    mask, start, end = tokens_of(plain)
    part_a = np.flatnonzero(found.ids == start)[0]
    spans, part_b = [], found.ids[part_a:-1]
    for token in part_b.tolist():
        spans.append([]) if token == start else spans[-1].append(token)
    assert (found.ids[:part_a] == mask).sum() == len(spans) > 0
    assert (found.ids[:part_a] == EOS).sum() == len(rows)
    assert EOS not in part_b
    kept = [t for t in found.ids[:part_a].tolist() if t != mask]
    assert sorted([*kept, *(t for span in spans for t in span)]) == sorted(example.ids.tolist())
    assert (found.labels != IGNORED).sum() == sum(map(len, spans)) + len(spans)
    assert (found.labels == end).sum() == len(spans)


def test_the_same_seed_gives_the_same_row(plain):
    example = row(range(1, 60))
    one, two, other = (plain.corrupt(example, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.ids.tolist() == two.ids.tolist()
    assert one.ids.tolist() != other.ids.tolist()


def test_about_the_share_asked_for_is_cut_out(plain):
    example, rng = row(range(1, 101)), np.random.default_rng(0)
    rows = [plain.corrupt(example, rng) for _ in range(300)]
    held = [(r.labels != IGNORED).sum() - (r.labels == plain._tokens["end"]).sum() for r in rows]
    lengths = np.arange(1, 40)
    overshoot = (lengths**2 @ plain._shares) / (2 * lengths @ plain._shares) - 0.5  # renewal theory; 1.49
    assert np.mean(held) == pytest.approx(15 + overshoot, abs=0.3)


def test_scores_and_weights_go_with_their_tokens(plain):
    example = replace(
        row(range(1, 61)), scores=np.arange(61, dtype=np.float32), weights=np.arange(61, dtype=np.float32)
    )
    found = plain.corrupt(example, np.random.default_rng(1))
    targets = (found.labels != IGNORED) & (found.labels != plain._tokens["end"])
    assert found.scores[targets].tolist() == found.labels[targets].tolist()
    ends = np.flatnonzero(found.labels == plain._tokens["end"])
    assert found.weights[ends].tolist() == found.ids[ends - 1].tolist()  # the end belongs to the token before it


def test_entities_are_cut_out_whole(made):
    objective = made(entities=1.0)[1]
    example = replace(row(range(1, 20), range(30, 50)), spans=((3, 7), (10, 12), (25, 29)))
    names = {(3, 4, 5, 6), (10, 11), (34, 35, 36, 37)}
    seen = set()
    for seed in range(20):
        found = objective.corrupt(example, np.random.default_rng(seed))
        part_b = found.ids[np.flatnonzero(found.ids == objective._tokens["start"])[0] : -1].tolist()
        spans = " ".join("|" if t == objective._tokens["start"] else str(t) for t in part_b).split("|")[1:]
        seen |= {tuple(map(int, span.split())) for span in spans}
    assert seen == names


def test_a_row_of_special_tokens_gives_no_labels(plain):
    found = plain.corrupt(Example.of([EOS, EOS]), np.random.default_rng(0))
    assert (found.labels == IGNORED).all()
    assert found.ids.tolist() == [EOS, EOS]


def test_masked_prompts_are_no_targets(plain):
    example = row(range(1, 31))
    labels = example.labels.copy()
    labels[:20] = IGNORED
    for seed in range(20):
        found = plain.corrupt(replace(example, labels=labels), np.random.default_rng(seed))
        assert set(found.labels.tolist()) <= {IGNORED, plain._tokens["end"], *range(20, 31)}
        assert found.ids[:20].tolist() == example.ids[:20].tolist()


@pytest.mark.parametrize("rate", [0.15, 0.9])
def test_a_row_never_passes_the_context(made, rate):
    lm, objective = made(rate=rate, suffix=0.3)
    example = row(range(1, lm.context))
    rows = [objective.corrupt(example, np.random.default_rng(seed)) for seed in range(30)]
    assert max(len(r.ids) for r in rows) <= lm.context
    assert all((r.labels != IGNORED).any() for r in rows)


def test_positions(made):
    example = row(range(1, 31))
    found = {
        how: made(positions=how, entities=1.0)[1].corrupt(replace(example, spans=((4, 9),)), np.random.default_rng(0))
        for how in ("continue", "original", "blank")
    }
    assert found["continue"].positions is None
    rest = list(range(9, 31))
    assert found["original"].positions.tolist() == [*range(5), *rest, 3, 4, 5, 6, 7, 8, 9]
    assert found["blank"].positions.tolist() == [*range(27), 4, 5, 6, 7, 8, 9, 10]


def test_a_suffix_is_cut_out(made):
    objective = made(suffix=1.0)[1]
    lengths = set()
    for seed in range(100):
        found = objective.corrupt(row(range(1, 20)), np.random.default_rng(seed))
        part_a = found.ids[: np.flatnonzero(found.ids == objective._tokens["start"])[0]].tolist()
        assert part_a[:-1] == list(range(len(part_a) - 1))
        assert part_a[-1] == objective._tokens["suffix_mask"]
        lengths.add(20 - len(part_a) + 1)
    assert lengths == set(range(5, 19))  # a quarter at least, and all but two at most


def test_sentences_are_cut_out_whole(made):
    lm, objective = made(sentences=1.0)
    text = "Anna Keller plays chess. Megan Rapinoe plays soccer. Steve Jobs was born in Rome."
    ids = lm.tokenizer(text)["input_ids"]
    seen = set()
    for seed in range(20):
        found = objective.corrupt(row(ids), np.random.default_rng(seed))
        part_b = np.flatnonzero(found.ids == objective._tokens["start"])
        assert (found.ids == objective._tokens["sentence_mask"]).sum() == len(part_b) == 1
        seen.add(lm.decode(found.ids[part_b[0] + 1 : -1].tolist()).strip())
    assert seen == {part + "." for part in text[:-1].split(". ")}


@pytest.mark.parametrize("attention", ["causal", "prefix"])
def test_a_model_learns_what_a_blank_holds(made, attention):
    """Two facts told in one order only, asked with the blank at their start."""
    lm, objective = made("llama", attention=attention, entities=1.0)
    facts = [[*range(10, 14), *range(50, 56)], [*range(20, 24), *range(60, 66)]]
    examples = [replace(row(fact), spans=((1, 5),)) for fact in facts]
    lm.model.requires_grad_(True)
    optimizer = torch.optim.Adam(lm.model.parameters(), 1e-2)
    draws = np.random.default_rng(0)
    for _ in range(25):
        loss = objective(lm.model, collate([objective.corrupt(e, draws) for e in examples], EOS))
        assert int(loss.count) == 2 * (4 + 1)
        optimizer.zero_grad()
        loss.mean.backward()
        optimizer.step()
    assert loss.mean < 0.5  # of 6 at first


def test_part_a_sees_what_stands_after_it_only_with_prefix(made):
    for attention, reaches in (("causal", False), ("prefix", True)):
        lm, objective = made(attention=attention)
        objective._head = lambda: None  # logits of every position
        batch = collate([objective.corrupt(row(range(1, 31)), np.random.default_rng(0))], EOS)
        changed = {**batch, "input_ids": batch["input_ids"].clone()}
        part_a = int((batch["input_ids"] == objective._tokens["start"]).nonzero()[0, 1])
        changed["input_ids"][0, part_a - 1] += 1
        with torch.no_grad():
            one, two = (objective.output(lm.model, b).logits[0, : part_a - 1] for b in (batch, changed))
        assert (not torch.equal(one, two)) == reaches


@pytest.mark.parametrize("positions", ["original", "blank"])
def test_padding_does_not_change_what_a_span_sees(made, positions):
    """Positions that jump are not those of several texts, whether or not there is a mask to say so."""
    lm, objective = made(positions=positions)
    draws = np.random.default_rng(0)
    rows = [objective.corrupt(row(range(1, length)), draws) for length in (20, 30)]
    with torch.no_grad():
        alone = sum(float(objective(lm.model, collate([one], EOS)).total) for one in rows)
        together = float(objective(lm.model, collate(rows, EOS)).total)
    assert alone == pytest.approx(together, rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"rate": 0}, {"rate": 1}, {"longest": 0}, {"mean_length": 0}, {"sentences": 0.7, "suffix": 0.5}]
)
def test_settings_that_cut_nothing_or_everything_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        build(InfillingConfig, settings)


def test_existing_tokens_are_taken():
    lm = tiny("llama")
    before = len(lm.tokenizer)
    objective = Infilling(InfillingConfig(mask="q", start="x", end="~"))
    objective.setup(lm, torch.Generator())
    assert tokens_of(objective) == lm.tokenizer.convert_tokens_to_ids(["q", "x", "~"])
    assert len(lm.tokenizer) == before
