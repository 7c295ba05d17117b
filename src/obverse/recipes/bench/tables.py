"""A benchmark's tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from obverse.report.bench_rows import SHOWN, BenchReport
from obverse.report.bench_sheets import Cell, Sheet

COLUMNS = ("run", "method", "schedule", "after", "metric", "label", "mean", "low", "high", "n", "better")
"""Of the CSV file."""

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
})  # fmt: skip


def csv_text(report: BenchReport) -> str:
    """Return a line a run, point and metric: exact and unscaled numbers, as in ``summary.json``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    curves = {curve.label: curve.points for curve in report.curves}
    for last in report.rows:
        for row in curves.get(last.label, (last,)):
            for name, found in row.metrics.items():
                told = SHOWN[name]
                numbers = (repr(found.mean), repr(found.low), repr(found.high), found.n)
                writer.writerow(
                    (row.label, row.method, row.schedule, row.after, name, told.label, *numbers, told.better)
                )
    return out.getvalue()


def markdown(sheets: Sequence[Sheet]) -> str:
    """Return tables as Markdown, the best of each column in bold."""
    return "\n\n".join(_markdown(sheet) for sheet in sheets) + "\n"


def _markdown(sheet: Sheet) -> str:
    rows = [
        sheet.head,
        tuple(":--" if not i else "--:" for i in range(len(sheet.head))),
        *(tuple(map(_markdown_cell, row)) for row in sheet.rows),
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    legend = [_escaped(text) for text in sheet.legend]
    return "\n".join([f"**{_escaped(sheet.title)}**", "", *lines]) + ("\n\n" + "  \n".join(legend) if legend else "")


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    text = f"**{text}**" if cell.best else text
    return f"{text} ({cell.interval})" if cell.interval else text


def _escaped(text: str) -> str:
    for sign in "\\|*_`<[]":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def latex(sheets: Sequence[Sheet]) -> str:
    r"""Return tables for LaTeX with the package booktabs, the best of each column in bold."""
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(_latex(sheet) for sheet in sheets) + "\n"


def _latex(sheet: Sheet) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(sheet.title)}. {' '.join(map(_tex, sheet.legend))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.head) - 1)}}}",
        r"\toprule",
        " & ".join(map(_tex, sheet.head)) + r" \\",
        r"\midrule",
    ]
    for place, row in enumerate(sheet.rows):
        lines.append(" & ".join(map(_latex_cell, row)) + r" \\")
        if place in sheet.ruled:
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _latex_cell(cell: Cell) -> str:
    text = _tex(cell.text)
    if text.startswith("-") and cell.value is not None:
        text = f"${text}$"
    text = rf"\textbf{{{text}}}" if cell.best else text
    ends = _tex(cell.interval).replace("-", "--") if "to" not in cell.interval else _tex(cell.interval)
    return rf"{text} {{\scriptsize ({ends})}}" if cell.interval else text


def _tex(text: str) -> str:
    return text.translate(_LATEX)
