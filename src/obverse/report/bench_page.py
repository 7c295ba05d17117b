"""A benchmark as one HTML page: tables, charts, tests, and every case with what each editor made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from obverse.report._format import table
from obverse.report._page import Part, embed, origin, page, section, write_page
from obverse.report.bench_charts import scatter_html
from obverse.report.bench_curves import curves_html
from obverse.report.bench_rows import BenchReport, CaseRow
from obverse.report.bench_sheets import (
    FAILURES,
    Sheet,
    comparison_sheet,
    cost_sheet,
    deviation_sheet,
    html_cell,
    metric_sheets,
    status_sheet,
)
from obverse.report.bench_sweep_charts import sweeps_html

PAGE_BYTES = 1_900_000
"""Size of a page, at most, unless its tables alone are larger."""
SHOWN_ERRORS = 20
"""Different errors listed, at most."""

_UNITS = "Shares in percent, differences of probabilities in percentage points; other units stand below their table."
_MARKS = (("efficacy", "E"), ("generalization", "P"), ("specificity", "N"))
_PROTOCOLS = ("success", "token_accuracy")


def write_bench_page(path: str | Path, report: BenchReport, cases: Sequence[CaseRow], total: int) -> Path:
    """Write a benchmark as a page of HTML and return where; an older page is replaced as a whole.

    Args:
        path: Where.
        report: The numbers.
        cases: The cases shown, the most telling first.
        total: How many there are.
    """
    return write_page(path, render_bench(report, cases, total))


def render_bench(report: BenchReport, cases: Sequence[CaseRow], total: int) -> str:
    """Return a benchmark as a page of HTML, see `write_bench_page`; of too many answers the first cases' are kept."""
    numbers = {"rows": [asdict(row) for row in report.rows], "runs": [row.label for row in report.rows]}
    bare = len(_page(report, cases, total, 0, embed({**numbers, "cases": []})).encode())
    kept = _fitting(report, cases, PAGE_BYTES - bare)
    data = embed({**numbers, "cases": kept})
    return _page(report, cases, total, len(kept), data)


def _page(report: BenchReport, cases: Sequence[CaseRow], total: int, detailed: int, data: str) -> str:
    sheets = metric_sheets(report.rows)
    seconds = list(dict.fromkeys(one.second for one in report.comparisons))
    tests = [sheet for name in seconds if (sheet := comparison_sheet(report.comparisons, name))]
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in report.notes)
    theirs, cost = deviation_sheet(report.rows), cost_sheet(report.rows)
    body = [
        f"<header><p class=kicker>Editors of facts in language models, compared</p><h1>{escape(report.title)}</h1>"
        f"<p>{len(report.edited):,} runs of editors over {total:,} cases. Every mean stands with its 95 % interval "
        f"over cases; the best of each column is in bold.</p>{notes}</header>",
        section("Results", _UNITS, "".join(_sheet_html(sheet) for sheet in [*sheets, theirs] if sheet)),
        section(
            "Success against specificity",
            "The upper right is where an editor wants to be: the new answer said, neighbours left alone. Bars: 95 % "
            "intervals. Grey lines: equal S, if efficacy and paraphrases are equal.",
            scatter_html(report.rows),
        ),
        section(
            "Over the setting that was swept",
            "Bands: 95 % intervals over cases. The numbers are in the tables above.",
            sweeps_html(report.rows),
        ),
        section(
            "Facts written one upon the other",
            "All earlier facts asked again as they become more. Bands: 95 % intervals; dashed: the unedited model.",
            curves_html(report.curves, report.rows),
        ),
        section(
            "Which differences are beyond chance",
            "",
            "".join(_sheet_html(sheet, fold=n > 0) for n, sheet in enumerate(tests)),
        ),
        section("Case by case", _cases_intro(len(cases), total, detailed), _case_table(report, cases)),
        section("Cases and failures", "", _sheet_html(status_sheet(report.rows)) + _errors(cases)),
        section("Cost", "", _sheet_html(cost) if cost else ""),
        _origin(report),
    ]
    return page(report.title, body, data, extra="bench")


def _sheet_html(sheet: Sheet, *, fold: bool = False) -> str:
    rows = [tuple(html_cell(cell) for cell in row) for row in sheet.rows]
    legend = "".join(f"<li>{escape(text)}</li>" for text in sheet.legend)
    inside = f"<div class=scroll>{table([escape(name) for name in sheet.head], rows, 'numbers sheet')}</div>"
    inside += f"<ul class=note>{legend}</ul>" if legend else ""
    if fold:
        return f"<details><summary>{escape(sheet.title)}</summary>{inside}</details>"
    return f"<h3 class=above>{escape(sheet.title)}</h3>{inside}"


def _cases_intro(shown: int, total: int, detailed: int) -> str:
    which = " First those where an edit failed, then those on which editors differ most, then the worst."
    which += f" Shown are {shown:,} of {total:,} cases." if shown < total else ""
    some = (
        "" if detailed >= shown else f" The answers of the first {detailed:,} are on this page; all are in the records."
    )
    return (
        "Bars: efficacy, paraphrases and neighbours, full where all were won; ! where the edit failed. A click on a "
        f"case opens its questions with every answer, one on a column sorts.{which}{some}"
    )


def _case_table(report: BenchReport, cases: Sequence[CaseRow]) -> str:
    if not cases:
        return ""
    labels = [row.label for row in report.rows]
    head = "".join(
        f"<th scope=col><button data-sort={n + 1}><span>{escape(name)}</span></button></th>"
        for n, name in enumerate(labels)
    )
    body = "".join(_case(place, case, labels) for place, case in enumerate(cases))
    tools = (
        '<p class="legend tools"><label>Find <input type=search id=find></label>'
        "<label>Show <select id=only><option value=''>all</option><option value=f>where an edit failed</option>"
        "<option value=d>where editors differ</option></select></label><span id=shown></span></p>"
    )
    return (
        f"{tools}<div class=scroll><table id=cases class='numbers cases'><thead><tr><th scope=col>"
        f"<button data-sort=0>Case</button></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _case(place: int, case: CaseRow, labels: Sequence[str]) -> str:
    old = f"<del>{escape(case.target_true)}</del> → " if case.target_true else "→ "
    flags = "f" * bool(case.errors) + "d" * _differs(case, labels)
    cells = "".join(_verdicts(case, label) for label in labels)
    return (
        f"<tr data-n={place} data-f='{flags}'><th scope=row><button><small>{escape(case.id)}</small> "
        f"{escape(case.prompt)} … {old}<ins>{escape(case.target)}</ins></button></th>{cells}</tr>"
    )


def _shares(case: CaseRow, label: str) -> list[tuple[str, float]]:
    values = case.values.get(label, {})
    for protocol in _PROTOCOLS:
        found = [(name, values[f"{kind}_{protocol}"]) for kind, name in _MARKS if f"{kind}_{protocol}" in values]
        if found:
            return found
    return []


def _differs(case: CaseRow, labels: Sequence[str]) -> bool:
    return len({tuple(shares) for label in labels if label != "unedited" and (shares := _shares(case, label))}) > 1


def _verdicts(case: CaseRow, label: str) -> str:
    if label in case.errors:
        return f'<td data-v=-1 class=bad title="{escape(case.errors[label])}">!</td>'
    shares = _shares(case, label)
    if not shares:
        return "<td data-v=-2></td>"
    mean = sum(share for _, share in shares) / len(shares)
    tip = " ".join(f"{name} {share:.0%}" for name, share in shares)
    bars = "".join(f"<i style=--v:{share:.2g}></i>" for _, share in shares)
    return f'<td data-v={mean:.3g} title="{tip}">{bars}</td>'


def _fitting(report: BenchReport, cases: Sequence[CaseRow], room: int) -> list[dict[str, Any]]:
    """Return the answers of the first cases, as many as there is room for; without sampled texts if more fit so."""
    labels = [row.label for row in report.rows]
    for texts in (True, False):
        kept, used = list[dict[str, Any]](), 0
        for case in cases:
            told = _detail(case, labels, texts)
            used += len(json.dumps(told, ensure_ascii=False).replace("<", "\\u003c").encode()) + 2
            if used > room:
                break
            kept.append(told)
        if len(kept) == len(cases):
            return kept
    return kept


def _detail(case: CaseRow, labels: Sequence[str], texts: bool) -> dict[str, Any]:
    told = case.details or {}
    answers, written = told.get("answers", {}), told.get("texts", {}) if texts else {}
    return {
        "probes": told.get("probes", []),
        "answers": [answers.get(label) for label in labels],
        "texts": [written.get(label) or [] for label in labels],
        "errors": [case.errors.get(label) for label in labels],
    }


def _errors(cases: Sequence[CaseRow]) -> str:
    found: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for label, message in case.errors.items():
            found.setdefault((label, message), []).append(case.id)
    if not found:
        return ""
    rows = [
        (
            escape(label),
            f"<span class=wrap>{escape(message)}</span>",
            f"{len(ids):,}",
            escape(", ".join(ids[:10]) + (" …" if len(ids) > 10 else "")),
        )
        for (label, message), ids in list(found.items())[:SHOWN_ERRORS]
    ]
    more = f"<p>And {len(found) - SHOWN_ERRORS:,} others.</p>" if len(found) > SHOWN_ERRORS else ""
    return f"<h3 class=above>Why edits failed</h3>{table(('Run', 'Error', 'Cases', 'Which'), rows)}{more}"


def _origin(report: BenchReport) -> str:
    parts: list[Part] = [(name, values) for name, values in report.origin.items()]
    return origin({"runs": ", ".join(row.label for row in report.rows), "counting": FAILURES}, {}, parts)
