"""The facts a journey is about: given by flags or by a file, and checked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.core import Case, ConfigError, DataError, JsonValue
from obverse.data import read_cases
from obverse.data._plain import plain_case
from obverse.data.facts_file import read_placed
from obverse.data.relations import case_for


def gather_cases(
    *,
    file: Path | None = None,
    subject: str | None = None,
    prompt: str | None = None,
    target: str | None = None,
    target_true: str | None = None,
    paraphrases: Sequence[str] = (),
    neighbours: Sequence[str] = (),
    reverse: Sequence[str] = (),
    queries: Sequence[str] = (),
) -> list[Case]:
    """Make the cases of a file of facts, or of one fact given in parts.

    Kinds of probes that are not given are made from the fact's relation, where it is a known one.

    Args:
        file: CSV, JSON or JSONL file; in place of all other arguments.
        subject: The subject.
        prompt: The prompt, with ``{}`` for the subject or with the subject itself.
        target: The answer to write, or to ask for.
        target_true: The present answer.
        paraphrases: Other ways to ask.
        neighbours: ``prompt => answer`` of facts that must not change.
        reverse: Templates with ``{}`` for the object.
        queries: Open prompts; ``{}`` is the subject.

    Raises:
        ConfigError: If parts are missing, or given beside a file.
        DataError: If a fact is malformed.
        SubjectNotFound: If the prompt has neither ``{}`` nor the subject.
    """
    parts = {"subject": subject, "prompt": prompt, "target": target}
    given = [f"--{name}" for name, value in parts.items() if value is not None]
    probes: dict[str, JsonValue] = {
        "paraphrases": list(paraphrases), "neighbours": list(neighbours), "reverse": list(reverse),
        "queries": list(queries),
    }  # fmt: skip
    if file is not None:
        if given or target_true is not None or any(probes.values()):
            raise ConfigError(
                f"A file of facts and a fact by flags ({', '.join(given) or 'its probes'}) are both given.",
                "Give --facts alone, or --subject, --prompt and --target with their probes.",
            )
        return read_cases(file)
    missing = [f"--{name}" for name, value in parts.items() if value is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} must be given.",
            'For example --subject "Space Needle" --prompt "The {} is in the city of" --target Paris; '
            "or --facts FILE for many facts.",
        )
    record: dict[str, JsonValue] = {**parts, **probes, "target_true": target_true}
    return [_completed(plain_case(record, "0"))]


def _completed(case: Case) -> Case:
    """Add probes of the kinds that the user did not give, where the fact's relation is a known one."""
    return replace(case, probes={**case_for(case.fact).probes, **case.probes})


def check_cases(cases: Sequence[Case], source: Path | None = None, remedy: str = "Keep one of each.") -> None:
    """Refuse facts that contradict each other or themselves.

    Args:
        cases: The facts.
        source: The file they come from, whose lines are then named.
        remedy: What to do about facts that ask the same.

    Raises:
        DataError: If a fact stands twice, two facts want different answers to one prompt (all such are named), or a
            target is the true answer.
    """
    if not cases:
        raise DataError("There is no fact.", "Put at least one record into the file.")
    for fact in (case.fact for case in cases):
        if fact.target_true is not None and fact.target.strip() == fact.target_true.strip():
            raise DataError(
                f"The target and the true target of {fact.text!r} are both {fact.target!r}.",
                "Give the answer to write as the target and the present one as the true target.",
            )
    if repeated := _repeated(cases):
        raise DataError(_told(cases, repeated, _places(cases, source)), remedy)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A fact that gives way to a later one with the same prompt and subject.

    Attributes:
        id: Id of its case.
        prompt: The prompt with the subject filled in.
        target: The answer it asked for.
        place: Where it stands, e.g. ``line 2``, or ``fact 1`` of those given.
        by: The answer that is written instead.
        by_place: Where that stands.
    """

    id: str
    prompt: str
    target: str
    place: str
    by: str
    by_place: str

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.prompt!r}: {self.target!r} ({self.place}) gives way to {self.by!r} ({self.by_place})"


def last_wins(cases: Sequence[Case], source: Path | None = None) -> tuple[list[Case], list[Dropped]]:
    """Keep the last of the facts that have the same prompt and subject.

    Args:
        cases: The facts.
        source: The file they come from, whose lines are then named.

    Returns:
        The facts that are kept, in their order, and those that are dropped, in theirs.
    """
    repeated = _repeated(cases)
    by = {i: group[-1] for group in repeated for i in group[:-1]}
    places = _places(cases, source) if by else []
    dropped = [
        Dropped(cases[i].id, cases[i].fact.text, cases[i].fact.target, places[i], cases[j].fact.target, places[j])
        for i, j in sorted(by.items())
    ]
    return [case for i, case in enumerate(cases) if i not in by], dropped


def _repeated(cases: Sequence[Case]) -> list[list[int]]:
    """Return the numbers of the facts that ask the same: with the same text, however it is split into subject and rest.

    That is what editors of many facts go by (`obverse.editing.memit`).
    """
    groups: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        groups.setdefault(case.fact.text.strip(), []).append(i)
    return [group for group in groups.values() if len(group) > 1]


def _told(cases: Sequence[Case], repeated: Sequence[Sequence[int]], places: Sequence[str]) -> str:
    lines: list[str] = []
    unlike = 0
    for group in repeated:
        targets = [cases[i].fact.target for i in group]
        unlike += len({target.strip() for target in targets}) > 1
        found = ", ".join(f"{target!r} ({places[i]})" for i, target in zip(group, targets, strict=True))
        lines.append(f"{cases[group[0]].fact.text!r}: {found}")
    count = "A prompt is" if len(lines) == 1 else f"{len(lines)} prompts are"
    part = "" if unlike == len(lines) else f"{unlike} of them "
    other = f", {part}with different targets" if unlike else ""
    return "\n  ".join([f"{count} there more than once{other}:", *lines])


def _places(cases: Sequence[Case], source: Path | None) -> list[str]:
    """Return where each case stands: its place in the file, else its number, and its id if it has one of its own."""
    known = {case.id: place for place, case in read_placed(source)} if source else {}
    return [
        known.get(case.id, f"fact {number}") + (f", id {case.id!r}" if case.id != str(number - 1) else "")
        for number, case in enumerate(cases, 1)
    ]
