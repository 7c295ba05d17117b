"""ROME's laws: W'k* = v*; the model is untouched; fast = slow; many = one at a time; every family."""

import pytest
import torch
from torch.nn.functional import pad

from families import DENSE, EXPERTS, tiny
from obverse.core import ConfigError, EditFailed, Fact, UnsupportedModel, build
from obverse.editing._rows import look, lookup_token
from obverse.editing.contexts import ContextConfig
from obverse.editing.edit import stack
from obverse.editing.moments import SecondMoment
from obverse.editing.rome import Rome, RomeConfig, closed_form
from obverse.editing.values import optimize
from obverse.measuring import likelihoods
from obverse.model import tensor_hash
from obverse.model.tokens import encode

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
OTHER = Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer")
TEXTS = ("In other news. {}", "He closed the book slowly. {}")


def config(**changes):
    # What an MLP of a tiny random model writes is small: the published step and decay are not made for it.
    gentle = {"learning_rate": 0.1, "weight_decay": 0.0, "clamp": 4.0}
    given = {"contexts": {"texts": TEXTS}, "moment": None, "layers": [1], **gentle, **changes}
    return build(RomeConfig, given)


def moment(size, seed=0):
    a = torch.randn(size, 3 * size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return SecondMoment(a @ a.T / (3 * size), 1, 0.0)


@pytest.mark.parametrize("family", DENSE)
def test_every_family_answers_the_key_with_the_value_and_keeps_its_bits(family):
    lm, settings = tiny(family), config(key="prompt-key", clamp=100, contexts={"texts": ()})
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    looked = look(lm, 1, [FACT], ("{}",))
    (value,) = optimize(lm, 1, looked, settings)
    edit = Rome(settings).edit(lm, [FACT])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert value.steps[-1].nll < value.steps[0].nll
    with edit.applied(lm):
        edited = look(lm, 1, [FACT], ("{}",))
    torch.testing.assert_close(edited.values[0], value.target, rtol=1e-4, atol=1e-4)


def test_edited_model_says_the_target():
    lm = tiny("llama")
    (old,) = likelihoods(lm, [(FACT.text, FACT.target)])
    with Rome(config(key="prompt-key", clamp=100, contexts={"texts": ()})).edit(lm, [FACT]).applied(lm):
        (new,) = likelihoods(lm, [(FACT.text, FACT.target)])
    assert new.total > old.total


@pytest.mark.parametrize("mode", ["consistent", "original", "prompt-key"])
@pytest.mark.parametrize("with_moment", [False, True])
def test_changed_weight_answers_the_key_with_the_value(mode, with_moment):
    lm = tiny("llama")
    looked = look(lm, 1, [FACT], ("{}", *TEXTS))
    (value,) = optimize(lm, 1, looked, config(steps=5))
    keys, values = looked.keys[:-1], looked.values[:-1]
    closed = closed_form(keys, values, value.target, moment(keys.shape[1]) if with_moment else None, mode)
    key = keys.mean(0) if mode == "consistent" else keys[0]
    output = values.mean(0) if mode == "consistent" else values[0]
    torch.testing.assert_close(output + closed.left * (closed.right @ key), value.target, rtol=1e-4, atol=1e-4)


def test_update_is_the_least_change_for_other_keys():
    # Of all W' with W'k* = v*, ROME's has the smallest E|ΔW k|² = tr(ΔW C ΔWᵀ) (eq. 2).
    lm = tiny("llama")
    looked = look(lm, 1, [FACT], ("{}", *TEXTS))
    (value,) = optimize(lm, 1, looked, config(steps=5))
    c = moment(looked.keys.shape[1])
    keys, values = looked.keys[:-1], looked.values[:-1]
    effect = {}
    for name, used in (("moment", c), ("identity", None)):
        closed = closed_form(keys, values, value.target, used, "consistent")
        change = torch.outer(closed.left, closed.right).double()
        effect[name] = float((change @ c.matrix @ change.T).trace())
    assert effect["moment"] < effect["identity"]


def slow_value(lm, layer, fact, templates, config):
    """Equation 4 by full forward passes, one row at a time."""
    model, name = lm.model, lm.architecture.mlp_out(layer)
    module = model.get_submodule(name)
    rows = []
    for template in templates:
        text = template.replace("{}", fact.text)
        whole = encode(lm.tokenizer, f"{text} {fact.target}")
        start = whole.tokens_of(len(text), len(whole.text)).start
        place = whole.tokens_of(template.index("{}") + fact.span[0], template.index("{}") + fact.span[1])[-1]
        rows.append((whole.ids, place, start))
    essence = encode(lm.tokenizer, f"{fact.subject} is a")
    place = essence.tokens_of(0, len(fact.subject))[-1]

    def run(ids, where, delta):
        handle = module.register_forward_hook(
            lambda _m, _i, out: out + pad(delta[None], (0, 0, where, len(ids) - where - 1)).reshape(out.shape)
        )
        try:
            return model(torch.tensor([ids])).logits[0].log_softmax(-1)
        finally:
            handle.remove()

    caught = []
    handle = module.register_forward_hook(lambda _m, _i, out: caught.append(out.reshape(1, -1, out.shape[-1])))
    model(torch.tensor([rows[0][0][:-1]]))
    handle.remove()
    v0 = caught[0][0, rows[0][1]].detach()
    delta = torch.zeros_like(v0, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=config.learning_rate)
    initial = run(essence.ids, place, torch.zeros_like(v0))[place].detach()
    for step in range(config.steps):
        adam.zero_grad()
        nll = 0.0
        for ids, where, start in rows:
            logprobs = run(ids, where, delta)
            nll = nll - sum(logprobs[i - 1, ids[i]] for i in range(start, len(ids))) / (len(ids) - start) / len(rows)
        now = run(essence.ids, place, delta)[place]
        loss = nll + config.kl_factor * (now.exp() * (now - initial)).sum()
        loss = loss + config.weight_decay * delta.norm() / v0.norm() ** 2
        if loss < config.stop_loss or step == config.steps - 1:
            break
        loss.backward()
        adam.step()
        with torch.no_grad():
            if delta.norm() > config.clamp * v0.norm():
                delta.mul_(config.clamp * v0.norm() / delta.norm())
    return v0 + delta.detach()


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "bloom", "gptj", "opt", "olmo2", "mistral"])
@pytest.mark.parametrize("fact", [FACT, OTHER])
def test_fast_value_equals_the_formula(family, fact):
    lm, settings = tiny(family), config(steps=8, learning_rate=0.5, weight_decay=0.5)
    templates = ("{}", *TEXTS)
    (value,) = optimize(lm, 1, look(lm, 1, [fact], templates), settings)
    expected = slow_value(lm, 1, fact, templates, settings)
    assert float((value.target - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_side_by_side_equals_one_at_a_time(family):
    lm = tiny(family)
    editor = Rome(config(stop_loss=2.0))  # so that facts stop at different steps
    together = editor.edit_each(lm, [FACT, OTHER])
    for fact, edit in zip([FACT, OTHER], together, strict=True):
        alone = editor.edit(lm, [fact])
        for name, delta in alone.deltas.items():
            expected = delta.dense()
            assert float((edit.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-3
            assert edit.details[0]["evaluations"] == alone.details[0]["evaluations"]


def test_later_facts_are_computed_upon_earlier_ones():
    lm = tiny("llama")
    editor = Rome(config())
    both = editor.edit(lm, [FACT, OTHER])
    first = editor.edit(lm, [FACT])
    with first.applied(lm):
        second = editor.edit(lm, [OTHER])
    name = lm.architecture.mlp_out(1)
    expected = stack([first, second]).deltas[name].dense()
    torch.testing.assert_close(both.deltas[name].dense(), expected, rtol=1e-3, atol=1e-4)
    assert both.facts == (FACT, OTHER)


def test_several_layers_each_get_a_change():
    lm = tiny("llama")
    edit = Rome(config(layers=[0, 2])).edit(lm, [FACT])
    assert set(edit.deltas) == {lm.architecture.mlp_out(0), lm.architecture.mlp_out(2)}
    assert edit.facts == (FACT,)


def test_zero_strength_moves_nothing_and_is_an_error():
    lm = tiny("llama")
    with pytest.raises(EditFailed, match="moved nothing"):
        Rome(config(steps=1, key="prompt-key")).edit(lm, [FACT])


def test_nan_refuses_the_edit_and_leaves_the_model():
    lm = tiny("llama")
    lm.model.get_submodule("model.layers.2.mlp.down_proj").weight[0, 0] = float("nan")
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    with pytest.raises(EditFailed, match="nan"):
        Rome(config()).edit(lm, [FACT])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert not any(module._forward_hooks for module in lm.model.modules())


def test_layer_out_of_range():
    with pytest.raises(UnsupportedModel, match="layers 0 to 2"):
        Rome(config(layers=[7])).edit(tiny("llama"), [FACT])


@pytest.mark.parametrize("family", EXPERTS)
def test_mixture_of_experts_says_why(family):
    with pytest.raises(UnsupportedModel, match="experts"):
        Rome(config()).edit(tiny(family), [FACT])


def test_context_without_a_place_is_refused():
    with pytest.raises(ConfigError, match="exactly one"):
        Rome(config(contexts=ContextConfig(texts=("no place",)).model_dump()))


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [("subject-first", "Space"), ("subject-last", "dle"), ("subject-first-after-last", " is"), ("last", " of")],
)
def test_lookup_tokens(lookup, expected):
    lm = tiny("llama")
    encoded = encode(lm.tokenizer, FACT.text + " Paris")
    place = lookup_token(encoded, FACT.span, len(FACT.text), lookup)
    start, end = encoded.offsets[place]
    covered = encoded.text[start:end]
    assert covered.strip() in expected or expected.strip() in covered or expected.strip().startswith(covered.strip())


@pytest.mark.parametrize(
    "fact",
    [
        Fact("東京タワー", "{}は日本の", "京都", "東京"),
        Fact("Zoë Müller", "{} was born in", "São Paulo"),
        Fact("🗼", "The {} stands in", "Rome"),
        Fact("คนไทย", "{}อยู่ที่", "ปารีส"),
        Fact("pace Need", "The S{}le is in the city of", "Paris"),  # starts inside a token
    ],
)
@pytest.mark.parametrize("tokens", ["bpe", "bpe_bos", "metaspace"])
def test_scripts_accents_and_subjects_inside_a_token(fact, tokens):
    lm = tiny("llama", tokens)
    settings = config(steps=8, key="prompt-key", clamp=100, contexts={"texts": ()})
    (value,) = optimize(lm, 1, look(lm, 1, [fact], ("{}",)), settings)
    assert value.steps[-1].nll < value.steps[0].nll
    with Rome(settings).edit(lm, [fact]).applied(lm):
        edited = look(lm, 1, [fact], ("{}",))
    torch.testing.assert_close(edited.values[0], value.target, rtol=1e-4, atol=1e-4)
