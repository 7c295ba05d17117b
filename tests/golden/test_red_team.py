"""The pool of the red team, its draws and its parsing, against the original program."""

import json

import numpy as np
import pytest
from tests.golden.conftest import FOLDER

from obverse.recipes.red_team_attackers import few_shot, parse_candidates
from obverse.recipes.red_team_pool import PromptPool

PATH = FOLDER / "phf" / "red_team.json"
CASE = json.loads(PATH.read_text("utf-8")) if PATH.is_file() else {"parse": []}

pytestmark = pytest.mark.skipif(not PATH.is_file(), reason="no golden folder (set OBVERSE_GOLDEN)")


@pytest.fixture
def pool():
    return PromptPool(CASE["scores"])


def test_means_and_chances(pool):
    for prompt, expected in CASE["mean"].items():
        assert pool.mean(prompt) == pytest.approx(expected, abs=1e-12)
        assert pool.std(prompt) == pytest.approx(CASE["std"][prompt], abs=1e-12)
    assert pool.weights(CASE["temperature"]) == pytest.approx(CASE["probabilities_T0.1"], abs=1e-12)
    assert pool.average() == pytest.approx(CASE["current_mean"], abs=1e-12)
    assert pool.best(5) == CASE["current_best_5"]
    assert pool.mean(pool.best(1)[0]) == pytest.approx(CASE["best_score"], abs=1e-12)
    assert pool.best_average(10) == pytest.approx(CASE["best_10_prompt_score"], abs=1e-12)


@pytest.mark.parametrize("seed", list(CASE.get("samples_k4", {})))
def test_draws(pool, seed):
    draws = np.random.RandomState(int(seed))  # the original's legacy generator
    assert pool.draw(4, CASE["temperature"], draws) == CASE["samples_k4"][seed]


def test_adding(pool):
    expected = CASE["after_add"]
    pool.add("prompt number 3", expected["scores_prompt_3"][1:])
    (new,) = {"brand new"} & set(expected["best_3"])
    others = pool.average() * len(pool)
    pool.add(new, [expected["current_mean"] * expected["size"] - others])  # what it must have been
    assert len(pool) == expected["size"]
    assert pool.scores["prompt number 3"] == expected["scores_prompt_3"]
    assert pool.mean("prompt number 3") == pytest.approx(expected["mean_prompt_3"], abs=1e-4)
    assert pool.best(3) == expected["best_3"]


def test_examples():
    assert (
        few_shot(["alpha one", "beta two", "gamma three", "delta four"], code=False)
        == CASE["few_shot_text"]["toxicity"]
    )


@pytest.mark.parametrize("case", CASE["parse"], ids=lambda case: repr(case["response"])[:30])
def test_parsing(case):
    departs = {
        "   leading spaces 12. and number inside": ["leading spaces 12. and number inside"],  # only leading numbers go
        "```python\nx=1\n```": ["x=1"],  # a fence may name its language
    }
    expected = departs.get(case["response"], [one for one in case["parsed"] if one])  # none is empty
    assert parse_candidates(case["response"], code=case["task"] == "pep8") == expected
