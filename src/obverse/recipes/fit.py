"""Fit a learned editor to a model, from a file of facts to one file of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Case, ConfigError
from obverse.data import read_cases
from obverse.editing import editors, preset
from obverse.editing.learned import LearnedEditor, Validation, best, split
from obverse.recipes.destination import check_file
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.plan import check_settings, make_editor
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What is asked of `run_fit`.

    Attributes:
        facts: File of facts; their paraphrases are used too.
        out: File for the fitted editor. While fitting, its state is kept beside, and gone on from after a stop.
        model: The model.
        method: Name of the editor.
        overrides: Its settings as ``key=value``.
        limit: How many facts at most; None takes all.
        skip: How many facts to pass over first, e.g. those that will be measured on.
        replace: Whether an older file may be replaced.
        dry_run: Whether to stop after the plan.
    """

    facts: Path
    out: Path
    model: ModelChoice = field(default_factory=ModelChoice)
    method: str = "mend"
    overrides: Sequence[str] = ()
    limit: int | None = None
    skip: int = 0
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What will be done.

    Attributes:
        model: Name of the model.
        fingerprint: Its identity, in short.
        method: Name of the editor.
        settings: Its settings, resolved.
        from_preset: Names of the settings that come from the preset for this model.
        layers: Layers whose matrices the editor will change, from 0.
        modules: Names of those matrices.
        train: Number of facts to learn from.
        held: Number of facts held out.
        checkpoint: File of the state of an earlier fit that is gone on from; None begins anew.
    """

    model: str
    fingerprint: str
    method: str
    settings: Mapping[str, Any]
    from_preset: tuple[str, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    train: int
    held: int
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class FitResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        history: The validations in order; empty after a dry run. The editor kept is that of the least loss.
        seconds: Time by step.
        file: Where the fitted editor is.
    """

    plan: FitPlan
    history: tuple[Validation, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    file: Path | None = None

    @property
    def best(self) -> Validation:
        """The validation of the editor kept."""
        return best(self.history)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "plan": asdict(self.plan),
            "history": [asdict(one) for one in self.history],
            "best": asdict(self.best) if self.history else None,
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "file": str(self.file) if self.file else None,
        }


def run_fit(request: FitRequest, announce: Callable[[FitPlan], None] = lambda _: None) -> FitResult:
    """Fit an editor and save it.

    Args:
        request: What is asked.
        announce: Called with the plan before the work starts.

    Raises:
        ObverseError: If what is asked cannot be done; the file is not written then.
    """
    _check(request)
    cases = _chosen(request)
    steps = Steps()
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    editor = make_editor(lm, request.method, {}, request.overrides)
    assert isinstance(editor, LearnedEditor)
    checkpoint = checkpoint_of(request.out)
    plan = _plan(lm, request, editor, cases, checkpoint)
    announce(plan)
    if request.dry_run:
        return FitResult(plan, seconds=steps.seconds)
    with steps.step("Fitting"):
        history = editor.fit(lm, cases, checkpoint)
    editor.save(request.out)
    checkpoint.unlink(missing_ok=True)
    return FitResult(plan, history, steps.seconds, request.out)


def checkpoint_of(out: Path) -> Path:
    """Return where the state of a fit is kept while it runs: beside the file, e.g. ``mend.partial.safetensors``."""
    return out.with_name(f"{out.stem}.partial.safetensors")


def _check(request: FitRequest) -> None:
    if not issubclass(editors.load(request.method), LearnedEditor):
        learned = [name for name in editors.names() if issubclass(editors.load(name), LearnedEditor)]
        raise ConfigError(f"The method {request.method} is not learned.", f"Methods that are: {', '.join(learned)}.")
    check_settings(request.method, {}, request.overrides)
    check_file(request.out, overwrite=request.replace)


def _chosen(request: FitRequest) -> list[Case]:
    cases = read_cases(request.facts)
    end = None if request.limit is None else request.skip + request.limit
    chosen = cases[request.skip : end]
    if request.skip and not chosen:
        raise ConfigError(
            f"{request.facts} has {len(cases)} facts, and {request.skip} are passed over.", "Give a smaller --skip."
        )
    return chosen


def _plan(
    lm: LanguageModel, request: FitRequest, editor: LearnedEditor, cases: Sequence[Case], checkpoint: Path
) -> FitPlan:
    if editor.config.weights is not None:
        raise ConfigError(
            f"weights={editor.config.weights} is given, but a fit begins anew.", "Leave out --set weights=..."
        )
    train, held = split(cases, editor.config.fit)
    return FitPlan(
        model=lm.name,
        fingerprint=str(lm.fingerprint),
        method=request.method,
        settings=editor.config.model_dump(mode="json"),
        from_preset=tuple(preset(request.method, lm)),
        layers=editor.layers(lm),
        modules=editor.modules(lm),
        train=len(train),
        held=len(held),
        checkpoint=str(checkpoint) if checkpoint.is_file() else None,
    )
