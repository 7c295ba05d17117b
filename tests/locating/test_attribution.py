"""Attribution: integrated gradients equal the plain formula, add up, and leave the model as it was."""

from contextlib import ExitStack

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import DENSE, EXPERTS, LAYERS, UNLISTED_EXPERTS, tiny
from obverse.core import ConfigError, DataError, Fact, ObverseError, UnsupportedModel, build
from obverse.locating.attribution import AttributionConfig, attribute
from obverse.model.hooks import replace_input
from obverse.model.language_model import LanguageModel
from obverse.model.tokens import join

FACT = Fact("Space Needle", "The {} is located in the city of", "Seattle now")
POST_NORM = ("gemma2", "gemma3", "olmo2", "glm4", "exaone4")
GATED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "olmo2", "smollm3")
UNGATED = [*(family for family in DENSE if family not in GATED), "xglm", "mpt", "starcoder2", "nemotron"]


class Slow:
    """The formula by full forward passes, one a point, with hooks of its own."""

    def __init__(self, lm, fact, position):
        joined = join(lm.tokenizer, fact.text, fact.target)
        self.lm, self.position = lm, position
        self.ids = torch.tensor([joined.encoded.ids[:-1]])
        self.reads = [i - 1 for i in joined.target]
        self.answer = torch.tensor([joined.encoded.ids[i] for i in joined.target])
        self.held = {}

    def probability(self):
        logprobs = self.lm.model(input_ids=self.ids, use_cache=False).logits[0, self.reads].log_softmax(-1)
        return logprobs.gather(-1, self.answer[:, None]).sum().exp()

    def _hold_norm(self, layer):
        """After a first, plain run the norm behind the MLP divides by what it divided by there."""
        layout = self.lm.architecture.layout
        if layout.mlp_write == layout.mlp_out:
            return lambda: None
        norm = self.lm.model.get_submodule(f"{self.lm.architecture.block(layer)}.{layout.mlp_write}")
        gain = norm.weight + 1 if "Gemma" in type(norm).__name__ else norm.weight
        eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon

        def hook(_, args, output):
            (given,) = args
            rms = (given[:, self.position].square().mean(-1, keepdim=True) + eps).rsqrt()
            held = self.held.setdefault(layer, rms.detach())
            return torch.cat(
                [
                    output[:, : self.position],
                    (given[:, self.position] * held * gain)[:, None],
                    output[:, self.position + 1 :],
                ],
                1,
            )

        return norm.register_forward_hook(hook).remove

    def run(self, layer, points, first=None):
        """Return scores of one layer, and the probability at each point."""
        out = self.lm.model.get_submodule(self.lm.architecture.mlp_out(layer))
        module = self.lm.model.get_submodule(first) if first else out
        seen, scaled = [], None

        def change(states):
            shaped = states.reshape(1, self.ids.shape[1], -1)
            if scaled is None:
                seen.append(shaped[0, self.position].clone())
                return states
            parts = [shaped[:, : self.position], scaled[None, None], shaped[:, self.position + 1 :]]
            return torch.cat(parts, 1).reshape(states.shape)

        if first:
            handle = module.register_forward_hook(lambda _, __, output: change(output))
        else:
            handle = module.register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:]))
        remove = self._hold_norm(layer)
        try:
            self.probability()
            (value,) = seen
            slopes, probabilities = [], []
            for point in points:
                scaled = (point * value).requires_grad_()
                probability = self.probability()
                slopes.append(torch.autograd.grad(probability, scaled)[0])
                probabilities.append(probability.item())
        finally:
            handle.remove()
            remove()
        return value * torch.stack(slopes).mean(0), probabilities


def close(found, wanted, tolerance=1e-4):
    torch.testing.assert_close(found, wanted, atol=tolerance * float(wanted.abs().max()), rtol=0)


def check(lm, config, points, first=None):
    found = attribute(lm, FACT, config, label="")
    slow = Slow(lm, FACT, found.position)
    for layer in (0, LAYERS - 1):
        name = first and f"{lm.architecture.block(layer)}.{first}"
        scores, _ = slow.run(layer, points, name)
        close(found.scores[layer], scores)
        (_, (nothing,)) = slow.run(layer, [0.0], name)
        assert float(found.without[layer]) == pytest.approx(nothing, rel=1e-4)
    assert found.probability == pytest.approx(float(slow.probability()), rel=1e-4)
    return found


@pytest.mark.parametrize("family", [*DENSE, "glm4", "exaone4", "mpt", "xglm"])
def test_keys_equal_the_plain_formula(family, tiny_lm):
    check(tiny_lm(family), AttributionConfig(steps=3, position=3), [1 / 6, 1 / 2, 5 / 6])


@pytest.mark.parametrize("family", UNGATED)
def test_preactivations_equal_the_plain_formula(family, tiny_lm):
    lm = tiny_lm(family)
    names = {"gpt2": "mlp.c_fc", "gptj": "mlp.fc_in", "gpt_neo": "mlp.c_fc", "phi": "mlp.fc1", "opt": "fc1"}
    names |= {"opt_projected": "fc1", "xglm": "fc1", "mpt": "ffn.up_proj", "starcoder2": "mlp.c_fc"}
    first = names.get(family, "mlp.up_proj" if family == "nemotron" else "mlp.dense_h_to_4h")
    found = check(lm, AttributionConfig(at="preactivation", rule="reference", steps=3), [0.0, 0.5, 1.0], first)
    assert found.position == len(found.tokens) - 1


@pytest.mark.parametrize(
    ("family", "at"),
    [*((f, "preactivation") for f in ("gpt2", "opt")), *((f, "key") for f in ("gpt2", "opt", "llama", *POST_NORM))],
)
def test_scores_add_up_to_what_the_layer_adds(family, at, tiny_lm):
    lm = tiny_lm(family)
    found = attribute(lm, FACT, AttributionConfig(at=at, steps=300), label="")
    added = found.probability - found.without
    torch.testing.assert_close(found.by_layer(), added, atol=1e-3 * found.probability, rtol=1e-3)
    assert float(added.abs().max()) > 0.05 * found.probability  # there is something to add up


def test_midpoints_are_far_more_exact_than_the_reference(tiny_lm):
    lm = tiny_lm("gpt2")
    errors = {
        (rule, steps): float(attribute(lm, FACT, AttributionConfig(rule=rule, steps=steps)).unexplained().abs().max())
        for rule, steps in (("midpoint", 10), ("midpoint", 40), ("reference", 40))
    }
    assert errors["midpoint", 40] < errors["midpoint", 10] / 8
    assert errors["midpoint", 10] < errors["reference", 40]


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "opt"])
def test_memory_changes_nothing(family, tiny_lm):
    lm = tiny_lm(family)
    whole, single = (attribute(lm, FACT, AttributionConfig(steps=5, memory=m), label="") for m in (3.0, 1e-9))
    close(single.scores, whole.scores, 1e-5)
    close(single.without, whole.without, 1e-5)


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 3), n=st.integers(1, 3))
def test_same_position_is_the_mean_over_the_answers_tokens(seed, steps, n, tiny_lm):
    lm = tiny_lm("gpt2")
    ids = torch.randint(0, lm.vocab, (n,), generator=torch.Generator().manual_seed(seed)).tolist()
    config = AttributionConfig(steps=steps, reading="same-position")
    each = [attribute(lm, FACT, config, answer_ids=[i], label="") for i in ids]
    found = attribute(lm, FACT, config, answer_ids=ids, label="")
    close(found.scores, torch.stack([one.scores for one in each]).mean(0), 1e-5)
    alone = attribute(lm, FACT, AttributionConfig(steps=steps), answer_ids=ids[:1], label="")
    close(alone.scores, each[0].scores, 1e-5)  # of one token both readings are the same


def test_the_model_is_left_as_it_was():
    lm = tiny("gemma3")
    trained = lm.model.get_input_embeddings().weight.requires_grad_(True)
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in lm.model.parameters()]
    attribute(lm, FACT, AttributionConfig(steps=2))
    with pytest.raises(UnsupportedModel):
        attribute(lm, FACT, AttributionConfig(at="preactivation"))
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())
    assert [parameter.requires_grad for parameter in lm.model.parameters()] == flags
    assert trained.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())


def test_half_precision_is_near(tiny_lm):
    full = attribute(tiny_lm("llama"), FACT, label="")
    lm = tiny("llama")
    lm.model.bfloat16()
    half = attribute(lm, FACT, label="")
    assert half.scores.dtype == torch.float32
    close(half.scores, full.scores, 0.1)
    assert half.scores[full.top(1)[0].layer, full.top(1)[0].index] > 0.8 * half.highest


@pytest.mark.parametrize("tokens", ["bpe", "bpe_bos", "metaspace", "unigram"])
def test_the_tokens_and_the_position(tokens, tiny_lm):
    lm = tiny_lm("llama", tokens)
    last = attribute(lm, FACT, AttributionConfig(steps=1), label="")
    assert last.position == len(last.tokens) - 1 == len(last.token_ids) - 1
    assert "of".endswith(last.tokens[-1].strip())
    assert lm.decode(last.answer_ids) == last.answer
    assert last.answer.strip() == FACT.target
    subject = attribute(lm, FACT, AttributionConfig(steps=1, position="subject-last"), label="")
    assert "Needle".endswith(subject.tokens[subject.position].strip())
    counted = attribute(lm, FACT, AttributionConfig(steps=1, position=subject.position - len(last.tokens)), label="")
    assert counted.position == subject.position
    assert torch.equal(counted.scores, subject.scores)


@pytest.mark.parametrize("family", [*EXPERTS, *UNLISTED_EXPERTS])
def test_mixtures_of_experts_are_refused(family, tiny_lm):
    with pytest.raises(UnsupportedModel, match="experts"):
        attribute(tiny_lm(family), FACT)


@pytest.mark.parametrize("family", [*GATED, "glm4"])
def test_gated_mlps_have_no_preactivation(family, tiny_lm):
    with pytest.raises(UnsupportedModel, match="no single first matrix") as error:
        attribute(tiny_lm(family), FACT, AttributionConfig(at="preactivation"))
    assert "--at key" in error.value.hint


@pytest.mark.parametrize("position", [99, -99])
def test_a_position_outside_the_prompt(position, tiny_lm):
    with pytest.raises(ConfigError, match=f"Position {position} is not in the prompt"):
        attribute(tiny_lm("gpt2"), FACT, AttributionConfig(position=position))


def test_what_else_is_wrong(tiny_lm):
    lm = tiny_lm("gpt2")
    for ids in ([], [lm.vocab], [-1]):
        with pytest.raises(ConfigError, match="not of this model"):
            attribute(lm, FACT, answer_ids=ids)
    with pytest.raises(DataError, match="at most 128"):
        attribute(lm, Fact("Paris", "Paris " * 200 + "{} is", "big"))
    broken = tiny("gpt2")
    assert broken.architecture.n_layers == LAYERS  # read before it breaks
    broken.model.get_submodule("transformer.h.1.mlp.c_proj").weight.fill_(float("nan"))
    with pytest.raises(ObverseError, match="not numbers"):
        attribute(broken, FACT)


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", 0), ("memory", 0), ("at", "output"), ("rule", "simpson"), ("position", "first"), ("reading", "greedy")],
)
def test_settings_out_of_range(key, value):
    with pytest.raises(ConfigError, match=key):
        build(AttributionConfig, {key: value})


def test_a_position_given_as_text_is_a_number():
    assert build(AttributionConfig, {"position": "3"}).position == 3


@pytest.mark.real_model
def test_the_strongest_neurons_carry_the_answer():
    lm = LanguageModel.load()
    found = attribute(lm, Fact("Space Needle", "The {} is located in the city of", "Seattle"))
    assert float(found.unexplained().abs().max()) < 2e-3
    assert float(found.by_layer().max()) > 0.2

    def left(neurons):
        with ExitStack() as stack, torch.no_grad():
            for layer, index in neurons:
                module = lm.model.get_submodule(lm.architecture.mlp_out(layer))
                off = torch.arange(module.in_features) == index
                stack.enter_context(replace_input(module, lambda keys, off=off: keys.masked_fill(off, 0)))
            logits = lm.model(input_ids=torch.tensor([found.token_ids]), use_cache=False).logits[0, -1]
        return float(logits.softmax(-1)[found.answer_ids[0]])

    top = [(neuron.layer, neuron.index) for neuron in found.top(20)]
    assert left([]) == pytest.approx(found.probability, rel=1e-3)
    assert left(top) < 0.1 * found.probability
    assert left([(layer, (index + 1) % 2048) for layer, index in top]) > 0.7 * found.probability
