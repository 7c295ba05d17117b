"""The figures of the page of ``obverse reversal run``, each with the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from obverse.locating.figures import KIND_TITLES
from obverse.report._effects import beside, role_map
from obverse.report._format import data, interval, plain, points, table
from obverse.report._maps import scale
from obverse.report.reversal_figures import Group, Violin, bars, violins

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from obverse.report.reversal_trace_figure import Column

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
"""Percentiles of log-probabilities in the table of numbers."""


class Figure(NamedTuple):
    """A figure on the page.

    Attributes:
        title: What it shows, plain text.
        note: How to read it, plain text.
        drawn: A drawing of matplotlib, or HTML.
        numbers: The numbers behind it, HTML; empty if the drawing has them.
    """

    title: str
    note: str
    drawn: Drawing | str
    numbers: str = ""


def bars_figure(title: str, groups: Sequence[Group]) -> Figure:
    """Return right answers as bars.

    Args:
        title: What they are of, plain text.
        groups: At least one.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    names = list(dict.fromkeys(name for group in groups for name in group.bars))
    rows = [
        (escape(group.name), *(interval(group.bars[name]) if name in group.bars else "-" for name in names))
        for group in groups
    ]
    persons = sorted({one.n for group in groups for one in group.bars.values()})
    head = (f"n = {' or '.join(f'{n:,}' for n in persons)}", *map(escape, names))
    note = "Share of persons answered rightly, with exact 95 % intervals."
    return Figure(title, note, bars(groups), _folded(table(head, rows, "numbers told")))


def violins_figure(title: str, found: Sequence[Violin]) -> Figure:
    """Return log-probabilities of right and random answers as violins.

    Args:
        title: Whose they are, plain text.
        found: At least one, each of two persons or more.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    rows = [
        (
            f"{escape(one.name)}, {which}",
            f"{len(values):,}",
            *(data(float(value), plain) for value in np.percentile(values, QUANTILES)),
        )
        for one in found
        for which, values in (("right", one.right), ("random", one.random))
    ]
    head = ("Answer", "n", "Least", *(f"{share} %" for share in QUANTILES[1:-1]), "Most")
    note = (
        "Log-probability of answers by person, in nats: the right one to the left (blue), another person's to the "
        "right (grey), with their medians. Where both are alike, the model does not know."
    )
    return Figure(title, note, violins(found), _folded(table(head, rows, "numbers told")))


def maps_figure(title: str, columns: Sequence[Column], window: int) -> Figure:
    """Return where models keep a fact as heat maps, all models on one scale, all differences on another.

    Args:
        title: Which fact, plain text.
        columns: At least one.
        window: Layers restored together.
    """
    tops = {signed: _largest([one for one in columns if one.difference == signed]) for signed in (False, True)}
    parts = list[str]()
    for kind in columns[0].tables:
        maps = list[str]()
        for one in columns:
            top = tops[one.difference]
            low, name = (-top, "difference") if one.difference else (0.0, "indirect effect")
            legend = scale(data(low, points) if low else "0", data(top, points), name, two_sided=one.difference)
            effects = one.tables[kind].tolist()
            drawn = role_map(one.name, kind, effects, top, window, legend, two_sided=one.difference)
            maps.append(f"<h4>{escape(one.name)}</h4>{drawn}")
        parts.append(f"<h3>{KIND_TITLES[kind]}</h3>{beside(maps, columns[0].tables[kind].shape[1])}")
    note = (
        "How much of a fact's probability comes back when a state is restored, by the part a token plays and by layer, "
        "mean over facts; one scale for all models. Differences: next-token prediction less the other."
    )
    return Figure(title, note, "".join(parts))


def _largest(columns: Sequence[Column]) -> float:
    values = [np.nanmax(np.abs(table)) for one in columns for table in one.tables.values() if not np.isnan(table).all()]
    return float(max(values, default=0.0))


def _folded(numbers: str) -> str:
    return f"<details class=fine><summary>The numbers</summary><div class=scroll>{numbers}</div></details>"
