"""The recipes from Python, without files and without printing."""

import pytest

from command_line import SETTINGS
from obverse.core import Case, ConfigError, Fact, UnknownName
from obverse.recipes.edit import edit
from obverse.recipes.facts import gather_cases
from obverse.recipes.measure import ask, ask_all
from obverse.recipes.record import slug
from obverse.recipes.requirements import Requirement, parse_requirement, shortfalls
from obverse.recipes.stack import predicted, stacked
from obverse.verifying import verify

NEEDLE = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
BEN = Fact("Big Ben", "{} is in", "Rome", "London")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))


def test_one_fact_or_several(tiny_lm):
    lm = tiny_lm("llama")
    assert edit(lm, NEEDLE, settings=SETTINGS).facts == (NEEDLE,)
    assert edit(lm, [NEEDLE, BEN], settings=SETTINGS).facts == (NEEDLE, BEN)


def test_an_unknown_method_or_setting(tiny_lm):
    with pytest.raises(UnknownName, match="Did you mean rome"):
        edit(tiny_lm("llama"), NEEDLE, method="roma")
    with pytest.raises(ConfigError, match="did you mean layers"):
        edit(tiny_lm("llama"), NEEDLE, settings={"layer": 3})


def test_several_edits_answer_one_after_the_other(tiny_lm):
    lm = tiny_lm("llama")
    first, second = edit(lm, NEEDLE, settings=SETTINGS), edit(lm, BEN, settings=SETTINGS)
    with stacked([first, second], lm):
        both = [asked.answers[0].logprob for asked in ask_all(lm, [Case.of(NEEDLE), Case.of(BEN)])]
    with (first + second).applied(lm):
        summed = [asked.answers[0].logprob for asked in ask_all(lm, [Case.of(NEEDLE), Case.of(BEN)])]
    assert both == pytest.approx(summed, abs=1e-4)
    (strongest, *_) = predicted([first, second], least=0)
    assert {strongest.written, strongest.asked} == {"Space Needle → Paris", "Big Ben → Rome"}


def test_asking_leaves_the_model_and_finds_the_edit(tiny_lm):
    lm = tiny_lm("llama")
    made = edit(lm, NEEDLE, settings={**SETTINGS, "steps": 20})
    before = ask(lm, Case.of(NEEDLE)).answers[0]
    with made.applied(lm):
        after = ask(lm, Case.of(NEEDLE)).answers[0]
    assert after.probability > before.probability
    assert ask(lm, Case.of(NEEDLE)).answers[0] == before


def test_requirements():
    assert parse_requirement("efficacy=1") == Requirement("efficacy", "success", 1.0)
    assert parse_requirement("reverse.generated=0.5") == Requirement("reverse", "generated", 0.5)
    assert str(parse_requirement("reverse.generated=0.5")) == "reverse.generated=0.5"
    assert str(parse_requirement("efficacy=1")) == "efficacy=1"


@pytest.mark.parametrize("text", ["efficacy", "efficacy=", "efficacy=x", "efficacy=-1", "efficacy=nan"])
def test_requirements_of_another_form(text):
    with pytest.raises(ConfigError, match="not of the form kind=share"):
        parse_requirement(text)


def test_shortfalls_are_told(tiny_lm):
    lm = tiny_lm("llama")
    report = verify(lm, edit(lm, NEEDLE, settings=SETTINGS), Case.of(NEEDLE), with_drift=False)
    assert shortfalls([Requirement("efficacy", "success", 0.0)], report) == ()
    (missing,) = shortfalls([Requirement("reverse", "success", 0.5)], report)
    assert str(missing) == "required reverse=0.5, found nothing to judge by"


def test_flags_make_a_case():
    (case,) = gather_cases(
        subject="Zorbl", prompt="Zorbl hums in", target="Oslo", target_true="Bergen",
        paraphrases=["One hears {} in"], neighbours=["Ann sings in => Rome"], reverse=["In {} hums"],
    )  # fmt: skip
    assert case.fact.prompt == "{} hums in"
    assert case.probes["generalization"][0].text == "One hears Zorbl in"
    assert case.probes["specificity"][0].expected == "Rome"
    assert case.probes["reverse"][0].contrast == "In Bergen hums"


def test_given_probes_replace_those_of_the_relation():
    fact = {"subject": "Space Needle", "prompt": "The {} is located in the city of", "target": "Paris"}
    (case,) = gather_cases(**fact, paraphrases=["Where is the {}? In"])
    assert [probe.text for probe in case.probes["generalization"]] == ["Where is the Space Needle? In"]
    assert len(case.probes["reverse"]) > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Space Needle Paris", "space-needle-paris"),
        ("../../etc", "etc"),
        ("東京 タワー", "東京-タワー"),
        ("!?", "fact"),
    ],
)
def test_names_of_folders(text, expected):
    assert slug(text) == expected
