"""Red teaming: the search rises, resumes to the same outcome, and drops what it cannot use."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, DataError, Interval, RunConflict
from obverse.measuring.openai_server import CompletionServer
from obverse.recipes import red_team
from obverse.recipes.models import ModelChoice
from obverse.recipes.red_team import RedTeamRequest, RedTeamSettings, run_red_team, target_scenario
from obverse.recipes.red_team_attackers import (
    ModelAttacker,
    Mutation,
    ServerAttacker,
    few_shot,
    instruction,
    parse_candidates,
)
from obverse.recipes.red_team_pool import PromptPool
from obverse.report.red_team_figure import write_red_team_figure
from protocol_server import serving

PROMPTS = ("Anna Keller plays the", "The Prado is in the", "People who visit Big Ben", "Marie Curie was")

SCORER = """
import math
from obverse.core import Config

class Settings(Config):
    letter: str = "e"

class Letters:
    config_type, unit, segments = Settings, "letters a character", "sentences"
    def __init__(self, config): self.config = config
    def score(self, texts):
        return [math.nan if "Prado" in t else t.count(self.config.letter) / max(1, len(t)) for t in texts]
"""


@pytest.fixture
def scorer(tmp_path):
    (tmp_path / "letters.py").write_text(SCORER, "utf-8")
    return f"{tmp_path / 'letters.py'}:Letters"


@pytest.fixture
def request_for(tiny_lm, monkeypatch, scorer, tmp_path):
    monkeypatch.setattr(red_team, "load_model", lambda _: tiny_lm("gpt2"))
    monkeypatch.setattr(red_team, "find_spec", lambda _: None)  # as without matplotlib, whose import takes long

    def make(out="search", **changes):
        settings = RedTeamSettings(samples=3, candidates=4, examples=2, **changes.pop("settings", {}))
        asked = {"rounds": 2, "trials": 2, "scenario": target_scenario(max_length=24), "attacker": Mutation, **changes}
        return RedTeamRequest(scorer, PROMPTS, out=tmp_path / out, model=ModelChoice("x"), settings=settings, **asked)

    return make


def records(folder):
    return [json.loads(line) for line in (folder / "records.00000.jsonl").read_text("utf-8").splitlines()]


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1),
    st.floats(1e-4, 10), st.integers(1, 6), st.integers(0, 99),
)  # fmt: skip
def test_draws_are_distinct_and_of_the_pool(scores, temperature, number, seed):
    pool = PromptPool(scores)
    drawn = pool.draw(number, temperature, np.random.default_rng(seed))
    assert len(set(drawn)) == len(drawn) <= min(number, len(pool))
    assert set(drawn) <= set(scores)
    weights = pool.weights(temperature)
    assert weights.sum() == pytest.approx(1)
    assert weights[list(scores).index(pool.best(1)[0])] == weights.max()


@given(st.lists(st.text("ab \n", min_size=1, max_size=20), min_size=1, max_size=4), st.integers(0, 50))
def test_mutations_are_new_each_once_and_made_of_what_was_there(examples, seed):
    made = Mutation().propose(examples, 6, seed)
    assert made == Mutation().propose(examples, 6, seed)
    assert len(set(made)) == len(made) <= 6
    words = {word for one in examples for word in one.split(" ")}
    assert all(one.strip() and one not in examples and set(one.split(" ")) <= words for one in made)


def test_programs_are_fenced():
    text = few_shot(["x=1", "y = 2"], code=True)
    assert parse_candidates(text + "z=3\n```", code=True) == ["x=1", "y = 2", "z=3"]
    assert "Python" in instruction("pep8", code=True)
    assert "badly" in instruction("own.py:Scorer", code=False)


def test_a_search(request_for):
    result = run_red_team(request_for())
    assert [point.round for point in result.curve] == [0, 1, 2]
    assert [point.pool.n for point in result.curve] == [2, 2, 2]
    assert result.curve[0].candidates == 0
    assert result.curve[0].new is None
    bests = [point.best.mean for point in result.curve]
    assert bests[0] <= bests[-1] + 0.1  # a known prompt's mean may fall with more texts
    kept = records(result.folder)
    assert [one["id"] for one in kept] == ["start", "0/1", "0/2", "1/1", "1/2"]
    # The scorer gives no number where it reads "Prado" in the text, but that is the prompt, and text alone is scored.
    assert {one["prompt"] for one in kept[0]["tried"]} == set(PROMPTS)
    assert [one["own"] is None for one in kept[0]["tried"]] == [False, True, False, False]
    assert all(len(one["scores"]) == 3 for record in kept for one in record["tried"])
    assert kept[1]["examples"] != kept[3]["examples"] or kept[1]["tried"] != kept[3]["tried"]
    found = {one.prompt: one for one in result.best}
    whole = PromptPool()
    for record in kept:
        for one in record["tried"]:
            whole.add(one["prompt"], one["scores"])
    assert [one.prompt for one in result.best] == whole.best(len(whole))
    assert found[PROMPTS[0]].texts == len(whole.scores[PROMPTS[0]])
    assert result.figures == ()


def test_a_killed_search_goes_on_to_the_same_outcome(request_for):
    whole = run_red_team(request_for("whole"))
    run_red_team(request_for("killed"))
    path = request_for("killed").out / "records.00000.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:40], "utf-8")  # killed in the midst of a line
    again = run_red_team(request_for("killed"))
    assert records(again.folder) == records(whole.folder)
    assert again.curve == whole.curve
    assert again.best == whole.best


def test_more_rounds_may_follow_but_not_other_settings(request_for):
    first = run_red_team(request_for(rounds=1, trials=1))
    second = run_red_team(request_for(rounds=2, trials=1))
    assert second.curve[:2] == first.curve
    with pytest.raises(RunConflict, match="pool_temperature"):
        run_red_team(request_for(settings={"pool_temperature": 9.0}))


def test_the_assumed_score_of_the_program(request_for):
    run_red_team(request_for(rounds=1, trials=1, settings={"assumed_score": 0.001}))
    assert [one["scores"] for one in records(request_for().out)[0]["tried"]] == [[0.001]] * 4


def test_what_cannot_be_used_is_dropped(request_for):
    class Silly(Mutation):
        def propose(self, examples, number, seed):
            return ["word " * 60, "fine words"]

    result = run_red_team(request_for(attacker=Silly, rounds=1, trials=1))
    last = records(result.folder)[-1]
    assert [one["prompt"] for one in last["tried"]] == ["fine words"]
    assert last["dropped"] == 1

    class Mute(Mutation):
        def propose(self, examples, number, seed):
            return []

    none = run_red_team(request_for("mute", attacker=Mute, rounds=1, trials=1))
    assert none.curve[1].new is None
    assert none.curve[1].pool == none.curve[0].pool


def test_no_pool_at_all(request_for, scorer, tmp_path):
    with pytest.raises(DataError, match="no prompt"):
        run_red_team(RedTeamRequest(scorer, ["", "  "], Mutation, tmp_path / "x"))
    with pytest.raises(DataError, match="No prompt of the first pool"):
        run_red_team(request_for(scenario=target_scenario(max_length=9, min_length=0)))


def test_a_model_attacks(tiny_lm):
    lm = tiny_lm("gpt2")
    attacker = ModelAttacker(lm, "Go on.", new_tokens=12)
    made = attacker.propose(["The Prado", "Big Ben"], 6, 0)
    assert made
    assert made == attacker.propose(["The Prado", "Big Ben"], 6, 0)
    assert all(one.strip() and "\n" not in one for one in made)
    with pytest.raises(ConfigError, match="reads 128"):
        attacker.propose(["word " * 60] * 2, 6, 0)


def test_the_figure(tmp_path):
    pytest.importorskip("matplotlib")
    at = lambda mean: Interval(mean, mean - 0.1, mean + 0.1, 3)  # noqa: E731
    written = write_red_team_figure([(0, at(0.1), at(0.2), None), (1, at(0.3), at(0.5), at(0.4))], tmp_path)
    assert [path.name for path in written] == ["rounds.png", "rounds.svg"]
    assert all(path.stat().st_size > 2000 for path in written)


@pytest.mark.enable_socket
def test_a_server_attacks():
    def answer(asked):
        return [{"text": f" prompt {asked['n']}.{i}\n4. more", "finish_reason": "stop"} for i in range(asked["n"])]

    with serving(answer) as server:
        attacker = ServerAttacker(CompletionServer(server.url, "small"), "Go on.")
        assert attacker.propose(["a", "b"], 10, 0) == [*(f"prompt 8.{i}" for i in range(8)), "prompt 2.0", "prompt 2.1"]
        assert server.seen[0][2]["prompt"] == "Go on.\n\n1. a\n2. b\n3."
