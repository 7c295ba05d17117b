"""Experiment 2 of the reversal curse: parsing, judging and prompts against the original program, and its tables."""

import csv
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.golden.conftest import FOLDER

from obverse.core import Run
from obverse.data.public_figures import People
from obverse.measuring import parents
from obverse.recipes.celebrity_answers import AnswerBook
from obverse.recipes.celebrity_results import read_published
from obverse.recipes.celebrity_survey import CelebritySettings, Survey

GOLDEN = FOLDER / "reversal"
DATA = Path(os.environ.get("OBVERSE_DATA", FOLDER.parent / "data")) / "reversal_curse" / "celebrity_relations"


def rows(name: str) -> list[Any]:
    path = GOLDEN / name
    if not path.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{path} is absent (set OBVERSE_GOLDEN)"))]
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", rows("exp2_parse.jsonl"), ids=str)
def test_which_answers_are_names(case):
    assert parents.parse_name(case["response"]) == case["parsed"]


@pytest.mark.parametrize("case", rows("exp2_split.jsonl"), ids=str)
def test_lines_of_an_answer(case):
    assert parents.split_answer(case["content"]) == case["responses"]


@pytest.mark.parametrize("case", rows("exp2_reversal_decision.jsonl"), ids=lambda case: str(case)[:60])
def test_who_was_named(case):
    found = parents.published_reversal(case["child"], case["responses"])
    assert found == (case["child_prediction"], case["can_reverse"])


@pytest.mark.parametrize("case", rows("exp2_chat_scores.jsonl"), ids=lambda case: str(case)[:60])
def test_shares_of_chat_models(case):
    assert Fraction(parents.published_share(case["answer"], case["responses"])) == Fraction(case["score"])


@pytest.mark.parametrize("case", rows("exp2_prompts.jsonl"), ids=lambda case: str(case)[:60])
def test_questions_and_the_form_of_prompts(case):
    asked = parents.parent_question(case["child"], case["parent_type"])
    back = parents.child_question(case["parent"])
    assert (asked, back) == (case["parent_question"], case["child_question"])
    assert parents.completion_prompt(asked).split("\n")[-2:] == case["completion_parent_tail"]
    assert parents.completion_prompt(back, marked=False).split("\n")[-2:] == case["completion_child_tail"]
    assert parents.completion_prompt(back).split("\n")[-2] == f"Q: {back}"  # ours: alike in both directions
    assert [parents.completion_target(case["parent"])] == case["completion_parent_target"]
    assert [parents.completion_target(case["child"])] == case["completion_child_target"]
    assert parents.completion_prompt(asked).count("\nA: ") == case["few_shot_pairs_in_completion_prompt"]
    assert [one["role"] for one in parents.chat_messages(asked)] == case["chat_roles"]


class Script:
    """Answers as a script says, one answer a place, over and over."""

    name, together, remote = "script", 4, False

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers

    def identity(self) -> dict[str, Any]:
        return {"model": self.name}

    def ask(self, asked):
        return [[self.answers[one.question][p % len(self.answers[one.question])] for p in one.places] for one in asked]

    def logprobs(self, scored):
        raise AssertionError("nothing is scored under the published protocol")

    def prompt_bytes(self, question: str) -> int:
        return len(question)


@pytest.mark.skipif(not (GOLDEN / "exp2_pipeline.csv").is_file(), reason="no golden folder (set OBVERSE_GOLDEN)")
def test_the_whole_published_protocol(tmp_path):
    inputs = json.loads((GOLDEN / "exp2_pipeline_inputs.json").read_text("utf-8"))
    script = Script({q: [a] for q, a in inputs["parent_answers"].items()} | inputs["child_answers"])
    with Run.open(tmp_path / "run", {}) as run:
        book = AnswerBook(run, script, max_tokens=24, seed=0)
        survey = Survey(book, People(tuple(inputs["celebrities"]), ()), CelebritySettings(protocol="published"))
        survey.ask()
        survey.write_tables(tmp_path, survey.both(), survey.reversals())
    expected = (GOLDEN / "exp2_pipeline.csv").read_text("utf-8")
    assert list(csv.reader((tmp_path / "parent_child_pairs.csv").read_text("utf-8").splitlines())) == list(
        csv.reader(expected.splitlines())
    )


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no published tables in {DATA} (set OBVERSE_DATA)")
def test_the_published_tables_counted_again():
    found = read_published(DATA)
    assert (found.rows, found.children, round(found.reversed.mean * found.rows)) == (1513, 797, 495)
    assert {kind: (round(one.mean * one.n), one.n) for kind, one in found.by_type.items()} == {
        "mother": (216, 764), "father": (279, 749),
    }  # fmt: skip
    assert (found.other_forms, found.repeated, found.joined, found.doubled) == (11, 18, 1573, ("Rebecca Romijn",))
    shares = {one.model: (round(100 * one.parent.mean, 2), round(100 * one.child.mean, 2)) for one in found.models}
    assert shares == {
        "davinci": (9.86, 4.45), "gpt-3.5-turbo": (34.84, 11.91), "llama-7b": (8.04, 0.87), "llama-30b": (7.76, 0.26),
        "llama-65b": (8.10, 1.68),
    }  # fmt: skip
    nats = {one.model: (one.parent_logprob, one.child_logprob) for one in found.models}
    assert nats["llama-7b"] == pytest.approx((-8.17, -14.44), abs=0.005)
    assert nats["gpt-3.5-turbo"] == (None, None)
    chat = next(one for one in found.models if one.parent_once is not None)
    assert (chat.parent_once, chat.child_once) == pytest.approx((0.531, 0.176), abs=5e-4)
    assert (chat.joined_parent, chat.joined_child) == pytest.approx((0.339, 0.115), abs=5e-4)
