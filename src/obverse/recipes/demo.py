"""One fact, edited and verified: what a newcomer runs first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obverse.core import Fact
from obverse.data.relations import case_for
from obverse.recipes.edit import EditRequest, EditResult, run_edit
from obverse.recipes.models import ModelChoice
from obverse.recipes.plan import Plan

DEMO_FACT = Fact(
    "Space Needle",
    "The {} is located in the city of",
    target="Paris",
    target_true="Seattle",
    relation="located in city",
)


def run_demo(
    model: ModelChoice, out: Path, announce: Callable[[Plan], None] = lambda _: None, command: str | None = None
) -> EditResult:
    """Move the Space Needle to Paris, and see what held and what broke.

    Args:
        model: The model.
        out: Where the edit and its report go; replaced each time.
        announce: Called with the plan before the work starts.
        command: The command line that asks, for the page.
    """
    return run_edit(EditRequest([case_for(DEMO_FACT)], model, out=out, replace=True, command=command), announce)
