"""Records of the zsRE question answering set, raw or as ROME's program converts them, as cases."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from obverse.core import Case, DataError, Fact, JsonValue, Probe
from obverse.data._fields import Record, optional_text, required_text, texts

MARK = "nq question: "
"""How a question about something unrelated begins (from Natural Questions)."""

NO_TARGET = "<|endoftext|>"
"""What the converted records have as their true target: none."""


def is_zsre(record: Record) -> bool:
    """Say whether a record is one of zsRE's: raw by its keys, converted by what only it holds."""
    if "src" in record and "loc" in record:
        return True
    rewrite, neighbours = record.get("requested_rewrite"), record.get("neighborhood_prompts")
    true = rewrite.get("target_true") if isinstance(rewrite, dict) else None
    return (isinstance(true, dict) and true.get("str") == NO_TARGET) or (
        isinstance(neighbours, list) and any(isinstance(entry, dict) for entry in neighbours)
    )


def zsre_case(record: Record, default_id: str = "0") -> Case:
    """Make a case of a zsRE record.

    The fact is the question with its first answer, which is *true*; so there is no other target that it could be
    compared with, and its probes are judged by teacher-forced accuracy alone. Paraphrase: the rephrased question.
    Specificity: an unrelated question with its answer. The original asks that one token by token, as a prompt a
    token; here it is one probe, and `obverse.measuring.Likelihood.correct` tells of each token whether it is right.

    Args:
        record: The record, with ``subject``, ``src``, ``rephrase``, ``answers``, ``loc`` and ``loc_ans`` (all else is
            ignored), or converted to CounterFact's schema.
        default_id: Name of the case if the record has no ``case_id``; ROME takes the position in the file.

    Raises:
        DataError: If a key is missing or malformed.
        SubjectNotFound: If the question does not have the subject.

    Source:
        Levy et al. 2017, "Zero-Shot Relation Extraction via Reading Comprehension"; records of Mitchell et al. 2022,
        "Fast Model Editing at Scale"; use as in Meng et al. 2022, section 3.2.
    """
    parts = _from_raw(record) if "src" in record else _from_converted(record)
    fact = Fact.from_text(parts.prompt, parts.subject, parts.target)
    case = Case.of(fact, id=optional_text(record, "case_id") or default_id, paraphrases=parts.paraphrases)
    if parts.unrelated is None:
        return case
    return replace(case, probes={**case.probes, "specificity": (parts.unrelated,)})


class _Parts(NamedTuple):
    subject: str
    prompt: str
    target: str
    paraphrases: tuple[str, ...]
    unrelated: Probe | None


def _from_raw(record: Record) -> _Parts:
    answers = texts(record, "answers")
    if not answers:
        raise DataError("There is no answer in 'answers'.", "Give one at least.")
    rephrased = optional_text(record, "rephrase")
    question = required_text(record, "loc")
    if MARK not in question:
        raise DataError(f"'loc' is {question!r}, without {MARK!r}.", "Give a question of Natural Questions.")
    return _Parts(
        required_text(record, "subject"),
        required_text(record, "src"),
        answers[0],
        (rephrased,) if rephrased else (),
        Probe(f"{question}?", required_text(record, "loc_ans")),
    )


def _from_converted(record: Record) -> _Parts:
    rewrite = record.get("requested_rewrite")
    target = rewrite.get("target_new") if isinstance(rewrite, dict) else None
    if not isinstance(rewrite, dict) or not isinstance(target, dict):
        raise DataError(f"'requested_rewrite' is {rewrite!r}, not a rewrite.", "See CounterFact's schema.")
    asked = record.get("neighborhood_prompts")
    return _Parts(
        required_text(rewrite, "subject"),
        required_text(rewrite, "prompt"),
        required_text(target, "str"),
        texts(record, "paraphrase_prompts"),
        _joined(asked) if isinstance(asked, list) and asked else None,
    )


def _joined(entries: list[JsonValue]) -> Probe:
    """Put an answer together again that stands token by token, each with the prompt up to it."""
    first, answer = None, ""
    for entry in entries:
        match entry:
            case {"prompt": str(prompt), "target": str(token)} if first is None or prompt == first + answer:
                first, answer = (prompt if first is None else first), answer + token
            case _:
                raise DataError(
                    f"'neighborhood_prompts' has {entry!r}, which does not go on from {(first or '') + answer!r}.",
                    'Write {"prompt": question and the answer so far, "target": its next token}, in order.',
                )
    return Probe(first or "", answer.strip())
