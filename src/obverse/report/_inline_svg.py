"""Drawings of matplotlib as SVG inside a page: its font, its colours in light and dark, text as text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, cast

from obverse.core.plotting import PALETTE, drawing
from obverse.report._plot_style import BASE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 1.6
"""Pixels to a point: 8 points are as large as the text of the page's other charts."""

_COLOURS = {
    "#000000": "currentColor",
    "#333333": "currentColor",
    BASE: "var(--soft)",
    "#ffffff": "none",
    **{colour.lower(): f"var(--c{place})" for place, colour in enumerate(PALETTE)},
}


def inline_svg(figure: Figure, label: str, place: int) -> str:
    """Return a drawing as an ``svg`` element.

    Args:
        figure: The drawing.
        label: What it shows, plain text.
        place: Its number on the page: names inside are its own.
    """
    import matplotlib as mpl

    out = io.StringIO()
    save = cast("Callable[..., None]", figure.savefig)
    with drawing(), mpl.rc_context({"svg.fonttype": "none"}):
        save(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    inside = text[text.index(">", text.index("<svg")) + 1 :]
    for needless in (
        r"<metadata>.*?</metadata>",
        r"<style.*?</style>",  # would be the whole page's
        r"<!--.*?-->",
        r" font-family: [^;\"]*;",
        r' transform="rotate\(-0 [^"]*"',
    ):
        inside = re.sub(needless, "", inside, flags=re.DOTALL)
    inside = re.sub(r"#[0-9a-f]{6}\b", lambda found: _COLOURS.get(found[0], found[0]), inside)
    named = set(re.findall(r'(?:href="#|url\(#)([^")]+)', inside))
    inside = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in named else "", inside)
    inside = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>f{place}-", inside).replace("xlink:href", "href")
    inside = re.sub(r"\s*\n\s*", " ", inside).strip()
    width, height = (72 * inches for inches in figure.get_size_inches())
    return (
        f'<svg class=drawn role=img aria-label="{escape(label)}" width="{width * PIXELS:.0f}" '
        f'height="{height * PIXELS:.0f}" viewBox="0 0 {width:g} {height:g}">{inside}'
    )
