"""Files of triples and of templates, and what is wrong with some."""

import pytest

from obverse.core import DataError, UnknownName
from obverse.data.templates import read_templates
from obverse.data.triples import Triple, objects, read_triples, truths

CSV = "subject,relation,object\nFrance,capital,Paris\nJapan,capital,Tokyo\n"
YAML = """- name: capital
  prompt: "The capital of {} is"
  paraphrases: "{} is governed from"
  reverse: ["{} is the capital of", "The parliament in {} is that of"]
"""


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_triples_are_read_and_sorted(tmp_path):
    found = read_triples(written(tmp_path, "t.csv", CSV + "France,capital,Lyon\n"), ["capital"])
    assert found[0] == Triple("France", "capital", "Paris")
    assert truths(found) == {"capital": {"France": ("Lyon", "Paris"), "Japan": ("Tokyo",)}}
    assert objects(truths(found)["capital"]) == ["Lyon", "Paris", "Tokyo"]
    line = '{"subject": "France", "relation": "capital", "object": "Paris"}'
    assert read_triples(written(tmp_path, "t.jsonl", line)) == found[:1]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (CSV + "France,capital,Paris\n", r"line 4: .*stands on line 2 too", "Keep one"),
        ("subject,relation,objekt\na,b,c\n", "line 2: There is no 'object'", "Rename 'objekt'"),
        (CSV.replace("object", "object,objects").replace("\n", ",x\n", 2), "cells|Unknown column", "objects|quotes"),
        ("subject,relation,object,relations\na,capital,c,d\n", "Unknown column 'relations'", "mean 'relation'"),
        ("subject,relation,object\n,capital,c\n", "line 2: 'subject' is empty", "Give a subject"),
        (CSV.replace("France,capital", "France,capitol"), r"no templates .* 'capitol' \(t.csv, line 2\)", "'capital'"),
    ],
)
def test_a_mistake_in_the_triples_is_named(tmp_path, text, message, hint):
    with pytest.raises(DataError, match=message) as found:
        read_triples(written(tmp_path, "t.csv", text), ["capital"])
    assert any(word in found.value.hint for word in hint.split("|"))


def test_templates_are_read(tmp_path):
    (templates,) = read_templates(written(tmp_path, "r.yaml", YAML)).values()
    assert templates.prompt == "The capital of {} is"
    assert templates.paraphrases == ("{} is governed from",)
    assert len(templates.reverse) == 2
    assert (templates.open, templates.wikidata, templates.neighbours) == ((), None, "shared")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["no list of relations"]),
        ("name: capital", ["no list of relations"]),
        ("- name: [", ["not valid YAML"]),
        ("- capital", ["relation 1: 'capital' is not a relation with fields"]),
        (YAML + YAML, ["relation 2: the name 'capital' stands already"]),
        (YAML.replace("of {} is", "is"), ["relation 1 (capital): prompt", "0 places {}"]),
        (YAML.replace("of {} is", "of {} is "), ["ends with a space"]),
        (YAML.replace("name: capital", "name: 'a: b'"), ["relation 1 (a: b): name"]),
        (YAML.replace("reverse", "revers"), ["revers: no such setting, did you mean reverse"]),
        (YAML.replace("of {}", "") + "- name: b\n", ["relation 1 (capital): prompt", "relation 2 (b): prompt"]),
        (YAML + "  neighbours: all\n", ["neighbours", "'shared' or 'others'"]),
    ],
)
def test_mistakes_in_the_templates_are_named_together(tmp_path, text, messages):
    with pytest.raises(DataError) as found:
        read_templates(written(tmp_path, "r.yaml", text))
    assert all(message in found.value.message for message in messages), found.value.message
    assert found.value.hint


def test_a_missing_file_of_templates_is_named(tmp_path):
    written(tmp_path, "relations.yaml", YAML)
    with pytest.raises(UnknownName, match=r"relation\.yaml") as found:
        read_templates(tmp_path / "relation.yaml")
    assert "relations.yaml" in found.value.hint
    with pytest.raises(UnknownName, match="no file"):
        read_templates(tmp_path / "nowhere" / "r.yaml")
