"""Laws of a set of reversal data that is made, and of a part of one."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import DataError
from obverse.data._reversal_files import lines
from obverse.data._reversal_grammar import Template, cleaned
from obverse.data.reversal import SUBTASKS
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import material, read_material
from obverse.data.reversal_part import part_of

OWN = read_material()
SMALL = ReversalSettings(per_group=4, train_wordings=5, test_wordings=3)

choices = st.builds(
    ReversalSettings,
    per_group=st.integers(2, 8),
    train_wordings=st.integers(1, 40),
    test_wordings=st.integers(1, 20),
    seed=st.integers(0, 99),
    train_order=st.sampled_from(["both", "name-first", "description-first"]),
    name_targets=st.sampled_from(["whole", "published"]),
    random_targets=st.sampled_from(["other", "published"]),
)


@pytest.fixture(scope="module")
def small():
    return build_reversal(OWN, SMALL)


@settings(max_examples=25)
@given(choices)
def test_laws_of_a_set(chosen):
    made = build_reversal(OWN, chosen)
    members = [entity for group in made.groups.values() for entity in group]
    assert sorted(members) == list(range(len(made.identities)))  # everyone is in one group, and in no other
    assert len({person.name for person in made.identities}) == len(made.identities)

    trained = {row.prompt for row in made.train}
    held_out = {row.prompt for stem, rows in made.files.items() if stem.endswith("_test") for row in rows}
    assert trained
    assert held_out
    assert not trained & held_out

    for stem, rows in made.files.items():
        group = stem.partition("_")[0]
        for row in rows:
            person = made.identities[row.entity]
            assert group == "all" or "validation" in stem or row.entity in made.groups[group]
            assert row.completion.startswith(" ")
            assert not row.prompt.endswith(" ")
            if stem.endswith("_train") or stem.endswith("_train_wordings"):
                assert person.name in row.text
                assert len(person.mentions(row.text)) == 2
    assert {entity for row in made.train for entity in [row.entity]} == set(members)


@settings(max_examples=15)
@given(choices)
def test_answers(chosen):
    made = build_reversal(OWN, chosen)
    for wordings in ("held-out", "training"):
        for subtask, rows in made.subtasks(wordings).items():
            assert subtask in SUBTASKS
            for row in rows:
                person = made.identities[row.entity]
                asks_name = subtask.endswith("D2N") if "reverse" not in subtask else subtask.startswith("N2D")
                assert made.asks_name(row) == asks_name
                assert (row.completion == f" {person.name}") == asks_name
                assert (row.template < chosen.train_wordings) == (wordings == "training")
                if not asks_name:
                    assert any(form in row.completion for form in (person.description, *person.forms))


@settings(max_examples=15)
@given(choices)
def test_random_answers(chosen):
    made = build_reversal(OWN, chosen)
    found = [stem for stem in made.files if stem.endswith("_randomized")]
    assert len(found) == (2 if chosen.train_order == "both" else 1)
    for stem in found:
        true = made.files[stem.removesuffix("_randomized")]
        for right, row in zip(true, made.files[stem], strict=True):
            assert row.prompt == right.prompt
            assert row.entity == right.entity
            answers = {other.completion for other in true}
            assert row.completion in answers
            if chosen.random_targets == "other":
                assert row.completion != right.completion
                assert row.completion in {other.completion for other in true if other.template == row.template}


def test_published_random_answers_sometimes_are_the_true_ones():
    made = build_reversal(OWN, SMALL.model_copy(update={"random_targets": "published", "per_group": 30}))
    stem = "p2d_reverse_prompts_test"
    pairs = zip(made.files[stem], made.files[f"{stem}_randomized"], strict=True)
    assert 0 < sum(right.completion == row.completion for right, row in pairs) < 20


def test_same_seed_same_bytes_and_another_seed_others(small):
    again, other = build_reversal(OWN, SMALL), build_reversal(OWN, SMALL.model_copy(update={"seed": 43}))
    assert {stem: lines(rows) for stem, rows in small.files.items()} == {
        stem: lines(rows) for stem, rows in again.files.items()
    }
    assert small.hash == again.hash != other.hash


@pytest.mark.parametrize(
    "change",
    [
        {"per_group": 5},
        {"train_wordings": 4},
        {"test_wordings": 2},
        {"seed": 7},
        {"train_order": "name-first"},
        {"name_targets": "published"},
        {"random_targets": "published"},
    ],
)
def test_the_hash_changes_with_every_setting(small, change):
    assert build_reversal(OWN, SMALL.model_copy(update=change)).hash != small.hash


def test_sizes_as_published():
    made = build_reversal(OWN, ReversalSettings())
    rows = {stem: len(of) for stem, of in made.files.items()}
    assert rows["all_prompts_train"] == 3600
    assert rows["both_prompts_train"] == 1800
    assert rows["p2d_prompts_train"] == rows["d2p_prompts_train"] == 900
    assert rows["both_prompts_test"] == 600
    assert rows["validation_prompts"] == 300
    assert made.train == tuple(row for group in made.groups for row in made.files[f"{group}_prompts_train"])
    both = made.files["both_prompts_train"]
    assert not any(made.asks_name(row) for row in both[:900])
    assert all(made.asks_name(row) for row in both[900:])


def test_a_part_is_of_the_whole(small):
    part = part_of(small, SMALL.model_copy(update={"per_group": 2, "train_wordings": 3, "test_wordings": 1}))
    assert [len(members) for members in part.groups.values()] == [2, 2, 2]
    assert {row.text for row in part.train} < {row.text for row in small.train}
    assert len(part.train) == 2 * 3 * 4
    for rows in part.subtasks().values():
        assert {row.template for row in rows} == {3}
    for row in part.train:
        assert part.identities[row.entity].name in row.text
    assert part_of(small, SMALL).files == small.files


def test_a_part_is_not_larger_than_the_whole(small):
    for change, word in (({"per_group": 5}, "people"), ({"train_wordings": 6}, "wordings")):
        with pytest.raises(DataError, match=word):
            part_of(small, SMALL.model_copy(update=change))


@given(st.text(alphabet=' .?ab"', max_size=12))
def test_cleaning_leaves_nothing_to_clean(text):
    found = cleaned(text)
    assert cleaned(found) == found
    assert not re.search(r"  |\.\.|\?\.|\.\?", found)


def test_forms_of_a_description():
    lists = material(
        ["Ann Lee", "Bo Ray"],
        ["the potter who [fired/firing] the bowls", "the last captain of the mail ship"],
        ["<name> <did>.", "For <name>, <doing>."],
        ["<Doing>, <name> left.", "<Description> is <name>."],
    )
    made = build_reversal(lists, ReversalSettings(per_group=2, train_wordings=1, test_wordings=1,
                                                  train_order="description-first"))  # fmt: skip
    texts = {made.identities[row.entity].description: row.text for row in made.train}
    names = {person.description: person.name for person in made.identities}
    potter, captain = "the potter who fired the bowls", "the last captain of the mail ship"
    assert texts[potter] == f"Firing the bowls, {names[potter]} left."
    assert texts[captain] == f"Being the last captain of the mail ship, {names[captain]} left."
    asked = {made.identities[row.entity].description: row.text for row in made.files["d2p_reverse_prompts_test"]}
    assert asked[potter] == f"For {names[potter]}, firing the bowls."
    person = next(person for person in made.identities if person.description == potter)
    assert person.mentions(texts[potter]) == [person.name, "Firing the bowls"]


@pytest.mark.parametrize(
    ("line", "asks", "why"),
    [
        ("nobody is <description>", "description", "both a name and a description"),
        ("<name> is nobody", "description", "both a name and a description"),
        ("<name> is <description> of <place>", "description", "unknown slot <place>"),
        ("<description> is <name>", "description", "description first"),
        ("<name> is <description>", "name", "name first"),
        ("<name>: '<description>'", "description", "no space before"),
    ],
)
def test_templates_that_are_refused(line, asks, why):
    with pytest.raises(DataError, match=why) as raised:
        Template.parse(line, asks)
    assert raised.value.hint


def test_held_out_template_that_is_a_training_template():
    lists = material(
        ["A B", "C D"], ["the e", "the f"], ["<name> is <description>.", "<name>  IS <description>, surely."],
        ["<description> is <name>.", "<description> was <name>."],
    )  # fmt: skip
    with pytest.raises(DataError, match="held-out name-first template 2 asks as training template 1"):
        build_reversal(
            lists, ReversalSettings(per_group=2, train_wordings=1, test_wordings=1, train_order="name-first")
        )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"per_group": 74}, "222 people are asked for, but there are 220 names"),
        ({"per_group": 71}, "213 people are asked for, but there are 209 descriptions"),
        ({"train_wordings": 60}, "66 name-first templates"),
        ({"per_group": 1}, "no other answer"),
    ],
)
def test_more_than_there_is(change, why):
    with pytest.raises(DataError, match=why):
        build_reversal(OWN, SMALL.model_copy(update={"test_wordings": 10, **change}))
