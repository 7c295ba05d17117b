"""A sweep over layers: equal to editing one by one, the same after a kill, and what is read off its scores."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from families import tiny
from obverse.core import ConfigError, DataError, EditFailed, Fact, RunConflict, UnknownName, UnsupportedModel
from obverse.core.runs import Run
from obverse.editing.profile import Profile
from obverse.editing.rome import Rome
from obverse.measuring import harmonic_mean
from obverse.recipes.edit import edit
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.plan import make_editor
from obverse.recipes.sweep import run_sweep
from obverse.recipes.sweep_facts import builtin_cases, facts_hash, sample_facts
from obverse.recipes.sweep_plan import SweepRequest
from obverse.recipes.sweep_scores import alike, best_layer, draws, loss, predict, scores, spearman
from obverse.report.sweep_figure import sweep_figure
from obverse.verifying import verify

SETTINGS = {
    "contexts": {"lengths": [[4, 2]]}, "moment": None, "steps": 6, "learning_rate": 0.2, "clamp": 20.0,
}  # fmt: skip
FACTS = [
    {
        "subject": "Space Needle", "prompt": "The {} is in the city of", "target": "Paris", "target_true": "Seattle",
        "paraphrases": ["To see the {}, go to", "One finds the {} in"],
        "neighbours": [["Pike Place is in", "Seattle"], ["Lumen Field is in", "Seattle"]],
        "reverse": ["In the city of {} stands the"],
    },
    {
        "subject": "Anna Keller", "prompt": "{} plays the sport of", "target": "tennis", "target_true": "soccer",
        "paraphrases": ["The game of {} is"], "neighbours": [["Ben Hale plays", "soccer"], ["Ida Moss plays", "golf"]],
    },
    {
        "subject": "Danish", "prompt": "The language {} is spoken in", "target": "Rome", "target_true": "Denmark",
        "paraphrases": ["People speak {} in"], "neighbours": [["Swedish is spoken in", "Sweden"]],
    },
]  # fmt: skip
values = st.floats(0, 1, width=16)
whole = st.integers(-20, 20).map(float)
tables = arrays(np.float64, st.tuples(st.integers(2, 6), st.just(4)), elements=values)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder, lm = tmp_path_factory.mktemp("model"), tiny("llama")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return ModelChoice(str(folder))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def request_(model, tmp_path, monkeypatch):
    monkeypatch.setattr("obverse.recipes.sweep.find_spec", lambda _: None)  # figures take longer than all the rest,
    monkeypatch.setattr("obverse.editing.cost._speed", lambda _: 1e10)  # and so does timing the machine
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    return SweepRequest(model, tmp_path / "facts.json", settings=SETTINGS, out=tmp_path / "sweep", samples=2)


def same(one: Profile, other: Profile) -> bool:
    return replace(one, date="") == replace(other, date="")


# Laws of the scores.


@given(tables)
def test_s_is_the_harmonic_mean_of_means_and_lies_in_its_interval(shares):
    found = scores(shares, draws(len(shares)))
    assert found.score.mean == pytest.approx(harmonic_mean(shares[:, :3].mean(0).tolist()), abs=1e-9)
    assert found.score.low <= found.score.mean + 1e-9
    assert found.score.mean <= found.score.high + 1e-9
    assert found.score.n == len(shares)


def test_a_perfect_score_of_few_facts_is_not_certain():
    found = scores(np.ones((4, 4)), draws(4))
    assert (found.score.mean, found.score.high) == (1, pytest.approx(1))
    assert found.score.low < 0.7


@given(arrays(np.float64, 6, elements=whole, unique=True), arrays(np.float64, 6, elements=whole))
def test_rank_correlation_depends_on_order_alone(first, second):
    found = float(spearman(first, second))
    assert np.isnan(found) == (len(set(second.tolist())) == 1)
    if not np.isnan(found):
        assert -1 - 1e-9 <= found <= 1 + 1e-9
        assert float(spearman(first**3 + 2, second)) == pytest.approx(found)
        assert float(spearman(-first, second)) == pytest.approx(-found)
        assert float(spearman(second, first)) == pytest.approx(found)
    assert float(spearman(first, first)) == pytest.approx(1)


def test_rank_correlation_with_equal_values():
    # By hand: ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4.
    assert float(spearman(np.array([0.0, 5, 5, 9]), np.array([1.0, 3, 2, 4]))) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@given(st.dictionaries(st.integers(0, 30), st.sampled_from([0.0, 0.5, 1.0]), min_size=1))
def test_the_best_layer_has_the_highest_score(by_layer):
    assert by_layer[best_layer(by_layer)] == max(by_layer.values())


@pytest.mark.parametrize(
    ("by_layer", "best"),
    [
        ({0: 0.1, 1: 0.9, 2: 0.3}, 1),
        ({0: 1.0, 1: 0.0, 2: 1.0, 3: 1.0, 4: 1.0}, 3),
        ({0: 1.0, 4: 1.0, 8: 1.0, 12: 0.5}, 4),
        ({5: 0.0}, 5),
    ],
)
def test_of_equals_the_middle_of_the_longest_run(by_layer, best):
    assert best_layer(by_layer) == best


def test_layers_are_alike_if_the_same_facts_cannot_tell():
    good, bad = np.ones((8, 4)), np.zeros((8, 4))
    nearly = good.copy()
    nearly[0, 2] = 0
    shares = {0: bad, 1: good, 2: nearly}
    assert alike(shares, 1, draws(8)) == (1, 2)
    assert loss(shares, 1, 0, draws(8)).mean == 1
    assert alike({0: bad[:1], 1: good[:1]}, 1, draws(1)) == (0, 1)  # one fact tells nothing


def test_a_trace_that_follows_the_scores_foretells_them():
    generator = np.random.default_rng(0)
    shares = {layer: np.clip(generator.normal(layer / 5, 0.02, (20, 4)), 0.01, 1) for layer in range(5)}
    right = {layer: [layer / 10] * 19 + [None] for layer in shares}
    found = predict("mlp", right, shares, 4, draws(20))
    assert found.correlation.mean == pytest.approx(1)
    assert found.correlation.low > 0.9
    assert (found.correlation.n, found.effects[0].n, found.choice, found.loss.mean) == (5, 19, 4, 0)
    wrong = predict("mlp", {layer: [-layer / 10] * 20 for layer in shares}, shares, 4, draws(20))
    assert wrong.correlation.mean == pytest.approx(-1)
    assert wrong.choice == 0
    assert wrong.loss.low > 0.5
    assert predict("mlp", {layer: [0.5] * 20 for layer in shares}, shares, 4, draws(20)).correlation is None
    assert predict("mlp", {layer: [None] * 20 for layer in shares}, shares, 4, draws(20)) is None


# Facts.


def test_builtin_facts_are_written_over_with_another_answer_of_their_relation():
    cases = builtin_cases(0)
    assert len(cases) > 100
    assert len({case.id for case in cases}) == len({case.fact.subject for case in cases}) == len(cases)
    assert len({case.fact.relation for case in cases[:10]}) == 10
    for case in cases:
        assert case.fact.target != case.fact.target_true
        assert all(case.probes[kind] for kind in ("efficacy", "generalization", "specificity"))
    assert builtin_cases(0) == cases
    assert builtin_cases(1) != cases
    assert facts_hash(cases) == facts_hash(cases[::-1]) != facts_hash(cases[1:])


def test_facts_that_cannot_be_judged_are_passed_over(tiny_lm, tmp_path):
    lm = tiny_lm("llama")
    bare = {**FACTS[0], "subject": "Eiffel Tower", "paraphrases": [], "relation": None}
    (tmp_path / "facts.json").write_text(json.dumps([bare | {"prompt": "The {} hums in"}, *FACTS]))
    found = sample_facts(lm, tmp_path / "facts.json", 2)
    assert [case.fact.subject for case in found.cases] == ["Space Needle", "Anna Keller"]
    assert found.skipped == {"no generalization probe to judge by": 1}
    (tmp_path / "facts.json").write_text(json.dumps([bare | {"prompt": "The {} hums in"}]))
    with pytest.raises(DataError, match="no generalization probe to judge by: 1"):
        sample_facts(lm, tmp_path / "facts.json", 2)
    with pytest.raises(DataError, match="the model does not know it"):
        sample_facts(lm, "builtin", 2)  # a random model knows nothing
    with pytest.raises(UnknownName, match="builtin"):
        sample_facts(lm, "built-in", 2)


# The sweep.


def test_the_table_equals_editing_one_by_one(request_):
    found = run_sweep(replace(request_, limit=2, trace=False))
    lm, cases = load_model(request_.model), found.plan.sample.cases
    assert found.profile.table.keys() == {0, 1, 2}
    for layer, row in found.profile.table.items():
        editor = make_editor(lm, "rome", {**SETTINGS, "layers": [layer]})
        reports = [verify(lm, editor.edit(lm, [case.fact]), case, with_drift=False) for case in cases]
        for kind in ("efficacy", "generalization", "specificity", "reverse"):
            wanted = [one.mean for report in reports if (one := report.interval(kind, "success"))]
            assert (getattr(row, kind).mean, getattr(row, kind).n) == (pytest.approx(np.mean(wanted)), len(wanted))
    before = [report.interval("specificity", "success", after=False) for report in reports]
    assert found.profile.unedited.specificity.mean == pytest.approx(np.mean([one.mean for one in before]))
    edited = {
        (row.efficacy.mean, row.generalization.mean, row.specificity.mean) for row in found.profile.table.values()
    }
    assert len(edited) > 1  # or there would be nothing to compare


def test_a_sweep_goes_on_where_it_was_killed(request_, monkeypatch, tmp_path):
    whole = run_sweep(replace(request_, out=tmp_path / "whole"))
    append, written = Run.append, []

    def killed_at_the_fifth(self, record):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(record["id"])
        append(self, record)

    monkeypatch.setattr(Run, "append", killed_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(request_)
    monkeypatch.setattr(Run, "append", append)
    again = run_sweep(request_)
    assert same(again.profile, whole.profile)
    ids = [json.loads(line)["id"] for line in (request_.out / "records.00000.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 3 * 4 + 3  # facts by layers and unedited, and their traces
    assert ids[:5] == written


def test_layers_and_facts_may_join_later(request_, monkeypatch):
    few = run_sweep(replace(request_, layers=[2, 0], limit=2, trace=False))
    assert (set(few.profile.table), few.profile.facts) == ({0, 2}, 2)
    count = len((request_.out / "records.00000.jsonl").read_text().splitlines())
    edits = []
    each = Rome.edit_each
    monkeypatch.setattr(Rome, "edit_each", lambda self, lm, facts: edits.extend(facts) or each(self, lm, facts))
    run_sweep(replace(request_, trace=False))
    assert (count, len(edits)) == (6, 3 * 3 - 2 * 2)
    with pytest.raises(RunConflict, match="steps"):
        run_sweep(replace(request_, overrides=("steps=7",)))


def test_an_edit_that_fails_counts_as_having_changed_nothing(request_, monkeypatch):
    each = Rome.edit_each

    def failing(self, lm, facts):
        if self.layers(lm) == (1,) and any(fact.subject == "Danish" for fact in facts):
            raise EditFailed("The loss became nan.")
        return each(self, lm, facts)

    monkeypatch.setattr(Rome, "edit_each", failing)
    found = run_sweep(replace(request_, trace=False))
    assert found.failed == {1: 1}
    records = [json.loads(line) for line in (request_.out / "records.00000.jsonl").read_text().splitlines()]
    danish = {record["layer"]: record for record in records if record["fact"] == "2"}
    assert danish[1]["success"] == danish[None]["success"]
    assert [layer for layer, record in danish.items() if record.get("failed")] == [1]


def test_the_trace_is_compared_with_the_edits(request_):
    found = run_sweep(request_)
    assert sum(found.untraced.values()) + sum(one.effects[0].n for one in found.profile.predictions[:1]) == 3
    assert run_sweep(replace(request_, trace=False)).profile.predictions == ()


def test_the_measured_layer_is_taken_by_auto(request_):
    lm = load_model(request_.model)
    fact = Fact(FACTS[0]["subject"], FACTS[0]["prompt"], "Paris", "Seattle")
    auto = {**SETTINGS, "layers": "auto"}
    with pytest.raises(ConfigError, match="has no profile for rome"):
        edit(lm, fact, settings=auto)
    found = run_sweep(request_)
    made = edit(lm, fact, settings=auto)
    assert made.details[0]["layer"] == found.profile.best
    assert made.config["layers"] == [found.profile.best]
    assert Profile.load(found.saved) == Profile.load(request_.out / "profile.json") == found.profile
    with pytest.raises(ConfigError, match="tiny-gpt2"):
        edit(tiny("gpt2"), fact, settings=auto)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"settings": {"layers": [1]}}, ConfigError, "they are what is swept"),
        ({"overrides": ("layers=auto",)}, ConfigError, "they are what is swept"),
        ({"overrides": ("step=3",)}, ConfigError, "did you mean steps"),
        ({"layers": []}, ConfigError, "are none"),
        ({"layers": [1, 1]}, ConfigError, "stands twice"),
        ({"layers": [3]}, UnsupportedModel, "Layer 3 is out of range"),
        ({"limit": 0}, ConfigError, "--limit is 0"),
        ({"samples": 0}, ConfigError, "--samples is 0"),
        ({"method": "rom"}, UnknownName, "rome"),
    ],
)
def test_mistakes_are_told_before_any_work(request_, change, error, message):
    with pytest.raises(error, match=message):
        run_sweep(replace(request_, **change))
    assert not request_.out.exists()


def test_the_figure_shows_every_layer(request_, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.undo()
    monkeypatch.setenv("OBVERSE_CACHE", str(request_.out / "../cache"))
    found = run_sweep(replace(request_, layers=[0, 2]))
    assert [path.name for path in found.figures] == ["sweep.png", "sweep.svg"]
    assert all(path.stat().st_size > 5000 for path in found.figures)
    figure = sweep_figure(found.profile)
    assert len(figure.axes) == 1 + bool(found.profile.predictions)
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}
    rows = [(layer, row.score.mean) for layer, row in found.profile.table.items()]
    assert drawn["S"].tolist() == pytest.approx(np.array(rows))
    assert drawn.keys() >= {"S", "efficacy", "generalization", "specificity"}


def test_a_dry_run_writes_nothing(request_):
    plans = []
    found = run_sweep(replace(request_, dry_run=True), plans.append)
    assert found.profile is None
    assert plans == [found.plan]
    assert found.plan.seconds > 0
    assert (found.plan.edit.layers, found.plan.uncounted, found.plan.at_once) == ((0, 1, 2), 0, 3)
    assert not request_.out.exists()
    json.dumps(found.to_json())
