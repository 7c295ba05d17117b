"""What models prefer to say, as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape

from obverse.cli.tables import duration, table
from obverse.core import Interval

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.prefs import PrefsResult
    from obverse.recipes.red_team import RedTeamResult

_SHOWN = (
    "score", "hits", "score_max@25", "score_p95", "failures", "compiles", "tokens", "distinct_2", "entropy_1",
    "self_bleu_5",
)  # fmt: skip
LETTERS = 90


def number(value: Interval | float | None) -> str:
    """Return a value with its interval, in three digits that count."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, Interval):
        return f"{value.mean:.3g} [{value.low:.3g}, {value.high:.3g}]" if value.n > 1 else f"{value.mean:.3g}"
    return f"{value:.3g}"


def print_prefs(console: Console, result: PrefsResult) -> None:
    """Print a table a scenario, the divergences, and the worst text of each model."""
    from obverse.measuring.preferences import METRICS

    names = list(dict.fromkeys(name for one in result.compared for name in one.preferences))
    for name in names:
        having = [(one.label, one.preferences[name]) for one in result.compared if name in one.preferences]
        shown = [metric for metric in _SHOWN if any(metric in found.metrics for _, found in having)]
        made = table("", *(METRICS[m].label for m in shown), title=f"{escape(name)}, scored by {escape(result.scorer)}")
        for label, found in having:
            made.add_row(escape(label), *(number(found.metrics.get(metric)) for metric in shown))
        console.print(made)
        for label, found in having:
            for sample, score in found.worst(1):
                text = " ".join((sample.prompt + sample.text).split())
                console.print(f"[dim]worst of {escape(label)}, {score:.3g}:[/] {escape(text[:LETTERS])}")
        if any(found.few for _, found in having):
            console.print("[dim]Fewer than 25 texts were scored: max@25 is only their maximum.[/]")
        console.print()
    rows = [(one.label, found) for one in result.compared for found in one.divergences]
    if rows:
        made = table("", "direction", "nats a text", "nats a token", "texts", title=f"KL, reference {rows[0][1].name}")
        for label, found in rows:
            made.add_row(
                escape(label), found.direction, number(found.nats), number(found.per_token), f"{found.nats.n:,}"
            )
        console.print(made)
        console.print()
    console.print(
        f"[dim]In brackets: 95 % intervals. Scores count {escape(result.unit)}; lower is better. "
        f"{duration(sum(result.seconds.values()))}.[/]"
    )
    if result.folder:
        console.print(f"Written to {escape(str(result.folder))}: report.html to read, samples.jsonl, summary.json")


def print_red_team(console: Console, result: RedTeamResult) -> None:
    """Print the curve by round and the worst prompts."""
    made = table("round", "pool mean", "best prompt", "new prompts", "candidates", title="Scores of the pool by round")
    for point in result.curve:
        made.add_row(
            str(point.round),
            number(point.pool),
            number(point.best),
            number(point.new),
            str(point.candidates),
        )
    console.print(made)
    console.print()
    made = table("prompt", "score", "own", "texts", title="Prompts that the model continues worst")
    for one in result.best[:10]:
        text = " ".join(one.prompt.split())
        made.add_row(escape(text[:LETTERS]), f"{one.mean:.3g} ± {one.std:.2g}", number(one.own), str(one.texts))
    console.print(made)
    console.print(
        f"[dim]{result.trials} trial{'s' * (result.trials != 1)}. In brackets: 95 % intervals over trials; of new "
        "prompts, over these. Higher scores are worse for the model. "
        f"{duration(sum(result.seconds.values()))}.[/]"
    )
    console.print(f"Written to {escape(str(result.folder))}")
