"""The numbers of a reproduction as tables, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obverse.recipes.repro_phf_plan import PHFSettings
from obverse.recipes.repro_phf_results import Measured, Results, Samples, bad, mean_of, score, score_ratio
from obverse.recipes.repro_sheet import Row, Sheet, span

SCORES = (
    "score: findings in 1000 characters of samples; hit: share of samples with one; in brackets the 95 % interval over "
    "n seeds (Student's; it holds the samples' noise; of one seed over samples)"
)
LOSSES = (
    "nats a token of clean held-out text: without control tokens; with the aligned token given before each sentence; "
    "with that token's cost added, which is what can be compared between methods; kl: of a reference model trained on "
    "clean text from this one, nats a token, likewise charged"
)


def sheets(results: Results, settings: PHFSettings, claims: Sequence[str]) -> Iterator[Sheet]:
    """Yield the tables of the claims that were tried."""
    dirty = settings.corpus.dirty
    if "claim1" in claims:
        yield _methods(
            f"Methods, {dirty:.0%} dirty documents", [(arm, results.of(arm, dirty)) for arm in settings.methods]
        )
        yield _controls(results, settings)
        if settings.scarce:
            there = settings.scarce.dirty
            arms = [(arm, results.of(arm, there)) for arm in settings.scarce.arms]
            yield _methods(f"Scarce clean text, {there:.0%} dirty documents", arms)
    if "claim2" in claims and settings.noise:
        yield _noise(results, settings)
    if "claim4" in claims and settings.scale:
        yield _scale(results, settings)


def _methods(title: str, arms: Sequence[tuple[str, list[Measured]]]) -> Sheet:
    headers = ("method", "n", "score", "hit", "clean loss", "given", "charged", "kl")
    rows = [
        (
            arm,
            str(len(models)),
            span(score(models)),
            span(bad(models), percent=True),
            span(mean_of(models, lambda one: one.loss), 3),
            span(mean_of(models, lambda one: one.loss_given), 3),
            span(mean_of(models, lambda one: one.loss_charged), 3),
            _divergence(models),
        )
        for arm, models in arms
        if models
    ]
    return Sheet("claim1", title, headers, tuple(rows), f"{SCORES}; clean loss: {LOSSES}.")


def _divergence(models: Sequence[Measured]) -> str:
    known = [one.kl for one in models if one.kl is not None]
    return span(mean_of(models, lambda one: one.kl or 0.0), 3) if len(known) == len(models) else "-"


def _controls(results: Results, settings: PHFSettings) -> Sheet:
    models = results.of("conditional", settings.corpus.dirty)
    rows = [
        (
            str(one.trial.seed),
            _plain(one.samples),
            _plain(misaligned),
            span(score_ratio([(misaligned, one.samples)]), 1),
        )
        for one in models
        if (misaligned := one.misaligned) is not None
    ]
    headers = ("seed", "score after aligned", "score after misaligned", "ratio")
    note = "One conditional model a seed, prompted with either control token at the start; intervals over its samples."
    return Sheet("claim1", "Control by the first token", headers, tuple(rows), note)


def _plain(samples: Samples) -> str:
    return f"{samples.score:.2f} ({samples.bad:.1%} of {len(samples.hits)} samples)"


def _noise(results: Results, settings: PHFSettings) -> Sheet:
    assert settings.noise is not None
    dirty, rates = settings.corpus.dirty, (0.0, *settings.noise.rates)
    headers = (
        "method",
        "n",
        *(f"score, {rate:.0%} flipped" for rate in rates),
        f"charged loss, {rates[-1]:.0%} flipped",
    )
    rows: list[Row] = []
    for arm in ("mle", *settings.noise.arms):
        at = [results.of(arm, dirty, 0.0 if arm == "mle" else rate) for rate in rates]
        if all(at):
            last = span(mean_of(at[-1], lambda one: one.loss_charged), 3)
            rows.append((arm, str(len(at[-1])), *(span(score(models)) for models in at), last))
    note = f"{SCORES}. MLE reads no labels; its numbers are those without noise."
    return Sheet("claim2", "A scorer that errs", headers, tuple(rows), note)


def _scale(results: Results, settings: PHFSettings) -> Sheet:
    assert settings.scale is not None
    mle = results.of("mle", settings.corpus.dirty)
    rows: list[Row] = []
    for arm in ("mle", *settings.scale.arms):
        models = results.of(arm, settings.corpus.dirty)
        if pairs := results.paired(mle, models):
            objective = settings.arms[arm]
            reward = (
                "-" if arm == "mle" else "density" if objective.get("reward_scale") == "published" else "normalised"
            )
            times = "1" if arm == "mle" else span(score_ratio([(a.samples, b.samples) for a, b in pairs]), 1)
            loss = span(mean_of(models, lambda one: one.loss_charged), 3)
            rows.append(
                (arm, str(len(pairs)), str(objective.get("beta", "-")), reward, span(score(models)), times, loss)
            )
    headers = ("arm", "n", "beta", "reward", "score", "ratio of MLE to it", "clean loss")
    note = (
        "density: minus the score, findings a character, as published; normalised: divided by the mean score of the "
        f"corpus's misaligned segments. {SCORES}."
    )
    return Sheet("claim4", "The scale of rewards", headers, tuple(rows), note)
