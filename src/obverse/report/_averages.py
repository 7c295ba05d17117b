"""The page of average effects: maps and lines by role, their peaks, and which facts were left out."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Unpack

from obverse.core import Interval
from obverse.locating.figures import KIND_TITLES, layer_axis
from obverse.locating.trace import ROLES, TraceKind
from obverse.report._effects import MEANING, ROLE_LABELS, effects_origin, layers_of
from obverse.report._format import data, interval, points, table
from obverse.report._maps import Cell, Row, Series, heat_map, key, lines, scale
from obverse.report._page import Origin, embed, page, section

if TYPE_CHECKING:
    from obverse.locating.averages import Averages


class AveragesBackground(Origin, total=False):
    """What a page of averages says besides them; everything may be left out.

    Attributes:
        skipped: Reason → number of facts left out for it.
    """

    skipped: Mapping[str, int]


def render_averages(averages: Averages, **background: Unpack[AveragesBackground]) -> str:
    """Return average effects as a page of HTML.

    Args:
        averages: Effects averaged over facts.
        **background: What to say about how they were made, see `AveragesBackground`.
    """
    skipped = dict(background.get("skipped", {}))
    title = f"{averages.n:,} facts traced"
    body = [
        f"<header><p class=kicker>Where answers come from in a language model</p><h1>{title}</h1>"
        f"<p>Model {escape(averages.model)}. {MEANING}</p></header>",
        section("In short", f"Means over n = {averages.n:,} facts, with 95 % intervals.", _summary(averages)),
        section(
            "Average indirect effect by role and layer",
            "The mean over facts, of a part with several tokens over all of them. One scale for all maps.",
            "".join(f"<h3>{KIND_TITLES[kind]}</h3>{_role_map(averages, kind)}" for kind in averages.kinds),
        ),
        section(
            "The same as lines",
            "Average indirect effect in percentage points, with 95 % intervals as bands. One scale for all.",
            _line_charts(averages),
        ),
        section("Peaks", "The layer with the largest average effect of each part.", _peaks(averages)),
        _skipped_section(skipped),
        effects_origin(
            averages.model, averages.fingerprint, background,
            window=averages.window, noise=averages.noise, level=averages.level,
        ),
    ]  # fmt: skip
    return page(f"{title} on {averages.model}", body, embed({**averages.to_json(), "skipped": skipped}))


def _summary(averages: Averages) -> str:
    rows = [
        ("Clean", "Probability of the answer after the plain statement", interval(averages.clean)),
        ("Corrupted", "The same with noise on the subject", interval(averages.corrupted)),
        ("Total effect", "What the noise takes away", f"<b>{interval(averages.total_effect, points)}</b>"),
    ]
    rows += [
        (KIND_TITLES[kind], "A fact's largest indirect effect, wherever it is", interval(best, points))
        for kind, best in averages.best.items()
    ]
    return table(("Run", "Meaning", "Mean"), rows)


def _present(averages: Averages) -> list[Interval]:
    return [
        value for kind in averages.kinds for role in ROLES for value in averages.effects[kind][role] if value
    ]  # fmt: skip


def _role_map(averages: Averages, kind: TraceKind) -> str:
    top = max((value.mean for value in _present(averages)), default=0.0)
    rows = list[Row]()
    for role in ROLES:
        cells = [
            None if value is None else Cell(
                max(0.0, value.mean / top) if top > 0 else 0.0,
                f"{role} · {layers_of(kind, layer, averages.window, averages.n_layers)}\n"
                f"mean {points(value.mean)} (n = {value.n:,})\n"
                f"95 % interval {points(value.low)} to {points(value.high)}",
                f"{100 * value.mean:.2f} ({100 * value.low:.2f} to {100 * value.high:.2f})",
            )
            for layer, value in enumerate(averages.effects[kind][role])
        ]  # fmt: skip
        rows.append(Row(role, cells))
    legend = scale("0", data(max(top, 0.0), points), "average indirect effect; nothing or less is blank")
    axis = layer_axis(kind, averages.window)
    return heat_map(KIND_TITLES[kind], kind, rows, legend, axis=axis, labels=ROLE_LABELS)


def _series(averages: Averages, kind: TraceKind) -> list[Series]:
    return [Series(role, f"c{i}", averages.effects[kind][role]) for i, role in enumerate(ROLES)]


def _line_charts(averages: Averages) -> str:
    ends = _present(averages)
    low = min((value.low for value in ends), default=0.0)
    high = max((value.high for value in ends), default=0.0)
    charts = [
        f"<section><h3>{KIND_TITLES[kind]}</h3>{lines(KIND_TITLES[kind], _series(averages, kind), low, high)}"
        f"<p class=note>Upwards: percentage points. Across: {layer_axis(kind, averages.window)}.</p></section>"
        for kind in averages.kinds
    ]
    return key(_series(averages, averages.kinds[0])) + f'<div class="cards wide">{"".join(charts)}</div>'


def _peaks(averages: Averages) -> str:
    rows = list[tuple[str, ...]]()
    for kind in averages.kinds:
        for role in ROLES:
            if peak := averages.peak(kind, role):
                rows.append(
                    (KIND_TITLES[kind], role, str(peak.layer), interval(peak.effect, points), f"{peak.effect.n:,}")
                )
    return table(("What", "Part", "Layer", "Average indirect effect", "n"), rows)


def _skipped_section(skipped: Mapping[str, int]) -> str:
    total = sum(skipped.values())
    rows = [(escape(reason), f"{count:,}") for reason, count in sorted(skipped.items(), key=lambda item: -item[1])]
    intro = f"{total:,} facts were not traced and are in none of the means."
    return section("Left out", intro, table(("Reason", "Facts"), rows)) if rows else ""
