"""Reversal sets on disk: written and read, recovered from texts alone, and what is said of files that do not fit."""

import json
import shutil

import pytest

from obverse.core import DataError, ObverseError, UnknownName
from obverse.data.reversal import TRAINING, Identity, read_reversal
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import read_lines, read_material
from obverse.data.scored_files import document_source

SMALL = ReversalSettings(per_group=4, train_wordings=6, test_wordings=3)


@pytest.fixture(scope="module")
def made():
    return build_reversal(read_material(), SMALL)


@pytest.fixture
def folder(made, tmp_path):
    made.write(tmp_path / "set")
    return tmp_path / "set"


def test_round_trip(made, folder):
    found = read_reversal(folder)
    assert found == made
    assert found.hash == made.hash
    made.write(folder, replace=True)
    with pytest.raises(ObverseError, match="exists already"):
        made.write(folder)


def test_training_reads_the_documents(made, folder):
    found = [document.text for document in document_source(str(folder / TRAINING)).read()]
    assert found == made.documents()


def test_rows_are_as_published(folder):
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            assert list(json.loads(line)) == ["prompt", "completion"]


@pytest.mark.parametrize("targets", ["whole", "published"])
def test_people_are_recovered_from_texts_alone(tmp_path, targets):
    made = build_reversal(read_material(), SMALL.model_copy(update={"name_targets": targets}))
    made.write(tmp_path / "set")
    (tmp_path / "set" / "set.json").unlink()
    for copy, original in (("all", "all_prompts_train"), ("unrealized_examples", "p2d_reverse_prompts_test")):
        shutil.copy(tmp_path / "set" / f"{original}.jsonl", tmp_path / "set" / f"{copy}.jsonl")
    found = read_reversal(tmp_path / "set")
    assert [person.name for person in found.identities] == [person.name for person in made.identities]
    assert [person.description for person in found.identities] == [person.description for person in made.identities]
    assert found.groups == made.groups
    assert found.files == made.files  # people and wordings of every row too
    assert found.subtasks() == made.subtasks()


def test_documents_name_their_entities(made):
    documents = made.documents()
    assert [document.text for document in documents] == [row.text for row in made.train]
    for document, row in zip(documents, made.train, strict=True):
        person, meta = made.identities[row.entity], document.meta
        name, description = meta["entities"]
        assert name == person.name
        assert name in document.text
        assert description in document.text
        assert row.entity in made.groups[meta["group"]]


def test_mentions_prefer_the_noun_phrase():
    person = Identity("Ann Lee", "the potter who fired bowls", ("fired bowls", "was the potter who fired bowls"))
    assert person.mentions("Ann Lee was the potter who fired bowls.") == ["Ann Lee", "the potter who fired bowls"]
    assert person.mentions("Ann Lee once fired bowls.") == ["Ann Lee", "fired bowls"]
    assert person.mentions("The potter who fired bowls is gone.") == ["The potter who fired bowls"]
    assert person.mentions("Nobody.") == []


def test_names_are_whole_words():
    ann = Identity("Ann Lee", "the mayor")
    assert ann.named_in("It is Ann Lee.")
    assert ann.named_in("Ann Lee's town")
    assert not ann.named_in("Joann Lee")
    assert not ann.named_in("Ann Leeson")


def test_a_file_of_another_run(folder, tmp_path):
    other = build_reversal(read_material(), SMALL.model_copy(update={"seed": 1}))
    other.write(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "d2p_prompts_test.jsonl", folder)
    with pytest.raises(DataError, match=r"d2p_prompts_test\.jsonl .* is not the file that was written"):
        read_reversal(folder)


def test_a_file_too_many_or_too_few(folder):
    shutil.copy(folder / "d2p_prompts_test.jsonl", folder / "more.jsonl")
    with pytest.raises(DataError, match=r"do not belong to its set: more\.jsonl"):
        read_reversal(folder)
    (folder / "more.jsonl").unlink()
    (folder / "d2p_prompts_test.jsonl").unlink()
    with pytest.raises(DataError, match="missing"):
        read_reversal(folder)


@pytest.mark.parametrize("stem", ["p2d_prompts_train", "d2p_prompts_test", "p2d_reverse_prompts_test"])
def test_published_files_of_mixed_runs(folder, tmp_path, stem):
    other = build_reversal(read_material(), SMALL.model_copy(update={"seed": 1}))
    other.write(tmp_path / "other")
    shutil.copy(tmp_path / "other" / f"{stem}.jsonl", folder)
    (folder / "set.json").unlink()
    with pytest.raises(DataError, match="mixes files of different runs"):
        read_reversal(folder)


def test_a_person_in_two_groups(folder):
    shutil.copy(folder / "p2d_reverse_prompts_test.jsonl", folder / "d2p_prompts_test.jsonl")
    (folder / "set.json").unlink()
    with pytest.raises(DataError, match=r"p2d_reverse_prompts_test and d2p_prompts_test do not fit .both are about"):
        read_reversal(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(UnknownName, match="no folder"):
        read_reversal(tmp_path / "none")
    with pytest.raises(DataError, match="no reversal data"):
        read_reversal(tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "other"}, "record of a reversal set"),
        ({"identities": []}, "names person 11 of 0"),
        ({"groups": 3}, "record of a reversal set"),
    ],
)
def test_a_record_that_is_none(folder, change, why):
    record = json.loads((folder / "set.json").read_text())
    (folder / "set.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(DataError, match=why):
        read_reversal(folder)


def test_a_row_without_completion(folder):
    (folder / "set.json").unlink()
    (folder / "p2d_prompts_train.jsonl").write_text('{"prompt": "a", "completion": " b"}\n{"prompt": "a"}\n')
    with pytest.raises(DataError, match=r"p2d_prompts_train\.jsonl, line 2: no prompt and completion"):
        read_reversal(folder)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Ann Lee\n\nBo Ray\n", "line 2 is blank"),
        ("Ann Lee\nBo Ray\nann  lee\n", "line 3 repeats line 1"),
        ("\n\n", "is empty"),
    ],
)
def test_lists_with_mistakes(tmp_path, text, why):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(DataError, match=rf"names\.txt.*{why}"):
        read_material(names=tmp_path / "names.txt")


def test_a_mistake_in_a_list_has_file_and_line(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("<name> is <description>.\n<name> is.\n")
    with pytest.raises(DataError, match=r"lines\.txt, line 2: The template"):
        read_material(name_first=path)
    path.write_text("the potter who [fired] bowls\n")
    with pytest.raises(DataError, match=r"lines\.txt, line 1: The description"):
        read_material(descriptions=path)
    path.write_text("the author of Nine  Rests\n")
    with pytest.raises(DataError, match=r"lines\.txt, line 1: .* doubled blanks"):
        read_material(descriptions=path)
    path.write_text("Ann Lee\nBo Ray Jr.\n")
    with pytest.raises(DataError, match=r"lines\.txt, line 2: .* full stop") as raised:
        read_material(names=path)
    assert raised.value.hint == "Write 'Bo Ray Jr'."
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_lines(path)
    with pytest.raises(UnknownName):
        read_lines(tmp_path / "none.txt")


def test_the_packages_own_lists():
    own = read_material()
    assert len(own.names) >= 200
    assert len(own.descriptions) >= 200
    assert len(own.name_first) >= 60
    assert len(own.description_first) >= 60
    assert all(line.startswith("the ") for line in own.descriptions)
    assert not any(a in b for a in own.names for b in own.names if a != b)
