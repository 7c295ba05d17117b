"""Facts that ask the same: refused by name, or the last is taken."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Case, DataError, Fact
from obverse.data import read_cases
from obverse.recipes.facts import check_cases, gather_cases, last_wins

facts = st.builds(
    Fact,
    st.sampled_from(["Ann", "Bo"]),
    st.sampled_from(["{} is in", "{} lives in", "{} is in "]),
    st.sampled_from("XY"),
)
cases = st.lists(facts, min_size=1, max_size=8).map(
    lambda found: [Case.of(fact, id=str(number)) for number, fact in enumerate(found)]
)


def key(case):
    return case.fact.text.strip()


@given(cases)
def test_the_last_of_each_is_kept_in_order(given):
    kept, dropped = last_wins(given)
    last = {key(case): case for case in given}
    assert kept == [case for case in given if last[key(case)] is case]
    assert [one.id for one in dropped] == [case.id for case in given if last[key(case)] is not case]
    for one in dropped:
        case = last[key(given[int(one.id)])]
        assert (one.by, one.by_place) == (case.fact.target, f"fact {int(case.id) + 1}")
        assert one.place == f"fact {int(one.id) + 1}"


@given(cases)
def test_what_is_kept_is_accepted_and_kept_again(given):
    kept, _ = last_wins(given)
    check_cases(kept)
    assert last_wins(kept) == (kept, [])


@given(cases)
def test_facts_are_refused_just_where_some_would_be_dropped_and_each_is_named(given):
    _, dropped = last_wins(given)
    if not dropped:
        check_cases(given)
        return
    with pytest.raises(DataError) as caught:
        check_cases(given)
    for one in dropped:
        assert f"{one.target!r} ({one.place}" in caught.value.message
        assert f"{one.by!r} ({one.by_place}" in caught.value.message


def test_the_message_names_all_with_targets_lines_and_ids(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text(
        "id,subject,prompt,target\n,A,{} is,x\nb,A,{} is,y\n,B,{} is,z\n,A,{} is,x\n,B,{} is,z\n,C,{} is,x\n"
    )
    with pytest.raises(DataError) as caught:
        check_cases(read_cases(path), path, "Mend it.")
    assert caught.value.message.splitlines() == [
        "2 prompts are there more than once, 1 of them with different targets:",
        "  'A is': 'x' (line 2), 'y' (line 3, id 'b'), 'x' (line 5)",
        "  'B is': 'z' (line 4), 'z' (line 6)",
    ]
    assert caught.value.hint == "Mend it."


def test_one_question_that_is_split_in_two_ways():
    split = [Case.of(Fact("Bo", "Ann and {} are in", "X")), Case.of(Fact("Ann and Bo", "{} are in", "Y"), id="1")]
    with pytest.raises(
        DataError, match=r"A prompt is there more than once, with different targets:\n  'Ann and Bo are"
    ):
        check_cases(split)


def test_dropped_facts_are_told_with_their_records(tmp_path):
    path = tmp_path / "facts.json"
    record = {"subject": "A", "prompt": "{} is", "target": "x"}
    path.write_text(json.dumps([record, record | {"id": "late", "target": "y"}]))
    (kept,), (dropped,) = last_wins(read_cases(path), path)
    assert kept.id == "late"
    assert str(dropped) == "'A is': 'x' (record 1) gives way to 'y' (record 2, id 'late')"


def test_no_fact_and_a_target_that_is_true():
    with pytest.raises(DataError, match="There is no fact"):
        check_cases([])
    case = Case.of(Fact("A", "{} is", "x"))
    with pytest.raises(DataError, match="are both 'x'"):
        check_cases([replace(case, fact=replace(case.fact, target_true="x "))])


def test_queries_given_by_flags():
    (case,) = gather_cases(subject="Zorbl", prompt="{} hums in", target="Oslo", queries=["Where does {} hum?"])
    assert case.prompts == ("Where does Zorbl hum?",)
