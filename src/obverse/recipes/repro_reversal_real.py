"""Claims 3 to 6 about the reversal curse, on pretrained models: ``obverse repro reversal --preset real``.

::

    claim3/ ... claim6/    what each claim needs; a stopped run goes on there
    report.md              tables and verdicts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.core import Config, ConfigError, UnknownName, build, write_text
from obverse.recipes.repro import Verdict, read_preset
from obverse.recipes.repro_reversal_celebrities import (
    Celebrities,
    celebrity_sheets,
    celebrity_verdicts,
    run_surveys,
)
from obverse.recipes.repro_reversal_edits import Edits, edit_sheets, edit_verdicts, run_edits
from obverse.recipes.repro_reversal_finetune import FineTune, run_finetunes
from obverse.recipes.repro_reversal_finetune_claims import finetune_sheets, finetune_verdicts
from obverse.recipes.repro_reversal_instructions import (
    Instructions,
    instruction_sheets,
    instruction_verdicts,
    run_instructions,
)
from obverse.recipes.repro_run import ReproRequest, ReproResult
from obverse.recipes.repro_sheet import Sheet, markdown
from obverse.recipes.steps import Steps

REAL = "real"
"""Name of the preset."""


class RealScale(Config):
    """The settings of claims 3 to 6; null leaves a claim out."""

    finetune: FineTune | None = None
    """Claim 3: fine-tuning a pretrained model."""

    instructions: Instructions | None = None
    """Claim 4: instructions in one order or the other."""

    celebrities: Celebrities | None = None
    """Claim 5: parents and children of well-known people."""

    edits: Edits | None = None
    """Claim 6: edits asked in reverse."""

    def section(self, claim: str) -> Config | None:
        """Return the settings of a claim."""
        return {
            "claim3": self.finetune,
            "claim4": self.instructions,
            "claim5": self.celebrities,
            "claim6": self.edits,
        }[claim]


REAL_CLAIMS = ("claim3", "claim4", "claim5", "claim6")


@dataclass(frozen=True, slots=True)
class RealPlan:
    """What will be done.

    Attributes:
        claims: Claims that are tried.
        folder: Where everything is.
        left_out: What is not done, and why.
    """

    claims: tuple[str, ...]
    folder: Path
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what a result tells of it."""
        return {"claims": list(self.claims), "left_out": list(self.left_out)}


def load_real(seeds: int | None = None, overrides: Sequence[str] = ()) -> RealScale:
    """Return the settings of the preset.

    Args:
        seeds: How often each model is trained, in place of the preset's numbers.
        overrides: Texts of the form ``a.b=value``.

    Raises:
        ConfigError: With every mistake in the overrides.
    """
    read = read_preset("reversal", REAL, seeds)
    each = {} if seeds is None else {name: {"seeds": seeds} for name in ("finetune", "instructions")}
    return build(RealScale, read, each, overrides=overrides)


def run_repro_reversal_real(
    request: ReproRequest, announce: Callable[[RealPlan], None] = lambda _: None
) -> ReproResult[RealPlan]:
    """Do what the claims need, one after the other, and judge; what was done before is not done again.

    Args:
        request: What is asked; its preset has no meaning here.
        announce: Called with the plan before the long work starts.

    Raises:
        UnknownName: If there is no such claim.
        ConfigError: If a setting is wrong, or a claim is asked for that the settings leave out.
        RunConflict: If the folder holds a run of other settings.
    """
    if request.ray is not None:
        raise ConfigError("--ray: the preset real is not spread over Ray.", "Leave it out; --workers spreads it here.")
    scale = load_real(request.seeds, request.overrides)
    claims = _chosen(request.only, scale)
    out = (request.out or Path("runs") / f"repro-reversal-{REAL}").absolute()
    plan = RealPlan(claims, out, _left_out(claims, scale))
    announce(plan)
    steps, verdicts, sheets = Steps(), list[Verdict](), list[Sheet]()
    for claim in claims:
        with steps.step(f"Claim {claim[-1]}"):
            judged, tables = _tried(claim, scale, out / claim, request)
        verdicts += judged
        sheets += tables
    page = markdown(verdicts, sheets, "The reversal curse in pretrained models, reproduced")
    report = write_text(out / "report.md", page)
    return ReproResult(plan, tuple(verdicts), tuple(sheets), dict(steps.seconds), report)


def _tried(claim: str, scale: RealScale, folder: Path, request: ReproRequest) -> tuple[list[Verdict], list[Sheet]]:
    """Do what a claim needs and judge it."""
    match scale.section(claim):
        case FineTune() as settings:
            models = run_finetunes(settings, folder, request.workers)
            return [*finetune_verdicts(models, settings)], [*finetune_sheets(models, settings)]
        case Instructions() as settings:
            models = run_instructions(settings, folder, request.workers)
            return [*instruction_verdicts(models, settings)], [*instruction_sheets(models, settings)]
        case Celebrities() as settings:
            found = run_surveys(settings, folder)
            return [*celebrity_verdicts(found)], [*celebrity_sheets(found)]
        case Edits() as settings:
            bench = run_edits(settings, folder)
            return [*edit_verdicts(bench, settings)], [*edit_sheets(bench)]
        case _:
            raise AssertionError(claim)


def _chosen(only: Sequence[str], scale: RealScale) -> tuple[str, ...]:
    for name in only:
        if name not in REAL_CLAIMS:
            raise UnknownName.among("claim of this preset", name, REAL_CLAIMS)
        if scale.section(name) is None:
            raise ConfigError(f"The settings leave {name} out.", "Give its section, or take other claims.")
    return tuple(name for name in REAL_CLAIMS if scale.section(name) is not None and (not only or name in only))


def _left_out(claims: Sequence[str], scale: RealScale) -> tuple[str, ...]:
    if "claim5" in claims and scale.celebrities and scale.celebrities.published is None:
        return ("the published tables: no folder is given, --set celebrities.published=FOLDER",)
    return ()
