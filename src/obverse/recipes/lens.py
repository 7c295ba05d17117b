"""What does a model say after each block, with and without an edit? The logit lens as a journey."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError
from obverse.locating.lens import Lens, distance, lens, parting, read_prompt
from obverse.recipes.apply import load_edits
from obverse.recipes.destination import check_figure
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.stack import stacked
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)

MOVED = 1e-5
"""Relative change of a hidden state from which on it counts as moved: above what rounding does in float32."""


@dataclass(frozen=True, slots=True)
class LensRequest:
    """What is asked of `run_lens`.

    Attributes:
        prompt: The text.
        token: Where to read: ``last``, a number from 0 (negative: from the end), or text of the prompt.
        all_tokens: Whether to read every token.
        top: How many of the likeliest tokens to keep.
        answer: The answer to follow, by its first token; what the model (with edits: the edited model) says if None.
        edits: Folders of edits to compare with, stacked in order.
        figure: Where to draw it.
        model: The model; the one the first edit names if no name is chosen.
    """

    prompt: str
    token: str | None = None
    all_tokens: bool = False
    top: int = 5
    answer: str | None = None
    edits: Sequence[Path] = ()
    figure: Path | None = None
    model: ModelChoice = field(default_factory=ModelChoice)


@dataclass(frozen=True, slots=True)
class LensResult:
    """What came of it.

    Attributes:
        before: The lens of the base.
        after: The lens with the edits, if there are any.
        facts: The facts they write, each as ``prompt → target``.
        figure: Where it was drawn.
    """

    before: Lens
    after: Lens | None = None
    facts: tuple[str, ...] = ()
    figure: Path | None = None

    @property
    def parts_at(self) -> tuple[int | None, ...]:
        """For each token read, the layer from which on the edited model's likeliest token is another to the end."""
        return parting(self.before, self.after) if self.after else ()

    @property
    def moved(self) -> tuple[tuple[float, ...], ...]:
        """For each token read and each layer, the relative change of the hidden state by the edits."""
        return tuple(map(tuple, distance(self.before, self.after).tolist())) if self.after else ()

    @property
    def moves_at(self) -> tuple[int | None, ...]:
        """For each token read, the first layer whose hidden state the edits move; None if none."""
        return tuple(
            next((layer for layer, by in zip(self.before.layers, row, strict=True) if by > MOVED), None)
            for row in self.moved
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the hidden states as JSON values."""
        compared = {
            "facts": list(self.facts),
            "after": self.after.to_json() if self.after else None,
            "moved": self.moved,
            "moves_at": self.moves_at,
            "parts_at": self.parts_at,
        }
        figure = str(self.figure) if self.figure else None
        return {"before": self.before.to_json(), **(compared if self.after else {}), "figure": figure}


def run_lens(request: LensRequest) -> LensResult:
    """Read a model after each of its blocks, with and without edits, and draw it.

    Raises:
        ConfigError: If the token is not in the prompt, the prompt is empty or too long, or the figure's ending unknown.
        EditMismatch: If an edit was made for another model, or was altered.
        ObverseError: If the figure cannot be drawn or written.
    """
    if request.token is not None and request.all_tokens:
        raise ConfigError(f"Both a token, {request.token!r}, and all tokens are asked for.", "Ask for one of them.")
    if request.figure is not None:
        check_figure(request.figure)
    edits = load_edits(request.edits) if request.edits else []
    with Steps().step("Loading the model", shown=True):
        lm = load_model(request.model, edits[0].base_name if edits else None)
        for edit in edits:
            edit.check(lm)
    positions = None if request.all_tokens else [find_token(lm, request.prompt, request.token or "last")]
    after = None
    if edits:
        with stacked(edits, lm):
            after = lens(lm, request.prompt, request.top, positions, request.answer)
    before = lens(lm, request.prompt, request.top, positions, after.answer_id if after else request.answer)
    if request.figure is not None:
        before.plot(request.figure, after=after)
    facts = tuple(f"{fact.text} → {fact.target}" for edit in edits for fact in edit.facts)
    return LensResult(before, after, facts, request.figure)


def find_token(lm: LanguageModel, prompt: str, wanted: str) -> int:
    """Return the index of a token of a prompt.

    Args:
        lm: The model.
        prompt: The text.
        wanted: ``last``; a number from 0, or from the end if negative; or text of the prompt, whose last token is
            taken, at its first occurrence (as a word of its own, if it is one).

    Raises:
        ConfigError: If the prompt is empty or too long, or the text is not in it.
        SubjectNotFound: If no token covers the text.
    """
    encoded = read_prompt(lm, prompt)
    if wanted == "last":
        return len(encoded.ids) - 1
    if re.fullmatch(r"[+-]?\d+", wanted):
        return int(wanted)
    text = re.escape(wanted)
    found = [*re.finditer(rf"(?<!\w){text}(?!\w)", prompt)] or [*re.finditer(text, prompt)]
    if not found or not wanted:
        raise ConfigError(
            f"The prompt has no {wanted!r}.",
            f"Give text of {prompt!r}, the number of a token from 0 to {len(encoded.ids) - 1}, or 'last'.",
        )
    if len(found) > 1:
        _log.warning("%r occurs %d times in the prompt; the first is taken.", wanted, len(found))
    return encoded.tokens_of(*found[0].span())[-1]
