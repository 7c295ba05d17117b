"""Who answers questions about people: a model here, or one on a server, in a chat or by completing a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch

from obverse.core import JsonValue, seed_for
from obverse.measuring.generation import continuations, end_tokens
from obverse.measuring.openai_server import BYTES_A_TOKEN, CompletionServer, ServerError, ServerSource
from obverse.measuring.parents import STOP, chat_messages, completion_prompt, completion_target
from obverse.measuring.reference_kl import Drawn
from obverse.measuring.samples import evaluating, start_rows
from obverse.measuring.shared import Before, common_start
from obverse.model.tokens import encode_all, join_all

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and answers of it that are wanted.

    Attributes:
        question: The question.
        places: Number of each answer among those of the question; its seed follows from it.
        temperature: What logits are divided by; 0 is greedy.
        max_tokens: Length of an answer at most.
        seed: Seed of the run.
    """

    question: str
    places: tuple[int, ...]
    temperature: float
    max_tokens: int
    seed: int

    def seed_of(self, place: int) -> int:
        """Return the seed of an answer."""
        return seed_for(self.seed, self.question, place)


@dataclass(frozen=True, slots=True)
class Scored:
    """A question and an answer whose log-probability is wanted; for ``marked`` see `completion_prompt`."""

    question: str
    answer: str
    marked: bool = True


class Answerer(Protocol):
    """Somebody who is asked.

    Attributes:
        name: What the model is called.
        together: Questions best asked at once.
        remote: Whether questions may be asked from several threads.
    """

    name: str
    together: int
    remote: bool

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that answers depend on, but the question."""
        ...

    def ask(self, asked: Sequence[Ask]) -> list[list[str]]:
        """Return answers to each question: one at least, as many as places at most."""
        ...

    def logprobs(self, scored: Sequence[Scored]) -> list[float]:
        """Return the log-probability of each answer as a whole, in nats."""
        ...

    def prompt_bytes(self, question: str) -> int:
        """Return the length of what is sent for a question, for an estimate of costs."""
        ...


class LocalModel:
    """A model in this process.

    Args:
        lm: The model.
        chat: Whether to ask in its own chat template, else by completion. Log-probabilities are of completions always.
        batch: Answers written at once; they do not depend on it.
    """

    remote = False

    def __init__(self, lm: LanguageModel, *, chat: bool, batch: int = 64) -> None:
        self.lm, self.name, self._chat, self._batch = lm, lm.name, chat, batch
        self.together = 4 * batch  # rows of one length go together, so many questions are needed to fill a batch
        self._memory: tuple[tuple[int, ...], Before] | None = None

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that answers depend on, but the question."""
        return {
            "model": {**self.lm.fingerprint.to_json()},
            "dtype": str(self.lm.dtype),
            "protocol": "chat" if self._chat else "completion",
        }

    def ask(self, asked: Sequence[Ask]) -> list[list[str]]:
        """Return as many answers to each question as it has places; see `Answerer`."""
        prompts = [self._prompt(one.question) for one in asked]
        before = self._before(prompts)
        groups: dict[tuple[float, int, int], list[tuple[int, int]]] = {}
        for i, one in enumerate(asked):
            rows = groups.setdefault((one.temperature, one.max_tokens, len(prompts[i])), [])
            rows += [(i, place) for place in one.places]
        out: list[dict[int, str]] = [{} for _ in asked]
        with evaluating(self.lm):
            for rows in groups.values():
                for begin in range(0, len(rows), self._batch):
                    some = rows[begin : begin + self._batch]
                    ids = [prompts[i][before.length :] for i, _ in some]
                    for (i, place), text in zip(some, self._write(asked, before, some, ids), strict=True):
                        out[i][place] = text
        return [[texts[place] for place in one.places] for one, texts in zip(asked, out, strict=True)]

    def _write(
        self, asked: Sequence[Ask], before: Before, some: Sequence[tuple[int, int]], rows: Sequence[list[int]]
    ) -> list[str]:
        first = asked[some[0][0]]
        generators = [torch.Generator().manual_seed(asked[i].seed_of(place)) for i, place in some]
        draws = [torch.rand(first.max_tokens, generator=one, dtype=torch.float64) for one in generators]
        written = continuations(
            self.lm,
            rows,
            first.max_tokens,
            top_k=0 if first.temperature else 1,
            temperature=first.temperature or 1.0,
            draws=torch.stack(draws).to(self.lm.device),
            stop=None if self._chat else lambda ids: STOP in self.lm.decode(list(ids)),
            shrink=True,
            before=before,
        )
        return [self._text(ids) for ids in written]

    def _before(self, rows: Sequence[list[int]]) -> Before:
        """Return what stands before all rows; read anew only where it is not what stood before the last ones."""
        if self._memory is not None:
            ids, before = self._memory
            if all(tuple(row[: len(ids)]) == ids and len(row) > len(ids) for row in rows):
                return before
        shared = tuple(rows[0][: common_start(rows)])
        self._memory = shared, Before(self.lm, shared)
        return self._memory[1]

    def _text(self, ids: list[int]) -> str:
        special = {*self.lm.tokenizer.all_special_ids, *end_tokens(self.lm)}
        text = self.lm.decode([token for token in ids if token not in special]).strip()
        return text if self._chat else text.split(STOP)[0].strip()

    def _prompt(self, question: str) -> list[int]:
        if not self._chat:
            return start_rows(self.lm.tokenizer, [completion_prompt(question)])[0]
        return list(encode_all(self.lm.tokenizer, [self._chat_text(question)])[0].ids)

    def _chat_text(self, question: str) -> str:
        from jinja2.exceptions import TemplateError

        tokenizer, messages = self.lm.tokenizer, chat_messages(question)
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except TemplateError:  # some know no system message
            messages[1]["content"] = f"{messages[0]['content']}\n\n{messages[1]['content']}"
            text = tokenizer.apply_chat_template(messages[1:], tokenize=False, add_generation_prompt=True)
        start = tokenizer.bos_token
        if isinstance(start, str) and encode_all(tokenizer, [""])[0].ids[:1] == (tokenizer.bos_token_id,):
            return cast("str", text).removeprefix(start)  # the tokenizer puts it there by itself
        return cast("str", text)

    def logprobs(self, scored: Sequence[Scored]) -> list[float]:
        """Return the log-probability of each answer after the completion prompt; see `Answerer`."""
        pairs = [(completion_prompt(one.question, marked=one.marked), completion_target(one.answer)) for one in scored]
        joined = join_all(self.lm.tokenizer, pairs)
        starts = [list(one.encoded.ids[: one.target[0]]) for one in joined]
        before = self._before(starts)
        groups: dict[int, list[int]] = {}
        for i, one in enumerate(joined):
            groups.setdefault(len(one.encoded.ids), []).append(i)
        out = [0.0] * len(scored)
        with evaluating(self.lm):
            for places in _chunks(groups.values(), self._batch):
                rows = [joined[i].encoded.ids[before.length :] for i in places]
                values = before.logprobs(rows, [len(joined[i].target) for i in places])
                for i, value in zip(places, values, strict=True):
                    out[i] = value
        return out

    def prompt_bytes(self, question: str) -> int:
        """Return the length of what a question is asked with."""
        return len(completion_prompt(question).encode())


def _chunks(groups: Iterable[Sequence[int]], size: int) -> Iterator[Sequence[int]]:
    """Yield the members of each group, so many at once."""
    for group in groups:
        yield from (group[begin : begin + size] for begin in range(0, len(group), size))


def has_chat_template(lm: LanguageModel) -> bool:
    """Say whether a model brings a chat template."""
    return bool(getattr(lm.tokenizer, "chat_template", None))


class ServerModel:
    """A model on a server that speaks OpenAI's protocol.

    Args:
        server: The server.
        chat: Whether to ask in a chat, else by completion.
    """

    remote, together = True, 1

    def __init__(self, server: CompletionServer, *, chat: bool) -> None:
        self.server, self.name, self.chat = server, server.model, chat

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that answers depend on, but the question."""
        protocol = "chat" if self.chat else "completion"
        return {"server": self.server.url, "model": self.server.model, "protocol": protocol}

    def ask(self, asked: Sequence[Ask]) -> list[list[str]]:
        """Return what the server answers; some give one answer whatever they are asked for."""
        return [self._ask(one) for one in asked]

    def _ask(self, one: Ask) -> list[str]:
        many, seed = len(one.places), one.seed_of(one.places[0])
        if self.chat:
            found = self.server.chat(
                chat_messages(one.question),
                n=many,
                max_tokens=one.max_tokens,
                temperature=one.temperature,
                seed=seed,
            )
        else:
            found = self.server.complete(
                completion_prompt(one.question),
                n=many,
                max_tokens=one.max_tokens,
                temperature=one.temperature,
                seed=seed,
                stop=[STOP],
                fewer=True,
            )
        return [answer.text.strip() for answer in found]

    def logprobs(self, scored: Sequence[Scored]) -> list[float]:
        """Return the log-probability of each answer after the completion prompt; see `Answerer`.

        Raises:
            ServerError: If it is asked in a chat, or the server gives no log-probabilities of texts it is given.
        """
        if self.chat:
            raise ServerError(
                f"{self.server.url} is asked in a chat, where no text can be scored.",
                "Ask it by completion (--protocol completion), or leave log-probabilities out (--no-logprobs).",
            )
        return [self._logprob(one) for one in scored]

    def _logprob(self, one: Scored) -> float:
        source = ServerSource(self.server, prompt=completion_prompt(one.question, marked=one.marked))
        return source.logprobs([Drawn(completion_target(one.answer), 0)], by_ids=False)[0]

    def prompt_bytes(self, question: str) -> int:
        """Return the length of what is sent for a question."""
        texts = [one["content"] for one in chat_messages(question)] if self.chat else [completion_prompt(question)]
        return sum(len(text.encode()) + BYTES_A_TOKEN * 4 * self.chat for text in texts)
