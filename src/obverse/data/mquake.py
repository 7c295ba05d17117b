"""Records of MQuAKE: edits of a chain of facts, and questions that need the whole chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.core import Case, Consequence, DataError, ObverseError, Question
from obverse.data._fields import Record, optional_text, required_text, texts
from obverse.data._rows import read_rows
from obverse.data.counterfact import counterfact_case
from obverse.data.questions import names, records


@dataclass(frozen=True, slots=True)
class HopCase:
    """Facts to edit together, and what follows from them.

    Attributes:
        id: Name of the case.
        edits: The facts to write, named ``<id>.0``, ``<id>.1`` ...
        before: The chain's question in three wordings, with the answer of the unedited world.
        after: The same with the answer that the edits entail.
        hops_before: The chain's single facts as questions, in order.
        hops_after: The same after the edits.
    """

    id: str
    edits: tuple[Case, ...]
    before: tuple[Question, ...]
    after: tuple[Question, ...]
    hops_before: tuple[Question, ...]
    hops_after: tuple[Question, ...]

    @property
    def hops(self) -> int:
        """How many facts the question needs, 2 to 4."""
        return len(self.hops_after)

    @property
    def case(self) -> Case:
        """All its facts as one case: the first with the others along, and the questions as what they entail."""
        first, *others = self.edits
        tests = (
            Consequence("multi-hop", tuple(map(_worded, self.after)), any_of=True),
            Consequence("hops", tuple(map(_worded, self.hops_after)), any_of=False),
        )
        return replace(first, id=self.id, along=tuple(case.fact for case in others), consequences=tests)


def _worded(question: Question) -> Question:
    """Return a question as a model that only continues text is asked it."""
    return replace(question, text=f"Question: {question.text}\nAnswer:")


def is_mquake(record: Record) -> bool:
    """Say whether a record is one of MQuAKE: its rewrites are a list."""
    return isinstance(record.get("requested_rewrite"), list)


def any_right(questions: tuple[Question, ...], reply: Callable[[str], str]) -> bool:
    """Say whether a question is answered in one of its wordings at least: MQuAKE's multi-hop accuracy.

    Args:
        questions: The wordings (`HopCase.after`).
        reply: From a question to the model's reply.
    """
    return any(question.answered_by(reply(question.text)) for question in questions)


def all_right(questions: tuple[Question, ...], reply: Callable[[str], str]) -> bool:
    """Say whether every question is answered: MQuAKE's instance-wise accuracy over `HopCase.hops_after`."""
    return all(question.answered_by(reply(question.text)) for question in questions)


def read_mquake(path: Path) -> list[HopCase]:
    """Read a file of MQuAKE: ``MQuAKE-CF-3k-v2.json``, ``MQuAKE-CF.json`` or ``MQuAKE-T.json``.

    The first version of the 3k set has edits that contradict each other between cases; use the second if cases are
    edited together.

    Args:
        path: A .json or .jsonl file.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a record is malformed, or an id stands twice.

    Source:
        Zhong et al. 2023, "MQuAKE: Assessing Knowledge Editing in Language Models via Multi-Hop Questions",
        arXiv 2305.14795.
    """
    cases: dict[str, HopCase] = {}
    for number, (place, record) in enumerate(read_rows(path)):
        try:
            case = mquake_case(record, str(number))
        except ObverseError as error:
            raise DataError(f"{path.name}, {place}: {error.message}", error.hint) from error
        if case.id in cases:
            raise DataError(f"{path.name}, {place}: the id {case.id!r} stands twice.", "Give each case its own id.")
        cases[case.id] = case
    return list(cases.values())


def mquake_case(record: Record, default_id: str = "0") -> HopCase:
    """Make a case of a record; see `read_mquake`.

    Args:
        record: With ``requested_rewrite`` (a list), ``questions``, ``answer``, ``new_answer``, ``single_hops`` and
            ``new_single_hops``; answers may have aliases.
        default_id: Name of the case if the record has no ``case_id``.

    Raises:
        DataError: If a key is missing or malformed.
    """
    id = optional_text(record, "case_id") or default_id
    edits = tuple(
        counterfact_case({"case_id": f"{id}.{number}", "requested_rewrite": dict(rewrite)})
        for number, rewrite in enumerate(records(record, "requested_rewrite"))
    )
    asked = texts(record, "questions")
    if not edits or not asked:
        raise DataError(
            f"There is no entry in {'requested_rewrite' if not edits else 'questions'!r}.", "See MQuAKE's README."
        )
    for key in ("answer", "new_answer"):
        required_text(record, key)
    old = dict.fromkeys([*names(record, "answer", "answer_alias"), *texts(record, "answer_extended")])
    new = names(record, "new_answer", "new_answer_alias")
    return HopCase(
        id,
        edits,
        tuple(Question(text, (tuple(old),)) for text in asked),
        tuple(Question(text, (new,)) for text in asked),
        _hops(record, "single_hops"),
        _hops(record, "new_single_hops"),
    )


def _hops(record: Record, key: str) -> tuple[Question, ...]:
    return tuple(Question(_question(hop), (names(hop, "answer", "answer_alias"),)) for hop in records(record, key))


def _question(hop: Record) -> str:
    found = optional_text(hop, "question") or optional_text(hop, "cloze")
    if found is None:
        raise DataError(f"A hop has no 'question': {dict(hop)!r}.", "See MQuAKE's README.")
    return found
