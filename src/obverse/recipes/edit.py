"""Edit facts, verify the edit, save it: the main journey."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Case, Fact, whole_folder
from obverse.editing import Edit
from obverse.measuring import TopToken, top_tokens
from obverse.recipes.answers import (
    TOKENS,
    Answerer,
    Session,
    answered,
    check_template,
    queries_of,
    template_for,
    verify_with,
)
from obverse.recipes.destination import EDITS, check_folder
from obverse.recipes.edit_result import EditResult, TopChange
from obverse.recipes.facts import Dropped, check_cases, last_wins
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.plan import Editor, Plan, check_settings, make_editor, plan_edit, prepare, refuse_known
from obverse.recipes.record import now, run_record, write_json
from obverse.recipes.requirements import Requirement, check_answerable, shortfalls
from obverse.recipes.seed import seed_settings
from obverse.recipes.stack import predicted, stacked
from obverse.recipes.steps import Steps
from obverse.report import write_report
from obverse.verifying import Continuation

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)


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
        cases: The facts, with the probes to verify by and the queries to answer.
        source: The file the facts come from, whose lines are then named.
        last_wins: Whether of facts that ask the same the last is written; they are refused otherwise.
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
        seed: Seed of what the method samples; its own if None.
        template: What stands around a query when it is answered: a name, a text or a file, see `template_for`.
        answer_tokens: Length of an answer at most.
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
    source: Path | None = None
    last_wins: bool = False
    template: str = "default"
    answer_tokens: int = TOKENS

    @property
    def all_settings(self) -> dict[str, Any]:
        """The settings, the seed among them."""
        return {**seed_settings(self.method, self.seed), **self.settings}


def run_edit(
    request: EditRequest,
    announce: Callable[[Plan], None] = lambda _: None,
    finish: Callable[[EditResult, Session], None] = lambda *_: None,
    lm: LanguageModel | None = None,
) -> EditResult:
    """Edit facts, verify the edit and save it.

    Args:
        request: What is asked.
        announce: Called with the plan before the work starts.
        finish: Called when all is saved, with the model still at hand to be asked; not after a dry run.
        lm: The model, where it is loaded already; the request's is not loaded then.

    Raises:
        ObverseError: If what is asked cannot be done; nothing is written then.
    """
    start, steps = now(), Steps()
    request, dropped = _settled(request)
    _check(request)
    with steps.step("Loading the model", shown=True):
        lm = lm or load_model(request.model)
        answerer = Answerer(template_for(lm, request.template), request.answer_tokens)
        earlier = [Edit.load(folder) for folder in request.upon]
        for older in earlier:
            older.check(lm)
    facts = [case.fact for case in request.cases]
    editor, plan = plan_edit(lm, request.method, facts, request.all_settings, request.overrides)
    announce(plan)
    if request.dry_run:
        return EditResult(plan, dropped=dropped, seconds=steps.seconds)
    result, session = _do(request, lm, editor, plan, earlier, answerer, steps)
    result = replace(result, dropped=dropped)
    if request.out is not None:
        with steps.step("Writing"):
            _write(request, result, session, start)
    finish(result, session)
    return result


def _settled(request: EditRequest) -> tuple[EditRequest, tuple[Dropped, ...]]:
    """Return the request without the facts that give way to later ones, and these."""
    if not request.last_wins:
        return request, ()
    kept, dropped = last_wins(request.cases, request.source)
    if dropped:
        _log.warning("\n  ".join([f"{len(dropped)} of {len(request.cases)} facts dropped:", *map(str, dropped)]))
    return replace(request, cases=kept), tuple(dropped)


def _check(request: EditRequest) -> None:
    check_cases(request.cases, request.source, "Keep one of each, or pass --last-wins to take the last.")
    if request.check:
        check_answerable(request.require, request.cases)
    check_settings(request.method, request.all_settings, request.overrides)
    check_template(request.template)
    if request.out is not None and not request.dry_run:
        check_folder(request.out, overwrite=request.replace, ours=EDITS)


def _do(
    request: EditRequest,
    lm: LanguageModel,
    editor: Editor,
    plan: Plan,
    earlier: Sequence[Edit],
    answerer: Answerer,
    steps: Steps,
) -> tuple[EditResult, Session]:
    facts, queries = [case.fact for case in request.cases], queries_of(request.cases)
    with steps.step("Preparing (contexts, second moments)"):
        prepare(lm, editor)
    with stacked(earlier, lm):
        if not request.force:
            refuse_known(lm, facts)
        before, said_before = tops(lm, facts, request.top), answered(lm, answerer, queries, steps)
        with steps.step("Editing"):
            # Some methods keep what earlier edits wrote, if they are told of them (AlphaEdit).
            known = {"upon": earlier} if earlier and "upon" in signature(editor.edit).parameters else {}
            made = editor.edit(lm, facts, **known)
        with made.applied(lm):
            after, said_after = tops(lm, facts, request.top), answered(lm, answerer, queries, steps)
        answers = tuple(map(Continuation, queries, said_before, said_after))
        report = None
        if request.check:
            with steps.step("Verifying", shown=True):
                report = verify_with(lm, made, request.cases, answers)
    result = EditResult(
        plan=plan,
        edit=made,
        report=report,
        tops=tuple(TopChange(fact.text, *pair) for fact, *pair in zip(facts, before, after, strict=True)),
        answers=answers,
        cross_talk=predicted([*earlier, made]) if earlier or len(facts) > 1 else (),
        shortfalls=shortfalls(request.require, report) if report else (),
        seconds=steps.seconds,
        folder=request.out,
    )
    return result, Session(lm, made, earlier, answerer)


def tops(lm: LanguageModel, facts: Sequence[Fact], k: int) -> list[tuple[TopToken, ...]]:
    """Return the likeliest next tokens after each fact's prompt."""
    return [tuple(top_tokens(lm, fact.text, k)) for fact in facts]


def _write(request: EditRequest, result: EditResult, session: Session, start: str) -> None:
    assert request.out is not None
    answering = {"answers": session.answerer.to_json()} if result.answers else {}
    config = {
        "method": result.plan.method,
        "settings": dict(result.plan.settings),
        "facts": [asdict(fact) for fact in session.edit.facts],
        "dropped": [asdict(fact) for fact in result.dropped],
        "upon": [str(folder) for folder in request.upon],
        "force": request.force,
        "require": [str(wanted) for wanted in request.require],
        **answering,
    }
    with whole_folder(request.out, replace=request.replace) as draft:
        session.edit.save(draft, verification=result.report.summary() if result.report else None, replace=True)
        record = run_record("edit", config, session.lm, request.seed, start)
        if result.report:
            first = result.tops[0]
            write_report(
                draft / "report.html",
                result.report,
                edit=session.edit,
                settings={**result.plan.settings, **answering},
                versions=record["versions"],
                seconds=result.seconds,
                adapter=str(request.out),
                command=request.command,
                top_before=[(token.text, token.probability) for token in first.before],
                top_after=[(token.text, token.probability) for token in first.after],
            )
            write_json(draft / "report.json", result.to_json())
        write_json(draft / "run.json", record)
