"""What ``obverse sweep-layers`` prints: the plan, the table by layer, the best layer, and what tracing foretold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from obverse.cli.tables import duration, grid, size, table

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.core import Interval
    from obverse.editing.profile import Prediction, Profile
    from obverse.recipes.sweep import SweepResult
    from obverse.recipes.sweep_plan import SweepPlan

HASE = "Hase et al. 2023, arXiv 2301.04213"


def print_sweep_plan(console: Console, plan: SweepPlan) -> None:
    """Print what will be done and what it will cost."""
    edit, layers = plan.edit, plan.edit.layers
    passed = "; ".join(f"{reason}: {count}" for reason, count in plan.sample.skipped.items())
    rows = [
        ("model", f"{edit.model} ({edit.fingerprint})"),
        ("method", edit.method),
        ("layers", f"{len(layers)} of {plan.n_layers}: {_ranges(layers)}"),
        ("facts", f"{edit.facts} ({plan.sample.source})" + (f"; passed over: {passed}" if passed else "")),
        ("edits", f"{len(layers) * edit.facts}, each on the fresh model, {plan.at_once} side by side"),
        ("contexts", f"{edit.contexts}, the bare prompt among them"),
        ("second moments", f"of {plan.uncounted} layers to be counted first" if plan.uncounted else edit.moments),
    ]
    if edit.cost is not None:
        moments = edit.cost.seconds * edit.cost.moment_flops / edit.cost.flops
        parts = [
            ("second moments", moments),
            ("editing", edit.cost.seconds - moments),
            ("verifying", plan.probe_seconds),
            ("tracing", plan.trace_seconds),
        ]
        listed = ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts if seconds)
        rows.append(
            ("cost", f"about {duration(plan.seconds)} at most ({listed}); what is done already is not done again")
        )
        rows.append(("memory", f"{size(max(edit.cost.memory, plan.edit_bytes))} beside the model"))
    console.print(grid(rows))


def print_sweep(console: Console, result: SweepResult, profile: Profile) -> None:
    """Print the table, the best layer, what tracing foretold, time, and where everything is."""
    console.print()
    _print_table(console, profile)
    for layer, count in result.failed.items():
        console.print(f"[yellow]Layer {layer}: {count} edits failed and count as having changed nothing.[/]")
    _print_best(console, result, profile)
    _print_predictions(console, result, profile)
    steps = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    console.print(f"\nTime: {steps}; {duration(sum(result.seconds.values()))} in all.")
    console.print(f"Profile: {result.saved} (obverse edit --layer auto takes layer {profile.best})", markup=False)
    for path in result.figures:
        console.print(f"Figure: {path}", markup=False)


def _print_table(console: Console, profile: Profile) -> None:
    made = table(
        "Layer", "S", "efficacy", "generalization", "specificity", "reverse", "",
        title=f"Edits by layer: percent that hold, with 95 % interval (n = {profile.facts} facts)",
    )  # fmt: skip
    rows = {"unedited": profile.unedited, **{str(layer): scores for layer, scores in profile.table.items()}}
    for name, found in rows.items():
        cells = [found.score, found.efficacy, found.generalization, found.specificity, found.reverse]
        mark = "best" if name == str(profile.best) else "not told apart" if name in map(str, profile.alike) else ""
        made.add_row(name, *map(_percent, cells), mark, style="bold" if mark == "best" else None)
    console.print(made)
    console.print(
        "[dim]S: harmonic mean of efficacy, generalization and specificity. Means and intervals over facts.[/]"
    )


def _print_best(console: Console, result: SweepResult, profile: Profile) -> None:
    console.print(f"\n[bold]Best layer: {profile.best}[/] (S {_percent(profile.table[profile.best].score)})")
    others = [layer for layer in profile.alike if layer != profile.best]
    console.print(
        f"Not told apart from it by these {profile.facts} facts (paired bootstrap): {_ranges(others)}. More facts "
        "(--limit) would."
        if others
        else "Every other layer is worse beyond chance (paired bootstrap over facts)."
    )
    for layer in result.plan.usual:
        if layer in profile.table and layer != profile.best:
            score = _percent(profile.table[layer].score)
            console.print(f"Without --layer, {profile.method} takes layer {layer} on this model: S {score}.")


def _print_predictions(console: Console, result: SweepResult, profile: Profile) -> None:
    for reason, count in result.untraced.items():
        console.print(f"[dim]Not traced: {count} facts ({escape(reason)}).[/]")
    if not profile.predictions:
        return
    made = table(
        "Restored", "facts", "rank correlation with S", "largest at layer", "S there", "S lost against the best",
        title="\nDid tracing foretell it? Mean indirect effect at the subject's last token, by layer",
    )  # fmt: skip
    names = {"mlp": "MLPs of a window of layers", "hidden": "hidden state"}
    for one in profile.predictions:
        made.add_row(
            names.get(one.kind, one.kind),
            str(one.effects[one.choice].n),
            "-" if one.correlation is None else _correlation(one.correlation),
            str(one.choice),
            _percent(profile.table[one.choice].score),
            f"{one.loss.mean * 100:.0f} points ({one.loss.low * 100:.0f} to {one.loss.high * 100:.0f})",
        )
    console.print(made)
    console.print(verdict(profile.predictions[0]))


def verdict(prediction: Prediction) -> str:
    """Say plainly what a trace was worth for choosing the layer."""
    found, lost = prediction.correlation, prediction.loss
    if found is None:
        return "S or the effect is the same at all layers, so nothing can be said of how well tracing foretells."
    if found.low > 0:
        meaning = (
            "on average over facts, where the trace is stronger, edits hold better on this model (fact by fact, "
            f"{HASE}, found hardly a relation)"
        )
    elif found.high < 0:
        meaning = f"where the trace is stronger, edits hold worse: it is no guide to the layer to edit (see {HASE})"
    else:
        meaning = f"the trace tells nothing certain about where to edit, as {HASE}, found"
    cost = (
        f"; editing where it is largest would lose {lost.mean * 100:.0f} points of S"
        if lost.low > 0
        else "; the layer where it is largest is not told apart from the best"
    )
    return f"That is: {meaning}{cost}."


def _correlation(found: Interval) -> str:
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f}), {found.n} layers"


def _percent(found: Interval | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean * 100:.0f}" + (f" ({found.low * 100:.0f}-{found.high * 100:.0f})" if found.n > 1 else "")


def _ranges(layers: Sequence[int]) -> str:
    """Return numbers with runs as ranges, e.g. ``0-3, 7``."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
