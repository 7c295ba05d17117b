"""An ``LM`` for lm-evaluation-harness that answers each document as an edit of its own makes the model.

Prompts are joined by the harness's rule, which is not that of `obverse.model.tokens.join`: nothing is put between a
context and its continuation, and spaces that end the context are the continuation's first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from obverse.core import DataError, ObverseError, Progress
from obverse.editing.edit import Edit
from obverse.editing.rowwise import EachRow
from obverse.measuring.likelihood import unchanged
from obverse.model.prefix import prefixed
from obverse.model.tokens import encode_all, pad_id
from obverse.recipes.harness_rows import Row, extend, score

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)

NEW_TOKENS = 256
"""Tokens generated where a task does not say; as the harness's own models do."""


class Request(Protocol):
    """What the harness asks of a document (its ``Instance``)."""

    doc: Any
    task_name: str | None
    doc_id: int | None

    @property
    def args(self) -> tuple[Any, ...]:
        """A context and its continuation, or a context and how to continue it, or a text."""
        ...


def harness_module(name: str) -> Any:
    """Return a module of lm-evaluation-harness, e.g. ``api.model``.

    Raises:
        ObverseError: If it cannot be imported.
    """
    try:
        return import_module(f"lm_eval.{name}")
    except ImportError as error:
        raise ObverseError(
            f"This needs lm-evaluation-harness, which cannot be imported: {error}.", "pip install 'obverse[harness]'"
        ) from error


def case_id(request: Request) -> str:
    """Return the case that a document of an exported set belongs to (`obverse.recipes.harness_tasks`).

    Raises:
        DataError: If the document does not say.
    """
    if not isinstance(request.doc, Mapping) or "case_id" not in request.doc:
        raise DataError(
            f"{_place(request)} does not say by 'case_id' to which edit it belongs.",
            "Export the facts as tasks (obverse harness --export), or pass edit_of to name the edit of a request.",
        )
    return str(request.doc["case_id"])


class EditedLM:
    """A model as the harness wants one, in which every document is answered under the edit it belongs to.

    A batch holds rows of different edits, so thousands of single edits are one run of the harness.

    Example:
        ::

            tasks = TaskManager(include_path="tasks").load(["facts"])
            evaluate(EditedLM(lm, {"0": edit, "1": another}), tasks)

    Args:
        lm: The base model; its weights are not touched.
        edits: Name → edit; None is the model as it is. Without any edits everything is asked of the model as it is.
        edit_of: Says the name of a request's edit; None is the model as it is. By default the document's ``case_id``.
        label: Name of the progress bar; empty for none.

    Raises:
        EditMismatch: If an edit was made for another model.
        ObverseError: If lm-evaluation-harness is not installed.
    """

    rank = 0
    world_size = 1

    def __init__(
        self,
        lm: LanguageModel,
        edits: Mapping[str, Edit | None] | None = None,
        edit_of: Callable[[Request], str | None] = case_id,
        label: str = "",
    ) -> None:
        # It passes for an LM without inheriting from one, since that would import the harness with this file.
        harness_module("api.model").LM.register(EditedLM)
        self._lm, self._edit_of, self._label = lm, edit_of, label
        self._edits: dict[str | None, Edit | None] = {**edits} if edits else {}
        made = {name: edit for name, edit in self._edits.items() if edit is not None}
        self._numbers = {name: number for number, name in enumerate(made)}
        self._around = EachRow(lm, list(made.values())).rows if made else unchanged

    def loglikelihood(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Score continuations.

        Args:
            requests: Their ``args`` are (context, continuation).
            disable_tqdm: Of no effect; see ``label``.

        Returns:
            Log-probability of each continuation in nats, and whether each of its tokens is the arg-max.
        """
        if empty := next((request for request in requests if not request.args[1]), None):
            raise DataError(f"{_place(empty)} has an empty continuation.", "Mend the task's choices or target.")
        rows = self._fitting(self._rows(requests, [request.args[:2] for request in requests]))
        found = score(self._lm, rows, self._around, self._label)
        return [(one.total, all(one.correct)) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[float]:
        """Score whole texts after the token that begins a text; in windows, where they are longer than the context.

        Args:
            requests: Their ``args`` are (text,).
            disable_tqdm: Of no effect; see ``label``.

        Returns:
            Log-probability of each text in nats.
        """
        utils = harness_module("utils")
        asked = [i for i, request in enumerate(requests) if request.args[0]]
        whole = self._rows([requests[i] for i in asked], [("", requests[i].args[0]) for i in asked])
        windows: list[tuple[int, Row]] = []
        for i, row in zip(asked, whole, strict=True):
            longest = self._lm.context or len(row.ids)
            cut = utils.get_rolling_token_windows(list(row.ids[1:]), row.ids[0], longest, context_len=1)
            for before, scored in map(utils.make_disjoint_window, cut):
                windows.append((i, Row((*before, *scored), len(before), row.variant)))
        values: list[list[float]] = [[] for _ in requests]
        found = score(self._lm, [row for _, row in windows], self._around, self._label)
        for (i, _), one in zip(windows, found, strict=True):
            values[i] += one.logprobs
        for i, row in zip(asked, whole, strict=True):
            del values[i][: row.start - 1]  # the prompt of an edit by prompt
        return [sum(row) for row in values]

    def generate_until(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[str]:
        """Continue contexts greedily up to a stop sequence.

        Args:
            requests: Their ``args`` are (context, settings of generation).
            disable_tqdm: Of no effect; see ``label``.

        Returns:
            The new text of each, without the stop sequence and what follows it.

        Raises:
            ObverseError: If a task wants texts sampled or searched for, or more tokens than the model reads.
        """
        models = harness_module("models.utils")
        rows = self._rows(requests, [(request.args[0], "") for request in requests])
        settings = [models.normalize_gen_kwargs(request.args[1], NEW_TOKENS) for request in requests]
        lengths = [self._length(*pair) for pair in zip(requests, settings, strict=True)]
        texts: dict[int, str] = {}
        for n in dict.fromkeys(lengths):
            chosen = [i for i, length in enumerate(lengths) if length == n]
            read = [self._last(rows[i], n) for i in chosen]
            with Progress(self._label):
                texts.update(zip(chosen, extend(self._lm, read, n, self._around), strict=True))
        until = [models.handle_stop_sequences(setting.get("until"), None) for setting in settings]
        return [models.postprocess_generated_text(texts[i], stop, None) for i, stop in enumerate(until)]

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuse the harness's cache of answers.

        Raises:
            ObverseError: Always.
        """
        raise ObverseError(
            "The harness keeps answers by their text alone, so those of one edit would be taken for another's.",
            "Leave use_cache out.",
        )

    def _rows(self, requests: Sequence[Request], pairs: Sequence[tuple[str, str]]) -> list[Row]:
        """Tokenize (context, continuation) pairs, each under its edit and after that edit's prompt."""
        names = [self._name(request) for request in requests]
        prompts = [edit.prefix if (edit := self._edits.get(name)) else "" for name in names]
        rows: dict[int, Row] = {}
        for prompt in dict.fromkeys(prompts):
            chosen = [i for i, own in enumerate(prompts) if own == prompt]
            with prefixed(self._lm, prompt):
                found = self._tokens([pairs[i] for i in chosen])
            for i, (ids, start) in zip(chosen, found, strict=True):
                rows[i] = Row(ids, start, self._numbers.get(names[i]))
        return [rows[i] for i in range(len(pairs))]

    def _tokens(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[tuple[int, ...], int]]:
        """Return the tokens of (context, continuation) pairs, and where the continuation starts among them."""
        whole = encode_all(self._lm.tokenizer, [before + after for before, after in pairs])
        alone = encode_all(self._lm.tokenizer, [before.rstrip() if after else before for before, after in pairs])
        found: list[tuple[tuple[int, ...], int]] = []
        for (_, after), both, context in zip(pairs, whole, alone, strict=True):
            # Where no text stands before, special tokens and an edit's prompt still do; they cover no character.
            start = len(context.ids) if context.text else sum(end == 0 for _, end in both.offsets)
            start = min(start, len(both.ids) - 1) if after else len(both.ids)  # a last token may belong to both
            found.append((both.ids, start) if start > 0 else ((self._first, *both.ids), 1))
        return found

    def _name(self, request: Request) -> str | None:
        name = self._edit_of(request) if self._edits else None
        if name is not None and name not in self._edits:
            raise DataError(
                f"{_place(request)} belongs to the edit {name!r}, which is not among the {len(self._edits)} given.",
                "Give an edit for each case, or None for a case to be asked unedited.",
            )
        return name

    @property
    def _first(self) -> int:
        """The token after which a text is scored that nothing stands before."""
        known = (self._lm.tokenizer.bos_token_id, self._lm.tokenizer.eos_token_id)
        return next((token for token in known if isinstance(token, int)), pad_id(self._lm.tokenizer))

    def _fitting(self, rows: Sequence[Row]) -> list[Row]:
        """Leave out the beginnings of rows that are longer than the model reads; the last token is only scored."""
        most = self._lm.context
        if most is None:
            return list(rows)
        fitting = [
            replace(row, ids=row.ids[-most - 1 :], start=row.start - max(0, len(row.ids) - most - 1)) for row in rows
        ]
        if longest := max((len(row.ids) - row.start for row in fitting if row.start < 1), default=0):
            raise DataError(
                f"A continuation of {longest} tokens is longer than the {most} that {self._lm.name} reads.",
                "Take a model that reads longer texts.",
            )
        if cut := sum(len(row.ids) > most + 1 for row in rows):
            _log.warning("%d prompts are longer than the %d tokens the model reads; their ends are read.", cut, most)
        return fitting

    def _length(self, request: Request, settings: Mapping[str, Any]) -> int:
        """Return how many tokens a request wants, once it is one that is answered here."""
        if settings.get("do_sample") or settings.get("num_beams", 1) > 1:
            raise ObverseError(
                f"{_place(request)} wants its text sampled or searched for; here texts are greedy.",
                "Set do_sample: false, and no num_beams, in the task's generation_kwargs.",
            )
        length, most = int(settings["max_gen_toks"]), self._lm.context
        if most is not None and length >= most:
            raise ObverseError(
                f"{_place(request)} wants {length} new tokens, but {self._lm.name} reads at most {most}.",
                "Set a smaller max_gen_toks in the task's generation_kwargs.",
            )
        return length

    def _last(self, row: Row, new_tokens: int) -> Row:
        """Return what the model reads of a row if it is to say so many tokens more."""
        most = self._lm.context
        ids = row.ids if most is None else row.ids[-(most - new_tokens) :]
        return Row(ids, len(ids), row.variant)


def _place(request: Request) -> str:
    return f"Document {request.doc_id} of the task {request.task_name}"
