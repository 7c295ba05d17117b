"""Which neurons say the answer? Integrated gradients over the neurons of each MLP, at one token.

With v the values of one layer's neurons at the token (the key, or what comes before the nonlinearity) and p(a) the
probability of the answer when they are scaled to a · v, neuron j of the layer gets

    score_j = v_j · ∫ ∂p(a) / ∂(a v_j) da,  a from 0 to 1,  so that  Σ_j score_j = p(1) - p(0)

Source: Dai et al. 2022, *Knowledge Neurons in Pretrained Transformers*, section 3.2, eq. 2; Sundararajan et al. 2017,
*Axiomatic Attribution for Deep Networks*, section 3. As the original program: rule ``reference``, at ``preactivation``,
reading ``same-position``.

Departs from Dai et al., who had models without it: a norm between the MLP and the residual stream (Gemma 2 and 3, OLMo
2) keeps the scale of the plain run. The two ends p(0) and p(1) stay as they are (`_scaling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from obverse.core import Config, ConfigError, DataError, Fact, ObverseError, track
from obverse.locating._scaling import Asked, gradients, run_plain
from obverse.locating.neurons import At, Attribution, Reading, Rule
from obverse.model.tokens import encode, join

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class AttributionConfig(Config):
    """Settings of an attribution."""

    at: At = "key"
    """What is scaled: ``key``, the input of the MLP's output projection (every dense family), or ``preactivation``, the
    output of its first matrix, where there is one such matrix (the original's)."""
    rule: Rule = "midpoint"
    """Where gradients are taken: ``midpoint``, in the middle of each part of the way, or ``reference``, at points that
    include both ends (the original's; an error of order 1/steps, where midpoints have 1/steps²)."""
    steps: int = Field(default=20, ge=1)
    """Number of gradients a layer (the original's: 20)."""
    position: Literal["last", "subject-last"] | int = "last"
    """The token whose neurons are scaled: the last of the prompt (the original's), the last of the subject, or a
    token's number, from 0; a negative number counts from the end of the prompt."""
    reading: Reading = "sequence"
    """What an answer of several tokens means: ``sequence``, the probability of the whole, or ``same-position``, the
    mean of its tokens' probabilities right after the prompt (the original's)."""
    memory: float = Field(default=3.0, gt=0)
    """Memory to use beyond the model, in gigabytes; less runs fewer points at once, with the same result."""


def attribute(
    lm: LanguageModel,
    fact: Fact,
    config: AttributionConfig = AttributionConfig(),  # noqa: B008 (frozen)
    *,
    answer_ids: Sequence[int] | None = None,
    label: str = "attributing",
) -> Attribution:
    """Score every neuron of every MLP by what it adds to the probability of an answer.

    Args:
        lm: The model; untouched.
        fact: The statement; its target is the answer.
        config: Settings.
        answer_ids: The answer as tokens, in place of the fact's target.
        label: Name of the progress bar, which counts layers; empty for none.

    Raises:
        ConfigError: If the position lies outside the prompt, or the answer's tokens outside the vocabulary.
        DataError: If prompt and answer are longer than the model's context.
        SubjectNotFound: If the subject's last token is asked for and no token covers it.
        UnsupportedModel: If the MLPs are mixtures of experts, or have no single first matrix where that is scaled.
        ObverseError: If a score is not a number.

    Source: Dai et al. 2022, section 3.2, eq. 2.
    """
    asked = _ask(lm, fact, config, answer_ids)
    layers, probability = run_plain(lm, asked, config.at)
    points = [*_points(config.rule, config.steps), 0.0]
    scores, without = list[Tensor](), list[float]()
    for layer in track(layers, label) if label else layers:
        slopes, probabilities = gradients(lm, asked, layer, points, config.memory)
        scores.append((layer.value.float() * slopes[:-1].mean(0)).cpu())
        without.append(float(probabilities[-1]))
    if not all(bool(score.isfinite().all()) for score in scores):
        raise ObverseError(
            "Some scores are not numbers.", "Load the model in float32 or bfloat16, or check its weights for NaN."
        )
    ids = asked.ids[: asked.prompt]
    return Attribution(
        fact=fact,
        model=lm.name,
        fingerprint=lm.fingerprint,
        tokens=tuple(lm.decode([i]) for i in ids),
        token_ids=ids,
        position=asked.pivot,
        answer=lm.decode(asked.answer),
        answer_ids=asked.answer,
        at=config.at,
        rule=config.rule,
        reading=config.reading,
        steps=config.steps,
        probability=probability,
        without=torch.tensor(without),
        scores=torch.stack(scores),
        values=torch.stack([layer.value.float().cpu() for layer in layers]),
    )


def _points(rule: Rule, steps: int) -> list[float]:
    if rule == "reference":
        return torch.linspace(0, 1, steps).tolist()
    return [(i + 0.5) / steps for i in range(steps)]


def _ask(lm: LanguageModel, fact: Fact, config: AttributionConfig, answer_ids: Sequence[int] | None) -> Asked:
    if answer_ids is None:
        joined = join(lm.tokenizer, fact.text, fact.target)
        encoded, prompt = joined.encoded, joined.target.start
        answer = encoded.ids[prompt:]
    else:
        encoded = encode(lm.tokenizer, fact.text)
        prompt, answer = len(encoded.ids), tuple(answer_ids)
    if not answer or not all(0 <= i < lm.vocab for i in answer):
        raise ConfigError(f"The answer's tokens {list(answer)} are not of this model.", f"Ids go up to {lm.vocab - 1}.")
    if not prompt:
        raise DataError(f"No token stands before the answer in {fact.text!r}.", "Give a longer prompt.")
    place = encoded.tokens_of(*fact.span)[-1] if config.position == "subject-last" else config.position
    place = prompt - 1 if place == "last" else place + prompt * (place < 0)
    if not 0 <= place < prompt:
        raise ConfigError(
            f"Position {config.position} is not in the prompt, which has {prompt} tokens.",
            f"Give last, subject-last, or a number from 0 to {prompt - 1}.",
        )
    alone = config.reading == "same-position"
    ids = (*encoded.ids[:prompt], *(() if alone else answer[:-1]))
    if lm.context is not None and len(ids) > lm.context:
        raise DataError(
            f"Prompt and answer have {len(ids)} tokens; {lm.name} reads at most {lm.context}.", "Shorten the prompt."
        )
    reads = (prompt - 1 - place,) if alone else tuple(range(prompt - 1 - place, len(ids) - place))
    return Asked(ids, prompt, place, reads, answer, config.reading)
