"""Each way in which a file of facts can be wrong, with what is said about it."""

import json
from pathlib import Path

import pytest

from obverse.core import DataError, UnknownName
from obverse.data import read_cases

HEAD = "subject,prompt,target\n"
ROW = "Louvre,The {} is in,Rome\n"
FACT = {"subject": "Louvre", "prompt": "The {} is in", "target": "Rome"}


def refusal(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_cases(path)
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["a.csv has no facts in it"]),
        ("\n \n", ["a.csv has no facts in it"]),
        (HEAD, ["a.csv has no facts in it"]),
        ("subject,prompf,target\n" + ROW, ["line 2: There is no 'prompt'", "Rename 'prompf' to 'prompt'"]),
        ("subject,target\nLouvre,Rome\n", ["There is no 'prompt'; found: subject, target.", "Add a column 'prompt'"]),
        ("subject,prompt,target,paraphrase\nLouvre,{} is,x,y\n", ["Unknown column 'paraphrase'", "'paraphrases'?"]),
        ("subject,prompt,target,zzz\nLouvre,{} is,x,y\n", ["Unknown column 'zzz'", "Remove it.", "target_true"]),
        (HEAD + ROW + "Needle,The {} is in\n", ["line 3: 2 cells, but the header has 3", "double quotes"]),
        (HEAD + "Louvre,The {}, Paris,is,in\n", ["line 2: 5 cells, but the header has 3"]),
        (HEAD + ROW + '"Louvre,The {} is in,Rome\n', ["line 3: not valid CSV", "Close every double quote"]),
        ("subject,prompt,prompt\n" + ROW, ["line 1: the header has 'prompt' more than once"]),
        ("subject;prompt;target\nLouvre;{} is;x\n", ["the header is one cell", "Separate cells by commas"]),
        (HEAD + ",The {} is in,Rome\n", ["line 2: 'subject' is empty"]),
        (HEAD + "Louvre,The {} is in, \n", ["line 2: 'target' is empty"]),
        (HEAD + '"Lou\nvre",{} is,x\n' + "Needle,It is in,Rome\n", ["line 4: The subject 'Needle' does not occur"]),
        (HEAD + "Louvre,{} and {},Rome\n", ["line 2: ", "has 2 places '{}'"]),
        ("subject,prompt,target,neighbours\nLouvre,{} is,x,A is => \n", ["'A is =>', which is not a prompt with"]),
        ("subject,prompt,target,neighbours\nLouvre,{} is,x,A is\n", ["line 2: The neighbour 'A is' has no answer"]),
        ("subject,prompt,target,reverse\nLouvre,{} is,x,x has\n", ["line 2: The reverse prompt 'x has' has 0 places"]),
        ("id," + HEAD + "7," + ROW + "7," + ROW, ["line 3: the id '7' is that of line 2 already"]),
        (HEAD.encode() + "Musée,{} is,x\n".encode("latin-1"), ["line 2: the bytes are not UTF-8", "LATIN1"]),
        ((HEAD + ROW).encode("utf-16"), ["line 1: the bytes are not UTF-8", "iconv -f UTF-16"]),
    ],
)
def test_csv(tmp_path, content, said):
    message = refusal(tmp_path, "a.csv", content)
    assert all(part in message for part in said), message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "a.jsonl has no facts in it"),
        (json.dumps(FACT) + '\n{"subject": "Lou', "a.jsonl, line 2: not valid JSON (Unterminated string"),
        (json.dumps(FACT) + "\n\n[1]\n", "a.jsonl, line 3: a list, where a record is expected"),
        ("3", "line 1: a number, where a record is expected"),
        ("[" * 100_000, "line 1: not valid JSON"),
        (json.dumps(FACT | {"target": ["Rome"]}), "'target' is ['Rome'], not a text"),
        (json.dumps(FACT | {"target": True}), "'target' is True, not a text"),
        (json.dumps(FACT | {"paraphrases": 3}), "'paraphrases' is 3, not a list of texts"),
        (json.dumps(FACT | {"paraphrases": ["a", 3]}), "not a list of texts"),
        (json.dumps(FACT | {"neighbours": [["a", "b", "c"]]}), "an entry ['a', 'b', 'c'], which is not a prompt"),
        (json.dumps(FACT | {"neighbours": [{"prompt": "a", "target": "b"}]}), "which is not a prompt with an answer"),
        (json.dumps(FACT | {"neighbours": {"prompt": "a"}}), "'neighbours' is {'prompt': 'a'}, not a list"),
        (json.dumps(FACT) + "\n" + json.dumps(FACT | {"id": 0}), "line 2: the id '0' is that of line 1 already"),
    ],
)
def test_jsonl(tmp_path, content, said):
    assert said in refusal(tmp_path, "a.jsonl", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "a.json has no facts in it"),
        ("[\n{]", "a.json, line 2: not valid JSON"),
        (json.dumps(FACT) + "\n" + json.dumps(FACT), "name the file .jsonl"),
        (json.dumps(FACT), "a.json holds a record, not a list"),
        ("null", "a.json holds null, not a list"),
        (json.dumps([FACT, "Louvre"]), "a.json, record 2: a text, where a record is expected"),
        (json.dumps([FACT, FACT | {"prompt": "It is"}]), "a.json, record 2: The subject 'Louvre' does not occur"),
        ("[" + "9" * 5000 + "]", "a.json: not valid JSON"),
    ],
)
def test_json(tmp_path, content, said):
    assert said in refusal(tmp_path, "a.json", content)


def test_an_unknown_ending_lists_the_known_ones(tmp_path):
    message = refusal(tmp_path, "a.txt", "x")
    assert "ends in '.txt'" in message
    assert ".csv (with a header), .json (a list of records) or .jsonl" in message


def test_an_absent_file_shows_near_names(tmp_path):
    (tmp_path / "facts.csv").touch()
    with pytest.raises(UnknownName, match="There is no file") as caught:
        read_cases(tmp_path / "fact.csv")
    assert caught.value.hint == "Did you mean facts.csv?"
    with pytest.raises(UnknownName) as caught:
        read_cases(tmp_path / "zzzzzzz")
    assert "has a name like it" in caught.value.hint
    with pytest.raises(UnknownName, match=r"folder .*nowhere does not exist"):
        read_cases(tmp_path / "nowhere" / "facts.csv")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_cases(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read_cases(tmp_path / "a.csv")
