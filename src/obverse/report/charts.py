"""Charts as rows of small SVG pictures, whose marks stand at percentages of the width, so that text never shrinks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from obverse.core import KINDS, Interval
from obverse.report._format import KIND_NAMES, Found, data, interval, plain
from obverse.report._maps import round_ticks
from obverse.verifying import CaseReport

LEGEND = (
    "<p class=legend><svg width=14 height=14 aria-hidden=true><circle class=before cx=7 cy=7 r=5 /></svg> before "
    "the edit <svg width=14 height=14 aria-hidden=true><circle class=after cx=7 cy=7 r=6 /></svg> after the edit{}</p>"
)
_WHISKERS = " <span>Lines through the marks: 95 % interval over questions.</span>"


def by_kind(found: Found, protocol: str, axis: str) -> str:
    """Draw the mean of a share by kind of question, before and after, with 95 % intervals.

    Args:
        found: The report's intervals.
        protocol: One whose values lie between 0 and 1.
        axis: What the axis shows.
    """
    rows = list[str]()
    for kind in KINDS:
        old, new = (found.get((kind, protocol, after)) for after in (False, True))
        if old is not None and new is not None:
            label = f"{KIND_NAMES[kind]} <small>n = {new.n:,}</small>"
            numbers = f"{interval(old)}{' → ' if new.n == 1 else '<br>→ '}<b>{interval(new)}</b>"
            rows.append(_row(label, numbers, old, new))
    return _chart(rows, _WHISKERS, axis)


def by_probe(case: CaseReport, limit: int) -> str:
    """Draw the probability of the expected answer to each question of a case, before and after, grouped by kind."""
    rows = list[str]()
    for kind in KINDS:
        pairs = [(o, n) for o, n in zip(case.before, case.after, strict=True) if o.kind == kind]
        if pairs:
            rows.append(f"<h4>{KIND_NAMES[kind]}</h4>")
        for old, new in pairs[:limit]:
            label = f"{escape(old.probe.text)} <b>{escape(old.probe.expected)}</b>"
            numbers = f"{data(old.probability)} → <b>{data(new.probability)}</b>"
            rows.append(_row(label, numbers, _point(old.probability), _point(new.probability)))
    return _chart(rows, "", "probability of the expected answer")


def bars(entries: Sequence[tuple[str, float]], marks: Sequence[tuple[str, str]]) -> str:
    """Draw likeliest next tokens as bars, all on a scale from 0 to 100 %.

    Args:
        entries: Token and probability, likeliest first.
        marks: Answer and what to call it; a token that begins the answer is marked so.
    """
    rows = list[str]()
    for token, p in entries:
        word = token.strip()
        name = next((label for answer, label in marks if word and answer.strip().startswith(word)), "")
        shown = escape(word) if word else f"<i>{escape(repr(token))}</i>"
        tag = f" <small>{escape(name)}</small>" if name else ""
        css = f"bar {name.split()[0]}" if name else "bar"
        picture = (
            f"<svg class=plot role=img><title>{escape(repr(token))}: {p:.6f}</title><rect class=track width=100% y=5 "
            f'height=14 rx=2 /><rect class="{css}" width="{_at(p)}" y=5 height=14 rx=2 /></svg>'
        )
        rows.append(
            f"<div class=row><div class=label>{shown}{tag}</div>{picture}<div class=value>{data(p)}</div></div>"
        )
    return f'<div class="chart short">{"".join(rows)}</div>'


def means(entries: Sequence[tuple[str, Interval]], axis: str) -> str:
    """Draw means with their 95 % intervals, a row each, on one scale that has 0.

    Args:
        entries: Names, plain text, and means; at least one.
        axis: What is measured and its unit, plain text.
    """
    ends = [end for _, found in entries for end in (found.low, found.high, found.mean) if math.isfinite(end)]
    marks = list(round_ticks(min([0.0, *ends]), max([0.0, *ends])))
    low, span = marks[0], marks[-1] - marks[0]

    def place(value: float) -> str:
        return f"{(value - low) / span:.2%}"

    grid = "".join(f'<line class=grid x1="{place(mark)}" x2="{place(mark)}" y1=0 y2=24 />' for mark in marks)
    rows = list[str]()
    for label, found in entries:
        whisker = f'<line class="whisker after" x1="{place(found.low)}" x2="{place(found.high)}" y1=12 y2=12 />'
        drawn = (
            (whisker if found.n > 1 and math.isfinite(found.low) else "")
            + f'<circle class=after cx="{place(found.mean)}" cy=12 r=6 />'
            if math.isfinite(found.mean)
            else ""
        )
        title = f"<title>{escape(label)}: {found.mean:.6g}</title>"
        rows.append(
            f"<div class=row><div class=label>{escape(label)} <small>n = {found.n:,}</small></div>"
            f"<svg class=plot role=img>{title}{grid}{drawn}</svg><div class=value>{interval(found, plain)}</div></div>"
        )
    ticks = "".join(
        f'<line class=tick x1="{place(mark)}" x2="{place(mark)}" y1=0 y2=5 />'
        f'<text x="{place(mark)}" y=18 text-anchor=middle>{mark:g}</text>'
        for mark in marks
    )
    name = f"<text x=50% y=36 text-anchor=middle>{escape(axis)}</text>"
    rows.append(
        f"<div class='row axis'><div class=label></div><svg class=plot>{ticks}{name}</svg><div class=value></div></div>"
    )
    return f"<div class=chart>{''.join(rows)}</div>"


def _chart(rows: Iterable[str], note: str, axis_name: str) -> str:
    ticks = "".join(
        f'<line class=tick x1="{at}%" x2="{at}%" y1=0 y2=5 /><text x="{at}%" y=18 text-anchor=middle>{at} %</text>'
        for at in (0, 25, 50, 75, 100)
    )
    name = f"<text x=50% y=36 text-anchor=middle>{escape(axis_name)}</text>"
    axis = (
        f'<div class="row axis"><div class=label></div><svg class=plot>{ticks}{name}</svg><div class=value></div></div>'
    )
    return f"{LEGEND.format(note)}<div class=chart>{''.join(rows)}{axis}</div>"


def _row(label: str, numbers: str, old: Interval, new: Interval) -> str:
    grid = "".join(f'<line class=grid x1="{at}%" x2="{at}%" y1=0 y2=24 />' for at in (0, 25, 50, 75, 100))
    title = f"<title>before {old.mean:.6f}, after {new.mean:.6f}</title>"
    change = f'<line class=change x1="{_at(old.mean)}" x2="{_at(new.mean)}" y1=12 y2=12 />' if old.n == 1 else ""
    first, second = (12, 12) if old.n == 1 else (7, 17)
    marks = _mark("before", old, first, 5) + _mark("after", new, second, 6)
    picture = f"<svg class=plot role=img>{title}{grid}{change}{marks}</svg>"
    return f"<div class=row><div class=label>{label}</div>{picture}<div class=value>{numbers}</div></div>"


def _mark(css: str, found: Interval, y: int, radius: int) -> str:
    whisker = f'<line class="whisker {css}" x1="{_at(found.low)}" x2="{_at(found.high)}" y1={y} y2={y} />'
    title = f"<title>{css}: {found.mean:.6f}" + (
        f", 95 % interval {found.low:.4f} to {found.high:.4f}, n = {found.n}</title>" if found.n > 1 else "</title>"
    )
    return (
        f'<g>{title}{whisker if found.n > 1 else ""}<circle class={css} cx="{_at(found.mean)}" cy={y} r={radius} /></g>'
    )


def _point(value: float) -> Interval:
    return Interval(value, value, value, 1)


def _at(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"
