"""LoRA as an editor: equal to PEFT's training, of the rank asked for, seeded, and a PEFT adapter on disk."""

import pytest
import torch

from families import tiny
from obverse.core import ConfigError, Fact, build
from obverse.editing import LowRank
from obverse.editing.lora import Lora, LoraConfig
from obverse.measuring import likelihoods
from obverse.model.tokens import join

FACT = Fact("Space Needle", "The {} is in the city of", "Paris and its suburbs", "Seattle")


def logits(model, lm):
    ids = torch.tensor([lm.tokenizer("The Space Needle is in")["input_ids"]])
    with torch.no_grad():
        return model(ids).logits


def peft_training(lm, config, start):
    """Train PEFT's own adapter from the same start with its own forward pass; return the adapted model and losses."""
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    names = list(start)
    model = get_peft_model(
        lm.model, PeftConfig(r=config.rank, lora_alpha=config.alpha, target_modules=names, lora_dropout=0.0)
    )
    for name, right in start.items():
        model.get_submodule(f"base_model.model.{name}").lora_A.default.weight.data.copy_(right.T)
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=config.learning_rate)
    row = join(lm.tokenizer, FACT.text, FACT.target)
    ids = torch.tensor([row.encoded.ids])
    losses = []
    for _ in range(config.steps):
        logprobs = model(ids).logits[0].log_softmax(-1)
        loss = -torch.stack([logprobs[place - 1, ids[0, place]] for place in row.target]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return model.eval(), losses


@pytest.mark.parametrize(("family", "modules"), [("gpt2", "attention"), ("llama", "attention"), ("llama", "mlp")])
def test_training_equals_pefts(family, modules, tiny_lm):
    lm = tiny_lm(family)
    config = LoraConfig(steps=5, rank=3, alpha=6.0, modules=modules, learning_rate=1e-3, layers=(0, 2))
    lora = Lora(config)
    edit = lora.edit(lm, [FACT])
    with edit.applied(lm):
        expected = logits(lm.model, lm)
    start = {name: delta.right.detach() for name, delta in lora.start(lm).deltas().items()}
    model, losses = peft_training(tiny(family), config, start)
    assert edit.details[0]["loss"] == pytest.approx(losses[-1], rel=1e-4)
    torch.testing.assert_close(logits(model, lm), expected, rtol=1e-3, atol=float(1e-4 * expected.abs().max()))


def test_saved_adapter_is_pefts(tmp_path):
    from peft import PeftModel

    lm = tiny("gpt2")
    edit = Lora(LoraConfig(steps=3)).edit(lm, [FACT])
    with edit.applied(lm):
        expected = logits(lm.model, lm)
    edit.save(tmp_path / "edit")
    peft = PeftModel.from_pretrained(lm.model, str(tmp_path / "edit"))
    torch.testing.assert_close(logits(peft, lm), expected, rtol=1e-4, atol=float(1e-5 * expected.abs().max()))


def test_change_has_the_rank_asked_for_and_starts_at_nothing(tiny_lm):
    lm = tiny_lm("llama")
    (before,) = likelihoods(lm, [(FACT.text, FACT.target)])
    edit = Lora(LoraConfig(rank=2, steps=1, modules="mlp")).edit(lm, [FACT])
    assert edit.details[0]["loss"] == pytest.approx(-before.mean, rel=1e-5)
    assert list(edit.deltas) == [lm.architecture.mlp_out(layer) for layer in range(lm.architecture.n_layers)]
    for delta in edit.deltas.values():
        assert isinstance(delta, LowRank)
        assert delta.left.shape[1] == delta.right.shape[1] == 2
        assert not delta.left.requires_grad
        assert delta.norm() > 0


def test_seed_alone_decides_the_start(tiny_lm):
    lm = tiny_lm("llama")
    first, same, other = (Lora(LoraConfig(steps=2, seed=seed)).edit(lm, [FACT]) for seed in (0, 0, 1))
    for name, delta in first.deltas.items():
        assert torch.equal(delta.dense(), same.deltas[name].dense())
        assert not torch.equal(delta.dense(), other.deltas[name].dense())


def test_rank_below_one_is_refused():
    with pytest.raises(ConfigError, match="rank"):
        build(LoraConfig, {"rank": 0})
