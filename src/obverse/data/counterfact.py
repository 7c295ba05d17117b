"""Records of the CounterFact data set, in its original schema and in the flat one with one paraphrase, as cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from obverse.core import Case, DataError, JsonValue
from obverse.data._fields import Record, optional_text, required_text, texts
from obverse.data._plain import plain_case
from obverse.data.snippets import Snippets

_FLAT = {
    "case_id": "id",
    "target_new": "target",
    "ground_truth": "target_true",
    "rephrase_prompt": "paraphrases",
}
_LOCALITY = ("locality_prompt", "locality_ground_truth")


def is_counterfact(record: Record) -> bool:
    """Say whether a record has a key that only one of CounterFact's schemas has."""
    return "requested_rewrite" in record or any(key in record for key in (*_FLAT, *_LOCALITY))


def counterfact_case(record: Record, default_id: str = "0", snippets: Snippets | None = None) -> Case:
    """Make a case of a CounterFact record.

    Keys of the flat schema may be mixed with the plain ones. Of an original record, the rewrite, the paraphrases, the
    neighbours, the generation prompts and the attribute prompts are used, and ``reverse`` where there is one (the sets
    of `obverse.data.fact_sets`). Neighbours without an answer share the fact's true target.

    Args:
        record: The record, in either schema.
        default_id: Name of the case if the record has no ``case_id``.
        snippets: Texts about what the targets are true of, for an original record's references; see
            `obverse.data.snippets`.

    Raises:
        DataError: If a key is missing or malformed.
        SubjectNotFound: If the prompt has neither ``{}`` nor the subject.

    Source:
        Meng et al. 2022, "Locating and Editing Factual Associations in GPT", section 3.3 and appendix D.
    """
    if "requested_rewrite" not in record:
        return plain_case(_from_flat(record), default_id)
    case = plain_case(_from_original(record), default_id)
    rewrite = _part(record, "requested_rewrite")
    target = optional_text(_part(rewrite, "target_new"), "id") or ""
    found = (snippets or {}).get((case.fact.relation or "", target), ())
    return replace(
        case,
        references=tuple(snippet.text for snippet in found),
        essence=tuple(snippet.text for snippet in found if snippet.name == case.fact.subject),
        attributes=texts(record, "attribute_prompts"),
    )


def _from_original(record: Record) -> dict[str, JsonValue]:
    rewrite = _part(record, "requested_rewrite")
    return {
        "id": optional_text(record, "case_id"),
        "subject": required_text(rewrite, "subject"),
        "prompt": required_text(rewrite, "prompt"),
        "relation": optional_text(rewrite, "relation_id"),
        "target": _answer(rewrite, "target_new"),
        "target_true": _answer(rewrite, "target_true") if "target_true" in rewrite else None,
        "paraphrases": record.get("paraphrase_prompts"),
        "neighbours": record.get("neighborhood_prompts"),
        "prompts": record.get("generation_prompts"),
        "reverse": record.get("reverse"),
    }


def _from_flat(record: Record) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = {}
    for key, value in record.items():
        if key in _LOCALITY:
            continue
        name = _FLAT.get(key, key)
        if name in plain or (name != key and name in record):
            raise DataError(f"Both {key!r} and {name!r} are given.", f"Keep one: {key!r} is another name of {name!r}.")
        plain[name] = [value] if key == "rephrase_prompt" and isinstance(value, str) else value
    prompt = optional_text(record, _LOCALITY[0])
    if prompt is not None:
        if "neighbours" in record:
            raise DataError("Both 'locality_prompt' and 'neighbours' are given.", "Keep one of them.")
        plain["neighbours"] = [[prompt, optional_text(record, _LOCALITY[1])]]
    elif optional_text(record, _LOCALITY[1]) is not None:
        raise DataError("'locality_ground_truth' is given without 'locality_prompt'.", "Give both.")
    return plain


def _part(record: Record, key: str) -> Record:
    value = record.get(key)
    if not isinstance(value, Mapping):
        raise DataError(f"{key!r} is {value!r}, not a record.", "See CounterFact's schema, or use the plain columns.")
    return value


def _answer(rewrite: Record, key: str) -> str:
    return required_text(_part(rewrite, key), "str")
