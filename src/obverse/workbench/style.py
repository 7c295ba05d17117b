"""How the page looks: as the reports do, in gradio's frame, light or dark as the browser says."""

from __future__ import annotations

import re
from importlib.resources import files

_DARK = "@media (prefers-color-scheme: dark)"


def own(name: str) -> str:
    """Return a file of this package."""
    return (files("obverse.workbench") / name).read_text("utf-8")


def page_head() -> str:
    """Return the style sheets for the head of the page; nothing is fetched from elsewhere."""
    return f"<style>{report_style()}\n{own('workbench.css')}</style>"


def report_style() -> str:
    """Return the reports' style sheet, held within ``.obverse``, with gradio's choice of light or dark."""
    text = (files("obverse.report") / "style.css").read_text("utf-8")
    text = text.replace(_DARK, ".dark &")
    text = re.sub(r":root\b", "&", text)
    text = re.sub(r"^body \{", "& {", text, flags=re.MULTILINE)
    text = text.replace("color-scheme: light dark;", "")
    return f".obverse {{\n{text}\n}}\n.obverse {{ background: none; }}"
