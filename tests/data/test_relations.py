import re

import pytest

from obverse.core import Fact
from obverse.data._known import RELATIONS
from obverse.data.relations import NEIGHBOURS, case_for, fill, relation_of
from obverse.verifying.drift import neutral_texts

NEEDLE = Fact("Space Needle", "The {} is located in the city of", "Paris", "Seattle")
EACH = pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: r.name)


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        (NEEDLE, "located in city"),
        (Fact("the Louvre", "{}  is Located in the city of", "Rome"), "located in city"),
        (Fact("Pelé", "{} plays the sport of", "tennis"), "plays sport"),
        (Fact("Pelé", "{} was a wizard of", "tennis", relation="P641"), "plays sport"),
        (Fact("Oslo", "Oslo's {} is", "x", relation="Capital_Of"), "capital of"),
        (Fact("Nile", "The river {} flows through the continent of", "Asia"), "continent"),
        (Fact("Taj Mahal", "The {} is in", "Egypt", "India"), "located in country"),
        (Fact("Taj Mahal", "The {} is in", "Rome"), "located in city"),
        (Fact("Taj Mahal", "The {} is in", "danger"), None),
        (Fact("Mona Lisa", "The {} was created by", "Raphael"), None),
        (Fact("Everest", "{} is part of the range called the", "Alps", relation="P999"), None),
    ],
)
def test_relations_are_recognised(fact, name):
    found = relation_of(fact)
    assert (found and found.name) == name


def test_an_unknown_relation_has_the_fact_alone():
    fact = Fact("Everest", "{} belongs to the mountains called the", "Alps", "Himalayas")
    case = case_for(fact, "9")
    assert set(case.probes) == {"efficacy"}
    assert case.prompts == (fact.text,)
    assert case.id == "9"


def test_the_needle():
    case = case_for(NEEDLE)
    assert set(case.probes) == {"efficacy", "generalization", "specificity", "reverse"}
    reverse = case.probes["reverse"][0]
    assert reverse.text == "A famous landmark in the city of Paris is the"
    assert reverse.contrast == "A famous landmark in the city of Seattle is the"
    assert reverse.expected == "Space Needle"
    neighbours = case.probes["specificity"]
    assert len(neighbours) == NEIGHBOURS
    assert neighbours[0].text == "Pike Place Market is located in the city of"
    assert neighbours[1].text == "The Museum of Pop Culture is located in the city of"
    answers = [probe.expected for probe in neighbours]
    assert answers[:4] == ["Seattle"] * 4
    assert "Seattle" not in answers[4:]
    assert case.prompts[0] == "The Space Needle is a"


@EACH
def test_cases_of_every_known_fact_keep_the_rules(relation):
    objects = list(relation.facts)
    for true, subjects in relation.facts.items():
        target = next(o for o in objects if o != true)
        for subject in subjects:
            article = subject.startswith("the ")
            bare = subject.removeprefix("the ")
            prompt = relation.prompts[0].replace("{}", "the {}" if article else "{}")
            case = case_for(Fact(bare, prompt, target, true))
            word = re.compile(rf"\b{re.escape(bare)}\b", re.IGNORECASE)
            assert 4 <= len(case.probes["generalization"]) <= 6
            assert all(word.search(probe.text) for probe in case.probes["generalization"])
            assert all(word.search(prompt) for prompt in case.prompts)
            for probe in case.probes["reverse"]:
                assert not word.search(probe.text)
                assert target in probe.text
                assert true in (probe.contrast or "")
                assert probe.text.endswith(" the") == article
            neighbours = case.probes["specificity"]
            assert 5 <= len(neighbours) <= NEIGHBOURS
            assert len({probe.text for probe in neighbours}) == len(neighbours)
            for probe in neighbours:
                assert not word.search(probe.text)
                assert probe.expected != target
                assert probe.rejected == target


@EACH
def test_the_table_is_well_formed(relation):
    templates = [
        *relation.prompts,
        *relation.vague,
        *relation.also,
        *relation.paraphrases,
        *relation.reverse,
        *relation.open,
    ]
    assert all(text.count("{}") == 1 and text == text.strip() for text in templates)
    assert 3 <= len(relation.reverse) <= 4
    assert 4 <= len(relation.paraphrases) <= 6
    assert 2 <= len(relation.open) <= 3
    assert 10 <= sum(map(len, relation.facts.values())) <= 30
    for text in relation.prompts:
        assert relation_of(Fact("X", text, "Y")) is relation


def test_a_subject_with_its_own_article():
    case = case_for(Fact("The Louvre", "{} is located in the city of", "Rome", "Paris"))
    assert case.probes["generalization"][0].text == "If you want to visit the Louvre, buy a ticket to"
    assert case.probes["reverse"][0].text == "A famous landmark in the city of Rome is"
    assert case.probes["reverse"][0].expected == "The Louvre"
    assert not any("Louvre" in probe.text for probe in case.probes["specificity"])


def test_neighbours_that_contain_the_subject_are_left_out():
    case = case_for(Fact("Toyota Corolla", "The {} is made by", "Ford", "Toyota"))
    assert not any("Corolla" in probe.text for probe in case.probes["specificity"])


def test_fill_capitalizes_at_the_start_of_a_sentence_only():
    assert fill("It rained. {} is in", "the Louvre") == "It rained. The Louvre is in"
    assert fill("see {} in", "the Louvre") == "see the Louvre in"
    assert fill("{} is in", "iPhone") == "iPhone is in"


def test_neutral_texts_are_short_and_know_nothing_of_the_table():
    texts = neutral_texts()
    assert len(texts) >= 8
    assert all(25 <= len(text.split()) <= 40 for text in texts)
    names = {n.removeprefix("the ") for r in RELATIONS for o, subjects in r.facts.items() for n in (o, *subjects)}
    assert not [name for name in names for text in texts if re.search(rf"\b{re.escape(name)}\b", text)]
