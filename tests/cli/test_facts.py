"""``obverse facts build`` from flags to a set, and what it says of mistakes."""

import json
from functools import partial
from pathlib import Path

import pytest

from command_line import calling
from obverse.data import read_cases

TRIPLES = "subject,relation,object\n" + "".join(
    f"{subject},city,{place}\n"
    for subject, place in zip(
        ("Space Needle", "Big Ben", "Colosseum", "Prado", "Eiffel Tower", "Ueno Zoo"),
        ("Paris", "Rome") * 3,
        strict=True,
    )
)
RELATIONS = """- name: city
  prompt: "{} is in the city of"
  reverse: ["In {} stands the"]
"""


@pytest.fixture
def build(tmp_path, monkeypatch, capsys, model, cache):
    from obverse.cli.facts import facts_app

    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(TRIPLES)
    Path("r.yaml").write_text(RELATIONS)

    files = ("--triples", "t.csv", "--relations", "r.yaml", "--out", "set.json", "-m", model)
    return partial(calling(facts_app, capsys), "build", *files)


def test_makes_a_set(build):
    ran = build("--keep-unknown", "--seed", 3, "--neighbours", 1)
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    for shown in ("6 triples", "6, one a subject and relation", "Set: set.json", "seed 3"):
        assert shown in words
    cases = read_cases(Path("set.json"))
    assert len(cases) == 6
    assert {len(case.probes["specificity"]) for case in cases} == {1}
    assert json.loads(Path("set.meta.json").read_text())["seed"] == 3


def test_json_and_dry_run(build):
    ran = build("--dry-run", "--json", "--limit", 2)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["relations"]["city"]["subjects"] == 6
    assert not Path("set.json").exists()
    found = json.loads(build("--json", "--keep-unknown", "--per-relation", 2).out)
    assert found["file"] == "set.json"
    assert found["relations"]["city"]["cases"] == 2


@pytest.mark.parametrize(
    ("change", "args", "message"),
    [
        (("r.yaml", "{} is in", "it is in"), (), "relation 1 (city): prompt"),
        (("r.yaml", "name: city", "name: town"), (), "no templates of the relation 'city'"),
        (("t.csv", "object", "objekt"), (), "There is no 'object'"),
        (("t.csv", "Prado,city,Rome", "Big Ben,city,Rome"), (), "line 5: ('Big Ben', 'city', 'Rome') stands on line 3"),
        (("t.csv", "", ""), ("--out", "set.csv"), "does not end in .json"),
        (("t.csv", "", ""), ("--neighbours", 2, "--min-neighbours", 3), "At least 3 and at most 2"),
    ],
)
def test_a_mistake_is_one_message(build, change, args, message):
    name, old, new = change
    Path(name).write_text(Path(name).read_text().replace(old, new) if old else Path(name).read_text())
    ran = build(*args)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert not Path("set.json").exists()


def test_help_has_examples(build):
    ran = build("--help")
    assert ran.code == 0
    assert "obverse facts build --triples" in ran.out
