"""The starter set that comes with the package: readable, complete, lawful, and with its sources named."""

import hashlib
import json
from collections import Counter

import pytest

from obverse.core import KINDS
from obverse.data import read_cases
from obverse.data.starter import SAMPLES, starter_cases, starter_set, starter_templates

META = json.loads((SAMPLES / "starter.meta.json").read_text("utf-8"))


def test_it_is_complete():
    cases = starter_cases()
    assert len({case.id for case in cases}) == len(cases) == META["cases"] >= 300
    assert Counter(case.id.partition(":")[0] for case in cases) == {
        name: counts["cases"] for name, counts in META["relations"].items()
    }
    for case in cases:
        assert set(case.probes) == set(KINDS), case.id
        assert len(case.probes["generalization"]) >= 3
        assert len(case.probes["reverse"]) >= 2
        assert len(case.prompts) >= 3


def test_no_target_is_true():
    kept, templates = json.loads((SAMPLES / "starter.json").read_text("utf-8")), starter_templates()
    for case in starter_cases():
        relation, _, subject = case.id.partition(": ")
        true = kept["true"][relation][subject]
        assert case.fact.target_true in true
        assert case.fact.target not in true
        shared = templates[relation].neighbours == "shared"
        for probe in case.probes["specificity"]:
            assert probe.expected != case.fact.target
            assert not shared or probe.expected == case.fact.target_true


def test_a_file_of_it_reads_the_same(tmp_path):
    path = tmp_path / "starter.json"
    path.write_text(json.dumps(starter_set().records))
    assert read_cases(path) == starter_cases()


def test_its_origin_is_written_down():
    for key, name in (("sha256", "starter.json"), ("sha256_relations", "starter_relations.yaml")):
        assert META[key] == hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest(), "make it again: scripts/"
    assert all(source["licence"] and source["version"] for source in META["sources"])
    notice = (SAMPLES / "NOTICE.txt").read_text("utf-8")
    assert all(source["package"] in notice for source in META["sources"])
    assert "UNICODE LICENSE V3" in notice
    assert sum(len((SAMPLES / name).read_bytes()) for name in ("starter.json", "starter_relations.yaml")) < 400_000


@pytest.mark.real_model
def test_the_model_knows_it():
    from obverse.data.triples import objects
    from obverse.measuring.choosing import likeliest
    from obverse.model.language_model import LanguageModel

    true = json.loads((SAMPLES / "starter.json").read_text("utf-8"))["true"]
    cases = starter_cases()[::20]
    asked = [(case.fact.text, objects(true[case.id.partition(":")[0]])) for case in cases]
    chosen = likeliest(LanguageModel.load("gemma-3-270m"), asked)
    assert [choice.answer for choice in chosen] == [case.fact.target_true for case in cases]
