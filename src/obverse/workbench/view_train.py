"""What the tab Train & prefer shows: curves, samples with scores, tables of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from obverse.report._format import line, plain
from obverse.workbench.fragments import framed, sheet
from obverse.workbench.training_runs import Curve, Progressing, Sheet

SHOWN = 30
"""Samples shown at once."""


def progress_page(found: Progressing) -> str:
    """Return how far a training run is, with a curve for each number."""
    total = f" of {found.steps:,}" if found.steps else ""
    value = f" value={min(1.0, found.step / found.steps):.3f}" if found.steps else ""
    state = "finished" if found.finished else "under way, or stopped"
    curves = "".join(f"<section class=card>{curve_chart(curve)}</section>" for curve in found.curves)
    return framed(
        f"<div class=status><span>Step {found.step:,}{total}, {state}</span>"
        f'<progress max=1{value} aria-label="Steps done"></progress></div>',
        f"<div class=cards>{curves}</div>" if curves else "<p class=note>Nothing was logged twice yet.</p>",
    )


def curve_chart(curve: Curve) -> str:
    """Return a number over steps as a line, with its first and last values in words."""
    steps = [step for step, _ in curve.points]
    values = [value for _, value in curve.points]
    low, high = min(values), max(values)
    across, up = (steps[-1] - steps[0]) or 1, (high - low) or 1.0
    places = " ".join(
        f"{(step - steps[0]) / across * 1000:.1f},{(high - value) / up * 1000:.1f}" for step, value in curve.points
    )
    told = f"{curve.name}: {plain(values[0])} at step {steps[0]:,}, {plain(values[-1])} at step {steps[-1]:,}"
    grid = "".join(f"<line class=grid x1=0 x2=1000 y1={y} y2={y} />" for y in (0, 500, 1000))
    marks = "".join(
        f"<span style=top:{y}%>{plain(value)}</span>" for y, value in ((0, high), (50, (low + high) / 2), (100, low))
    )
    ends = f"<span style=left:0>{steps[0]:,}</span><span style=left:100%>{steps[-1]:,}</span>"
    return (
        f'<h3>{escape(curve.name)}</h3><div class="lines small"><div class=ys>{marks}</div>'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio=none role=img aria-label="{escape(told)}">{grid}'
        f'<polyline class=role0 points="{places}" /></svg><div class=xs>{ends}</div></div>'
        f"<p class=note>last: {plain(values[-1])} at step {steps[-1]:,}</p>"
    )


def samples_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return samples with their scores."""
    if not rows:
        return framed("<p class=note>No samples were written yet; a run with an evaluation writes them.</p>")
    scores = [row["score"] for row in rows if isinstance(row.get("score"), int | float)]
    mean = f"Mean score {plain(sum(scores) / len(scores))} (n = {len(scores):,}); higher is worse. " if scores else ""
    cells = [
        (
            "—" if row.get("score") is None else f"<b>{plain(float(row['score']))}</b>",
            f"<small>{line(str(row.get('prompt', '')))}</small> {line(str(row.get('text', '')))}",
        )
        for row in rows[:SHOWN]
    ]
    count = f"{mean}The {min(SHOWN, len(rows))} worst of {len(rows):,}." if len(rows) > SHOWN else mean
    return framed(sheet("Samples", ("Score", "Text"), cells, count))


def tables_page(sheets: Sequence[Sheet]) -> str:
    """Return the tables of a run."""
    parts = [_sheet(one) for one in sheets if one.rows]
    return framed(*parts) if parts else framed("<p class=note>No tables yet.</p>")


def _sheet(one: Sheet) -> str:
    head = list(dict.fromkeys(name for row in one.rows for name in row))
    return sheet(one.title, head, [[escape(row.get(name, "")) for name in head] for row in one.rows], escape(one.note))
