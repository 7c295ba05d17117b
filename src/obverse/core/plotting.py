"""Figures as files: one style, no state left behind, the same bytes for the same numbers (extra ``plot``)."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obverse.core.errors import ConfigError, ObverseError
from obverse.core.storage import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""What a figure can be written as, by the ending of its file."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
"""Colours of all figures, in this order; told apart by the colour-blind too (Okabe and Ito 2008, without yellow and
black; the last is added)."""

DPI = 200
MOST_PIXELS = 60_000
"""Of one side of a PNG; its writer refuses more than 65,535."""

FALLBACK_FONTS = (
    "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Emoji",
    "Arial Unicode MS", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Unifont",
)  # fmt: skip
"""Fonts for letters that the first one lacks, where they are installed."""

_SIGNS = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", "\N{NO-BREAK SPACE}": "␣"})
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def visible(token: str, limit: int = 24) -> str:
    """Return a token as a label: line breaks and tabs as signs, nothing invisible, at most ``limit`` characters.

    A space at either end is dropped, unless the token is nothing else.
    """
    text = token.strip(" ").translate(_SIGNS) or "␣" * max(1, min(len(token), limit))
    text = "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") else c for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def figure_format(path: str | Path) -> str:
    """Return the format that a file's ending names.

    Raises:
        ConfigError: If it is none of `FORMATS`.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ConfigError(
            f"A figure cannot be written as {str(path)!r}: "
            + (f"its ending is .{ending}." if ending else "it has no ending."),
            f"End the name in {', '.join('.' + known for known in FORMATS[:-1])} or .{FORMATS[-1]}.",
        )
    return ending


@contextmanager
def drawing(path: str | Path | None = None) -> Generator[None]:
    """Draw in matplotlib's plain style whatever the user's own; formulas and warnings of missing letters are off.

    Args:
        path: Where the figure will be written; its ending is checked before any work.

    Raises:
        ConfigError: If the ending is not one of `FORMATS`.
        ObverseError: If matplotlib is not installed.
    """
    if path is not None:
        figure_format(path)
    try:
        import matplotlib.style
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise ObverseError("Figures need matplotlib, which is not installed.", "pip install 'obverse[plot]'") from error
    installed = set(fontManager.get_font_names())
    ours = {
        "font.family": ["DejaVu Sans", *(font for font in FALLBACK_FONTS if font in installed)],
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.linewidth": 0.6,
        "hatch.linewidth": 0.5,
        "text.parse_math": False,
        "svg.hashsalt": "obverse",
    }
    with matplotlib.style.context(["default", ours]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format its ending names and return where; equal figures give equal bytes.

    Raises:
        ConfigError: If the ending is not one of `FORMATS`.
        ObverseError: If matplotlib is missing, or the file cannot be written.
    """
    path, kind = Path(path), figure_format(path)
    dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
    with drawing(path):
        save = cast("Callable[..., None]", figure.savefig)  # pyright: ignore[reportUnknownMemberType]
        write_whole(path, lambda part: save(part, format=kind, dpi=dpi, metadata=_METADATA[kind]))
    return path
