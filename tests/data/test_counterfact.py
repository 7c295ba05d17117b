import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from obverse.core import Case, DataError, Fact
from obverse.data import counterfact_case, read_cases
from obverse.data.snippets import Snippet

SHARED = Path(os.environ.get("OBVERSE_SHARED", Path(__file__).parents[2].parent / "shared"))
FLAT_FILE = SHARED / "data" / "counterfact" / "counterfact_flat_edit.json"

FLAT = {
    "case_id": 3,
    "subject": "Danielle Darrieux",
    "prompt": "The mother tongue of Danielle Darrieux is",
    "target_new": "English",
    "ground_truth": "French",
    "rephrase_prompt": "Danielle Darrieux, a native | speaker of",
    "locality_prompt": "Michel Rocard is a native speaker of",
    "locality_ground_truth": "French",
}
ORIGINAL = {
    "case_id": 3,
    "pararel_idx": 2796,
    "requested_rewrite": {
        "subject": "Danielle Darrieux",
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "English", "id": "Q1860"},
        "target_true": {"str": "French", "id": "Q150"},
    },
    "paraphrase_prompts": ["Danielle Darrieux, a native | speaker of"],
    "neighborhood_prompts": ["Michel Rocard is a native speaker of"],
    "attribute_prompts": ["J.R.R. Tolkien is a native speaker of"],
    "generation_prompts": ["Danielle Darrieux's mother tongue is"],
}


def expected(relation=None, prompts=(), attributes=()):
    case = Case.of(
        Fact("Danielle Darrieux", "The mother tongue of {} is", "English", "French", relation),
        id="3",
        paraphrases=("Danielle Darrieux, a native | speaker of",),
        neighbours=(("Michel Rocard is a native speaker of", "French"),),
        prompts=prompts,
    )
    return replace(case, attributes=attributes)


def test_both_schemas_give_the_same_fact_and_probes():
    assert counterfact_case(FLAT) == expected()
    assert counterfact_case(ORIGINAL) == expected(
        "P103", ("Danielle Darrieux's mother tongue is",), ("J.R.R. Tolkien is a native speaker of",)
    )


def test_the_schema_is_recognized_record_by_record(tmp_path):
    plain = {"subject": "Rome", "prompt": "{} is in", "target": "Italy"}
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in (plain, FLAT | {"case_id": 5}, ORIGINAL)))
    assert [case.id for case in read_cases(path)] == ["0", "5", "3"]


def test_reference_texts_are_those_of_relation_and_target():
    snippets = {
        ("P103", "Q1860"): (Snippet("Dickens", "He wrote in English."), Snippet("Danielle Darrieux", "She sang.")),
        ("P103", "Q150"): (Snippet("Proust", "He wrote in French."),),
    }
    case = counterfact_case(ORIGINAL, snippets=snippets)
    assert (case.references, case.essence) == (("He wrote in English.", "She sang."), ("She sang.",))
    assert counterfact_case(ORIGINAL, snippets={}).references == ()


def test_flat_keys_mix_with_plain_ones():
    record = {"subject": "Rome", "prompt": "{} is in", "target_new": "Spain", "target_true": "Italy"}
    fact = counterfact_case(record, "9").fact
    assert (fact.target, fact.target_true) == ("Spain", "Italy")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (FLAT | {"target": "x"}, "Both 'target_new' and 'target' are given"),
        (FLAT | {"neighbours": []}, "Both 'locality_prompt' and 'neighbours' are given"),
        (FLAT | {"locality_prompt": None}, "'locality_ground_truth' is given without 'locality_prompt'"),
        (FLAT | {"portability": {}}, "Unknown column 'portability'"),
        (ORIGINAL | {"requested_rewrite": "x"}, "'requested_rewrite' is 'x', not a record"),
        (ORIGINAL | {"requested_rewrite": {}}, "There is no 'subject'; found: none"),
        (
            ORIGINAL | {"requested_rewrite": ORIGINAL["requested_rewrite"] | {"target_new": "English"}},
            "'target_new' is 'English', not a record",
        ),
    ],
)
def test_a_malformed_record_is_explained(record, message):
    with pytest.raises(DataError) as caught:
        counterfact_case(record)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.skipif(not FLAT_FILE.exists(), reason="the flat CounterFact file is absent; set OBVERSE_SHARED")
def test_the_flat_file_is_read_whole():
    cases, records = read_cases(FLAT_FILE), json.loads(FLAT_FILE.read_text())
    assert [case.id for case in cases] == [str(record["case_id"]) for record in records]
    assert all(case.fact.text == record["prompt"] for case, record in zip(cases, records, strict=True))
    assert all(set(case.probes) == {"efficacy", "generalization", "specificity"} for case in cases)
