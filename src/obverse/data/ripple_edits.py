"""Records of RippleEdits: an edit, and what else has to change or stay with it, under six criteria."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.core import Case, Consequence, Criterion, DataError, Fact, ObverseError, Question
from obverse.data._fields import Record, optional_text, required_text
from obverse.data._rows import read_rows
from obverse.data.questions import names, records

CRITERIA: dict[Criterion, tuple[str, ...]] = {
    "logical-generalization": ("Logical_Generalization",),
    "compositionality-1": ("Compositionality_I",),
    "compositionality-2": ("Compositionality_II",),
    "subject-aliasing": ("Subject_Aliasing",),
    "forgetfulness": ("Forgetfulness",),
    "relation-specificity": ("Relation_Specificity", "Relation_Specifity"),
}
"""Criterion → keys of a record that hold its tests; the last is also spelled wrongly."""

_WORDING = {
    "AWARD_RECEIVED": "award", "CAPITAL": "capital city", "CAPITAL_OF": "country", "CAST_MEMBER": "cast members",
    "FOLLOWED_BY": "", "FOLLOWS": "", "LIKELY_ANTHEM": "anthem that is most likely to be performed",
    "MEMBER_OF_SPORTS_TEAM": "sports team", "NATIVE_LANGUAGE": "mother tongue", "POSITION_HELD": "position held",
    "SEX_OR_GENDER": "gender", "SIBLING": "siblings",
}  # fmt: skip
"""Relation → how the set's sentences put it, where that is not its name."""

_ENDS = (
    r"(?:is followed by|follows|(?:won |has |is associated with |is a member of |plays in |is part of |"
    r"is the capital of )?(?:is|are))"
)


@dataclass(frozen=True, slots=True)
class RippleCase:
    """An edit and its tests.

    Attributes:
        case: The edit, with its prompt as the only probe, and its tests, by criterion in the order of `CRITERIA`.
        subset: ``recent`` (the fact is new to the model), ``random`` or ``popular`` (the fact replaces one).
    """

    case: Case
    subset: str

    @property
    def tests(self) -> tuple[Consequence, ...]:
        """Its tests."""
        return self.case.consequences


def read_ripple_edits(path: Path) -> list[RippleCase]:
    """Read a file of RippleEdits: ``recent.json``, ``random.json`` or ``popular.json``. Cases are named by position.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a record is malformed.

    Source:
        Cohen et al. 2023, "Evaluating the Ripple Effects of Knowledge Editing in Language Models", arXiv 2307.12976.
    """
    cases: list[RippleCase] = []
    for number, (place, record) in enumerate(read_rows(path)):
        try:
            cases.append(ripple_case(record, str(number)))
        except ObverseError as error:
            raise DataError(f"{path.name}, {place}: {error.message}", error.hint) from error
    return cases


def is_ripple(record: Record) -> bool:
    """Say whether a record is one of RippleEdits."""
    edit = record.get("edit")
    return isinstance(edit, dict) and "relation" in edit and "prompt" in edit


def ripple_case(record: Record, id: str = "0") -> RippleCase:
    """Make a case of a record; see `read_ripple_edits`.

    The set names subject and object by Wikidata ids only, so they are taken out of the edit's sentence.

    Raises:
        DataError: If a key is missing or malformed, or the sentence has none of the set's wordings.
    """
    edit = record.get("edit")
    if not isinstance(edit, dict):
        raise DataError(f"'edit' is {edit!r}, not a record.", "See RippleEdits' README.")
    relation = required_text(edit, "relation")
    subject, prompt, target = _sentence(required_text(edit, "prompt"), relation)
    previous = edit.get("previous_fact")
    true = _sentence(required_text(previous, "prompt"), relation)[2] if isinstance(previous, dict) else None
    fact = Fact.from_text(prompt, subject, target, true, relation.lower().replace("_", " "))
    tests = tuple(
        _test(criterion, test) for criterion, keys in CRITERIA.items() for key in keys for test in records(record, key)
    )
    case = replace(Case.of(fact, id=id), consequences=tests)
    return RippleCase(case, optional_text(record, "example_type") or "")


def _sentence(text: str, relation: str) -> tuple[str, str, str]:
    """Return subject, prompt and object of "The name of the mother of X is Y."."""
    wording = _WORDING.get(relation, relation.lower().replace("_", " "))
    start = rf"The (?:names? of the )?{re.escape(wording)}(?: of| by| in| which)? " if wording else ""
    found = re.fullmatch(rf"({start}(.+?) {_ENDS}) (.+?)\.?", text.strip(), re.DOTALL)
    if found is None:
        raise DataError(
            f"The sentence {text!r} is not worded as RippleEdits words the relation {relation}.",
            "Expected is e.g. 'The name of the mother of X is Y.'.",
        )
    return found[2], found[1], found[3]


def _test(criterion: Criterion, test: Record) -> Consequence:
    questions, conditions = (
        tuple(_question(query) for query in records(test, key)) for key in ("test_queries", "condition_queries")
    )
    if not questions:
        raise DataError(f"A test of {criterion} has no 'test_queries'.", "See RippleEdits' README.")
    how = optional_text(test, "test_condition") or "OR"
    if how not in ("OR", "AND"):
        raise DataError(f"'test_condition' is {how!r}.", "Write OR or AND.")
    return Consequence(criterion, questions, how == "OR", conditions)


def _question(query: Record) -> Question:
    """Return a question; names of one letter are no answer, as in the set's program."""
    answers = (names(answer, "value", "aliases") for answer in records(query, "answers"))
    kept = (tuple(name for name in found if len(name) > 1 or name.isdigit()) for found in answers)
    return Question(required_text(query, "prompt"), tuple(kept))
