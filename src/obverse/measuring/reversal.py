"""Ask questions about people in one direction or the other: what a model writes, and how likely it finds the answer.

    answers = evaluate_prompts(lm, rows, negatives=random_answers(rows, rng))
    answers = evaluate_prompts(Blank(lm), rows)            # in the form that blank infilling was trained in
    answers = evaluate_prompts(Served(server), rows)       # a model on a server

Source: Berglund et al. 2023 (arXiv 2309.12288), sections 2.1 and 2.3; Lv et al. 2023 (arXiv 2311.07468), section 5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from obverse.core import ConfigError, DataError, JsonValue
from obverse.data.reversal import Prompt
from obverse.measuring._reversal_asking import BATCH, LeftToRight, Query, Scored, Served
from obverse.measuring._reversal_blanks import Blank, FillIn
from obverse.measuring.reversal_metrics import METRICS, AnyOf, find_metrics, plain_words

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

__all__ = [
    "BATCH", "NEW_TOKENS", "Answer", "Blank", "FillIn", "LeftToRight", "Query", "Scored", "Served", "evaluate_prompts",
    "other_answers", "random_answers",
]  # fmt: skip

NEW_TOKENS = 50
"""Tokens of an answer at most (Berglund et al.'s evaluator; Lv et al. take 40)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question.

    Attributes:
        prompt: The question; its `completion` is the right answer.
        completion: What the model wrote; None if it was not asked to write.
        logprob: Log-probability of the right answer, in nats, its tokens summed; None if answers were not scored.
        tokens: Tokens of the right answer; 0 if answers were not scored.
        random_logprob: Log-probability of the random answer; None if there was none.
        verdicts: Name → 0 to 1, higher is better. Metrics of `reversal_metrics`, and ``greedy``: each token of the
            right answer is the likeliest (teacher-forced); ``choice``: the right answer is likelier as a whole than
            each of the other choices; ``trained``: the model wrote some answer it was trained on.
        run: What the model is, e.g. its seed; the same person in two runs counts as two.
    """

    prompt: Prompt
    completion: str | None
    logprob: float | None
    tokens: int
    random_logprob: float | None
    verdicts: Mapping[str, float]
    run: str = ""

    @property
    def gap(self) -> float | None:
        """By how much the right answer is likelier than the random one, in nats."""
        return None if self.logprob is None or self.random_logprob is None else self.logprob - self.random_logprob

    @property
    def unit(self) -> tuple[str, str]:
        """The run and the person, which is one observation of a statistic; the answer's words if nobody knows whom."""
        who = self.prompt.entity
        return self.run, str(who) if who >= 0 else " ".join(plain_words(self.prompt.completion))

    def to_json(self) -> dict[str, JsonValue]:
        """Return the answer as a JSON object."""
        return {
            "prompt": self.prompt.prompt, "target": self.prompt.completion, "entity": self.prompt.entity,
            "template": self.prompt.template, "completion": self.completion, "logprob": self.logprob,
            "tokens": self.tokens, "random_logprob": self.random_logprob, "verdicts": dict(self.verdicts),
            "run": self.run,
        }  # fmt: skip

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Answer:
        """Read what `to_json` returned."""
        prompt = Prompt(row["prompt"], row["target"], row["entity"], row["template"])
        return cls(prompt, row["completion"], row["logprob"], row["tokens"], row["random_logprob"], row["verdicts"],
                   row["run"])  # fmt: skip


def evaluate_prompts(
    query: Query | LanguageModel,
    prompts: Sequence[Prompt],
    *,
    negatives: Sequence[str] | None = None,
    choices: Sequence[Sequence[str]] | None = None,
    trained: Sequence[str] = (),
    metrics: Sequence[str] = tuple(METRICS),
    write: bool | None = None,
    score: bool = True,
    new_tokens: int = NEW_TOKENS,
    one_line: bool = True,
    run: str = "",
    label: str = "",
) -> list[Answer]:
    """Ask questions, and compare what comes with the right answers. Equal questions are asked once.

    Args:
        query: How to ask; a model is asked left to right, in batches of `BATCH`.
        prompts: Questions with their right answers.
        negatives: For each question an answer that is wrong, e.g. of `random_answers`, to be scored beside the right
            one.
        choices: For each question some answers that are wrong; the right one has to be likelier than all of them.
        trained: Answers that the model was trained on, e.g. all names.
        metrics: Names of `reversal_metrics.METRICS` for written answers.
        write: Whether the model writes answers; by default if the way of asking can.
        score: Whether answers are scored; some servers cannot.
        new_tokens: Tokens of an answer at most.
        one_line: End an answer with its first line. It changes no prefix match with an answer of one line; the
            published programs go on, which containment and BLEU may see.
        run: See `Answer`.
        label: What the progress bars are called; empty for none.

    Returns:
        An answer a question, in the order given.

    Raises:
        ConfigError: If nothing is asked for, or what needs scores is asked for without them.
        DataError: If there are no questions, one is blank or has a blank answer, or the lists differ in length.
        ServerError: If a server gives no log-probabilities.
        UnknownName: If there is no such metric.
    """
    ask = query if isinstance(query, Query) else LeftToRight(query)
    chosen, writing = find_metrics(metrics), ask.writes if write is None else write
    _check(prompts, negatives, choices, writing=writing, score=score)
    texts = [row.prompt for row in prompts]
    written = ask.write(texts, new_tokens, one_line=one_line, label=_named(label, "answers")) if writing else None
    right, random, others = _score(ask, prompts, negatives, choices, _named(label, "log-probabilities"), score=score)
    known = AnyOf(trained) if trained else None
    out: list[Answer] = []
    for i, row in enumerate(prompts):
        verdicts: dict[str, float] = {}
        if written is not None:
            verdicts |= {name: float(metric(written[i], row.completion)) for name, metric in chosen.items()}
            verdicts |= {"trained": float(known(written[i]))} if known else {}
        own = right[i] if right else None
        verdicts |= {"greedy": float(own.greedy)} if own and own.greedy is not None else {}
        verdicts |= {"choice": float(all(own.logprob > one.logprob for one in others[i]))} if own and others else {}
        out.append(
            Answer(
                row,
                written[i] if written is not None else None,
                own.logprob if own else None,
                own.tokens if own else 0,
                random[i].logprob if random else None,
                verdicts,
                run,
            )
        )
    return out


def _score(
    ask: Query,
    prompts: Sequence[Prompt],
    negatives: Sequence[str] | None,
    choices: Sequence[Sequence[str]] | None,
    label: str,
    *,
    score: bool,
) -> tuple[list[Scored], list[Scored], list[list[Scored]]]:
    """Score the right answers, the random ones and the other choices; each pair once."""
    if not score:
        return [], [], []
    right = [(row.prompt, row.completion) for row in prompts]
    random = [(row.prompt, text) for row, text in zip(prompts, negatives or (), strict=False)]
    others = [[(row.prompt, text) for text in some] for row, some in zip(prompts, choices or (), strict=False)]
    distinct = list(dict.fromkeys([*right, *random, *(pair for some in others for pair in some)]))
    found = dict(zip(distinct, ask.score(distinct, label=label), strict=True))
    return [found[p] for p in right], [found[p] for p in random], [[found[p] for p in some] for some in others]


def _check(
    prompts: Sequence[Prompt],
    negatives: Sequence[str] | None,
    choices: Sequence[Sequence[str]] | None,
    *,
    writing: bool,
    score: bool,
) -> None:
    if not prompts:
        raise DataError("There are no questions.", "The file may be empty, or the set has no such group.")
    if not (writing or score):
        raise ConfigError("Neither written answers nor scores were asked for.", "Ask for one of them.")
    if not score and (negatives is not None or choices is not None):
        raise ConfigError("Random answers and choices are compared by their scores.", "Set score, or leave them out.")
    for what, given in (("random answers", negatives), ("lists of choices", choices)):
        if given is not None and len(given) != len(prompts):
            raise DataError(f"{len(given)} {what} for {len(prompts)} questions.", "Give one for each question.")
    for place, row in enumerate(prompts, start=1):
        if not row.prompt.strip() or not row.completion.strip():
            what = "question" if not row.prompt.strip() else "answer"
            raise DataError(
                f"Row {place} has a blank {what}: {row.prompt!r}, {row.completion!r}.",
                "A blank answer would match whatever is written." if what == "answer" else "Give it a text.",
            )
    wrong = [*(negatives or ()), *(text for some in choices or () for text in some)]
    if not all(text.strip() for text in wrong):
        raise DataError("A random answer or a choice is blank.", "Give each a text.")


def _named(label: str, what: str) -> str:
    return f"{label}: {what}" if label else ""


def other_answers(prompts: Sequence[Prompt], draws: np.random.Generator, n: int = 3) -> list[list[str]]:
    """Draw for each question the answers to it that are right for other people.

    Args:
        prompts: Questions of one subtask.
        draws: Source of randomness.
        n: How many, all different and none the right one.

    Returns:
        The answers as they are for the same wording, which fit grammatically, else for any.

    Raises:
        DataError: If there are not so many other answers.
    """
    worded, every = defaultdict[int, dict[str, int]](dict), dict[str, int]()
    for row in prompts:
        worded[row.template][row.completion] = row.entity
        every[row.completion] = row.entity
    plain = {text: plain_words(text) for text in every}
    return [_others(row, (worded[row.template], every), plain, draws, n) for row in prompts]


def _others(
    row: Prompt,
    pools: Iterable[Mapping[str, int]],
    plain: Mapping[str, tuple[str, ...]],
    draws: np.random.Generator,
    n: int,
) -> list[str]:
    right = plain[row.completion]
    for pool in pools:
        left = [text for text, who in pool.items() if (who < 0 or who != row.entity) and plain[text] != right]
        if len(left) >= n:
            return [left[i] for i in draws.choice(len(left), n, replace=False)]
    raise DataError(
        f"{row.prompt[:40]!r} needs {n} answers that are right for others; there are fewer.",
        "Take more people, or fewer choices.",
    )


def random_answers(prompts: Sequence[Prompt], draws: np.random.Generator) -> list[str]:
    """Draw for each question one answer that is right for somebody else; see `other_answers`.

    Departs from Berglund et al., whose random answers are drawn with replacement and are sometimes the right one; those
    are in the published files that end in ``_randomized``.
    """
    return [one for (one,) in other_answers(prompts, draws, 1)]
