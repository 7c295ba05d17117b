"""UltraEdit's laws: gradients, statistics and the change equal their formulas; every family; batches agree."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from families import DENSE, EXPERTS, tiny
from obverse.core import EditFailed, Fact, UnsupportedModel, build
from obverse.editing import stack, ultraedit
from obverse.editing._statistics import Statistics
from obverse.editing.edit import Dense, LowRank
from obverse.editing.ultraedit import UltraEdit, UltraEditConfig, features, least_squares
from obverse.measuring import likelihoods
from obverse.model import tensor_hash
from obverse.model.tokens import join

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
OTHER = Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer")


def config(**changed):
    return build(UltraEditConfig, {"layers": [1, 2], "learning_rate": 1e-4}, changed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    n=st.integers(1, 12), inner=st.integers(1, 9), hidden=st.integers(1, 9), ridge=st.floats(1e-2, 10),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_change_is_the_published_formula(n, inner, hidden, ridge, seed):
    h, v = normal(n, inner, seed=seed), normal(n, hidden, seed=seed + 1)
    gram = h.T.double() @ h.double() + ridge * torch.eye(inner, dtype=torch.float64)
    expected = torch.linalg.solve(gram, h.T.double() @ v.double()).T.float()  # (Hᵀ H + λ I)⁻¹ Hᵀ V, as (out, in)
    delta = least_squares(h, v, ridge)
    torch.testing.assert_close(delta.dense(), expected, atol=1e-4, rtol=1e-3)
    assert isinstance(delta, LowRank if n * (inner + hidden) < inner * hidden else Dense)


def test_with_a_small_ridge_keys_are_answered_by_their_values():
    h, v = normal(4, 48), normal(4, 32, seed=1)
    torch.testing.assert_close(h @ least_squares(h, v, 1e-6).dense().T, v, atol=1e-4, rtol=1e-4)


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_running_statistics_are_those_of_all_rows(sizes, seed):
    rows = 3 + 2 * normal(sum(sizes), 5, seed=seed)
    found = Statistics.empty(rows)
    for part in rows.split(sizes):
        found = found.add(part)
    assert found.count == len(rows)
    torch.testing.assert_close(found.mean, rows.double().mean(0))
    if len(rows) > 1:
        expected = (rows - rows.mean(0)) / rows.std(0)
        torch.testing.assert_close(found.normalized(rows), expected.double(), atol=1e-3, rtol=1e-3)


def one_by_one(lm, module, fact, every_token):
    """Return keys and gradients of one statement, by a plain forward and backward pass."""
    joined = join(lm.tokenizer, fact.text, fact.target)
    ids, target = joined.encoded.ids, joined.target
    push = torch.zeros(len(ids) - 1, lm.architecture.hidden, requires_grad=True)
    given = []
    hook = module.register_forward_hook(lambda _m, a, out: given.append(a[0]) or out + push.reshape(out.shape))
    try:
        logprobs = lm.model(torch.tensor([ids[:-1]]), use_cache=False).logits[0].log_softmax(-1)
    finally:
        hook.remove()
    loss = -sum(logprobs[i - 1, ids[i]] for i in target) / len(target)
    first = 0 if every_token else target.start - 1
    return given[0].reshape(len(ids) - 1, -1)[first:], torch.autograd.grad(loss, push)[0][first:]


@pytest.mark.parametrize(
    ("family", "every_token"), [*((name, True) for name in DENSE), ("gpt2", False), ("gemma3", False), ("opt", False)]
)
def test_features_equal_a_pass_of_one_statement(family, every_token, tiny_lm):
    lm = tiny_lm(family)
    name = lm.architecture.mlp_out(1)
    module = lm.model.get_submodule(name)
    found = features(lm, [name], [FACT, OTHER], every_token=every_token)[name]
    expected = [one_by_one(lm, module, fact, every_token) for fact in (FACT, OTHER)]
    keys, slopes = zip(*expected, strict=True)
    torch.testing.assert_close(found.keys, torch.cat(keys), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.gradients, torch.cat(slopes), atol=1e-4, rtol=1e-3)


def test_tokens_without_text_are_left_out(tiny_lm):
    bare, with_start = (tiny_lm("llama", tokens) for tokens in ("bpe", "bpe_bos"))
    (one,), (other,) = (features(lm, [lm.architecture.mlp_out(1)], [FACT]).values() for lm in (bare, with_start))
    assert len(one.keys) == len(other.keys) == len(join(bare.tokenizer, FACT.text, FACT.target).encoded.ids) - 1


@pytest.mark.parametrize("family", DENSE)
def test_every_family_says_the_target_more_and_keeps_its_bits(family, tiny_lm):
    lm = tiny_lm(family)
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in lm.model.parameters()]
    edit = UltraEdit(config()).edit(lm, [FACT, OTHER])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert [parameter.requires_grad for parameter in lm.model.parameters()] == flags
    asked = [(fact.text, fact.target) for fact in (FACT, OTHER)]
    old = sum(one.mean for one in likelihoods(lm, asked))
    with edit.applied(lm):
        assert sum(one.mean for one in likelihoods(lm, asked)) > old


def test_the_result_does_not_depend_on_the_batch(monkeypatch):
    lm, editor = tiny("llama"), UltraEdit(config())
    together = editor.edit(lm, [FACT, OTHER])
    monkeypatch.setattr(ultraedit, "TOKENS_PER_BATCH", 1)
    for name, delta in editor.edit(lm, [FACT, OTHER]).deltas.items():
        torch.testing.assert_close(together.deltas[name].dense(), delta.dense(), atol=1e-6, rtol=1e-3)


def test_turns_go_on_from_one_another():
    lm = tiny("llama")
    editor, name = UltraEdit(config(turn=1)), lm.architecture.mlp_out(2)
    both, first = editor.edit(lm, [FACT, OTHER]), editor.edit(lm, [FACT])
    with first.applied(lm):
        alone = editor.edit(lm, [OTHER])
        seen = [features(lm, [name], [OTHER])[name]]
    seen.insert(0, features(lm, [name], [FACT])[name])
    keys, slopes = Statistics.empty(seen[0].keys), Statistics.empty(seen[0].gradients)
    for one in seen:
        keys, slopes = keys.add(one.keys), slopes.add(one.gradients)
    last = seen[1]
    push = keys.normalized(last.keys).square().sum(-1, keepdim=True) * slopes.normalized(last.gradients)
    expected = first.deltas[name].dense() + least_squares(last.keys, -1e-4 * push, 1.0).dense()
    torch.testing.assert_close(both.deltas[name].dense(), expected, atol=1e-5, rtol=1e-3)
    assert not torch.allclose(both.deltas[name].dense(), stack([first, alone]).deltas[name].dense(), rtol=1e-3)
    assert both.facts == (FACT, OTHER)


def test_warm_up_changes_the_statistics_and_writes_nothing_of_its_own():
    lm = tiny("llama")
    plain, warmed = (UltraEdit(config(warm_up=n)).edit(lm, [FACT]) for n in (0, 6))
    assert plain.deltas.keys() == warmed.deltas.keys()
    for name, delta in plain.deltas.items():
        assert not torch.allclose(delta.dense(), warmed.deltas[name].dense())
        rows = torch.cat([delta.dense(), warmed.deltas[name].dense()])
        keys = features(lm, [name], [FACT])[name].keys  # both changes answer to this fact's keys alone
        other = rows - rows @ torch.linalg.pinv(keys) @ keys
        assert other.norm() < 1e-3 * rows.norm()


def test_default_layers_and_refusals():
    deep = tiny("llama", num_hidden_layers=28)
    assert UltraEdit(UltraEditConfig()).layers(deep) == tuple(range(17, 26))
    with pytest.raises(UnsupportedModel, match="experts"):
        UltraEdit(config()).edit(tiny(next(iter(EXPERTS))), [FACT])
    with pytest.raises(UnsupportedModel, match="layers 0 to 2"):
        UltraEdit(config(layers=[3])).edit(tiny("llama"), [FACT])
    with pytest.raises(EditFailed, match="moved nothing"):
        UltraEdit(config(learning_rate=0.0)).edit(tiny("llama"), [FACT])
