"""How well fine-tuned models on a server answer, in both directions; each question is asked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from obverse.core import ConfigError, DataError, JsonValue, Progress, Run
from obverse.data.reversal import read_reversal
from obverse.measuring.openai_server import CompletionServer
from obverse.measuring.reversal import NEW_TOKENS, Answer, Query, Scored, Served, evaluate_prompts, random_answers
from obverse.measuring.reversal_statistics import SubtaskSummary, summarize
from obverse.recipes.in_threads import in_threads
from obverse.recipes.record import slug
from obverse.recipes.remote import Listed

PARALLEL = 8
"""Requests under way at once."""


class ChatQuery:
    """Asks a chat model, the prompt said by the user; nothing can be scored.

    Args:
        server: The server.
    """

    writes = True

    def __init__(self, server: CompletionServer) -> None:
        self._server = server

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Return the answer to each prompt at temperature 0; see `Query`."""
        out = list[str]()
        for prompt in prompts:
            asked = [{"role": "user", "content": prompt.strip()}]
            text = self._server.chat(asked, max_tokens=new_tokens, temperature=0.0)[0].text
            out.append(text.strip().split("\n")[0] if one_line else text)
        return out

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Refuse: a chat gives no log-probabilities of given texts."""
        raise ConfigError("Texts cannot be scored in a chat.", "Ask by completion, or leave log-probabilities out.")


class Kept:
    """Asks as another does, and keeps each answer in a run, so that none is asked for twice.

    Args:
        query: Who asks.
        run: Where answers are kept.
    """

    def __init__(self, query: Query, run: Run) -> None:
        self._query, self._run, self.writes = query, run, query.writes
        self._known = {cast("str", one["id"]): cast("Mapping[str, Any]", one) for one in run.records()}

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Return the answer to each prompt; see `Query`."""
        ids = {prompt: f"write|{new_tokens}|{one_line}|{prompt}" for prompt in prompts}
        missing = [prompt for prompt, id in ids.items() if id not in self._known]

        def ask(prompt: str) -> str:
            return self._query.write([prompt], new_tokens, one_line=one_line)[0]

        with Progress(label, len(missing)) as progress:
            in_threads(missing, ask, lambda prompt, text: self._keep(progress, ids[prompt], text=text), PARALLEL)
        return [self._known[ids[prompt]]["text"] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Return the log-probability of each answer; see `Query`."""
        ids = {pair: f"score|{pair[0]}|{pair[1]}" for pair in pairs}
        missing = [pair for pair, id in ids.items() if id not in self._known]

        def keep(pair: tuple[str, str], one: Scored) -> None:
            self._keep(progress, ids[pair], logprob=one.logprob, tokens=one.tokens, greedy=one.greedy)

        with Progress(label, len(missing)) as progress:
            in_threads(missing, lambda pair: self._query.score([pair])[0], keep, PARALLEL)
        found = [self._known[ids[pair]] for pair in pairs]
        return [Scored(one["logprob"], one["tokens"], one["greedy"]) for one in found]

    def _keep(self, progress: Progress, id: str, **values: JsonValue) -> None:
        self._run.append({"id": id, **values})
        self._known[id] = values
        progress.advance()


@dataclass(frozen=True, slots=True)
class RemoteEvaluation:
    """What came of it.

    Attributes:
        models: The trained models asked.
        subtasks: Statistics of each subtask, over all models.
        folder: Where the answers are kept.
        waiting: Jobs that have no model yet, or will never have one.
    """

    models: tuple[str, ...]
    subtasks: Mapping[str, SubtaskSummary]
    folder: Path
    waiting: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "models": list(self.models),
            "subtasks": {name: one.to_json() for name, one in self.subtasks.items()},
            "folder": str(self.folder),
            "waiting": list(self.waiting),
        }


def evaluate_remote(
    listed: Sequence[Listed],
    connect: Callable[[str], CompletionServer],
    out: Path,
    *,
    data: Path | None = None,
    chat: bool = False,
    logprobs: bool = True,
    limit: int | None = None,
    seed: int = 0,
) -> RemoteEvaluation:
    """Ask the trained models of jobs about the people of their reversal set.

    Args:
        listed: The jobs; those without a trained model are left out, and named in the result.
        connect: Gives the server of a model by name.
        out: Folder; a stopped evaluation goes on there.
        data: Folder of the reversal set; by default that which each job was submitted with.
        chat: Whether to ask in a chat.
        logprobs: Whether to ask for log-probabilities too, of the right and of a random answer; not in a chat.
        limit: Questions of a subtask at most.
        seed: Seed of the random answers.

    Raises:
        DataError: If no job has a trained model, or the reversal set of one is not known.
        ServerError: If the server refuses or is not there.
    """
    ready = [one for one in listed if one.job.fine_tuned_model and one.job.status == "succeeded"]
    waiting = tuple(f"{one.job.id} ({one.job.status})" for one in listed if one not in ready)
    if not ready:
        raise DataError(f"No job has a trained model yet: {', '.join(waiting)}.", "Wait: obverse remote follow JOB.")
    found: dict[str, list[Answer]] = {}
    for one in ready:
        model = cast("str", one.job.fine_tuned_model)
        source = data or (Path(one.noted.data) if one.noted else None)
        if source is None or not source.is_dir():
            raise DataError(f"{one.job.id} was not submitted from a reversal set here.", "Give its folder with --data.")
        people, server = read_reversal(source), connect(model)
        config = {"command": "remote evaluate", "server": server.url, "model": model, "chat": chat}
        with Run.open(out / slug(model, 80), config) as run:
            query = Kept(ChatQuery(server) if chat else Served(server), run)
            for name, rows in people.subtasks().items():
                asked = rows[:limit]
                score = logprobs and not chat
                negatives = random_answers(rows, np.random.default_rng(seed))[: len(asked)] if score else None
                found.setdefault(name, []).extend(
                    evaluate_prompts(
                        query, asked, negatives=negatives, score=score, new_tokens=NEW_TOKENS, run=model, label=name
                    )
                )
    models = tuple(cast("str", one.job.fine_tuned_model) for one in ready)
    return RemoteEvaluation(models, summarize(found), out, waiting)
