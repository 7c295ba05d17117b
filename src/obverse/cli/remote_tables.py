"""Fine-tuning jobs and their evaluation, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.markup import escape

from obverse.cli.prefs_tables import number
from obverse.cli.tables import table

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.remote import Listed
    from obverse.recipes.remote_api import Event
    from obverse.recipes.remote_evaluate import RemoteEvaluation


def print_jobs(console: Console, listed: Sequence[Listed]) -> None:
    """Print jobs, one a line."""
    from obverse.recipes.remote import cost

    if not listed:
        console.print("No jobs. Older ones: --all.")
        return
    made = table("job", "tag", "model", "trained model", "created", "status", "tokens", "cost")
    for one in listed:
        job, dollars = one.job, cost(one)
        made.add_row(
            job.id, escape(one.tag), escape(job.model), escape(job.fine_tuned_model or ""), _time(job.created),
            job.status, f"{job.trained_tokens:,}" if job.trained_tokens else "",
            f"${dollars:,.2f}" if dollars is not None else "",
        )  # fmt: skip
    console.print(made)


def event_line(event: Event) -> str:
    """Return an event as a line."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
    known = f" ({values})" if values and values not in event.message else ""
    return f"{_time(event.created)}  {event.message}{known}"


def print_evaluation(console: Console, found: RemoteEvaluation) -> None:
    """Print a row a subtask."""
    made = table("subtask", "people", "prefix match", "exact", "log p, right less random", "p")
    for name, one in found.subtasks.items():
        gap = one.logprobs.gap if one.logprobs else None
        made.add_row(
            name, str(one.people), number(one.values.get("prefix")), number(one.values.get("exact")),
            f"{gap.difference:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]" if gap else "", f"{gap.p:.2g}" if gap else "",
        )  # fmt: skip
    console.print(made)
    console.print(f"[dim]{len(found.models)} model{'s' * (len(found.models) != 1)}; by person, 95 % intervals.[/]")
    if found.waiting:
        console.print(f"[dim]Without a trained model: {escape(', '.join(found.waiting))}.[/]")
    console.print(f"Answers kept in {escape(str(found.folder))}")


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else ""
