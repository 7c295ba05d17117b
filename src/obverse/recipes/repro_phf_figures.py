"""Which numbers go into which figure of the reproduction of PHF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.recipes.repro_phf_plan import PHFSettings
from obverse.recipes.repro_phf_results import Results, mean_of, score, score_ratio
from obverse.report.phf_figures import Bar, Curve, Panel, Point, write_bars, write_curves, write_scatter


def write_figures(results: Results, settings: PHFSettings, claims: Sequence[str], folder: Path) -> list[Path]:
    """Write the figures of the claims that were tried into a folder, and return where."""
    written: list[Path] = []
    if "claim1" in claims:
        written += write_scatter(_panels(results, settings), folder, "tradeoff")
    if "claim2" in claims and settings.noise:
        written += write_curves(_curves(results, settings), folder, "noise")
    if "claim4" in claims and settings.scale:
        written += write_bars(_bars(results, settings), folder, "reward-scale")
    return written


def _panels(results: Results, settings: PHFSettings) -> list[Panel]:
    places = [(f"{settings.corpus.dirty:.0%} dirty documents", settings.corpus.dirty, settings.methods)]
    if settings.scarce:
        places.append((f"{settings.scarce.dirty:.0%} dirty documents", settings.scarce.dirty, settings.scarce.arms))
    panels: list[Panel] = []
    for title, dirty, arms in places:
        found = [(arm, models) for arm in arms if (models := results.of(arm, dirty))]
        points = [Point(arm, mean_of(models, lambda one: one.loss_charged), score(models)) for arm, models in found]
        panels.append(Panel(title, "loss on clean text (nats a token)", tuple(points)))
        if found and all(one.kl is not None for _, models in found for one in models):
            points = [Point(arm, mean_of(models, lambda one: one.kl or 0.0), score(models)) for arm, models in found]
            panels.append(Panel(title, "KL from the reference (nats a token)", tuple(points)))
    return panels


def _curves(results: Results, settings: PHFSettings) -> list[Curve]:
    assert settings.noise is not None
    dirty, rates = settings.corpus.dirty, (0.0, *settings.noise.rates)
    curves: list[Curve] = []
    for arm in ("mle", *settings.noise.arms):
        at = {rate: results.of(arm, dirty, 0.0 if arm == "mle" else rate) for rate in rates}
        known = {rate: score(models) for rate, models in at.items() if models}
        if known:
            curves.append(Curve(arm, tuple(known), tuple(known.values())))
    return curves


def _bars(results: Results, settings: PHFSettings) -> list[Bar]:
    assert settings.scale is not None
    mle = results.of("mle", settings.corpus.dirty)
    bars: list[Bar] = []
    for arm in settings.scale.arms:
        if pairs := results.paired(mle, results.of(arm, settings.corpus.dirty)):
            published = settings.arms[arm].get("reward_scale") == "published"
            bars.append(Bar(arm, score_ratio([(a.samples, b.samples) for a, b in pairs]), published))
    return bars
