"""Which of some answers a model finds likeliest, without scoring each of them to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from obverse.core import Progress
from obverse.measuring.likelihood import likelihoods
from obverse.model.partial import head_sees
from obverse.model.tokens import join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

QUESTIONS_PER_BATCH = 32
"""Questions asked together; the entries of the largest logits matrix are so many times the vocabulary."""

Question = tuple[str, Sequence[str]]
"""A prompt, and the answers to choose from."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer that a model finds likeliest.

    Attributes:
        answer: It.
        logprob: Its log-probability as a whole, in nats.
        greedy: Whether each of its tokens is the arg-max of all tokens, so that the model says it by itself.
    """

    answer: str
    logprob: float
    greedy: bool


def likeliest(lm: LanguageModel, questions: Sequence[Question], label: str = "") -> list[Choice]:
    """Choose for each prompt the answer of the highest log-probability; of equal ones the first.

    An answer is no likelier than its first token. So first tokens are scored for all answers, at one position a
    prompt; then the answer that begins best to its end, and of the others only those whose first token is as likely as
    the best so far. The result is that of scoring all.

    Args:
        lm: The model.
        questions: Prompts, each with its answers, at least one; a space is put between as in `likelihoods`.
        label: Name of the progress bar; empty for none.
    """
    found: list[Choice] = []
    with Progress(label, len(questions)) as progress:
        for start in range(0, len(questions), QUESTIONS_PER_BATCH):
            batch = questions[start : start + QUESTIONS_PER_BATCH]
            found += _choose(lm, batch)
            progress.advance(len(batch))
    return found


@dataclass(frozen=True, slots=True)
class _Begun:
    """An answer of which the first token is scored.

    Attributes:
        logprob: Log-probability of that token, in nats.
        best: Whether it is the arg-max of all tokens.
        whole: Whether the answer has no other token.
    """

    logprob: float
    best: bool
    whole: bool


def _choose(lm: LanguageModel, questions: Sequence[Question]) -> list[Choice]:
    begun = _begin(lm, questions)
    found = [
        {answer: Choice(answer, of.logprob, of.best) for answer, of in answers.items() if of.whole} for answers in begun
    ]
    _finish(lm, questions, found, [[max(of, key=lambda answer, of=of: of[answer].logprob)] for of in begun])
    reached = [max(choice.logprob for choice in scored.values()) for scored in found]
    _finish(lm, questions, found, [
        [answer for answer, one in of.items() if one.logprob >= least] for of, least in zip(begun, reached, strict=True)
    ])  # fmt: skip
    return [
        max((scored[answer] for answer in answers if answer in scored), key=lambda choice: choice.logprob)
        for (_, answers), scored in zip(questions, found, strict=True)
    ]


def _finish(
    lm: LanguageModel,
    questions: Sequence[Question],
    found: list[dict[str, Choice]],
    wanted: Sequence[Sequence[str]],
) -> None:
    """Score the wanted answers of each question to their end, and put into ``found`` what is not in it."""
    asked = [(k, answer) for k, answers in enumerate(wanted) for answer in answers if answer not in found[k]]
    scored = likelihoods(lm, [(questions[k][0], answer) for k, answer in asked]) if asked else []
    for (k, answer), likelihood in zip(asked, scored, strict=True):
        found[k][answer] = Choice(answer, likelihood.total, all(likelihood.correct))


@torch.no_grad()
def _begin(lm: LanguageModel, questions: Sequence[Question]) -> list[dict[str, _Begun]]:
    """Score the first token of each answer."""
    asked = [(k, prompt, answer) for k, (prompt, answers) in enumerate(questions) for answer in answers]
    joined = join_all(lm.tokenizer, [(prompt, answer) for _, prompt, answer in asked])
    # The tokens before an answer are as a rule the prompt's; where tokens merge across the joint they are fewer.
    before = [one.encoded.ids[: one.target.start] for one in joined]
    rows = {ids: row for row, ids in enumerate(dict.fromkeys(before))}
    padded = pad(list(rows), pad_id(lm.tokenizer), lm.device)
    last = torch.tensor([len(ids) - 1 for ids in rows], device=lm.device)
    with head_sees(lm.model, torch.arange(len(rows), device=lm.device), last):
        logits = lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False).logits[0]
    logprobs = logits.float().log_softmax(-1)  # batch vocab
    at = torch.tensor([rows[ids] for ids in before], device=lm.device)
    tokens = torch.tensor([one.encoded.ids[one.target.start] for one in joined], device=lm.device)
    values, best = logprobs[at, tokens].tolist(), (logprobs.argmax(-1)[at] == tokens).tolist()
    found: list[dict[str, _Begun]] = [{} for _ in questions]
    for (k, _, answer), one, value, first in zip(asked, joined, values, best, strict=True):
        found[k][answer] = _Begun(value, first, len(one.target) == 1)
    return found
