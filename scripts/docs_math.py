r"""Turn formulas into MathML while the documentation is built, so that pages need no script and no network.

A formula between double dollars that starts a line is set apart; one between single dollars stands in the text or in a
table, where a bar is written ``\mid`` or ``\vert``, as a plain one would end the cell.
"""

import re

from latex2mathml.converter import convert

_CODE = re.compile(r"(^[ ]*```.*?^[ ]*```[ ]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
_APART = re.compile(r"^\$\$(.+?)\$\$$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"\$(?=\S)([^$\n]+?)(?<=\S)\$")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace every formula; code is left alone. Called by mkdocs for each page."""
    parts = _CODE.split(markdown)
    return "".join(
        part if number % 2 else _INLINE.sub(_inline, _APART.sub(_apart, part)) for number, part in enumerate(parts)
    )


def _apart(found: re.Match[str]) -> str:
    formula = " ".join(found[1].split())
    return f'<div class="formula">{convert(formula, display="block")}</div>'


def _inline(found: re.Match[str]) -> str:
    return f"<span>{convert(found[1])}</span>"  # Markdown takes a bare <math> at the start of a line for a block
