"""The answers of a survey on disk: each asked for once, kept once, whatever stops the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from obverse.core import Progress, Run
from obverse.measuring.answerers import Answerer, Ask, Scored
from obverse.recipes.costs import Estimate, Prices, tokens_of
from obverse.recipes.in_threads import Item, Out, in_threads


@dataclass(frozen=True, slots=True)
class Wanted:
    """Answers to a question.

    Attributes:
        question: The question.
        samples: How many answers; of temperature 0 there is one.
        temperature: What logits are divided by.
    """

    question: str
    samples: int
    temperature: float


class AnswerBook:
    """The answers that a run holds, and the asking for those it lacks.

    Args:
        run: The run that keeps them.
        answerer: Who is asked.
        max_tokens: Length of an answer at most.
        seed: Seed of what is drawn.
        parallel: Requests under way at once, on a server.
    """

    def __init__(self, run: Run, answerer: Answerer, *, max_tokens: int, seed: int, parallel: int = 1) -> None:
        self._run, self._answerer, self._parallel = run, answerer, parallel
        self._max_tokens, self._seed = max_tokens, seed
        self._known = {cast("str", one["id"]): one for one in run.records()}

    def has(self, wanted: Wanted) -> bool:
        """Say whether all answers to a question are there."""
        return all(_id(wanted, place) in self._known for place in range(wanted.samples))

    def answers(self, wanted: Wanted) -> list[str]:
        """Return the answers to a question, all of which are there."""
        return [cast("str", self._known[_id(wanted, place)]["answer"]) for place in range(wanted.samples)]

    def logprob(self, scored: Scored) -> float:
        """Return the log-probability of an answer, which is there."""
        return cast("float", self._known[_scored_id(scored)]["logprob"])

    def ask(self, wanted: Iterable[Wanted], label: str) -> None:
        """Ask for the answers that are missing; what a failure or Ctrl-C leaves half done is kept first."""
        missing = self._missing(wanted)
        with Progress(label, sum(len(one.places) for one in missing)) as progress:
            self._each(missing, self._answerer.ask, partial(self._keep, progress=progress))

    def score(self, scored: Iterable[Scored], label: str) -> None:
        """Ask for the log-probabilities that are missing."""
        missing, ask = self._unscored(scored), self._answerer.logprobs
        with Progress(label, len(missing)) as progress:
            keep = partial(self._keep_logprob, progress=progress)
            if self._answerer.remote:  # one first: a server that has none to give need not be asked by all threads
                self._each(missing[:1], ask, keep)
                missing = missing[1:]
            self._each(missing, ask, keep)

    def _each(
        self,
        missing: Sequence[Item],
        ask: Callable[[Sequence[Item]], Sequence[Out]],
        keep: Callable[[Item, Out], Item | None],
    ) -> None:
        """Ask for all: a server in threads, one in each; a model here for several together."""
        if self._answerer.remote:
            in_threads(missing, lambda one: ask([one])[0], keep, self._parallel)
            return
        step = self._answerer.together
        for begin in range(0, len(missing), step):
            some = missing[begin : begin + step]
            for one, found in zip(some, ask(some), strict=True):
                keep(one, found)

    def _keep_logprob(self, one: Scored, value: float, progress: Progress) -> None:
        record = {"id": _scored_id(one), "question": one.question, "scored": one.answer, "marked": one.marked}
        self._append({**record, "logprob": value})
        progress.advance()

    def estimate(self, wanted: Iterable[Wanted], scored: Iterable[Scored], prices: Prices) -> Estimate:
        """Return what the missing answers and log-probabilities would take."""
        asks, rest = self._missing(wanted), self._unscored(scored)
        size = sum(self._answerer.prompt_bytes(one.question) for one in [*asks, *rest])
        size += sum(len(one.answer.encode()) for one in rest)
        written = sum(len(one.places) for one in asks) * self._max_tokens + len(rest)
        return Estimate(len(asks) + len(rest), tokens_of(size), written, prices=prices)

    def _unscored(self, scored: Iterable[Scored]) -> list[Scored]:
        return [one for one in dict.fromkeys(scored) if _scored_id(one) not in self._known]

    def _missing(self, wanted: Iterable[Wanted]) -> list[Ask]:
        out = list[Ask]()
        for one in dict.fromkeys(wanted):
            places = tuple(place for place in range(one.samples) if _id(one, place) not in self._known)
            if places:
                out.append(Ask(one.question, places, one.temperature, self._max_tokens, self._seed))
        return out

    def _keep(self, one: Ask, texts: Sequence[str], progress: Progress) -> Ask | None:
        """Keep answers, and return what is left to ask."""
        for place, text in zip(one.places, texts, strict=False):
            self._append({"id": _id(one, place), "question": one.question, "temperature": one.temperature,
                          "place": place, "answer": text})  # fmt: skip
        progress.advance(len(texts))
        rest = one.places[len(texts) :]
        return replace(one, places=rest) if rest else None

    def _append(self, record: dict[str, str | float | bool]) -> None:
        self._run.append(record)
        self._known[cast("str", record["id"])] = record


def _id(one: Wanted | Ask, place: int) -> str:
    return f"{one.temperature:g}|{one.question}|{place}"


def _scored_id(scored: Scored) -> str:
    return f"logprob|{scored.question}|{scored.answer}|{'Q: ' if scored.marked else ''}"
