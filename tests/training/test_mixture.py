"""Mixtures of objectives."""

import numpy as np
import pytest
import torch

from families import tiny
from obverse.core import ConfigError, UnknownName, build
from obverse.data.scored import ScoredText
from obverse.training import objectives
from obverse.training.example import Example, collate
from obverse.training.from_corpus import is_open, resolve
from obverse.training.objectives.mixture import Mixture, MixtureConfig

EOS = 0
ALONE = ["mle", "bico", "infilling", "mlm-u", "reverse", "permutation", "unlikelihood"]
DOCUMENT = ScoredText(("Anna plays chess. ", "Megan plays soccer in Rome."), (0.0, 1.0))


def mixture(*components):
    return Mixture(build(MixtureConfig, {"objectives": list(components)}))


def rows():
    return [Example.of([EOS, *range(1, 9)], np.arange(9)), Example.of([EOS, *range(20, 31)], np.arange(12))]


def batch_of(objective, component, seed=0):
    draws = np.random.default_rng(seed)
    if component is None:
        return collate([objective.corrupt(row, draws) for row in rows()], EOS)
    batch = collate([objective.corrupt_for(component, row, draws) for row in rows()], EOS)
    batch["component"] = torch.full((2,), component)
    return batch


@pytest.mark.parametrize("name", ALONE)
def test_a_mixture_of_one_is_that_one(name):
    found = []
    for objective in (objectives.load(name)(objectives.load(name).config_type()), mixture({"name": name})):
        lm = tiny("gpt_neox")
        objective.setup(lm, torch.Generator().manual_seed(0))
        lm.model.requires_grad_(True)
        texts = [(t.text, t.scores) for t in objective.documents(DOCUMENT, np.random.default_rng(1))]
        loss = objective(lm.model, batch_of(objective, None))
        loss.total.backward()
        gradient = next(lm.model.parameters()).grad
        found.append((texts, loss.total, loss.count, gradient))
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        assert torch.equal(one, other)


def test_each_batch_goes_by_its_component():
    lm = tiny("gpt_neox")
    mixed = mixture({"name": "bico", "rate": 0.4}, {"name": "mle", "weight": 3})
    mixed.setup(lm, torch.Generator())
    assert mixed.shares == (0.25, 0.75)
    alone = objectives.load("bico")
    bico = alone(alone.config_type(rate=0.4))
    bico.setup(lm, torch.Generator())
    with torch.no_grad():
        first, second = (mixed(lm.model, batch_of(mixed, i)) for i in (0, 1))
        assert first.total == bico(lm.model, batch_of(bico, None)).total
        assert second.total == mixture({"name": "mle"})(lm.model, batch_of(mixture({"name": "mle"}), None)).total
    assert first.logs["bico/loss"] == first.mean
    assert list(second.logs) == ["mle/loss"]


def test_every_component_sees_the_whole_corpus_in_its_own_way():
    mixed = mixture({"name": "mle"}, {"name": "reverse", "keep": "reversed", "unit": "word"}, {"name": "bico"})
    found = [(t.meta.get("component"), t.text) for t in mixed.documents(DOCUMENT, np.random.default_rng(0))]
    assert found == [(None, DOCUMENT.text), (1, ".Rome in soccer plays Megan .chess plays Anna")]
    only = mixture({"name": "reverse", "keep": "reversed"}, {"name": "permutation"})
    assert [t.meta["component"] for t in only.documents(DOCUMENT, np.random.default_rng(0))] == [0, 1]


def test_names_and_needs():
    mixed = mixture({"name": "unlikelihood"}, {"name": "bico"}, {"name": "bico", "rate": 0.4})
    assert mixed.names == ("unlikelihood", "bico-1", "bico-2")
    assert mixed.needs_scores
    assert not mixture({"name": "mle"}).needs_scores


def test_what_a_component_has_learnt_is_kept(tmp_path):
    def made(value):
        mixed, lm = mixture({"name": "mle"}, {"name": "awr"}), tiny("llama")
        mixed.setup(lm, torch.Generator().manual_seed(0))
        head = [p for name, p in lm.model.named_parameters() if "value" in name]
        for parameter in head:
            parameter.data.fill_(value)
        return mixed, head

    first, second = made(1.5), made(0.5)
    first[0].save(tmp_path)
    second[0].load(tmp_path)
    assert second[1]
    assert all((parameter == 1.5).all() for parameter in second[1])
    assert [path.name for path in tmp_path.iterdir()] == ["awr"]


def test_what_is_left_to_the_corpus_is_measured():
    config = build(MixtureConfig, {"objectives": [{"name": "filtering", "threshold": "q1"}, {"name": "mle"}]})
    assert is_open(config)
    found = resolve(config, [DOCUMENT])
    assert not is_open(found)
    assert found.objectives[0].settings.threshold == 0.5
    assert not is_open(MixtureConfig())


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([], "no objectives"),
        ([{"name": "mixture"}], "inside a mixture"),
        ([{"name": "mle"}, {"name": "bico", "rate": 7}], r"objectives.1 \(bico\)(.|\n)*rate"),
        ([{"name": "bico", "rat": 0.1}], "did you mean rate"),
        ([{"name": "mle", "weight": 0}], "weight"),
        ([{"weight": 1}], "name"),
    ],
)
def test_mixtures_that_are_refused(components, message):
    with pytest.raises(ConfigError, match=message):
        mixture(*components)


def test_an_unknown_objective_is_named():
    with pytest.raises(UnknownName, match=r"objectives.0 \(bicco\)(.|\n)*Did you mean bico"):
        mixture({"name": "bicco"})


def test_a_row_of_several_needs_a_component():
    with pytest.raises(ConfigError, match="without saying"):
        mixture({"name": "mle"}, {"name": "bico"}).corrupt(rows()[0], np.random.default_rng(0))


def test_the_default_is_the_published_coin():
    assert Mixture(MixtureConfig()).names == ("bico", "mle")
    assert Mixture(MixtureConfig()).shares == (0.5, 0.5)
