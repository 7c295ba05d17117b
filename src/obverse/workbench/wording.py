"""Hints of the command line, in the words of the page: what is a flag there is a field here."""

from __future__ import annotations

import re

_SETTINGS = "under Settings of the method"
_WORDS = (
    (r"\bwith --subject\b", "in the field Subject"),
    (r"\bAdd --subject\b", "Fill in the field Subject"),
    (r"--set '([^']+)'", rf"\1 {_SETTINGS}"),
    (r"--set ([\w.]+=[^\s,;)]*[^\s,;).])", rf"\1 {_SETTINGS}"),
    (r"\bpass --force to\b", "tick the box under More to"),
    (r"--layer auto\b", "auto in the field Layers"),
    (r"\bleave --layer out\b", "leave the field Layers empty"),
    (r"\b([Ww]ith|[Uu]se) --method ([\w-]+)", r"\1 the method \2"),
    (r"--true\b", "in the field Present answer"),
    (r"--template (\w+)", r"the template \1"),
    (r" \(--answer-tokens\)", " (fewer tokens)"),
)


def page_words(text: str) -> str:
    """Return a hint with the flags that are fields of the page named as those; commands are left as they are."""
    for flag, words in _WORDS:
        text = re.sub(flag, words, text)
    return text
