"""Make a case of a record with the plain column names."""

from __future__ import annotations

from difflib import get_close_matches

from obverse.core import Case, DataError, Fact
from obverse.data._fields import Record, neighbours, optional_text, required_text, texts

COLUMNS = (
    "subject", "prompt", "target", "target_true", "relation", "id", "paraphrases", "neighbours", "reverse",
    "reverse_prompt", "prompts", "queries",
)  # fmt: skip


def plain_case(record: Record, default_id: str) -> Case:
    """Make a case of a record.

    Args:
        record: Values by column; see `COLUMNS`.
        default_id: Name of the case if the record has none.

    Raises:
        DataError: If a column is missing, unknown or malformed.
        SubjectNotFound: If the prompt has neither ``{}`` nor the subject.
    """
    subject, prompt, target = (required_text(record, key) for key in ("subject", "prompt", "target"))
    _check_columns(record)
    fact = Fact.from_text(
        prompt,
        subject,
        target,
        optional_text(record, "target_true"),
        optional_text(record, "relation"),
    )
    reverse = texts(record, "reverse") + texts(record, "reverse_prompt")
    prompts = texts(record, "prompts") + texts(record, "queries")
    return Case.of(
        fact,
        id=optional_text(record, "id") or default_id,
        paraphrases=tuple(text.replace("{}", subject) for text in texts(record, "paraphrases")),
        neighbours=neighbours(record, "neighbours"),
        reverse=reverse,
        prompts=tuple(text.replace("{}", subject) for text in prompts),
    )


def _check_columns(record: Record) -> None:
    for key in record:
        if key in COLUMNS:
            continue
        near = get_close_matches(key, COLUMNS, n=1, cutoff=0.6)
        wish = f"Did you mean {near[0]!r}? " if near else "Remove it. "
        raise DataError(f"Unknown column {key!r}.", f"{wish}Columns: {', '.join(COLUMNS)}.")
