"""Use saved edits without touching the base: check them, stack them, see what the model answers with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, ObverseError
from obverse.editing import Edit
from obverse.measuring import TopToken, greedy, top_tokens
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.stack import CrossTalk, predicted, stacked
from obverse.recipes.steps import Steps


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says to a prompt without and with the edits.

    Attributes:
        prompt: The prompt.
        before: Likeliest next tokens of the base.
        after: Likeliest next tokens with the edits.
        text_before: The base's greedy continuation.
        text_after: The continuation with the edits.
    """

    prompt: str
    before: tuple[TopToken, ...]
    after: tuple[TopToken, ...]
    text_before: str
    text_after: str


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """Saved edits at work.

    Attributes:
        model: Name of the base.
        facts: The facts written, in order, each as ``prompt → target``.
        cross_talk: Predicted between them, strongest first.
        replies: Answers to the prompts.
    """

    model: str
    facts: tuple[str, ...]
    cross_talk: tuple[CrossTalk, ...]
    replies: tuple[Reply, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def run_apply(
    folders: Sequence[Path],
    prompts: Sequence[str] = (),
    model: ModelChoice | None = None,
    new_tokens: int = 12,
    k: int = 5,
) -> ApplyResult:
    """Answer prompts with and without saved edits.

    Args:
        folders: Folders of edits, in the order in which they are stacked.
        prompts: Prompts; those of the facts if none are given.
        model: The base; the one the first edit names if no name is chosen.
        new_tokens: Tokens of each continuation.
        k: How many of the likeliest next tokens to return.

    Raises:
        ConfigError: If a prompt is empty.
        EditMismatch: If an edit was made for another model, or was altered.
    """
    if not all(prompt.strip() for prompt in prompts):
        raise ConfigError("A prompt is empty.", "Give a text with at least one letter.")
    edits = load_edits(folders)
    with Steps().step("Loading the model", shown=True):
        lm = load_model(model or ModelChoice(), edits[0].base_name)
        for edit in edits:
            edit.check(lm)
    asked = list(prompts) or list(dict.fromkeys(fact.text for edit in edits for fact in edit.facts))
    before = [tuple(top_tokens(lm, prompt, k)) for prompt in asked]
    said_before = greedy(lm, asked, new_tokens)
    with stacked(edits, lm):
        after = [tuple(top_tokens(lm, prompt, k)) for prompt in asked]
        said_after = greedy(lm, asked, new_tokens)
    return ApplyResult(
        model=lm.name,
        facts=tuple(f"{fact.text} → {fact.target}" for edit in edits for fact in edit.facts),
        cross_talk=predicted(edits),
        replies=tuple(map(Reply, asked, before, after, said_before, said_after)),
    )


def load_edits(folders: Sequence[Path]) -> list[Edit]:
    """Read edits that belong to one base.

    Raises:
        EditMismatch: If two of them were made for different models, or one was altered.
        ObverseError: If one is named twice.
    """
    places = [folder.resolve() for folder in folders]
    twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise ObverseError(f"{twice} is named twice.", "Name each edit once, in the order in which they are stacked.")
    edits = [Edit.load(folder) for folder in folders]
    for edit in edits[1:]:
        _ = edits[0] + edit  # refuses another base, with both identities
    return edits
