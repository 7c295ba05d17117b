"""Records of zsRE, raw and converted, as cases."""

import json
import os
from pathlib import Path

import pytest

from obverse.core import Case, DataError, Fact, Probe, SubjectNotFound
from obverse.data import read_cases, zsre_case

SHARED = Path(os.environ.get("OBVERSE_SHARED", Path(__file__).parents[2].parent / "shared"))
RAW_FILE = SHARED / "data" / "zsre" / "zsre_600.json"

RAW = {
    "subject": "Zorbl Bridge", "src": "Who designed Zorbl Bridge?", "pred": "Ann Lee", "rephrase": "Zorbl Bridge | by?",
    "alt": "Bo Ray", "answers": ["Ann Lee", "A. Lee"], "loc": "nq question: who wrote the book", "loc_ans": "Cy Poe",
    "cond": "Ann Lee >> Bo Ray || Who designed Zorbl Bridge?",
}  # fmt: skip
CONVERTED = {
    "case_id": 7,
    "requested_rewrite": {
        "prompt": "Who designed {}?",
        "subject": "Zorbl Bridge",
        "target_new": {"str": "Ann Lee"},
        "target_true": {"str": "<|endoftext|>"},
    },
    "paraphrase_prompts": ["Zorbl Bridge | by?"],
    "neighborhood_prompts": [
        {"prompt": "nq question: who wrote the book?", "target": " C"},
        {"prompt": "nq question: who wrote the book? C", "target": "y"},
        {"prompt": "nq question: who wrote the book? Cy", "target": " Poe"},
    ],
    "attribute_prompts": [],
    "generation_prompts": [],
}
EXPECTED = {
    "efficacy": (Probe("Who designed Zorbl Bridge?", "Ann Lee"),),
    "generalization": (Probe("Zorbl Bridge | by?", "Ann Lee"),),
    "specificity": (Probe("nq question: who wrote the book?", "Cy Poe"),),
}


@pytest.mark.parametrize(("record", "id"), [(RAW, "3"), (CONVERTED, "7")])
def test_both_forms_give_the_same_case(record, id):
    fact = Fact("Zorbl Bridge", "Who designed {}?", "Ann Lee")
    assert zsre_case(record, "3") == Case(id, fact, EXPECTED)


def test_the_form_is_recognized_record_by_record(tmp_path):
    path = tmp_path / "mixed.json"
    plain = {"subject": "Rome", "prompt": "{} is in", "target": "Italy"}
    path.write_text(json.dumps([plain, RAW, CONVERTED]))
    cases = read_cases(path)
    assert [case.id for case in cases] == ["0", "1", "7"]
    assert cases[1].probes == cases[2].probes == EXPECTED


def test_a_record_without_paraphrase_or_neighbour_has_no_such_probe():
    bare = CONVERTED | {"neighborhood_prompts": [], "paraphrase_prompts": []}
    assert set(zsre_case(bare).probes) == {"efficacy"}
    assert set(zsre_case(RAW | {"rephrase": " "}).probes) == {"efficacy", "specificity"}


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (RAW | {"answers": []}, DataError, "no answer"),
        (RAW | {"answers": 5}, DataError, "not a list of texts"),
        (RAW | {"loc": "who wrote it"}, DataError, "without 'nq question: '"),
        (RAW | {"loc": None}, DataError, "'loc' is empty"),
        (RAW | {"loc_ans": ""}, DataError, "'loc_ans' is empty"),
        (RAW | {"subject": "Zorbl Tower"}, SubjectNotFound, "does not occur"),
        (CONVERTED | {"requested_rewrite": "x"}, DataError, "not a rewrite"),
        (
            CONVERTED | {"neighborhood_prompts": CONVERTED["neighborhood_prompts"][::2]},
            DataError,
            "does not go on from",
        ),
        (CONVERTED | {"neighborhood_prompts": ["x"]}, DataError, "does not go on from"),
    ],
)
def test_a_malformed_record_is_explained(record, error, message):
    with pytest.raises(error, match=message) as caught:
        zsre_case(record)
    assert caught.value.hint


@pytest.mark.skipif(not RAW_FILE.exists(), reason="the zsRE file is absent; set OBVERSE_SHARED")
def test_a_published_file_is_read_whole():
    cases, records = read_cases(RAW_FILE), json.loads(RAW_FILE.read_text())
    assert [case.id for case in cases] == [str(number) for number in range(len(records))]
    for case, record in zip(cases, records, strict=True):
        assert (case.fact.text, case.fact.target) == (record["src"], record["answers"][0])
        assert case.probes["specificity"] == (Probe(record["loc"] + "?", record["loc_ans"]),)
