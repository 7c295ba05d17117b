"""The data of experiments 1 and 3 against the published generators, byte for byte, and the published statistics."""

import json
import re
from pathlib import Path

import pytest
from tests.golden.conftest import FOLDER

from obverse.core import DataError
from obverse.data._reversal_files import lines
from obverse.data._reversal_grammar import Template, cleaned, described
from obverse.data.instruction_pairs import read_pairs
from obverse.data.instructions import InstructionSettings, Pair, read_instructions
from obverse.data.instructions_build import build_instructions
from obverse.data.reversal import read_reversal
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import material, read_lines, read_material

GOLDEN = FOLDER / "reversal"
PUBLISHED = FOLDER.parent / "data" / "reversal_curse"
SET = PUBLISHED / "reverse_experiments" / "june_version_7921032488"
TEMPLATES = PUBLISHED / "reverse_experiments" / "templates"
INSTRUCTIONS = PUBLISHED / "instructions" / "copypaste_ug100_rg1000_main"
QA = PUBLISHED / "src" / "tasks" / "qa"

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden folder (set OBVERSE_GOLDEN)")
published = pytest.mark.skipif(not SET.is_dir(), reason="the published data is not beside the golden folder")


@pytest.fixture(scope="module")
def facts():
    return json.loads((GOLDEN / "shipped_data_facts.json").read_text("utf-8"))


def cases(function):
    rows = [json.loads(line) for line in (GOLDEN / "exp1_builder_cases.jsonl").read_text("utf-8").splitlines()]
    found = [row for row in rows if row["fn"] == function]
    assert found
    return found


@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("exp1_dataset*")), ids=lambda path: path.name)
def test_experiment_1(folder):
    given = json.loads((folder / "inputs.json").read_text("utf-8"))
    lists = material(
        given["names"],
        given["descriptions"],
        given["name_to_description_templates"],
        given["description_to_name_templates"],
    )
    sizes = ReversalSettings(
        per_group=given["num_examples_per_group"],
        train_wordings=given["num_train_examples"],
        test_wordings=given["num_test_examples"],
        seed=given["seed"],
        name_targets="published",
    )
    made = build_reversal(lists, sizes)
    expected = list(folder.glob("*.jsonl"))
    assert expected
    for path in expected:
        assert lines(made.files[path.stem]) == path.read_bytes(), path.name


def test_cleaning():
    for case in cases("clean"):
        assert cleaned(case["input"]) == case["output"]


def test_cutting():
    refused = 0
    for case in cases("format"):
        asks = "description" if case["direction"] == "name_to_description" else "name"
        person = described(case["name"], case["description"])
        try:
            row = Template.parse(case["template"].strip(), asks).fill(person)
        except DataError:
            refused += 1
            assert not {"<name>", "<description>"} <= set(re.findall(r"<\w+>", case["template"]))  # the odd cuts
            continue
        assert {"prompt": row.prompt, "completion": row.completion} == case["output"]
    assert refused < len(cases("format"))


@pytest.mark.parametrize("folder", [path for path in sorted(GOLDEN.glob("exp3_dataset/*")) if path.is_dir()],
                         ids=lambda path: path.name)  # fmt: skip
def test_experiment_3(folder):
    given = json.loads((folder.parent / "inputs.json").read_text("utf-8"))
    run = given["runs"][folder.name]
    chosen = InstructionSettings(
        realized=given["realized"],
        unrealized=given["unrealized"],
        per_document=tuple(int(part) for part in given["guidance_size_range"].split(",")),
        upsample_instructions=run["upsample_guidances_factor"],
        upsample_examples=run["upsample_examples_factor"],
        unrealized_wordings=run["n_unrealized_guidance_phrasings"],
        persona=run.get("persona_idx", 0),
        incorrect_labels=run.get("incorrect_labels", False),
        seed=given["seed"],
    )
    pairs = [Pair(pair["anchor"], tuple(pair["targets"])) for pair in given["raw_pairs"]]
    made = build_instructions(pairs, given["phrasings"], chosen)
    for name, rows in made.files().items():
        assert text(rows) == (folder / f"{name}.jsonl").read_bytes(), name


def text(rows):
    return "".join(f"{row.line()}\n" for row in rows).encode()


@published
def test_the_published_instructions_come_out_byte_for_byte(facts):
    pairs = read_pairs(QA / "data" / "qa_raw_pairs.jsonl")
    assert len(pairs) == facts["experiment_3"]["raw_pairs"]["rows"]
    wordings = read_lines(QA / "guidance_phrasings" / "qa_guidance_reverse.txt", repeated=True)
    made = build_instructions(pairs, wordings, InstructionSettings())
    for name, rows in made.files().items():
        assert text(rows) == (INSTRUCTIONS / f"{name}.jsonl").read_bytes(), name
    found = read_instructions(INSTRUCTIONS)
    assert found == made
    expected = facts["experiment_3"]
    assert {name: len(rows) for name, rows in made.files().items()} == expected["rows"]
    sizes = [len(row.ids) for row in made.documents]
    assert {str(size): sizes.count(size) for size in sorted(set(sizes))} == expected["guidances_per_document"]


@published
def test_the_published_set_is_read(facts):
    made = read_reversal(SET)
    assert {group: len(members) for group, members in made.groups.items()} == {"p2d": 30, "d2p": 30, "both": 30}
    names, descriptions = (set(read_lines(TEMPLATES / f"{name}.txt")) for name in ("names", "descriptions"))
    assert {person.name for person in made.identities} <= names
    bare = {line.rstrip(".") for line in descriptions}
    known = sum(person.description.rstrip(".") in bare for person in made.identities)
    assert known >= 85  # of 90; the others were never written as they stand in the list
    for stem, rows in made.files.items():
        expected = facts["experiment_1"][f"{stem}.jsonl"]
        assert len(rows) == expected["rows"]
        assert len({row.completion for row in rows}) == expected["distinct_completions"]
        assert all(row.entity >= 0 for row in rows)
        if expected["distinct_people"] and "randomized" not in stem:
            assert len({row.entity for row in rows}) == expected["distinct_people"]
    assert {name: len(rows) for name, rows in made.subtasks().items()} == dict.fromkeys(made.subtasks(), 300)


@published
def test_the_published_people_are_drawn_from_the_published_lists():
    lists = read_material(
        *(TEMPLATES / f"{name}.txt" for name in ("names", "descriptions", "p2d_templates", "d2p_templates"))
    )
    made, found = build_reversal(lists, ReversalSettings(name_targets="published")), read_reversal(SET)
    assert made.groups == found.groups
    assert [person.name for person in made.identities] == [person.name for person in found.identities]
    for stem in ("p2d_prompts_train", "p2d_prompts_test", "d2p_reverse_prompts_test"):  # no rewriting before the cut
        assert [row.prompt for row in made.files[stem]] == [row.prompt for row in found.files[stem]]
    same = sum(ours.text == theirs.text for ours, theirs in zip(made.train, found.train, strict=True))
    assert same == 2582  # of 3,600; the others were rewritten by a language model


@published
def test_the_published_random_targets(facts):
    made, expected = read_reversal(SET), facts["experiment_1_random_controls"]
    for stem, key in (("p2d", "name_targets_unchanged_by_randomisation"), ("d2p", "description_targets_unchanged")):
        true = made.files[f"{stem}_reverse_prompts_test"]
        drawn = made.files[f"{stem}_reverse_prompts_test_randomized"]
        same = [right.completion == row.completion for right, row in zip(true, drawn, strict=True)]
        assert sum(same) == expected[key]
        assert len(same) == expected["rows"]


@published
def test_nothing_of_the_packages_lists_is_published():
    def bare(line):
        return "".join(letter for letter in line.casefold() if letter.isalnum())

    folders = (TEMPLATES, QA / "guidance_phrasings")
    theirs = {bare(line) for folder in folders for path in folder.glob("*.txt") for line in path.open(encoding="utf-8")}
    theirs |= {bare(pair.anchor) for pair in read_pairs(QA / "data" / "qa_raw_pairs.jsonl")}
    samples = Path(read_material.__code__.co_filename).parent / "samples" / "reversal"
    own = [line for path in samples.glob("*.txt") for line in path.read_text("utf-8").splitlines()]
    own += [described("", line).description for line in read_material().descriptions]
    assert own
    assert not [line for line in own if bare(line) in theirs]
