"""Which layer to edit, measured: edit a sample of facts at every layer, verify each, and keep the model's profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import package_version
from obverse.core.runs import Run
from obverse.editing.contexts import ContextConfig, contexts
from obverse.editing.moments import MomentConfig
from obverse.editing.profile import Profile, profile_path
from obverse.recipes.models import load_model
from obverse.recipes.plan import Editor, make_editor
from obverse.recipes.record import now, run_record, slug
from obverse.recipes.steps import Steps
from obverse.recipes.sweep_facts import facts_hash, sample_facts
from obverse.recipes.sweep_plan import SweepPlan, SweepRequest, check_request, make_sweep_plan
from obverse.recipes.sweep_scores import alike, best_layer, draws, predict, score, scores
from obverse.recipes.sweep_work import TRACED, Records, count_moments, edit_layers, trace_facts

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        profile: The model's profile; None after a dry run.
        failed: Layer → edits that failed there and count as having changed nothing.
        untraced: Reason → facts that were not traced.
        seconds: Time by step.
        saved: Where ``--layer auto`` finds the profile.
        figures: The figures; none without matplotlib.
    """

    plan: SweepPlan
    profile: Profile | None = None
    failed: Mapping[int, int] = field(default_factory=dict[int, int])
    untraced: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    saved: Path | None = None
    figures: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "plan": {
                "edit": asdict(self.plan.edit),
                "facts": [asdict(case.fact) for case in self.plan.sample.cases],
                "source": self.plan.sample.source,
                "skipped": dict(self.plan.sample.skipped),
                "seconds": self.plan.seconds,
            },
            "profile": self.profile.to_json() if self.profile else None,
            "failed": {str(layer): count for layer, count in self.failed.items()},
            "untraced": dict(self.untraced),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "saved": str(self.saved) if self.saved else None,
            "figures": [str(path) for path in self.figures],
        }


def run_sweep(request: SweepRequest, announce: Callable[[SweepPlan], None] = lambda _: None) -> SweepResult:
    """Edit facts at every layer, verify each edit, and save which layer is best.

    Args:
        request: What is asked.
        announce: Called with the plan before the long work starts.

    Raises:
        ConfigError: If a setting is unknown, the layers are given as a setting, or a layer stands twice.
        UnsupportedModel: If a layer is out of range, or the family cannot be edited.
        DataError: If there is no fact to edit.
        RunConflict: If the folder holds a run of other settings.
    """
    start, steps = now(), Steps()
    check_request(request)
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    layers = sorted(request.layers) if request.layers is not None else list(range(lm.architecture.n_layers))
    with steps.step("Choosing facts"):
        sample = sample_facts(lm, request.dataset, request.limit, request.seed)
    plan = make_sweep_plan(lm, request, layers, sample)
    announce(plan)
    if request.dry_run:
        return SweepResult(plan, seconds=steps.seconds)
    config, about = _identity(lm, request, plan, start)
    out = request.out or Path("runs") / f"sweep-{slug(Path(lm.name).name)}"
    with Run.open(out, config, about=about) as run:
        _work(lm, request, plan, run, steps)
        result = _result(lm, request, plan, run, steps)
        run.finish(result.to_json())
    return result


def _identity(
    lm: LanguageModel, request: SweepRequest, plan: SweepPlan, start: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what every record depends on, and what else is worth keeping; more layers or facts may join later."""
    config = {
        "command": "sweep-layers",
        "fingerprint": lm.fingerprint.to_json(),
        "dtype": str(lm.dtype).removeprefix("torch."),
        "method": request.method,
        "settings": _kept(plan),
    }
    about = run_record("sweep-layers", {}, lm, request.seed, start)
    return config, {key: value for key, value in about.items() if key not in ("config", "command", "end")}


def _kept(plan: SweepPlan) -> dict[str, Any]:
    return {name: value for name, value in plan.edit.settings.items() if name != "layers"}


def _work(lm: LanguageModel, request: SweepRequest, plan: SweepPlan, run: Run, steps: Steps) -> None:
    layers, cases = plan.edit.layers, plan.sample.cases

    def editor_at(layer: int) -> Editor:
        return make_editor(lm, request.method, {**request.settings, "layers": [layer]}, request.overrides)

    with steps.step("Preparing (contexts, second moments)"):
        config = editor_at(layers[0]).config
        if isinstance(sampled := getattr(config, "contexts", None), ContextConfig):
            contexts(lm, sampled)
        if isinstance(counted := getattr(config, "moment", None), MomentConfig):
            count_moments(lm, layers, counted)
    with steps.step("Editing and verifying"):
        edit_layers(lm, run, cases, layers, editor_at, plan.at_once)
    if request.trace:
        with steps.step("Tracing"):
            trace_facts(lm, run, cases, request.samples)


def _result(lm: LanguageModel, request: SweepRequest, plan: SweepPlan, run: Run, steps: Steps) -> SweepResult:
    from obverse.report.sweep_figure import write_sweep_figure

    records = Records(run, plan.sample.cases, request.samples)
    profile = _profile(lm, request, plan, records)
    saved = profile_path(lm.fingerprint, request.method)
    for path in (saved, run.folder / "profile.json"):
        profile.save(path)
    figures = write_sweep_figure(profile, run.folder) if find_spec("matplotlib") else ()
    failed = {layer: count for layer in plan.edit.layers if (count := records.failed(layer))}
    untraced = records.untraced() if request.trace else {}
    return SweepResult(plan, profile, failed, untraced, steps.seconds, saved, figures)


def _profile(lm: LanguageModel, request: SweepRequest, plan: SweepPlan, records: Records) -> Profile:
    layers, cases = plan.edit.layers, plan.sample.cases
    drawn = draws(len(cases))
    shares = {layer: records.shares(layer) for layer in layers}
    best = best_layer({layer: float(score(found)) for layer, found in shares.items()})
    predictions = [
        predict(kind, records.effects(kind, layers), shares, best, drawn) for kind in TRACED if request.trace
    ]
    return Profile(
        model=lm.name,
        fingerprint=lm.fingerprint,
        method=request.method,
        settings=_kept(plan),
        n_layers=lm.architecture.n_layers,
        best=best,
        alike=alike(shares, best, drawn),
        table={layer: scores(found, drawn) for layer, found in shares.items()},
        unedited=scores(records.shares(None), drawn),
        facts=len(cases),
        facts_hash=facts_hash(cases),
        source=plan.sample.source,
        predictions=tuple(one for one in predictions if one is not None),
        version=package_version(),
        date=now(),
    )
