"""Edit facts, verify the edit, save it: the main journey."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Case, Fact, whole_folder
from obverse.editing import Edit, cross_talk
from obverse.measuring import TopToken, top_tokens
from obverse.recipes.facts import check_cases
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.plan import Editor, Plan, check_settings, make_editor, plan_edit, prepare, refuse_known
from obverse.recipes.record import check_out, now, run_record, write_json
from obverse.recipes.requirements import Requirement, Shortfall, check_answerable, shortfalls
from obverse.recipes.steps import Steps
from obverse.report import write_report
from obverse.verifying import Report, verify

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


def edit(
    lm: LanguageModel, facts: Fact | Sequence[Fact], method: str = "rome", settings: Mapping[str, Any] | None = None
) -> Edit:
    """Write facts into a model, as a value: the model itself is untouched until `Edit.merge`.

    Args:
        lm: The model.
        facts: One fact, or several, each written upon the ones before it.
        method: Name of the editor; ``obverse list methods`` shows them.
        settings: Settings of the method that differ from its preset for the model, e.g. ``{"layers": [5]}``, or
            ``{"layers": "auto"}`` for the layer measured by ``obverse sweep-layers``.

    Raises:
        UnknownName: If there is no such method.
        ConfigError: If a setting is unknown or out of range, or no layer was measured for ``auto``.
        EditFailed: If the optimization diverges or the edit moves nothing.

    Example:
        >>> change = obverse.edit(lm, Fact("Space Needle", "The {} is in the city of", target="Paris"))
        >>> with change.applied(lm): ...
    """
    return make_editor(lm, method, settings).edit(lm, [facts] if isinstance(facts, Fact) else list(facts))


@dataclass(frozen=True, slots=True)
class EditRequest:
    """What is asked of `run_edit`.

    Attributes:
        cases: The facts, with the probes to verify by.
        model: The model.
        method: Name of the editor.
        settings: Its settings, as a mapping.
        overrides: Its settings as ``key=value``, applied last.
        out: Folder for the edit; None keeps nothing.
        replace: Whether an older edit there may be replaced.
        force: Whether to write targets that the model answers already.
        check: Whether to verify the edit.
        require: What the verification must show.
        upon: Folders of earlier edits, upon which this one is made.
        dry_run: Whether to stop after the plan.
        top: How many of the likeliest answers to keep.
        seed: Seed of the sampled contexts; the method's own if None.
        command: The command line that asks, for the page.
    """

    cases: Sequence[Case]
    model: ModelChoice = field(default_factory=ModelChoice)
    method: str = "rome"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    overrides: Sequence[str] = ()
    out: Path | None = None
    replace: bool = False
    force: bool = False
    check: bool = True
    require: Sequence[Requirement] = ()
    upon: Sequence[Path] = ()
    dry_run: bool = False
    top: int = 5
    seed: int | None = None
    command: str | None = None

    @property
    def all_settings(self) -> dict[str, Any]:
        """The settings, the seed among them."""
        contexts = {} if self.seed is None else {"contexts": {"seed": self.seed}}
        return {**contexts, **self.settings}


@dataclass(frozen=True, slots=True)
class TopChange:
    """The likeliest next tokens after a fact's prompt, before and after the edit."""

    prompt: str
    before: tuple[TopToken, ...]
    after: tuple[TopToken, ...]


@dataclass(frozen=True, slots=True)
class CrossTalk:
    """A prediction: how strongly thinking of one subject sets off the change made for another.

    Attributes:
        module: The matrix.
        written: The fact whose change answers.
        asked: The fact that sets it off.
        share: Share of the change that is written: 0 is none, 1 all of it.
    """

    module: str
    written: str
    asked: str
    share: float


@dataclass(frozen=True, slots=True)
class EditResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        edit: The edit; None after a dry run.
        report: Its verification, if it was verified.
        tops: The likeliest answers before and after.
        cross_talk: Predicted for edits that are stacked, strongest first.
        shortfalls: Requirements that were not met.
        seconds: Time by step.
        folder: Where the edit was written.
    """

    plan: Plan
    edit: Edit | None = None
    report: Report | None = None
    tops: tuple[TopChange, ...] = ()
    cross_talk: tuple[CrossTalk, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the tensors as JSON values."""
        return {
            "plan": asdict(self.plan),
            "details": [dict(detail) for detail in self.edit.details] if self.edit else [],
            "top": [asdict(top) for top in self.tops],
            "report": self.report.to_json() if self.report else None,
            "cross_talk": [asdict(pair) for pair in self.cross_talk],
            "shortfalls": [str(shortfall) for shortfall in self.shortfalls],
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder) if self.folder else None,
        }


def run_edit(request: EditRequest, announce: Callable[[Plan], None] = lambda _: None) -> EditResult:
    """Edit facts, verify the edit and save it.

    Args:
        request: What is asked.
        announce: Called with the plan before the work starts.

    Raises:
        ObverseError: If what is asked cannot be done; nothing is written then.
    """
    start, steps = now(), Steps()
    _check(request)
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
        earlier = [Edit.load(folder) for folder in request.upon]
        for older in earlier:
            older.check(lm)
    facts = [case.fact for case in request.cases]
    editor, plan = plan_edit(lm, request.method, facts, request.all_settings, request.overrides)
    announce(plan)
    if request.dry_run:
        return EditResult(plan, seconds=steps.seconds)
    result = _do(request, lm, editor, plan, earlier, steps)
    if request.out is not None:
        with steps.step("Writing"):
            _write(request, result, lm, start)
    return result


def _check(request: EditRequest) -> None:
    check_cases(request.cases)
    if request.check:
        check_answerable(request.require, request.cases)
    check_settings(request.method, request.all_settings, request.overrides)
    if request.out is not None and not request.dry_run:
        check_out(request.out, request.replace)


def _do(
    request: EditRequest, lm: LanguageModel, editor: Editor, plan: Plan, earlier: Sequence[Edit], steps: Steps
) -> EditResult:
    facts = [case.fact for case in request.cases]
    with steps.step("Preparing (contexts, second moments)"):
        prepare(lm, editor)
    with stacked(earlier, lm):
        if not request.force:
            refuse_known(lm, facts)
        before = tops(lm, facts, request.top)
        with steps.step("Editing"):
            # Some methods keep what earlier edits wrote, if they are told of them (AlphaEdit).
            known = {"upon": earlier} if earlier and "upon" in signature(editor.edit).parameters else {}
            made = editor.edit(lm, facts, **known)
        with made.applied(lm):
            after = tops(lm, facts, request.top)
        report = None
        if request.check:
            with steps.step("Verifying", shown=True):
                report = verify(lm, made, request.cases)
    return EditResult(
        plan=plan,
        edit=made,
        report=report,
        tops=tuple(TopChange(fact.text, *pair) for fact, *pair in zip(facts, before, after, strict=True)),
        cross_talk=predicted([*earlier, made]) if earlier or len(facts) > 1 else (),
        shortfalls=shortfalls(request.require, report) if report else (),
        seconds=steps.seconds,
        folder=request.out,
    )


@contextmanager
def stacked(edits: Sequence[Edit], lm: LanguageModel) -> Iterator[None]:
    """Apply edits by hook, in order, while the context is open."""
    with ExitStack() as stack:
        for applied in edits:
            stack.enter_context(applied.applied(lm))
        yield


def tops(lm: LanguageModel, facts: Sequence[Fact], k: int) -> list[tuple[TopToken, ...]]:
    """Return the likeliest next tokens after each fact's prompt."""
    return [tuple(top_tokens(lm, fact.text, k)) for fact in facts]


def predicted(edits: Sequence[Edit], least: float = 0.01, most: int = 10) -> tuple[CrossTalk, ...]:
    """Return the strongest predicted cross-talk between the facts of stacked edits.

    Args:
        edits: The edits in order.
        least: Shares below this are left out.
        most: How many pairs are returned at most.
    """
    facts = [fact for one in edits for fact in one.facts]
    return tuple(
        CrossTalk(module, _short(facts[i]), _short(facts[j]), share)
        for module, i, j, share in cross_talk(edits)[:most]
        if abs(share) >= least
    )


def _short(fact: Fact) -> str:
    return f"{fact.subject} → {fact.target}"


def _write(request: EditRequest, result: EditResult, lm: LanguageModel, start: str) -> None:
    assert request.out is not None
    assert result.edit is not None
    config = {
        "method": result.plan.method,
        "settings": dict(result.plan.settings),
        "facts": [asdict(fact) for fact in result.edit.facts],
        "upon": [str(folder) for folder in request.upon],
        "force": request.force,
        "require": [str(wanted) for wanted in request.require],
    }
    with whole_folder(request.out, replace=request.replace) as draft:
        result.edit.save(draft, verification=result.report.summary() if result.report else None, replace=True)
        record = run_record("edit", config, lm, request.seed, start)
        if result.report:
            _write_page(draft / "report.html", request, result, record["versions"])
            write_json(draft / "report.json", result.to_json())
        write_json(draft / "run.json", record)


def _write_page(path: Path, request: EditRequest, result: EditResult, versions: Mapping[str, str]) -> None:
    assert result.report is not None
    first = result.tops[0]
    write_report(
        path,
        result.report,
        edit=result.edit,
        versions=versions,
        seconds=result.seconds,
        adapter=str(request.out),
        command=request.command,
        top_before=[(token.text, token.probability) for token in first.before],
        top_after=[(token.text, token.probability) for token in first.after],
    )
