"""The facts a journey is about: given by flags or by a file, and checked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from obverse.core import Case, ConfigError, DataError, JsonValue
from obverse.data import read_cases
from obverse.data._plain import plain_case
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

    Raises:
        ConfigError: If parts are missing, or given beside a file.
        DataError: If a fact is malformed.
        SubjectNotFound: If the prompt has neither ``{}`` nor the subject.
    """
    parts = {"subject": subject, "prompt": prompt, "target": target}
    given = [f"--{name}" for name, value in parts.items() if value is not None]
    probes: dict[str, JsonValue] = {
        "paraphrases": list(paraphrases), "neighbours": list(neighbours), "reverse": list(reverse)
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


def check_cases(cases: Sequence[Case]) -> None:
    """Refuse facts that contradict each other or themselves.

    Raises:
        DataError: If a fact stands twice, two facts want different answers to one prompt, or the target is the true
            answer.
    """
    if not cases:
        raise DataError("There is no fact.", "Put at least one record into the file.")
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for number, case in enumerate(cases, 1):
        fact = case.fact
        if fact.target_true is not None and fact.target.strip() == fact.target_true.strip():
            raise DataError(
                f"The target and the true target of {fact.text!r} are both {fact.target!r}.",
                "Give the answer to write as the target and the present one as the true target.",
            )
        first, target = seen.setdefault((fact.subject, fact.prompt), (number, fact.target))
        if first != number:
            what = "stands twice" if target == fact.target else f"has two targets, {target!r} and {fact.target!r}"
            raise DataError(f"{fact.text!r} {what}: facts {first} and {number}.", "Keep one of them.")
