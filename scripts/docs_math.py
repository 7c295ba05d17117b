"""Turn formulas into MathML while the documentation is built, so that pages need no script and no network."""

import re

from latex2mathml.converter import convert

_CODE = re.compile(r"(^[ ]*```.*?^[ ]*```[ ]*$)", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(r"^\$\$(.+?)\$\$$", re.DOTALL | re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace every formula between double dollars; blocks of code are left alone. Called by mkdocs for each page."""
    parts = _CODE.split(markdown)
    return "".join(part if number % 2 else _FORMULA.sub(_mathml, part) for number, part in enumerate(parts))


def _mathml(found: re.Match[str]) -> str:
    formula = " ".join(found[1].split())
    return f'<div class="formula">{convert(formula, display="block")}</div>'
