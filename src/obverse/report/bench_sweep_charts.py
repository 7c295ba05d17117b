"""What a sweep came to as HTML: scores over the setting that was swept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from obverse.report.bench_curves import Panel, draw
from obverse.report.bench_rows import SHOWN, Row
from obverse.report.bench_sweep import places_of, rest_of, swept_metrics


def sweeps_html(rows: Sequence[Row]) -> str:
    """Return a chart of S and its parts for each method, and each of its other settings; nothing if none was swept."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.point:
            key = next(iter(row.point))
            groups.setdefault((row.method, key, rest_of(row, key)), []).append(row)
    if not groups:
        return ""
    names = swept_metrics([row for own in groups.values() for row in own])
    css = {SHOWN[name].label: f"c{place}" for place, name in enumerate(names)}
    drawn = list[str]()
    for (method, key, rest), own in groups.items():
        places = {value: round(place) for value, place in places_of([row.point[key] for row in own]).items()}
        series = {
            SHOWN[name].label: {places[row.point[key]]: row.metrics[name] for row in own if name in row.metrics}
            for name in names
        }
        title = f"{method}, {rest}" if rest else method
        named = {place: re.sub(r"[\[\]]", "", value) for value, place in places.items()}
        drawn.append(draw(Panel(f"{title}: percent, n = {own[0].n:,}", key, 100.0, series, names=named), css))
    marks = "".join(f'<span class="{kind}"><i class=swatch></i> {escape(name)}</span>' for name, kind in css.items())
    return f'<p class="legend key">{marks}</p><div class="cards three">{"".join(drawn)}</div>'
