"""Answers to open queries, before and after an edit: in one go for a report, or one by one for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from obverse.core import Case, ConfigError, DataError, Progress
from obverse.data.chat_templates import PLACE, ChatTemplate, find_template
from obverse.editing import Edit
from obverse.measuring import greedy
from obverse.model.tokens import encode_all
from obverse.recipes.stack import stacked
from obverse.recipes.steps import Steps
from obverse.verifying import Continuation, Report, verify

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

OWN = "model"
"""The template that comes with the model's tokenizer."""
TOKENS = 32
"""Length of an answer, unless told otherwise."""
BATCH = 64
"""Queries in one pass."""


def check_template(given: str) -> None:
    """Check a template before a model is loaded; raises as `find_template` does."""
    if given != OWN:
        find_template(given)


def template_for(lm: LanguageModel, given: str) -> ChatTemplate:
    """Return a template by name, text or file, or for ``model`` the one that comes with the model.

    Raises:
        UnknownName: If there is no such template.
        DataError: If it has not exactly one ``{query}``.
        ConfigError: If the model brings none.
    """
    if given != OWN:
        return find_template(given)
    if not getattr(lm.tokenizer, "chat_template", None):
        raise ConfigError(
            f"{lm.name} has no template of its own.", "Name one that it was trained on, e.g. --template chatml."
        )
    asked = [{"role": "user", "content": PLACE}]
    text = cast("str", lm.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))
    start = lm.tokenizer.bos_token
    if isinstance(start, str) and encode_all(lm.tokenizer, [""])[0].ids[:1] == (lm.tokenizer.bos_token_id,):
        text = text.removeprefix(start)  # the tokenizer puts it there by itself
    return ChatTemplate(OWN, text, tuple(filter(None, lm.tokenizer.all_special_tokens)))


@dataclass(frozen=True, slots=True)
class Answerer:
    """How queries are answered: always by the likeliest token.

    Attributes:
        template: What stands around a query.
        tokens: Length of an answer at most.
    """

    template: ChatTemplate
    tokens: int = TOKENS

    def __call__(self, lm: LanguageModel, queries: Sequence[str], *, raw: bool = False, label: str = "") -> list[str]:
        """Return the answers of a model as it is, edited or not.

        Args:
            lm: The model.
            queries: The queries.
            raw: Whether to leave the template out, and let the model go on from the bare query.
            label: Name of the progress bar; empty for none.

        Raises:
            DataError: If a query leaves the model no room for an answer.
        """
        template = ChatTemplate("", PLACE) if raw else self.template
        texts = [template.fill(query) for query in queries]
        self._check_room(lm, queries, texts)
        out: list[str] = []
        with Progress(label, len(texts)) as progress:
            for start in range(0, len(texts), BATCH):
                some = greedy(lm, texts[start : start + BATCH], self.tokens, BATCH)
                out += [template.cut(answer) for answer in some]
                progress.advance(len(some))
        return out

    def _check_room(self, lm: LanguageModel, queries: Sequence[str], texts: Sequence[str]) -> None:
        if lm.context is None:
            return
        for query, encoded in zip(queries, encode_all(lm.tokenizer, texts), strict=True):
            if len(encoded.ids) + self.tokens > lm.context:
                raise DataError(
                    f"The query {query[:40]!r} is {len(encoded.ids)} tokens long; with {self.tokens} for the answer "
                    f"that is more than the {lm.context} that {lm.name} reads.",
                    "Ask more briefly, or for a shorter answer (--answer-tokens).",
                )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"template": self.template.name, "text": self.template.text, "tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class Session:
    """A model with an edit at hand, to be asked one query after another. The model itself stays as it was.

    Attributes:
        lm: The model.
        edit: The edit.
        upon: Earlier edits, which are part of the unedited model here.
        answerer: How queries are answered.
    """

    lm: LanguageModel
    edit: Edit
    upon: Sequence[Edit]
    answerer: Answerer

    def unedited(self, query: str, *, raw: bool = False) -> str:
        """Return the answer without the edit; raises as `Answerer` does."""
        with stacked(self.upon, self.lm):
            return self.answerer(self.lm, [query], raw=raw)[0]

    def edited(self, query: str, *, raw: bool = False) -> str:
        """Return the answer with the edit; raises as `Answerer` does."""
        with stacked([*self.upon, self.edit], self.lm):
            return self.answerer(self.lm, [query], raw=raw)[0]


def queries_of(cases: Sequence[Case]) -> list[str]:
    """Return the open prompts of some cases, each once."""
    return list(dict.fromkeys(text for case in cases for text in case.prompts))


def answered(lm: LanguageModel, answerer: Answerer, queries: Sequence[str], steps: Steps) -> list[str]:
    """Return the answers of a model as it is, as a step of a journey; none takes no step."""
    if not queries:
        return []
    with steps.step("Answering queries"):
        return answerer(lm, queries, label="answering queries")


def verify_with(lm: LanguageModel, edit: Edit, cases: Sequence[Case], answers: Sequence[Continuation]) -> Report:
    """Verify an edit, with answers in place of the open prompts that `verify` would continue.

    Args:
        lm: The unedited model.
        edit: The edit.
        cases: A case a fact; one without open prompts keeps the continuation of the fact's own.
        answers: The answers to all open prompts.

    Raises:
        EditMismatch: If the edit belongs to another model.
        EditFailed: If the edit changed no answer at all.
    """
    by = {answer.prompt: answer for answer in answers}
    report = verify(lm, edit, [replace(case, prompts=()) for case in cases])
    put = tuple(
        replace(one, case=case, continuations=tuple(by[text] for text in case.prompts) or one.continuations)
        for one, case in zip(report.cases, cases, strict=True)
    )
    return replace(report, cases=put)
