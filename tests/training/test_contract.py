"""What every registered objective must do: a new one is tested before it has a test."""

import numpy as np
import pytest
import torch

from families import tiny
from obverse.core import Config, ConfigError, UnknownName
from obverse.data.scored import ScoredText
from obverse.training import objectives
from obverse.training.example import IGNORED, Batch, Example, collate
from obverse.training.from_corpus import resolve

FAMILIES = ("gpt2", "llama", "gemma3")
DOCUMENTS = (
    ScoredText(("LeBron James plays the sport of ", "basketball. ", "He was born in Akron."), (0.0, 0.2, 0.0)),
    ScoredText(("The Space Needle is located in the city of Seattle.",), (0.0,)),
    ScoredText(("The mother tongue of Anna is ", "German, and she was ", "born in Berlin."), (0.5, 0.0, 0.1)),
)


def _ready(name, family="llama"):
    """Return an objective with its defaults, set up on a model that is to be trained."""
    kind = objectives.load(name)
    objective = kind(resolve(kind.config_type(), DOCUMENTS))
    lm = tiny(family)
    objective.setup(lm, torch.Generator().manual_seed(0))
    lm.model.requires_grad_(True)
    return objective, lm


def _rows(objective, lm) -> list[Example]:
    """Return the documents as the objective makes them, one a row."""
    rows: list[Example] = []
    for i, document in enumerate(DOCUMENTS):
        for made in objective.documents(document, np.random.default_rng(i)):
            parts = [(lm.tokenizer.encode(text, add_special_tokens=False), score) for text, score in made]
            ids = [lm.tokenizer.eos_token_id, *(token for part, _ in parts for token in part)]
            rows.append(Example.of(ids, [made.scores[0], *(score for part, score in parts for _ in part)]))
    return rows


def _corrupted(objective, rows, seed=0) -> list[Example]:
    if hasattr(objective, "corrupt_for"):  # a mixture: of its first component
        return [objective.corrupt_for(0, row, np.random.default_rng([seed, i])) for i, row in enumerate(rows)]
    return [objective.corrupt(row, np.random.default_rng([seed, i])) for i, row in enumerate(rows)]


def _batch(objective, rows, pad=3) -> Batch:
    batch = collate(rows, pad)
    if hasattr(objective, "corrupt_for"):
        batch["component"] = torch.zeros(len(rows), dtype=torch.int64)
    return batch


def _longer(batch: Batch, pad: int, more: int) -> Batch:
    """Return a batch with more padding on the right, of another token."""
    fill = {"input_ids": pad, "labels": IGNORED}
    return {
        key: torch.nn.functional.pad(value, (0, more), value=fill.get(key, 0)) if value.ndim == 2 else value
        for key, value in batch.items()
    }


def _loss(objective, lm, batch):
    """Return the total, the count, and the gradient of every weight."""
    lm.model.zero_grad()
    found = objective(lm.model, batch)
    found.total.backward()
    gradient = torch.cat([p.grad.flatten() for p in lm.model.parameters() if p.grad is not None])
    return found, gradient


@pytest.mark.parametrize("name", objectives.names())
def test_defaults_come_from_the_config_alone(name):
    kind = objectives.load(name)
    assert issubclass(kind.config_type, Config)
    config = kind.config_type()
    assert kind.config_type(**config.model_dump()) == config
    assert all(field.description for field in kind.config_type.model_fields.values()), "a setting without a docstring"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", objectives.names())
def test_the_loss_is_finite_and_has_a_gradient(name, family):
    objective, lm = _ready(name, family)
    found, gradient = _loss(objective, lm, _batch(objective, _corrupted(objective, _rows(objective, lm))))
    assert found.total.isfinite()
    assert found.count > 0
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    assert all(value.ndim == 0 and value.isfinite() and not value.requires_grad for value in found.logs.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", objectives.names())
def test_padding_changes_neither_loss_nor_gradient(name, family):
    objective, lm = _ready(name, family)
    batch = _batch(objective, _corrupted(objective, _rows(objective, lm)))
    found, gradient = _loss(objective, lm, batch)
    longer, same = _loss(objective, lm, _longer(batch, pad=7, more=5))
    assert longer.count == found.count
    torch.testing.assert_close(longer.total, found.total, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(same, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))
    for log, value in found.logs.items():
        torch.testing.assert_close(longer.logs[log], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", objectives.names())
def test_losses_of_parts_add_up_to_that_of_the_whole(name):
    objective, lm = _ready(name)
    rows = _corrupted(objective, _rows(objective, lm))
    found, gradient = _loss(objective, lm, _batch(objective, rows))
    parts = [_loss(objective, lm, _batch(objective, [row])) for row in rows]
    assert sum(part.count for part, _ in parts) == found.count
    torch.testing.assert_close(sum(part.total for part, _ in parts), found.total, rtol=1e-5, atol=1e-5)
    added = torch.stack([part for _, part in parts]).sum(0)
    torch.testing.assert_close(added, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))


@pytest.mark.parametrize("name", objectives.names())
def test_a_seed_decides_what_is_seen(name):
    objective, lm = _ready(name)
    rows = _rows(objective, lm)
    again = _rows(objective, lm)
    for first, second in zip(_corrupted(objective, rows), _corrupted(objective, again), strict=True):
        for field in ("ids", "labels", "scores", "weights", "visible", "positions", "prefix"):
            np.testing.assert_array_equal(getattr(first, field), getattr(second, field))


@pytest.mark.parametrize("name", objectives.names())
def test_a_misspelt_setting_is_refused(name):
    from obverse.core import build

    with pytest.raises(ConfigError, match="no such setting"):
        build(objectives.load(name).config_type, {"no_setting_of_anything": 1})


def test_an_unknown_objective_names_the_near_ones():
    with pytest.raises(UnknownName, match="Did you mean conditional"):
        objectives.load("conditionel")
