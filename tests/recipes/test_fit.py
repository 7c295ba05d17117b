"""From a file of facts to a file of weights: plan, what is chosen, what is refused, and going on after a stop."""

import json
from dataclasses import asdict

import pytest

from families import tiny
from learned_editors import CASES, NEEDLE, SIZES
from obverse.core import ConfigError, ObverseError, UnknownName
from obverse.editing import editors
from obverse.editing.learned import LearnedEditor
from obverse.recipes.fit import FitRequest, checkpoint_of, run_fit
from obverse.recipes.models import ModelChoice
from obverse.recipes.plan import make_editor, plan_edit

QUICK = (
    "rank=8",
    "fit.steps=2",
    "fit.accumulate=1",
    "fit.corpus=facts",
    "fit.texts=4",
    "fit.length=6",
    "fit.validation=1",
)


@pytest.fixture(scope="module")
def lm():
    return tiny("llama")


@pytest.fixture
def request_of(tmp_path, lm, monkeypatch):
    monkeypatch.setattr("obverse.recipes.fit.load_model", lambda _: lm)
    facts = tmp_path / "facts.jsonl"
    facts.write_text("\n".join(json.dumps({**asdict(case.fact), "id": case.id}) for case in CASES))

    def make(**changes):
        given = {"facts": facts, "out": tmp_path / "m.safetensors", "model": ModelChoice("tiny"), "overrides": QUICK}
        return FitRequest(**{**given, **changes})

    return make


def test_from_facts_to_an_edit(request_of, lm):
    told = []
    result = run_fit(request_of(skip=4, limit=10), told.append)
    assert told == [result.plan]
    assert (result.plan.train, result.plan.held, result.plan.layers) == (9, 1, (0, 1, 2))
    assert len(result.plan.modules) == 9
    assert [one.step for one in result.history] == [0, 2]
    assert result.best.loss == min(one.loss for one in result.history)
    assert not checkpoint_of(result.file).exists()
    assert json.loads(json.dumps(result.to_json()))["best"]["step"] in (0, 2)
    editor, plan = plan_edit(lm, "mend", [NEEDLE], {"weights": str(result.file)})
    assert plan.layers == (0, 1, 2)
    assert editor.edit(lm, [NEEDLE]).config["rank"] == 8
    with pytest.raises(ObverseError, match="exists already"):
        run_fit(request_of())
    assert run_fit(request_of(replace=True)).plan.train == len(CASES) - 1


def test_a_dry_run_writes_nothing(request_of, tmp_path):
    result = run_fit(request_of(dry_run=True, method="ke", overrides=[]))
    assert result.history == ()
    assert result.plan.settings["hidden"] == 512
    assert [path.name for path in tmp_path.iterdir()] == ["facts.jsonl"]


def test_a_stopped_fit_goes_on(request_of, monkeypatch):
    request = request_of()
    monkeypatch.setattr("obverse.editing._hypernetwork_fit.SAVE_EVERY", 0.0)
    monkeypatch.setattr(LearnedEditor, "save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_fit(request)
    state = checkpoint_of(request.out)
    assert state.is_file()
    assert not request.out.exists()
    monkeypatch.undo()
    monkeypatch.setattr("obverse.recipes.fit.load_model", lambda _: tiny("llama"))
    result = run_fit(request)
    assert result.plan.checkpoint == str(state)
    assert [one.step for one in result.history] == [0, 2]
    assert request.out.is_file()
    assert not state.exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "rome"}, ConfigError, "rome is not learned"),
        ({"method": "mendd"}, UnknownName, "mend"),
        ({"overrides": ["fit.stepps=3"]}, ConfigError, "stepps"),
        ({"overrides": ["fit.accumulate=0"]}, ConfigError, "accumulate"),
        ({"overrides": ["weights=x"]}, ConfigError, "begins anew"),
        ({"skip": 100}, ConfigError, "20 facts, and 100 are passed over"),
        ({"skip": 19}, ObverseError, "1 fact to learn from"),
    ],
)
def test_what_cannot_be_done_is_refused(request_of, changes, error, message):
    with pytest.raises(error, match=message) as found:
        run_fit(request_of(**changes))
    assert "mend" in str(found.value) or found.value.hint
    assert not request_of().out.exists()


def test_a_folder_is_not_written_over(request_of, tmp_path):
    with pytest.raises(ObverseError, match="is a folder"):
        run_fit(request_of(out=tmp_path, replace=True))


def test_the_learned_methods_are_known():
    learned = {name for name in editors.names() if issubclass(editors.load(name), LearnedEditor)}
    assert learned == set(SIZES)


def test_published_presets():
    lm = tiny("gpt2", n_layer=48)
    assert make_editor(lm, "mend").config.layers is None  # narrower than GPT-2 XL
    lm.architecture = type(lm.architecture)(**{
        **{name: getattr(lm.architecture, name) for name in lm.architecture.__slots__}, "hidden": 1600,
    })  # fmt: skip
    for method, rate in (("mend", 1e-6), ("ke", 1e-5)):
        config = make_editor(lm, method).config
        assert config.layers == (45, 46, 47)
        assert (config.fit.learning_rate, config.fit.steps) == (rate, 1_000_000)
