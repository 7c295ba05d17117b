"""From triples and templates to a set for one model: what it knows, what is written, what is refused."""

import json
from itertools import permutations

import pytest

from families import tiny
from obverse.core import DataError, ObverseError, UnknownName
from obverse.data import read_cases
from obverse.data.fact_sets import GIVEN_AWAY, LEFT_OUT, SetChoices
from obverse.data.relations import fill
from obverse.data.templates import Templates
from obverse.data.triples import Triple, truths
from obverse.measuring import likelihoods
from obverse.recipes.facts_build import BuildRequest, meta_of, run_facts_build
from obverse.recipes.facts_held import UNKNOWN, held_facts
from obverse.recipes.models import ModelChoice

PLACES = ("Seattle", "Paris", "Berlin", "Tokyo", "the Ueno Zoo")
THINGS = (
    "Space Needle",
    "the Eiffel Tower",
    "Big Ben",
    "Colosseum",
    "Prado",
    "Anna Keller",
    "Marie Curie",
    "Tokyo Zoo",
)
TRIPLES = [
    *(Triple(thing, "city", PLACES[k % 4]) for k, thing in enumerate(THINGS)),
    Triple("Prado", "city", "the Ueno Zoo"),
    *(Triple(thing, "park", PLACES[k % 3]) for k, thing in enumerate(THINGS[:5])),
]
YAML = """- name: city
  prompt: "{} is in the city of"
  paraphrases: ["One finds {} in"]
  reverse: ["In {} stands"]
  open: ["{} is"]
- name: park
  prompt: "{} is in the park of"
  wikidata: P7
  neighbours: others
"""
TEMPLATES = {
    "city": Templates(name="city", prompt="{} is in the city of"),
    "park": Templates(name="park", prompt="{} is in the park of"),
}


@pytest.fixture(scope="module")
def lm():
    return tiny("llama")


@pytest.fixture
def request_of(tmp_path, lm, monkeypatch):
    monkeypatch.setattr("obverse.recipes.facts_build.load_model", lambda _: lm)
    (tmp_path / "r.yaml").write_text(YAML)

    def make(triples=TRIPLES, **changes):
        (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(triple._asdict()) for triple in triples))
        given = {"triples": tmp_path / "t.jsonl", "relations": tmp_path / "r.yaml", "out": tmp_path / "set.json"}
        return BuildRequest(**{**given, "model": ModelChoice("tiny"), **changes})

    return make


def test_a_fact_is_known_if_a_true_object_is_the_likeliest(lm):
    true = truths(TRIPLES)
    found = held_facts(lm, TEMPLATES, true)
    strict = held_facts(lm, TEMPLATES, true, "greedy")
    for name, of in true.items():
        every = sorted({object_ for objects in of.values() for object_ in objects})
        for subject, objects in of.items():
            text = fill(TEMPLATES[name].prompt, subject)
            scored = dict(zip(every, likelihoods(lm, [(text, o) for o in every]), strict=True))
            best = max(every, key=lambda o, scored=scored: scored[o].total)
            known = best in objects and subject != "Tokyo Zoo"  # which holds "Tokyo"
            assert found.held[name].get(subject) == (best if known else None)
            assert strict.held[name].get(subject) == (best if known and all(scored[best].correct) else None)
    assert 0 < sum(found.known.values()) < sum(map(len, true.values()))
    assert found.dropped[GIVEN_AWAY] == 1
    assert found.dropped[UNKNOWN] == sum(map(len, true.values())) - 1 - sum(found.known.values())


def test_the_unknown_can_be_kept(lm):
    true = truths(TRIPLES)
    found = held_facts(lm, TEMPLATES, true, keep_unknown=True)
    assert {s for of in found.held.values() for s in of} == set(THINGS) - {"Tokyo Zoo"}
    assert found.known == held_facts(lm, TEMPLATES, true).known
    assert UNKNOWN not in found.dropped
    assert all(o in true[name][s] for name, of in found.held.items() for s, o in of.items())


def test_from_triples_to_a_set(request_of, lm, tmp_path):
    told = []
    result = run_facts_build(request_of(keep_unknown=True), told.append)
    assert told == [result.plan]
    cases = read_cases(result.file)
    assert len(cases) == 12 == sum(counts.cases for counts in result.relations.values())
    assert {case.fact.relation for case in cases} == {"city", "P7"}
    assert "Eiffel Tower" in {case.fact.subject for case in cases}
    meta = json.loads(meta_of(result.file).read_text())
    assert meta["cases"] == 12
    known = result.relations["city"].known
    assert meta["relations"]["city"] == {"triples": 9, "subjects": 8, "objects": 5, "known": known, "cases": 7}
    assert meta["model"]["fingerprint"] == lm.fingerprint.to_json()
    assert (meta["seed"], meta["config"]["known_by"]) == (0, "likeliest")
    assert len(meta["config"]["inputs"]["triples"]["sha256"]) == 64
    assert meta["dropped"] == {GIVEN_AWAY: 1} == result.dropped
    assert json.loads(json.dumps(result.to_json()))["meta"].endswith("set.meta.json")
    assert {path.name for path in tmp_path.iterdir()} == {"r.yaml", "t.jsonl", "set.json", "set.meta.json"}


def test_the_same_again_whatever_the_order(request_of):
    first = run_facts_build(request_of()).file.read_bytes()
    assert run_facts_build(request_of(TRIPLES[::-1], replace=True)).file.read_bytes() == first
    other = run_facts_build(request_of(choices=SetChoices(seed=1), replace=True)).file.read_bytes()
    assert other != first


def test_limits(request_of):
    result = run_facts_build(request_of(keep_unknown=True, choices=SetChoices(per_relation=3, limit=5)))
    assert sorted(counts.cases for counts in result.relations.values()) == [2, 3]
    assert result.dropped[LEFT_OUT] == 7


def test_a_dry_run_loads_no_model(request_of, monkeypatch, tmp_path):
    monkeypatch.setattr("obverse.recipes.facts_build.load_model", lambda _: 1 / 0)
    result = run_facts_build(request_of(dry_run=True))
    assert result.file is None
    assert result.relations["park"].subjects == 5
    assert result.relations["park"].known is None
    assert not (tmp_path / "set.json").exists()


@pytest.mark.parametrize("out", ["set.csv", "set.meta.json", "set"])
def test_the_set_is_a_json_file(request_of, tmp_path, out):
    with pytest.raises(ObverseError, match=r"does not end in .json"):
        run_facts_build(request_of(out=tmp_path / out))


def test_what_cannot_be_done_is_refused(request_of, tmp_path):
    run_facts_build(request_of())
    kept = (tmp_path / "set.json").read_bytes()
    with pytest.raises(ObverseError, match="exists already"):
        run_facts_build(request_of())
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ObverseError, match="is a folder"):
        run_facts_build(request_of(out=tmp_path / "folder.json"))
    with pytest.raises(UnknownName, match="no file"):
        run_facts_build(request_of(triples=TRIPLES, out=tmp_path / "b.json", relations=tmp_path / "x.yaml"))
    with pytest.raises(DataError, match="no templates of the relation 'size'"):
        run_facts_build(request_of([Triple("a", "size", "big")], replace=True))
    given_away = [Triple(f"{place} Zoo", "city", place) for place, _ in permutations(PLACES, 2)][::4]
    with pytest.raises(DataError, match=f"No fact is left .*{GIVEN_AWAY}: 5") as found:
        run_facts_build(request_of(given_away, replace=True))
    assert "--keep-unknown" in found.value.hint
    assert (tmp_path / "set.json").read_bytes() == kept
