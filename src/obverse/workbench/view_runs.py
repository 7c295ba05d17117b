"""What the tab Runs shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from obverse.report._format import plain
from obverse.workbench.fragments import button, framed, sheet
from obverse.workbench.run_details import Comparison, Number, Page
from obverse.workbench.run_folders import RunInfo

LONG = 400
"""Characters of a setting, at most."""


def list_page(runs: Sequence[RunInfo], root: str) -> str:
    """Return the runs with a button each."""
    if not runs:
        return framed(f"<p class=note>No run below {escape(root)} fits. Runs appear here while they work.</p>")
    rows = [
        (
            button("open", run.name, f"Open {run.name}", name=run.name),
            escape(run.kind),
            escape(run.model),
            escape(run.start[:16].replace("T", " ")),
            "done" if run.finished else "under way, or stopped",
        )
        for run in runs
    ]
    return framed(sheet(f"{len(runs)} runs", ("Run", "Kind", "Model", "Began (UTC)", "State"), rows))


def run_page(name: str, numbers: Mapping[str, Number], settings: Mapping[str, str]) -> str:
    """Return the results and settings of a run."""
    found = [(f"<code>{escape(key)}</code>", number(value), count(value)) for key, value in numbers.items()]
    asked = [
        (f"<code>{escape(key)}</code>", f"<span class=wrap>{escape(_short(value))}</span>")
        for key, value in settings.items()
    ]
    return framed(
        f"<h2>{escape(name)}</h2>",
        sheet("Results", ("Number", "Value [95 % interval]", "n"), found)
        if found
        else "<p class=note>No results in numbers: read its report, or wait until it is done.</p>",
        f"<details><summary>Settings ({len(asked)})</summary>{sheet('', ('Setting', 'Value'), asked)}</details>",
    )


def records_page(page: Page) -> str:
    """Return some records, each to be opened."""
    if not page.all:
        return framed("<p class=note>This run has no records by case.</p>")
    count = f"{page.found:,} of {page.all:,} records" if page.found != page.all else f"{page.all:,} records"
    items = "".join(
        f"<details class=record><summary>{escape(_title(record))}</summary>"
        f"<pre>{escape(json.dumps(record, indent=1, ensure_ascii=False))}</pre></details>"
        for record in page.records
    )
    return framed(f"<p>{count}; page {page.number} of {page.pages}.</p>{items}")


def compare_page(first: str, second: str, found: Comparison) -> str:
    """Return two runs side by side."""
    rows = [
        (f"<code>{escape(name)}</code>", number(a), number(b), _difference(a, b))
        for name, (a, b) in found.numbers.items()
    ]
    differing = [
        (f"<code>{escape(name)}</code>", *(f"<span class=wrap>{escape(_short(side or '—'))}</span>" for side in sides))
        for name, sides in found.settings.items()
    ]
    head = (first, second)
    return framed(
        sheet("Results", ("Number", *head, "Difference"), rows, "Difference: second less first, of the means.")
        if rows
        else "<p class=note>Neither has results.</p>",
        sheet("Settings that differ", ("Setting", *head), differing, f"{found.same} settings are the same.")
        if differing
        else f"<p class=note>All {found.same} settings are the same.</p>",
    )


def number(value: Number | None) -> str:
    """Return a number with its interval."""
    if value is None:
        return "—"
    interval = (
        f" <small>[{plain(value.low)} to {plain(value.high)}]</small>"
        if value.low is not None and value.high is not None
        else ""
    )
    return f'<data value="{value.value!r}">{plain(value.value)}</data>{interval}'


def count(value: Number) -> str:
    """Return of how many values a number is the mean."""
    return "" if value.n is None else f"{value.n:,}"


def framed_report(html: str) -> str:
    """Return a run's own page in a frame of its own, in which no script runs: they are left out, and forbidden."""
    html = re.sub(r"<script\b.*?</script\s*>", "", html, flags=re.DOTALL | re.IGNORECASE)  # or the browser complains
    return framed(f'<iframe class=report sandbox title="Report of the run" srcdoc="{escape(html)}"></iframe>')


def _difference(first: Number | None, second: Number | None) -> str:
    if first is None or second is None:
        return ""
    change = second.value - first.value
    return f"<b>{'+' if change > 0 else ''}{plain(change)}</b>"


def _title(record: Mapping[str, Any]) -> str:
    fact = record.get("fact")
    named = f"{fact.get('prompt', '')} → {fact.get('target', '')}" if isinstance(fact, dict) else ""
    told = named or next((str(record[key]) for key in ("prompt", "text", "error") if key in record), "")
    values = [f"{key} {plain(value)}" for key, value in record.items() if isinstance(value, float)]
    return " · ".join(filter(None, [str(record.get("id", "")), _short(told, 100), *values[:4]]))


def _short(text: str, length: int = LONG) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
