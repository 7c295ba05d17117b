"""Fine-tuning editors: equal to plain training, bounded, and nothing but what is said changes."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import DENSE, tiny
from obverse.core import EditFailed, Fact, UnsupportedModel, build
from obverse.editing import editors
from obverse.editing._finetune import attention_inputs, whole
from obverse.editing._fit import FitConfig, fit
from obverse.editing.ft import Ft, FtConfig
from obverse.editing.ft_attn import FtAttn, FtAttnConfig
from obverse.editing.ft_l import SHARE, FtL, FtLConfig
from obverse.editing.ft_m import FtM, FtMConfig
from obverse.measuring import likelihoods
from obverse.model import tensor_hash
from obverse.model.tokens import join

LONG = Fact("Space Needle", "The {} is in the city of", "Paris and its suburbs", "Seattle")
SHORT = Fact("Big Ben", "{} stands near", "Rome")
METHODS = ("ft", "ft-l", "ft-attn", "ft-m", "lora")


def editor(name, **values):
    kind = editors.load(name)
    return kind(build(kind.config_type, values))


def state(lm):
    """Return everything about a model that an editor must leave as it was."""
    bits = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    flags = {name: (value.requires_grad, value.grad) for name, value in lm.model.named_parameters()}
    hooks = [m for m in lm.model.modules() if m._forward_hooks or m._forward_pre_hooks]
    return bits, flags, [m.training for m in lm.model.modules()], hooks


def plain_training(lm, modules, facts, config):
    """Train the parameters themselves, one fact at a time: the formula with nothing clever about it."""
    model = copy.deepcopy(lm.model)
    parameters = {n: p.requires_grad_() for n, p in model.named_parameters() if n.rpartition(".")[0] in modules}
    before = {name: value.detach().clone() for name, value in parameters.items()}
    adam = torch.optim.Adam(parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    losses = []
    for _ in range(config.steps):
        seen = []
        for start in range(0, len(facts), config.batch_size):
            batch = [_loss(model, lm, fact, config.loss) for fact in facts[start : start + config.batch_size]]
            seen += [float(loss.detach()) for loss in batch]
            adam.zero_grad()
            torch.stack(batch).mean().backward()
            adam.step()
        losses.append(sum(seen) / len(seen))
    return losses, {name: (value - before[name]).detach() for name, value in parameters.items()}


def _loss(model, lm, fact, kind):
    row = join(lm.tokenizer, fact.text, fact.target)
    ids = torch.tensor([row.encoded.ids])
    if kind == "bag":
        last = model(ids[:, : row.target.start]).logits[0, -1].log_softmax(-1)
        return -torch.stack([last[ids[0, place]] for place in row.target]).mean()
    logprobs = model(ids).logits[0].log_softmax(-1)
    return -torch.stack([logprobs[place - 1, ids[0, place]] for place in row.target]).mean()


@pytest.mark.parametrize(
    ("family", "loss"),
    [("gpt2", "bag"), ("gpt2", "sequence"), ("llama", "sequence"), ("gemma3", "bag"), ("opt", "bag")],
)
def test_training_a_change_equals_training_the_weights(family, loss, tiny_lm):
    lm = tiny_lm(family)
    modules = [lm.architecture.mlp_out(1), *attention_inputs(lm, 2)]
    config = FitConfig(steps=4, learning_rate=1e-3, weight_decay=0.1, batch_size=2, loss=loss)
    facts = [
        LONG,
        SHORT,
        Fact("Nile", "The {} flows through", "Egypt"),
    ]  # two batches; rows and targets of unequal length
    expected, changes = plain_training(lm, modules, facts, config)
    trained = whole(lm, modules)
    found = fit(lm, facts, trained, config)
    assert found.losses == pytest.approx(expected, rel=1e-4)
    assert len(found.last) == len(facts)
    for name, delta in trained.deltas().items():
        transposed = type(lm.model.get_submodule(name)).__name__ == "Conv1D"
        ours = delta.delta.detach().T if transposed else delta.delta.detach()
        assert float((ours - changes[f"{name}.weight"]).abs().mean()) < 1e-5
        assert (delta.bias is not None) == (f"{name}.bias" in changes)


@settings(max_examples=10)
@given(
    bound=st.floats(1e-6, 1e-2), rate=st.floats(1e-5, 1.0), decay=st.sampled_from([0.0, 0.5]),
    family=st.sampled_from(["gpt2", "llama"]), method=st.sampled_from(["ft-l", "ft-attn"]),
)  # fmt: skip
def test_no_entry_ever_exceeds_the_bound(tiny_lm, bound, rate, decay, family, method):
    lm = tiny_lm(family)
    wanted = {"bound": bound, "learning_rate": rate, "weight_decay": decay, "steps": 4, "layers": [1]}
    edit = editor(method, **wanted).edit(lm, [LONG])
    limit = float(torch.tensor(bound))  # in float32
    parts = [part for delta in edit.deltas.values() for part in (delta.delta, delta.bias) if part is not None]
    assert max(float(part.abs().max()) for part in parts) <= limit


def test_bound_by_default_is_a_share_of_the_weights_size(tiny_lm):
    lm = tiny_lm("llama")
    bound = FtL(FtLConfig()).bound(lm)
    assert bound == pytest.approx(SHARE * float(lm.weight_of(lm.architecture.mlp_out(0)).square().mean().sqrt()))
    edit = FtL(FtLConfig(learning_rate=1.0)).edit(lm, [LONG])
    (delta,) = edit.deltas.values()
    assert float(delta.delta.abs().max()) == pytest.approx(bound)


@pytest.mark.parametrize(
    ("method", "family"),
    [("ft", "gpt2"), ("ft", "opt"), ("ft-l", "gemma3"), ("ft-attn", "gemma3"), ("ft-m", "llama"), ("lora", "opt")],
)
def test_target_becomes_likelier_and_the_model_is_as_before(method, family, tiny_lm):
    lm = tiny_lm(family)
    before = state(lm)
    (old,) = likelihoods(lm, [(LONG.text, LONG.target)])
    edit = editor(method, steps=8, loss="sequence").edit(lm, [LONG])
    assert state(lm) == before
    with edit.applied(lm):
        (new,) = likelihoods(lm, [(LONG.text, LONG.target)])
    assert new.mean > old.mean + 0.01
    assert edit.details[0]["evaluations"] <= 8
    assert new.mean > -edit.details[0]["loss"]  # the loss is of before the last step
    again = editor(method, steps=8, loss="sequence").edit(lm, [LONG])
    assert all(torch.equal(delta.dense(), again.deltas[name].dense()) for name, delta in edit.deltas.items())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [{"steps": 0}, {"learning_rate": 0.0}, {"stop_loss": 1e9}])
def test_an_edit_of_no_strength_is_refused_and_changes_nothing(method, values, tiny_lm):
    lm = tiny_lm("gpt2")
    before = state(lm)
    with pytest.raises(EditFailed, match="moved nothing"):
        editor(method, **values).edit(lm, [LONG])
    assert state(lm) == before


@pytest.mark.parametrize("method", METHODS)
def test_model_is_as_before_after_an_exception_and_keeps_its_flags(method, monkeypatch):
    lm = tiny("gpt2")
    lm.model.requires_grad_(True)
    before = state(lm)

    def fail(*_):
        raise KeyError

    monkeypatch.setattr(torch.optim.Adam, "step", fail)
    with pytest.raises(KeyError):
        editor(method).edit(lm, [LONG])
    assert state(lm) == before


def test_diverging_training_is_given_up():
    lm = tiny("llama")
    before = state(lm)
    with pytest.raises(EditFailed, match="not finite"):
        editor("ft", learning_rate=1e30).edit(lm, [LONG])
    assert state(lm) == before
    lm.weight_of(lm.architecture.mlp_out(1))[0, 0] = torch.nan
    with pytest.raises(EditFailed, match="The loss became nan"):
        editor("ft").edit(lm, [LONG])


@pytest.mark.parametrize("family", DENSE)
def test_attention_inputs_read_the_residual_stream_and_take_part(family, tiny_lm):
    lm = tiny_lm(family)
    edit = FtAttn(FtAttnConfig(layers=(1,), steps=1)).edit(lm, [LONG])
    attention = f"{lm.architecture.block(1)}.{lm.architecture.layout.attn_out}"
    assert attention not in edit.deltas
    assert len(edit.deltas) in (1, 3)
    for name, delta in edit.deltas.items():
        assert name.startswith(attention.rpartition(".")[0])
        assert delta.delta.shape[1] == lm.architecture.hidden
        assert delta.norm() > 0


def test_modules_and_layers_are_those_asked_for():
    lm = tiny("gpt2", n_layer=11)
    assert Ft(FtConfig()).layers(lm) == (0,)
    assert FtL(FtLConfig()).layers(lm) == (0,)
    assert FtM(FtMConfig()).layers(lm) == (7,)
    assert FtAttn(FtAttnConfig()).modules(lm) == ("transformer.h.7.attn.c_attn",)
    assert editor("lora").layers(lm) == tuple(range(11))
    edit = Ft(FtConfig(layers=(4, 1), steps=1)).edit(lm, [LONG, SHORT])
    assert list(edit.deltas) == ["transformer.h.1.mlp.c_proj", "transformer.h.4.mlp.c_proj"]
    assert all(delta.bias is not None and delta.bias.any() for delta in edit.deltas.values())
    assert [detail["subject"] for detail in edit.details] == ["Space Needle", "Big Ben"]
    with pytest.raises(UnsupportedModel, match="out of range"):
        Ft(FtConfig(layers=(11,))).layers(lm)


@pytest.mark.parametrize("method", METHODS)
def test_mixtures_of_experts_are_refused(method, tiny_lm):
    with pytest.raises(UnsupportedModel, match="experts"):
        editor(method).edit(tiny_lm("mixtral"), [LONG])


def test_a_batch_that_is_done_takes_no_step_but_the_others_do(tiny_lm):
    lm = tiny_lm("llama")
    losses = fit(lm, [LONG, SHORT], whole(lm, [lm.architecture.mlp_out(1)]), FitConfig(steps=1)).last
    config = FitConfig(steps=1, batch_size=1, stop_loss=(losses[0] + losses[1]) / 2)
    trained, alone = (whole(lm, [lm.architecture.mlp_out(1)]) for _ in range(2))
    fit(lm, [LONG, SHORT], trained, config)
    fit(lm, [max((LONG, losses[0]), (SHORT, losses[1]), key=lambda pair: pair[1])[0]], alone, config)
    assert torch.equal(trained.tensors[0], alone.tensors[0])
    assert alone.tensors[0].any()


def test_training_ends_when_all_is_said(tiny_lm):
    lm = tiny_lm("llama")
    config = FitConfig(learning_rate=1e-2, steps=100, stop_loss=3.0)
    fitted = fit(lm, [SHORT], whole(lm, [lm.architecture.mlp_out(1)]), config)
    assert fitted.losses[-1] < 3.0 <= fitted.losses[-2]


def test_steps_below_the_models_resolution_add_up():
    lm = tiny("llama")
    lm.model.to(torch.bfloat16)
    edit = Ft(FtConfig(learning_rate=1e-5, layers=(1,), steps=20)).edit(lm, [LONG])
    (delta,) = edit.deltas.values()
    assert delta.delta.dtype == torch.float32
    assert 1e-4 < float(delta.delta.abs().max()) < 3e-4
