"""Results as tables in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from obverse.core import KINDS, Kind

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.measuring import TopToken
    from obverse.recipes.apply import ApplyResult
    from obverse.recipes.edit import EditResult
    from obverse.recipes.measure import Asked
    from obverse.recipes.merge import MergeResult
    from obverse.recipes.plan import Plan
    from obverse.recipes.show import Shown
    from obverse.recipes.stack import CrossTalk
    from obverse.verifying import Continuation, Report

QUESTIONS: dict[Kind, str] = {
    "efficacy": "the edited prompt itself",
    "generalization": "the same in other words",
    "specificity": "neighbouring facts, which should stay as they were",
    "reverse": "the other way round: from the answer to the subject",
}
"""What each kind of probe asks, for people who have not read the papers."""

SHOWN_ANSWERS = 12
"""Queries shown with their answers, at most; the page shows as many, report.json all."""

_PROTOCOLS = {"success": "success", "probability": "probability", "generated": "says it"}
_LEGEND = (
    "success: the expected answer is likelier than the other one; probability: of the expected answer; says it: the "
    "model's own text starts with it"
)


def table(*headers: str, title: str | None = None) -> Table:
    """Return an empty table; the first column is text, the others are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, header in enumerate(headers):
        made.add_column(header, justify="right" if number else "left", header_style="dim")
    return made


def grid(rows: Sequence[tuple[str, str]]) -> Table:
    """Return rows of a name and a value."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, escape(value))
    return made


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n: float) -> str:
    """Return bytes as people say them."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def likeliest(tokens: Sequence[TopToken]) -> str:
    """Return the likeliest next tokens in a line."""
    return ", ".join(f"{token.text.strip() or repr(token.text)} {token.probability:.1%}" for token in tokens)


def print_plan(console: Console, plan: Plan, *, full: bool = False) -> None:
    """Print what will be done; with ``full`` every setting."""
    layers = f"{', '.join(map(str, plan.layers))} ({', '.join(plan.modules)})"
    source = f", {plan.layer_from}" if plan.layer_from else ""
    rows = [
        ("model", f"{plan.model} ({plan.fingerprint})"),
        ("method", f"{plan.method}, {plan.facts} fact{'s' if plan.facts > 1 else ''}"),
        (
            "layer" if len(plan.layers) == 1 else "layers",
            f"{layers}{source}" if plan.layers else "none: the edit is a prompt",
        ),
        ("contexts", f"{plan.contexts}, the bare prompt among them"),
        (
            "second moments",
            {"kept": "kept from before", "to be counted": "will be counted first"}.get(plan.moments, plan.moments),
        ),
    ]
    if plan.cost is not None:
        rows.append(("cost", f"about {duration(plan.cost.seconds)} at most, {size(plan.cost.memory)} beside the model"))
    if full:
        rows += [
            (f"  {name}", f"{value}{' (preset for this model)' if name in plan.from_preset else ''}")
            for name, value in plan.settings.items()
        ]
    console.print(grid(rows))


def print_result(console: Console, result: EditResult) -> None:
    """Print answers before and after, the verification, cross-talk, time, and where everything is."""
    for top in result.tops[:5]:
        console.print(f"\n[bold]{escape(top.prompt)}[/] …")
        console.print(grid([("before", likeliest(top.before)), ("after", likeliest(top.after))]))
    if len(result.tops) > 5:
        console.print(f"… and {len(result.tops) - 5} more facts")
    print_answers(console, result.answers)
    if result.report:
        console.print()
        print_report(console, result.report)
    print_cross_talk(console, result.cross_talk)
    steps = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    console.print(f"\nTime: {steps}; {duration(sum(result.seconds.values()))} in all.")
    if result.folder:
        adapter = (result.folder / "adapter_config.json").is_file()  # not of edits that are no low-rank change
        console.print(f"Edit: {result.folder}{' (a PEFT adapter folder)' if adapter else ''}", markup=False)
        if result.report:
            console.print(f"Page: {result.folder / 'report.html'}", markup=False)


def print_answers(console: Console, answers: Sequence[Continuation]) -> None:
    """Print queries with what the model answers before and after."""
    for answer in answers[:SHOWN_ANSWERS]:
        console.print(f"\n[bold]{escape(answer.prompt)}[/]")
        rows = [("answers before", answer.before), ("answers after", answer.after)]
        console.print(grid([(name, " ".join(text.split())) for name, text in rows]))
    if len(answers) > SHOWN_ANSWERS:
        console.print(f"… and {len(answers) - SHOWN_ANSWERS} more queries")


def print_report(console: Console, report: Report) -> None:
    """Print what held and what broke."""
    made = table("Before → after", "asked", "success", "95 % range", "probability", "says it")
    kinds: list[Kind] = [kind for kind in KINDS if report.answers(kind)]
    for kind in kinds:
        success, *others = (_before_after(report, kind, protocol) for protocol in _PROTOCOLS)
        made.add_row(kind, str(len(report.answers(kind))), success, _range(report, kind), *others)
    console.print(made)
    for kind in kinds:
        console.print(f"[dim]{kind}: {QUESTIONS[kind]}[/]")
    console.print(f"[dim]{_LEGEND}[/]")
    if report.score is not None:
        console.print(f"\nScore {report.score:.0%}: harmonic mean of efficacy, generalization and specificity success.")
    if drift := report.drift:
        change = max(drift.weight_change.values(), default=0.0)
        console.print(
            f"Drift on unrelated text: perplexity {drift.perplexity_before:.2f} → {drift.perplexity_after:.2f}, "
            f"divergence {drift.kl:.4f} nats a token (0 is none); the changed matrix moved by {change:.1%} of its norm."
        )


def _before_after(report: Report, kind: Kind, protocol: str) -> str:
    old, new = (report.interval(kind, protocol, after=after) for after in (False, True))
    if old is None or new is None:
        return "-"
    style = ".1%" if protocol == "probability" else ".0%"
    return f"{old.mean:{style}} → {new.mean:{style}}"


def _range(report: Report, kind: Kind) -> str:
    found = report.interval(kind, "success")
    return f"{found.low:.0%} to {found.high:.0%}" if found and found.n > 1 else "-"


def print_cross_talk(console: Console, pairs: Sequence[CrossTalk]) -> None:
    """Print which facts are predicted to disturb each other."""
    if not pairs:
        return
    made = table("Thinking of", "writes this share", "of", title="\nPredicted cross-talk")
    for pair in pairs:
        made.add_row(escape(pair.asked), f"{pair.share:.0%}", escape(pair.written))
    console.print(made)


def print_asked(console: Console, model: str, asked: Sequence[Asked]) -> None:
    """Print what a model makes of facts."""
    console.print(f"[dim]model[/] {escape(model)}")
    for one in asked:
        console.print(f"\n[bold]{escape(one.prompt)}[/] …")
        console.print(grid([("likeliest", likeliest(one.top))]))
        if not one.answers:
            continue
        made = table("Asked", "answer", "probability", "rank", "against", "right is likelier", "of itself it says")
        for answer in one.answers:
            made.add_row(
                escape(f"{answer.kind}: {answer.probe.text}"),
                escape(answer.probe.expected),
                f"{answer.probability:.2%}",
                str(answer.rank),
                "-" if answer.alternative is None else f"{answer.alternative:.2%}",
                {None: "-", True: "yes", False: "no"}[answer.success],
                escape(" ".join(answer.generated.split()[:5])),
            )
        console.print(made)


def print_applied(console: Console, result: ApplyResult) -> None:
    """Print what a model says without and with saved edits."""
    console.print(grid([("model", result.model), ("edits", "\n".join(result.facts))]))
    print_cross_talk(console, result.cross_talk)
    for reply in result.replies:
        console.print(f"\n[bold]{escape(reply.prompt)}[/] …")
        rows = [
            ("before", likeliest(reply.before)),
            ("after", likeliest(reply.after)),
            ("says before", " ".join(reply.text_before.split())),
            ("says after", " ".join(reply.text_after.split())),
        ]
        console.print(grid(rows))


def print_merged(console: Console, result: MergeResult) -> None:
    """Print what a checkpoint now holds."""
    rows = [
        ("checkpoint", str(result.folder)),
        ("base", result.model),
        ("removed", "\n".join(result.removed)),
        ("facts in it", "\n".join(result.facts) or "none"),
        ("weights", f"{result.weights[:16]}{' (the base, bit for bit)' if result.is_base else ''}"),
    ]
    console.print(grid([(name, value) for name, value in rows if value]))


def print_shown(console: Console, shown: Shown) -> None:
    """Print what a folder contains."""
    record = shown.record
    base = record["base"]
    rows = [
        (shown.kind, str(shown.folder)),
        ("base", f"{base['name']} (weights {base['fingerprint']['weights'][:16]})"),
    ]
    if shown.kind == "checkpoint":
        rows += [(entry["folder"], "; ".join(map(_fact, entry["facts"]))) for entry in record["edits"]]
        console.print(grid(rows if record["edits"] else [*rows, ("edits", "none: these are the base's weights")]))
        return
    rows.append(("method", f"{record['method']} (obverse {record['obverse']})"))
    rows += [("fact", _fact(fact)) for fact in record["facts"]]
    rows += [("changed", f"{name}, norm of the change {norm:.3g}") for name, norm in record["norms"].items()]
    console.print(grid(rows))
    if record["verification"]:
        console.print()
        console.print(_verification(record["verification"]))


def _fact(fact: dict[str, Any]) -> str:
    true = f" (was {fact['target_true']})" if fact.get("target_true") else ""
    return f"{fact['prompt'].replace('{}', fact['subject'])} → {fact['target']}{true}"


def _verification(summary: dict[str, Any]) -> Table:
    made = table("Verification", "asked", *_PROTOCOLS.values())
    for kind, protocols in summary.items():
        counted = max((entry["after"]["n"] for entry in protocols.values()), default=0)
        cells = [
            f"{protocols[name]['before']['mean']:.0%} → {protocols[name]['after']['mean']:.0%}"
            if name in protocols
            else "-"
            for name in _PROTOCOLS
        ]
        made.add_row(kind, str(counted), *cells)
    return made
