"""What models know about parents and children, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from obverse.cli.tables import duration, table

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.core import Interval
    from obverse.recipes.celebrities import CelebrityResult
    from obverse.recipes.celebrity_results import PublishedTables
    from obverse.recipes.celebrity_scores import Published, Symmetric

_ROWS = (
    ("right answers", "share"), ("right at least once", "once"), ("right when greedy", "greedy"),
    ("begin with the name", "published"), ("right, siblings too", "any_right"), ("refused", "refused"),
    ("not known", "unknown"),
)  # fmt: skip


def percent(value: Interval | float | None) -> str:
    """Return a share in percent, with its interval."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:.1%}"
    return f"{value.mean:.1%} [{value.low:.1%}, {value.high:.1%}]"


def print_celebrities(console: Console, result: CelebrityResult) -> None:
    """Print a table a protocol."""
    if result.symmetric:
        _print_symmetric(console, result.model, result.symmetric)
    if result.published:
        _print_published(console, result.model, result.published)
    console.print(
        "[dim]In brackets: 95 % intervals, by person in the first table. A refusal is no sign of what a model knows. "
        f"{duration(sum(result.seconds.values()))}.[/]"
    )
    console.print(f"Written to {escape(str(result.folder))}")


def _print_symmetric(console: Console, model: str, found: Symmetric) -> None:
    made = table("", "names the parent", "names the child", title=f"{escape(model)}: both questions asked alike")
    for label, name in _ROWS:
        made.add_row(label, percent(getattr(found.parent, name)), percent(getattr(found.child, name)))
    if found.parent.logprob and found.child.logprob:
        made.add_row("log-probability, nats", _nats(found.parent.logprob), _nats(found.child.logprob))
        made.add_row("  child without 'Q:'", "", _nats(found.unmarked))
    console.print(made)
    gap = found.difference
    console.print(
        f"Parent less child: {gap.difference:+.1%} [{gap.low:+.1%}, {gap.high:+.1%}], p = {gap.p:.2g}; "
        f"{found.pairs} pairs, {found.people} people."
    )
    console.print()


def _print_published(console: Console, model: str, found: Published) -> None:
    made = table("", "", title=f"{escape(model)}: the published protocol")
    made.add_row("parent questions", f"{found.asked:,}")
    made.add_row("answered with a name", percent(found.named))
    made.add_row("  which the list has", percent(found.true))
    made.add_row("  which is the child's own", f"{found.itself:,}")
    made.add_row("child named at least once", percent(found.reversed) or "no pair to ask about")
    for kind, value in found.by_type.items():
        made.add_row(f"  of {kind}s", percent(value))
    for label, shares in (("parent answers", found.parents), ("child answers", found.children)):
        if shares:
            made.add_row(label, ", ".join(f"{share:.0%} {what}" for what, share in shares.items()))
    console.print(made)
    console.print()


def _nats(value: Interval | None) -> str:
    return f"{value.mean:.2f} [{value.low:.2f}, {value.high:.2f}]" if value else ""


def print_published(console: Console, tables: PublishedTables) -> None:
    """Print the published pairs and models, counted again."""
    console.print(
        f"{tables.rows:,} pairs of {tables.children:,} children; {round(tables.reversed.mean * tables.rows):,} turned "
        f"round: {percent(tables.reversed)}; "
        + "; ".join(f"{kind}s {percent(value)}" for kind, value in tables.by_type.items())
        + "."
    )
    console.print(f"{tables.other_forms} predictions are not the child's name letter by letter; {tables.repeated} rows "
                  "repeat a child and parent.")  # fmt: skip
    made = table("model", "P(parent)", "P(child)", "once", "log-probability", "as joined", title="Other models")
    for one in tables.models:
        once = f"{one.parent_once:.1%} / {one.child_once:.1%}" if one.parent_once is not None else ""
        nats = f"{one.parent_logprob:.2f} / {one.child_logprob:.2f}" if one.parent_logprob is not None else ""
        joined = f"{one.joined_parent:.1%} / {one.joined_child:.1%}"
        made.add_row(escape(one.model), percent(one.parent), percent(one.child), once, nats, joined)
    console.print(made)
    if tables.doubled:
        console.print(
            f"Joined over their common columns the models' tables have {tables.joined:,} rows instead of "
            f"{tables.rows:,}: {escape(', '.join(tables.doubled))} stands twice in each, and so 2 to the power of "
            f"{len(tables.models)} times in the join. The published number of pairs is that of the joined rows."
        )
