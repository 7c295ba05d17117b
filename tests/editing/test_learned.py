"""What MEND and KE share: the gradient in factors, fitting, the file, joint edits; laws first."""

import json
from functools import cache

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from families import tiny
from learned_editors import CASES, CURIE, NEEDLE, settings
from obverse.core import Case, ConfigError, DataError, EditFailed, EditMismatch, RunConflict, UnsupportedModel, seed_for
from obverse.editing import Dense, LowRank, _hypernetwork_fit, editors
from obverse.editing._gradients import answers, ask, divergence, gradients, matrices, nll
from obverse.editing._hypernetwork import Bench
from obverse.editing._hypernetwork_fit import split, texts
from obverse.measuring import likelihoods
from obverse.model import tensor_hash

METHODS = ("mend", "ke")


def new(method, steps=0, **fit):
    editor_type = editors.load(method)
    return editor_type(editor_type.config_type(**settings(method, steps, **fit)))


@cache
def fitted(method):
    """An editor after a short fit, its model, and its validations; not to be changed."""
    lm, editor = tiny("llama"), new(method, 24)
    return editor, lm, editor.fit(lm, CASES)


def loaded(method, path, **changes):
    editor_type = editors.load(method)
    return editor_type(editor_type.config_type(weights=str(path), **changes))


def total(edit, name):
    return edit.deltas[name].dense()


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "opt", "falcon_new", "bloom", "phi3"])
def test_factors_make_up_the_gradient(family):
    lm = tiny(family)
    shapes = matrices(lm, [1, 2])
    pairs = [(fact.text, fact.target) for fact in (NEEDLE, CURIE)]
    found = gradients(lm, list(shapes), ask(lm, 1, pairs), [0, 1])
    weights = {name: lm.weight_of(name) for name in shapes}
    for pair, one in zip(pairs, found, strict=True):
        for weight in weights.values():
            weight.requires_grad_(True)
        (row,) = ask(lm, 1, [pair]).ids
        loss = -likelihoods(lm, [pair])[0].mean
        assert one.nll == pytest.approx(loss, abs=1e-5)
        output = lm.model(input_ids=torch.tensor([row])).logits[0].float()
        (wanted,) = ask(lm, 1, [pair]).targets
        slopes = torch.autograd.grad(nll(output[-len(wanted) :], wanted), list(weights.values()))
        for (name, (out, into)), slope in zip(shapes.items(), slopes, strict=True):
            factors = one.factors[name]
            product = factors.delta.T @ factors.x
            assert product.shape == (out, into)
            stored = product.T if lm.architecture.transposed else product
            assert torch.allclose(stored, slope, atol=1e-5 * float(slope.abs().max()) + 1e-8)
        for weight in weights.values():
            weight.requires_grad_(False)


def test_every_mlp_matrix_of_a_layer_is_found():
    assert [name.split(".")[-1] for name in matrices(tiny("llama"), [1])] == ["gate_proj", "up_proj", "down_proj"]
    assert list(matrices(tiny("gpt2"), [2]).values()) == [(128, 32), (32, 128)]
    assert [name.split(".")[-1] for name in matrices(tiny("opt"), [0])] == ["fc1", "fc2"]
    with pytest.raises(UnsupportedModel, match="many experts"):
        new("mend").layers(tiny("mixtral"))


@pytest.mark.parametrize("method", METHODS)
def test_fitting_lowers_the_loss_and_an_edit_then_reaches_further(method):
    editor, lm, history = fitted(method)
    assert [one.step for one in history] == [0, 12, 24]
    assert history[-1].loss < history[0].loss - 0.01
    assert history[-1].nll < history[-1].unedited
    begun = new(method)
    assert begun.fit(lm, CASES)[0].loss == history[0].loss
    asked = [(NEEDLE.text, NEEDLE.target)]
    (before,) = likelihoods(lm, asked)
    reached = []
    for one in (begun, editor):
        with one.edit(lm, [NEEDLE]).applied(lm):
            reached.append(likelihoods(lm, asked)[0].total)
    assert reached[1] > reached[0] + 0.05
    assert reached[1] > before.total


@pytest.mark.parametrize("method", METHODS)
def test_a_joint_edit_is_the_sum_of_its_parts_and_follows_the_scale(method, tmp_path):
    editor, lm, _ = fitted(method)
    both, *single = editor.edit(lm, [NEEDLE, CURIE]), editor.edit(lm, [NEEDLE]), editor.edit(lm, [CURIE])
    each = editor.edit_each(lm, [NEEDLE, CURIE])
    for name in both.deltas:
        parts = [total(edit, name) for edit in single]
        assert torch.allclose(total(both, name), sum(parts), atol=1e-5)
        assert all(torch.allclose(total(a, name), b, atol=1e-5) for a, b in zip(each, parts, strict=True))
    assert [edit.facts for edit in each] == [(NEEDLE,), (CURIE,)]
    editor.save(tmp_path / "x")
    nothing, half = (loaded(method, tmp_path / "x", scale=scale).edit(lm, [NEEDLE]) for scale in (0.0, 0.5))
    assert all(not total(nothing, name).any() for name in nothing.deltas)
    assert all(torch.allclose(2 * total(half, name), total(single[0], name)) for name in half.deltas)


def test_many_facts_make_a_full_matrix():
    editor, lm, _ = fitted("mend")
    assert all(isinstance(delta, LowRank) for delta in editor.edit(lm, [NEEDLE]).deltas.values())
    many = editor.edit(lm, [case.fact for case in CASES[:8]])  # of six tokens or more each, and 32 is full
    kinds = {name.split(".")[2]: type(delta) for name, delta in many.deltas.items()}
    assert kinds == {"1": Dense, "2": LowRank}  # in the last layer only tokens that are read have a gradient
    assert len(many.details) == 8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["gpt2", "gemma3", "opt"])
def test_other_families(method, family):
    lm, editor = tiny(family), new(method, 1)
    editor.fit(lm, CASES)
    edit = editor.edit(lm, [NEEDLE])
    with edit.applied(lm):
        (hooked,) = likelihoods(lm, [(NEEDLE.text, NEEDLE.target)])
    with edit.applied(lm, mode="weight"):
        (written,) = likelihoods(lm, [(NEEDLE.text, NEEDLE.target)])
    assert hooked.total == pytest.approx(written.total, abs=1e-4)
    assert hooked.total != likelihoods(lm, [(NEEDLE.text, NEEDLE.target)])[0].total


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_loaded_it_makes_the_same_edit_to_the_bit(method, tmp_path):
    editor, lm, history = fitted(method)
    editor.save(tmp_path / "fitted.safetensors")
    again = loaded(method, tmp_path / "fitted.safetensors")
    assert again.layers(lm) == editor.layers(lm) == (1, 2)
    first, second = editor.edit(lm, [NEEDLE]), again.edit(lm, [NEEDLE])
    for name in first.deltas:
        assert torch.equal(first.deltas[name].left, second.deltas[name].left)
        assert torch.equal(first.deltas[name].right, second.deltas[name].right)
    assert second.config["fit"] == first.config["fit"]
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "fitted.safetensors").read_bytes()
    with safe_open(tmp_path / "fitted.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["obverse_fitted"])
    assert header["method"] == method
    assert header["base"] == lm.fingerprint.to_json()
    assert len(header["history"]) == len(history)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_fit_goes_on_to_the_same_editor(method, tmp_path, monkeypatch):
    monkeypatch.setattr(_hypernetwork_fit, "SAVE_EVERY", 0.0)
    lm, made = tiny("llama"), {}
    whole = new(method, 4, accumulate=2, validate_every=3)
    made["whole"] = whole.fit(lm, CASES)
    whole.save(tmp_path / "whole")
    trial, trials = Bench.trial, []

    def killed(self, *args, training):
        trials.append(training)
        if trials.count(True) == 4:  # between two steps of Adam, after a validation
            raise KeyboardInterrupt
        return trial(self, *args, training=training)

    state = tmp_path / "state"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Bench, "trial", killed)
        new(method, 4, accumulate=2, validate_every=3).fit(lm, CASES, state)
    with safe_open(state, framework="pt") as file:
        assert json.loads(file.metadata()["obverse_fit"])["step"] == 2
    with pytest.raises(RunConflict, match="differs in settings"):
        new(method, 4, accumulate=2, validate_every=2).fit(lm, CASES, state)
    with pytest.raises(RunConflict, match="differs in facts"):
        new(method, 4, accumulate=2, validate_every=3).fit(lm, CASES[1:], state)
    again = new(method, 4, accumulate=2, validate_every=3)
    assert again.fit(lm, CASES, state) == made["whole"]
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_and_the_global_generator_stay_as_they_were(method, monkeypatch):
    lm = tiny("llama")
    lm.model.get_submodule("model.layers.1").requires_grad_(True).train()
    flags = [(name, p.requires_grad, p.grad) for name, p in lm.model.named_parameters()]
    modes = [module.training for module in lm.model.modules()]
    bits = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    drawn = torch.get_rng_state()
    editor = new(method, 2)
    editor.fit(lm, CASES)
    editor.edit(lm, [NEEDLE])
    monkeypatch.setattr(Bench, "trial", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        new(method, 2).fit(lm, CASES)
    assert [(name, p.requires_grad, p.grad) for name, p in lm.model.named_parameters()] == flags
    assert [module.training for module in lm.model.modules()] == modes
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == bits
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_stops_early_and_keeps_the_best():
    lm, editor = tiny("llama"), new("mend", 20, validate_every=1, patience=3, learning_rate=0.3)
    history = editor.fit(lm, CASES)
    least = min(history, key=lambda one: one.loss)
    assert history[-1].step == least.step + 3 < 20
    network = editor._fitted.network
    trials = [
        Bench(lm, network, editor.modules(lm), 1, editor.config.fit).trial(
            case, text, seed_for(0, "held", case.id), training=False
        )
        for case, text in zip(split(CASES, editor.config.fit)[1], texts(lm, editor.config.fit)[-2:], strict=True)
    ]
    assert sum(float(one.loss) for one in trials) / 2 == pytest.approx(least.loss, abs=1e-6)


def test_what_does_not_fit_is_refused(tmp_path):
    editor, lm, _ = fitted("mend")
    path = tmp_path / "fitted.safetensors"
    editor.save(path)
    with pytest.raises(ConfigError, match="no fitted weights") as unfitted:
        new("mend").edit(lm, [NEEDLE])
    assert "obverse edit-fit --method mend" in unfitted.value.hint
    with pytest.raises(ConfigError, match="no fitted weights"):
        new("ke").save(path)
    for other in (tiny("gpt2"), tiny("llama", num_hidden_layers=2)):
        with pytest.raises(EditMismatch, match="fitted on tiny-llama"):
            loaded("mend", path).layers(other)
    with pytest.raises(ConfigError, match="holds a fitted mend, not ke"):
        loaded("ke", path).layers(lm)
    with pytest.raises(ConfigError, match=r"layers=\[1, 2\], but layers=\[1\]"):
        loaded("mend", path, layers=(1,)).layers(lm)
    with pytest.raises(ConfigError, match="There is no file"):
        loaded("mend", tmp_path / "none").layers(lm)
    (tmp_path / "text").write_text("text")
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    for wrong in ("text", "plain"):
        with pytest.raises(DataError, match="no fitted editor"):
            loaded("mend", tmp_path / wrong).layers(lm)
        with pytest.raises(DataError, match="no checkpoint"):
            new("mend").fit(lm, CASES, tmp_path / wrong)


def test_too_little_to_learn_from(tmp_path):
    lm = tiny("llama")
    with pytest.raises(DataError, match="at least two"):
        new("mend").fit(lm, CASES[:1])
    (tmp_path / "text.txt").write_text("One paragraph.")
    with pytest.raises(ConfigError, match="has 1 texts"):
        new("mend", corpus=str(tmp_path / "text.txt")).fit(lm, CASES)


def test_a_fit_or_an_edit_that_is_not_finite_fails():
    lm = tiny("llama")
    with pytest.raises(EditFailed, match="gradient of the fit became"):
        new("mend", 1, edit_rate=1e30).fit(lm, CASES)
    editor = new("mend")
    editor.fit(lm, CASES)
    editor._fitted.network.rates.data.fill_(0)
    with pytest.raises(EditFailed, match="is nothing"):
        editor.edit(lm, [NEEDLE])
    editor._fitted.network.rates.data.fill_(float("nan"))
    with pytest.raises(EditFailed, match="is not finite"):
        editor.edit(lm, [NEEDLE])


def test_the_divergence_is_zero_without_a_change_and_positive_with_one():
    editor, lm, _ = fitted("mend")
    text = tuple(range(5, 15))
    batch = ask(lm, 0, [], [text])
    assert float(divergence(batch.base[0], answers(lm, batch, [0])[0])) == pytest.approx(0, abs=1e-6)
    with editor.edit(lm, [NEEDLE]).applied(lm):
        assert float(divergence(batch.base[0], answers(lm, batch, [0])[0])) > 1e-4


def test_paraphrases_are_asked_too():
    lm, editor = tiny("llama"), new("mend")
    plain = [Case.of(case.fact, id=case.id) for case in CASES]
    assert editor.fit(lm, CASES)[0] != new("mend").fit(lm, plain)[0]
