"""Sets made of plain facts: no target is true, neighbours share the object, nothing depends on an order."""

import json
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.data import read_cases
from obverse.data.counterfact import counterfact_case
from obverse.data.fact_sets import FEW, LEFT_OUT, NO_OTHER, SetChoices, gives_away, make_set
from obverse.data.templates import Templates
from obverse.data.triples import Triple, truths

SUBJECTS = ("Aa", "Bb", "Cc", "the Dd", "Bb Ee", "Ff", "the Gg", "Hh")
OBJECTS = ("red", "Red", "blue", "the green", "Aa", "grey")
TEMPLATES = {
    name: Templates(
        name=name,
        prompt="{} has the " + name,
        paraphrases=("It rained. {} is of " + name,),
        reverse=("What has the " + name + " {} is",),
        open=("{} was",),
        wikidata=code,
        neighbours=kind,
    )
    for name, code, kind in (("colour", "P1", "shared"), ("shade", None, "others"))
}

triples = st.lists(
    st.builds(Triple, st.sampled_from(SUBJECTS), st.sampled_from(sorted(TEMPLATES)), st.sampled_from(OBJECTS)),
    min_size=1,
    max_size=24,
    unique=True,
)
choices = st.builds(
    SetChoices,
    st.integers(0, 3),
    st.integers(0, 4),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 5),
    st.integers(0, 1),
)


def held_of(true):
    """Hold two facts of three, each with its last object."""
    return {name: {s: o[-1] for k, (s, o) in enumerate(of.items()) if k % 3} for name, of in true.items()}


def made_of(found, chosen):
    true = truths(found)
    return true, held_of(true), make_set(TEMPLATES, true, held_of(true), chosen)


def name_of(subject):
    return subject.removeprefix("the ")


@settings(max_examples=40)
@given(triples, choices)
def test_the_laws_of_a_set(found, chosen):
    true, held, made = made_of(found, chosen)
    ids = [record["case_id"] for record in made.records]
    assert len(set(ids)) == len(ids)
    assert len(ids) + sum(made.dropped.values()) == sum(map(len, held.values()))
    for record in made.records:
        relation, subject = record["case_id"].split(": ")
        case, of = counterfact_case(record), true[relation]
        assert case.id == record["case_id"]
        assert case.fact.target_true == held[relation][subject]
        assert case.fact.target in {o for objects in of.values() for o in objects}
        assert case.fact.target.casefold() not in {o.casefold() for o in of[subject]}
        assert not gives_away(subject, case.fact.target)
        prompts = {f"{s[0].upper()}{s[1:]} has the {relation}": s for s in of}
        near = case.probes.get("specificity", ())
        assert chosen.min_neighbours <= len(near) <= chosen.neighbours
        for probe in near:
            other = prompts[probe.text]
            assert other != subject
            assert probe.expected == held[relation][other]
            assert probe.rejected == case.fact.target
            assert case.fact.target not in of[other]
            assert relation == "shade" or probe.expected == case.fact.target_true
        for text in case.attributes:
            assert held[relation][prompts[text]] == case.fact.target
        assert [probe.expected for probe in case.probes["reverse"]] == [name_of(subject)]


@settings(max_examples=40)
@given(triples, choices, st.randoms(use_true_random=False))
def test_the_order_of_the_triples_does_not_matter(found, chosen, shuffle):
    true, held, made = made_of(found, chosen)
    turned = {name: dict(reversed(of.items())) for name, of in reversed(held.items())}
    assert make_set(TEMPLATES, true, turned, chosen) == made
    shuffle.shuffle(found)
    assert made_of(found, chosen)[2] == made


@settings(max_examples=40)
@given(triples, choices)
def test_a_larger_limit_keeps_the_same_cases(found, chosen):
    made = made_of(found, chosen)[2].records
    every = made_of(found, SetChoices(chosen.seed, chosen.neighbours, None, None, chosen.min_neighbours))[2].records
    assert all(record in every for record in made)
    assert chosen.limit is None or len(made) <= chosen.limit


@settings(max_examples=40)
@given(triples, choices)
def test_the_file_is_read_back(tmp_path_factory, found, chosen):
    records = made_of(found, chosen)[2].records
    if records:
        path = tmp_path_factory.mktemp("set") / "set.json"
        path.write_text(json.dumps(records))
        assert read_cases(path) == [counterfact_case(record) for record in records]


FACTS = [
    Triple(f"town {letter}", "colour", colour) for letter, colour in zip("abcdefgh", ["red", "blue"] * 4, strict=True)
]


def test_seeds_differ_and_agree():
    sets = [make_set(TEMPLATES, truths(FACTS), _all(FACTS), SetChoices(seed, 2)) for seed in (0, 0, 1)]
    assert sets[0] == sets[1] != sets[2]


def _all(found):
    return {name: {s: o[0] for s, o in of.items()} for name, of in truths(found).items()}


def test_everything_is_kept():
    found = [Triple("the Dd", "colour", "red"), Triple("Cc", "colour", "red"), Triple("Hh", "colour", "the green")]
    (_, record) = make_set(TEMPLATES, truths(found), _all(found), SetChoices()).records[1:]
    assert record == {
        "case_id": "colour: the Dd",
        "requested_rewrite": {
            "prompt": "The {} has the colour", "relation_id": "P1", "subject": "Dd",
            "target_new": {"str": "the green"}, "target_true": {"str": "red"},
        },
        "paraphrase_prompts": ["It rained. The Dd is of colour"],
        "neighborhood_prompts": ["Cc has the colour"],
        "attribute_prompts": ["Hh has the colour"],
        "generation_prompts": ["The Dd was"],
        "reverse": ["What has the colour {} is the"],
    }  # fmt: skip
    case = counterfact_case(record)
    assert case.attributes == ("Hh has the colour",)
    (probe,) = case.probes["reverse"]
    assert (probe.text, probe.contrast) == ("What has the colour the green is the", "What has the colour red is the")


def test_what_does_not_become_a_case_is_counted():
    alone = [Triple("Aa", "colour", "red"), Triple("Bb", "colour", "red")]
    assert make_set(TEMPLATES, truths(alone), _all(alone), SetChoices()).dropped == {NO_OTHER: 2}
    assert make_set(TEMPLATES, truths(FACTS), _all(FACTS), SetChoices(limit=3)).dropped == {LEFT_OUT: 5}
    lonely = [*FACTS, Triple("Zz", "colour", "grey")]
    few = make_set(TEMPLATES, truths(lonely), _all(lonely), SetChoices(min_neighbours=1))
    assert (len(few.records), few.dropped) == (8, {FEW: 1})


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("Mexico", "Mexico City"), True),
        (("the Gambia", "gambia"), True),
        (("Germany", "German"), False),
        (("Niger", "Nigeria"), False),
    ],
)
def test_a_name_within_another_gives_it_away(names, same):
    assert all(gives_away(*pair) is same for pair in permutations(names))
