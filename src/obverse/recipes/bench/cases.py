"""The cases behind a report's numbers: how each run did on each, and what it answered; read again from the records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from obverse.core import read_records
from obverse.recipes.bench.rome_folders import rome_answers, rome_details, rome_prompt, rome_texts
from obverse.recipes.bench.sources import Source
from obverse.report.bench_rows import CaseRow

SHOWN_CASES = 300
"""Cases of a page, at most."""
TEXT_LENGTH = 240
"""Characters of a sampled text that are kept."""

_TELLING = ("efficacy", "generalization", "specificity")
_PROTOCOLS = ("success", "token_accuracy")


def case_rows(found: Sequence[Source], limit: int = SHOWN_CASES) -> tuple[list[CaseRow], int]:
    """Return the cases of some runs with what was answered, and how many there are in all.

    The most telling come first: those where an edit failed, then those on which the editors differ most, then those on
    which they did worst.

    Args:
        found: The runs.
        limit: Cases at most; memory does not grow with the others.
    """
    values = {one.label: one.values() for one in found}
    errors = {one.label: _errors(one) for one in found}
    ids = list(dict.fromkeys(case for own in values.values() for case in own))
    chosen = sorted(ids, key=lambda id: _telling(id, found, values, errors), reverse=True)[:limit]
    told: dict[str, dict[str, Any]] = {id: {"probes": [], "answers": {}, "texts": {}} for id in chosen}
    for one in found:
        for id, detail in details(one, set(chosen)):
            _take(told[id], one.label, detail)
    rows = [
        CaseRow(
            id=id,
            prompt=one.get("prompt", ""),
            target=one.get("target", ""),
            target_true=one.get("target_true") or "",
            values={label: own[id] for label, own in values.items() if id in own},
            errors={label: own[id] for label, own in errors.items() if id in own},
            details={key: one[key] for key in ("probes", "answers", "texts")},
        )
        for id, one in told.items()
    ]
    return rows, len(ids)


def details(source: Source, ids: Collection[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (case, what it was asked and answered) of a run at its last point, one at a time.

    Args:
        source: The run.
        ids: Cases to take; all if None.

    Yields:
        Keys: ``prompt``, ``target``, ``target_true``, ``answers`` (as in records) and ``texts``; none of them is sure.
    """
    if source.of_rome:
        when = "pre" if source.baseline else "post"
        for id, case in rome_details(source.run.folder, ids):
            asked = case.get("requested_rewrite") or {}
            answers = rome_answers(case, when)
            texts = rome_texts(case, when)
            true = (asked.get("target_true") or {}).get("str", "")
            target = (asked.get("target_new") or {}).get("str", "")
            yield id, {"prompt": rome_prompt(case), "target": target.strip(), "target_true": true.strip(),
                       "answers": answers, "texts": texts}  # fmt: skip
        return
    last = source.run.last
    for line in read_records(source.run.folder):
        record = cast("dict[str, Any]", line)
        id = str(record.get("case", record["id"]))
        if int(record.get("after", 0)) == last and (ids is None or id in ids):
            yield id, _detail(record)


def _detail(record: Mapping[str, Any]) -> dict[str, Any]:
    answers = record.get("answers") or []
    own = next((answer for answer in answers if answer["kind"] == "efficacy"), None)
    asked = {"prompt": own["text"], "target": own["expected"], "target_true": own["rejected"]} if own else {}
    return {**asked, "answers": answers, "texts": record.get("texts") or []}


def _errors(source: Source) -> dict[str, str]:
    last = source.run.last
    return {case.case: case.error for case in source.run.cases if case.error and case.after == last}


def _telling(
    id: str,
    found: Sequence[Source],
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
    errors: Mapping[str, Mapping[str, str]],
) -> tuple[float, float, float]:
    scores = [
        score
        for one in found
        if not one.baseline and id in values[one.label] and (score := overall(values[one.label][id])) is not None
    ]
    failed = sum(id in own for own in errors.values())
    return (float(failed), max(scores) - min(scores), -min(scores)) if scores else (float(failed), 0.0, 0.0)


def overall(values: Mapping[str, float]) -> float | None:
    """Return the mean of a case's efficacy, generalization and specificity; None where it has none."""
    for protocol in _PROTOCOLS:
        found = [values[f"{kind}_{protocol}"] for kind in _TELLING if f"{kind}_{protocol}" in values]
        if found:
            return sum(found) / len(found)
    return None


def _take(case: dict[str, Any], label: str, detail: Mapping[str, Any]) -> None:
    """Add a run's answers to a case: the questions once, and of each answer what differs."""
    for key in ("prompt", "target", "target_true"):
        if detail.get(key) and not case.get(key):
            case[key] = detail[key]
    if not case["probes"]:
        case["probes"] = [
            [one["kind"], one["text"], one["expected"], one.get("rejected") or "", one.get("contrast") or ""]
            for one in detail["answers"]
        ]  # fmt: skip
    places = {(kind, text, expected): n for n, (kind, text, expected, *_) in enumerate(case["probes"])}
    answers: list[list[Any] | None] = [None] * len(case["probes"])
    for one in detail["answers"]:
        if (place := places.get((one["kind"], one["text"], one["expected"]))) is not None:
            answers[place] = _answer(one)
    case["answers"][label] = answers
    case["texts"][label] = [_short(text) for text in detail["texts"]]


def _answer(one: Mapping[str, Any]) -> list[Any]:
    """Return an answer as probability, that of its rival, rank, token accuracy, text and whether it is the answer."""
    return [
        _digits(one.get("probability")), _digits(one.get("alternative")), one.get("rank"),
        _digits(one.get("token_accuracy")), one.get("generated"), one.get("exact"),
    ]  # fmt: skip


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _short(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"
