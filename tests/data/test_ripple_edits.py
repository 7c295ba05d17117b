"""Records of RippleEdits: the edit's sentence taken apart, and the logic of its tests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Consequence, DataError, Fact, Question
from obverse.data import read_ripple_edits
from obverse.data.ripple_edits import CRITERIA, ripple_case


def query(prompt, *answers):
    return {
        "prompt": prompt, "answers": [{"value": names[0], "aliases": list(names[1:])} for names in answers],
        "query_type": "regular", "subject_id": "Q1", "relation": "MOTHER", "target_ids": ["Q2"], "phrase": None,
    }  # fmt: skip


def check(prompt, *answers, how="OR", conditions=()):
    return {"test_queries": [query(prompt, *answers)], "test_condition": how, "condition_queries": list(conditions)}


RECORD = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the country of citizenship of Zed of Zorbl is Ux.", "subject_id": "Q1",
        "relation": "COUNTRY_OF_CITIZENSHIP", "target_id": "Q3",
        "previous_fact": {"prompt": "The name of the country of citizenship of Zed of Zorbl is United Wo.",
                          "subject_id": "Q1", "relation": "COUNTRY_OF_CITIZENSHIP", "target_id": "Q4"},
    },
    "Relation_Specifity": [check("The gender of Zed is", ("male", "m"), conditions=[query("Zed is", ("male",))])],
    "Logical_Generalization": [],
    "Subject_Aliasing": [check("Zeddy is a citizen of", ("Ux",))],
    "Compositionality_I": [check("The capital of Zed's country is", ("Uxcity", "Ux City"), how="AND")],
    "Compositionality_II": [],
    "Forgetfulness": [check("Zed is also a citizen of", ("Yi",), ("Wo", "United Wo"))],
}  # fmt: skip


def test_a_record_as_a_case(tmp_path):
    path = tmp_path / "popular.json"
    path.write_text(json.dumps([RECORD]))
    (found,) = read_ripple_edits(path)
    assert found.subset == "popular"
    assert found.case.fact == Fact(
        "Zed of Zorbl", "The name of the country of citizenship of {} is", "Ux", "United Wo", "country of citizenship"
    )
    assert [test.criterion for test in found.tests] == [
        "compositionality-1", "subject-aliasing", "forgetfulness", "relation-specificity",
    ]  # fmt: skip
    specific = found.tests[-1]
    assert specific.questions == (Question("The gender of Zed is", (("male",),)),)  # one letter is no answer
    assert specific.conditions == (Question("Zed is", (("male",),)),)
    assert [test.any_of for test in found.tests] == [False, True, True, True]
    assert found.tests[2].questions[0].answers == (("Yi",), ("Wo", "United Wo"))


@pytest.mark.parametrize(
    ("relation", "sentence", "subject", "target"),
    [
        ("MOTHER", "The name of the mother of Life Is Short is Ann.", "Life Is Short", "Ann"),
        ("SIBLING", "The names of the siblings of Bo are Cy.", "Bo", "Cy"),
        ("POSITION_HELD", "The name of the position held by Bo is mayor.", "Bo", "mayor"),
        ("MEMBER_OF_SPORTS_TEAM", "The name of the sports team which Bo is a member of is FC Wo.", "Bo", "FC Wo"),
        ("AWARD_RECEIVED", "The name of the award Bo won is the Cup.", "Bo", "the Cup"),
        ("CURRENCY", "The name of the currency in Wo is zin.", "Wo", "zin"),
        ("CAPITAL_OF", "The name of the country which Wo is the capital of is Ux.", "Wo", "Ux"),
        ("RELIGION", "The name of the religion which Bo is associated with is Zen.", "Bo", "Zen"),
        ("LEAGUE", "The name of the league which FC Wo plays in is Liga 1.", "FC Wo", "Liga 1"),
        ("CONTINENT", "The name of the continent which Wo is part of is Asia.", "Wo", "Asia"),
        ("NUMBER_OF_CHILDREN", "The number of children Bo has is 3.", "Bo", "3"),
        ("PLACE_OF_BIRTH", "The place of birth of Bo is Washington D.C..", "Bo", "Washington D.C."),
        ("CAST_MEMBER", "The names of the cast members of Up are Bo.", "Up", "Bo"),
        ("FOLLOWED_BY", "Part I is followed by Part II.", "Part I", "Part II"),
        ("FOLLOWS", "Part II follows Part I.", "Part II", "Part I"),
        ("NATIVE_LANGUAGE", "The mother tongue of Bo is Wo.", "Bo", "Wo"),
    ],
)
def test_the_wordings_of_the_set(relation, sentence, subject, target):
    fact = ripple_case({"example_type": "recent", "edit": {"prompt": sentence, "relation": relation}}).case.fact
    assert (fact.subject, fact.target, fact.target_true) == (subject, target, None)
    assert f"{fact.text} {fact.target}." == sentence


ASKED = st.lists(st.booleans(), min_size=1, max_size=4)


@given(ASKED, st.lists(st.booleans(), max_size=3), st.booleans())
def test_the_logic_of_a_test(right, known, any_of):
    test = Consequence(
        "forgetfulness",
        tuple(Question(str(i), (("yes",),)) for i in range(len(right))),
        any_of,
        tuple(Question(str(i), (("yes",),)) for i in range(len(known))),
    )
    assert test.passed(lambda text: "yes" if right[int(text)] else "no") == (any(right) if any_of else all(right))
    assert test.counts(lambda text: "yes" if known[int(text)] else "no") == all(known)


def test_there_are_six_criteria():
    assert len(CRITERIA) == 6
    record = {"edit": RECORD["edit"]} | {keys[0]: [check("?", ("yes",))] for keys in CRITERIA.values()}
    assert [test.criterion for test in ripple_case(record).tests] == list(CRITERIA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edit": None}, "'edit' is None, not a record"),
        ({"edit": RECORD["edit"] | {"relation": "MOTHER"}}, "not worded as RippleEdits words the relation MOTHER"),
        ({"Forgetfulness": [{"test_queries": []}]}, "no 'test_queries'"),
        ({"Forgetfulness": [check("?", ("yes",), how="XOR")]}, "'test_condition' is 'XOR'"),
        ({"Forgetfulness": "x"}, "not a list of records"),
    ],
)
def test_a_malformed_record_is_named(tmp_path, change, message):
    path = tmp_path / "recent.json"
    path.write_text(json.dumps([RECORD, RECORD | change]))
    with pytest.raises(DataError, match=f"recent.json, record 2: .*{message}"):
        read_ripple_edits(path)
