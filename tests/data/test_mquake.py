"""Records of MQuAKE: chains of facts and questions over them."""

import json

import pytest

from obverse.core import DataError, Question
from obverse.data import read_mquake
from obverse.data.mquake import all_right, any_right, mquake_case


def rewrite(subject, prompt, new, old):
    return {
        "prompt": prompt, "relation_id": "P1", "subject": subject, "question": "?",
        "target_new": {"str": new, "id": "Q1"}, "target_true": {"str": old, "id": "Q2"},
    }  # fmt: skip


def hop(question, answer, *aliases):
    return {"question": question, "cloze": "...", "answer": answer, "answer_alias": list(aliases)}


RECORD = {
    "case_id": 12,
    "requested_rewrite": [
        rewrite("Zorbl", "{} is led by", "Ann Lee", "Bo Ray"), rewrite("Ann Lee", "{} is from", "Ux", "Yi"),
    ],
    "questions": ["Where is Zorbl's head from?", "From where is Zorbl's leader?", "Home of Zorbl's leader?"],
    "answer": "Wo", "answer_alias": ["Old Wo"], "answer_extended": ["Wo", "Greater Wo"],
    "new_answer": "Ux", "new_answer_alias": ["Uxland"],
    "single_hops": [hop("Who leads Zorbl?", "Bo Ray"), hop("Where is Bo Ray from?", "Wo", "Old Wo")],
    "new_single_hops": [hop("Who leads Zorbl?", "Ann Lee"), hop("Where is Ann Lee from?", "Ux", "Uxland")],
    "orig": {"triples": []},
}  # fmt: skip


def test_a_record_as_a_case(tmp_path):
    path = tmp_path / "mquake.json"
    path.write_text(json.dumps([RECORD]))
    (case,) = read_mquake(path)
    assert [edit.id for edit in case.edits] == ["12.0", "12.1"]
    assert [edit.fact.text for edit in case.edits] == ["Zorbl is led by", "Ann Lee is from"]
    assert [(e.fact.target, e.fact.target_true, e.fact.relation) for e in case.edits] == [
        ("Ann Lee", "Bo Ray", "P1"), ("Ux", "Yi", "P1"),
    ]  # fmt: skip
    assert [question.text for question in case.after] == RECORD["questions"]
    assert {question.answers for question in case.before} == {(("Wo", "Old Wo", "Greater Wo"),)}
    assert {question.answers for question in case.after} == {(("Ux", "Uxland"),)}
    assert case.hops_before[1] == Question("Where is Bo Ray from?", (("Wo", "Old Wo"),))
    assert case.hops_after[0] == Question("Who leads Zorbl?", (("Ann Lee",),))
    assert case.hops == 2


def test_one_wording_is_enough_but_every_hop_is_needed():
    case = mquake_case(RECORD)
    replies = {
        RECORD["questions"][2]: "It is uxland, I think.",
        "Who leads Zorbl?": "Ann Lee",
        "Where is Ann Lee from?": "Wo",
    }

    def reply(text):
        return replies.get(text, "nobody knows")

    assert any_right(case.after, reply)
    assert not any_right(case.before, reply)
    assert not all_right(case.hops_after, reply)
    replies["Where is Ann Lee from?"] = "Ux"
    assert all_right(case.hops_after, reply)


@pytest.mark.parametrize(
    ("reply", "right"),
    [("Ux", True), ("from ux.", True), ("Uxland", True), ("Uxbridge", False), ("Lux", False), ("", False)],
)
def test_an_answer_is_found_as_a_word(reply, right):
    assert mquake_case(RECORD).after[0].answered_by(reply) is right


def test_all_answers_are_needed_and_without_answers_none_is_right():
    both = Question("?", (("red",), ("blue", "azure")))
    assert both.answered_by("Azure and red")
    assert not both.answered_by("red")
    assert not Question("?", ()).answered_by("red")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requested_rewrite": []}, "no entry in 'requested_rewrite'"),
        ({"requested_rewrite": {}}, "not a list of records"),
        ({"questions": None}, "no entry in 'questions'"),
        ({"new_answer": " "}, "'new_answer' is empty"),
        ({"single_hops": [{"answer": "x"}]}, "A hop has no 'question'"),
    ],
)
def test_a_malformed_record_is_named(tmp_path, change, message):
    path = tmp_path / "mquake.jsonl"
    path.write_text(json.dumps(RECORD | {"case_id": 1}) + "\n" + json.dumps(RECORD | change))
    with pytest.raises(DataError, match=f"mquake.jsonl, line 2: .*{message}"):
        read_mquake(path)


def test_an_id_stands_once(tmp_path):
    path = tmp_path / "mquake.json"
    path.write_text(json.dumps([RECORD, RECORD]))
    with pytest.raises(DataError, match="record 2: the id '12' stands twice"):
        read_mquake(path)
