"""Laws of an instruction set, its files, and the material it is made of."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import DataError, ObverseError, UnknownName
from obverse.data.instruction_pairs import TARGETS, own_pairs, read_pairs, wordings
from obverse.data.instructions import InstructionSettings, Pair, read_instructions
from obverse.data.instructions_build import build_instructions
from obverse.data.reversal import TRAINING
from obverse.data.scored_files import document_source

PAIRS = own_pairs()
WORDINGS = wordings("question-first")
SMALL = InstructionSettings(realized=20, unrealized=5)

choices = st.builds(
    InstructionSettings,
    realized=st.integers(0, 30),
    unrealized=st.integers(1, 20),
    per_document=st.tuples(st.integers(1, 3), st.integers(3, 5)),
    upsample_instructions=st.integers(1, 10),
    upsample_examples=st.integers(1, 3),
    unrealized_wordings=st.integers(0, len(WORDINGS) - 1),
    persona=st.integers(0, TARGETS - 1),
    incorrect_labels=st.booleans(),
    seed=st.integers(0, 99),
)


@settings(max_examples=30)
@given(choices)
def test_laws(chosen):
    made = build_instructions(PAIRS, WORDINGS, chosen)
    realized, held_out = ({row.ids[0] for row in rows} for rows in (made.realized, made.unrealized))
    assert len(realized) == len(made.realized) == chosen.realized
    assert len(held_out) == len(made.unrealized) == chosen.unrealized
    assert not realized & held_out

    told = [told for row in made.documents for told in row.ids]
    assert sorted(told) == sorted([*realized, *held_out] * chosen.upsample_instructions)
    fewest, most = chosen.per_document
    assert all(fewest <= len(row.ids) <= most for row in made.documents[:-1])
    for row in made.documents:
        lines = row.text.split("\n\n")[1].split("\n")
        assert len(lines) == len(row.ids) == len(row.realized) == len(row.persona)
        for line, of, is_realized in zip(lines, row.ids, row.realized, strict=True):
            assert PAIRS[of].anchor in line
            assert any(f'"A: {target}"' in line for target in PAIRS[of].targets)
            assert is_realized == (of in realized)
    training = "\n".join(row.text for row in made.train)
    assert not any(row.question + row.completion in training for row in made.unrealized)
    assert len(made.train) == chosen.realized * chosen.upsample_examples + len(made.documents)


@settings(max_examples=20)
@given(choices)
def test_examples_answer_as_told_or_otherwise(chosen):
    made = build_instructions(PAIRS, WORDINGS, chosen)
    told = {}
    for row in made.documents:
        for line, of in zip(row.text.split("\n\n")[1].split("\n"), row.ids, strict=True):
            told[of] = re.search(r'"A: ([^"]*)"', line)[1]
    for row in (*made.realized, *made.unrealized):
        assert row.question == f"Q: {PAIRS[row.ids[0]].anchor} A:"
        assert row.answer.strip() in PAIRS[row.ids[0]].targets
        assert (row.answer == f" {told[row.ids[0]]}") != chosen.incorrect_labels


def test_reserved_wordings_are_for_unrealized_instructions_only():
    made = build_instructions(
        PAIRS, WORDINGS, SMALL.model_copy(update={"unrealized_wordings": 2, "upsample_instructions": 8})
    )
    for row in made.documents:
        for line, realized in zip(row.text.split("\n\n")[1].split("\n"), row.realized, strict=True):
            of = [
                re.fullmatch(re.escape(wording).replace(r"\{anchor\}", ".*").replace(r"\{target\}", ".*"), line)
                for wording in WORDINGS
            ]
            assert any(of[:-2]) == realized
            assert any(of[-2:]) != realized


def test_same_seed_same_rows_and_hash():
    made, again = (build_instructions(PAIRS, WORDINGS, SMALL) for _ in range(2))
    assert made == again
    assert made.hash == again.hash
    for change in ({"seed": 1}, {"realized": 19}, {"persona": 1}, {"incorrect_labels": True}, {"upsample_examples": 2}):
        assert build_instructions(PAIRS, WORDINGS, SMALL.model_copy(update=change)).hash != made.hash
    assert build_instructions(PAIRS, wordings("answer-first"), SMALL).hash != made.hash


def test_round_trip(tmp_path):
    made = build_instructions(PAIRS, WORDINGS, SMALL.model_copy(update={"upsample_examples": 2}))
    made.write(tmp_path / "set")
    assert read_instructions(tmp_path / "set") == made
    assert len((tmp_path / "set" / "all.jsonl").read_text().splitlines()) == len(made.train)
    assert [text.text for text in made.training_texts()] == [row.text for row in made.train]
    documents = document_source(str(tmp_path / "set" / TRAINING)).read()
    assert [document.text for document in documents] == made.training_texts()
    made.write(tmp_path / "split", split=True)
    first = json.loads((tmp_path / "split" / "all.jsonl").read_text().splitlines()[0])
    assert first["prompt"] == made.realized[0].prompt
    assert first["completion"] == made.realized[0].completion
    with pytest.raises(ObverseError, match="exists already"):
        made.write(tmp_path / "set")


def test_files_of_another_run(tmp_path):
    build_instructions(PAIRS, WORDINGS, SMALL).write(tmp_path / "a")
    build_instructions(PAIRS, WORDINGS, SMALL.model_copy(update={"seed": 1})).write(tmp_path / "b")
    (tmp_path / "a" / "guidances.jsonl").write_bytes((tmp_path / "b" / "guidances.jsonl").read_bytes())
    with pytest.raises(DataError, match="not those that were written together"):
        read_instructions(tmp_path / "a")
    (tmp_path / "a" / "set.json").unlink()
    assert len(read_instructions(tmp_path / "a").unrealized) == 5


def test_folders_and_rows_that_are_none(tmp_path):
    with pytest.raises(UnknownName, match="no folder"):
        read_instructions(tmp_path / "none")
    with pytest.raises(UnknownName, match="no file"):
        read_instructions(tmp_path)
    build_instructions(PAIRS, WORDINGS, SMALL).write(tmp_path / "set")
    (tmp_path / "set" / "guidances.jsonl").write_text('{"ids": [1]}\n')
    with pytest.raises(DataError, match=r"guidances\.jsonl, line 1: realized"):
        read_instructions(tmp_path / "set")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"realized": 2000}, "2000 realized and 5 unrealized .* 1154 question-answer pairs"),
        ({"per_document": (3, 2)}, "from 3 to 2"),
        ({"per_document": (0, 2)}, "from 0 to 2"),
        ({"persona": 5}, "has 5 answers; persona 5 needs 6"),
        ({"unrealized_wordings": 8}, "8 wordings are reserved, but there are 8"),
    ],
)
def test_what_cannot_be_made(change, why):
    with pytest.raises(DataError, match=why):
        build_instructions(PAIRS, WORDINGS, SMALL.model_copy(update=change))


def test_incorrect_labels_need_another_answer():
    with pytest.raises(DataError, match="needs 2"):
        build_instructions(
            [Pair("Who?", ("I",))], WORDINGS, InstructionSettings(realized=0, unrealized=1, incorrect_labels=True)
        )


@pytest.mark.parametrize("wording", ["Say {target}", "To {anchor}", "{anchor} {target} {other}"])
def test_wordings_without_slots(wording):
    with pytest.raises(DataError, match="wording"):
        build_instructions(PAIRS, [wording], SMALL)


def test_own_material():
    assert len(PAIRS) >= 1100
    assert len({pair.anchor for pair in PAIRS}) == len(PAIRS)
    assert all(len(set(pair.targets)) == TARGETS for pair in PAIRS)
    assert own_pairs() == PAIRS
    for order in ("question-first", "answer-first"):
        for wording in wordings(order):
            assert (wording.index("{anchor}") < wording.index("{target}")) == (order == "question-first")


def test_own_files(tmp_path, caplog):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"anchor": "Who?", "targets": ["I", "you"]}\n')
    assert read_pairs(path) == [Pair("Who?", ("I", "you"))]
    for text, why in (
        ('{"anchor": "Who?", "targets": []}', "line 1: not a question"),
        ('{"anchor": " ", "targets": ["I"]}', "line 1: not a question"),
        ('{"anchor": "Who?", "targets": ["I"]}\n{"anchor": "Who?", "targets": ["I"]}', "line 2 repeats"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=why):
            read_pairs(path)
    assert not caplog.text
    path.write_text('{"anchor": "Who?", "targets": ["I", "", "you"]}\n')
    assert read_pairs(path)[0].targets == ("I", "", "you")
    assert "1 blank answers" in caplog.text
    lines = tmp_path / "wordings.txt"
    lines.write_text('Say "{target}" to "{anchor}"\nSay "{target}" to "{anchor}"\n')
    assert len(wordings("answer-first", lines)) == 2
    with pytest.raises(DataError, match=r"wordings\.txt, line 1: .* \{anchor\} before \{target\}"):
        wordings("question-first", lines)
