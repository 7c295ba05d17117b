"""Prompt formats of chat models: what stands around a query. Only for answering; edits and probes are bare text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from obverse.core import DataError, UnknownName

PLACE = "{query}"
"""Where the query goes."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """What stands around a query, and where an answer ends.

    Attributes:
        name: Its name; that of the file, or empty, for one of the user's own.
        text: The text, with one ``{query}``.
        stops: Texts that begin the next turn; an answer is cut before the first of them.

    Raises:
        DataError: If the text has not exactly one ``{query}``.
    """

    name: str
    text: str
    stops: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is one place for the query."""
        if (count := self.text.count(PLACE)) != 1:
            raise DataError(
                f"The template {self.name or self.text!r} has {count} places {PLACE!r}; it needs exactly one.",
                f"Write {PLACE} where the question goes, e.g. 'Question: {PLACE} Answer:'.",
            )

    def fill(self, query: str) -> str:
        """Return the text with the query in its place."""
        return self.text.replace(PLACE, query)

    def cut(self, answer: str) -> str:
        """Return an answer up to where the next turn begins."""
        return answer[: min((found for stop in self.stops if (found := answer.find(stop)) >= 0), default=None)]


def _by_name(*templates: ChatTemplate) -> dict[str, ChatTemplate]:
    return {template.name: template for template in templates}


CHAT_TEMPLATES = _by_name(
    ChatTemplate("default", PLACE),
    ChatTemplate("alpaca", f"### Instruction:\n{PLACE}\n\n### Response:\n", ("### Instruction:",)),
    ChatTemplate("baichuan", f"<reserved_102>{PLACE}<reserved_103>", ("<reserved_102>",)),
    ChatTemplate("chatml", f"<|im_start|>user\n{PLACE}<|im_end|>\n<|im_start|>assistant\n", ("<|im_end|>",)),
    ChatTemplate("gemma", f"<start_of_turn>user\n{PLACE}<end_of_turn>\n<start_of_turn>model\n", ("<end_of_turn>",)),
    ChatTemplate("intern", f"<|User|>:{PLACE}<eoh>\n<|Bot|>:", ("<eoa>", "<|User|>")),
    ChatTemplate("llama-2", f"[INST] {PLACE} [/INST]", ("[INST]", "</s>")),
    ChatTemplate(
        "llama-3",
        f"<|start_header_id|>user<|end_header_id|>\n\n{PLACE}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>",),
    ),
    ChatTemplate("question", f"Question: {PLACE}\nAnswer:", ("Question:",)),
    ChatTemplate("vicuna", f"USER: {PLACE} ASSISTANT:", ("USER:", "</s>")),
    ChatTemplate("ziya", f"<human>:{PLACE}\n<bot>:", ("<human>",)),
)
"""Public formats by name: the marks between turns, without the system texts that some put before them."""


def find_template(given: str) -> ChatTemplate:
    """Return a template by name, from a text with ``{query}``, or from a file that holds one.

    Args:
        given: A name of `CHAT_TEMPLATES`; a text, taken as it is; or the path of a UTF-8 file, taken as it is but for
            one line end at its end.

    Raises:
        UnknownName: If it is none of them, with near matches.
        DataError: If a text or a file has not exactly one ``{query}``, or the file cannot be read.
    """
    if PLACE in given:
        return ChatTemplate("", given)
    if given in CHAT_TEMPLATES:
        return CHAT_TEMPLATES[given]
    path = Path(given)
    if path.is_file():
        return ChatTemplate(path.name, _read(path).removesuffix("\n"))
    unknown = UnknownName.among("template", given, CHAT_TEMPLATES)
    raise UnknownName(unknown.message, f"{unknown.hint} Or give a text with {PLACE}, or a file that holds one.")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The template {path} cannot be read: {error}.", "Save it as UTF-8 text.") from error
