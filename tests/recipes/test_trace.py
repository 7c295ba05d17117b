"""``obverse.trace`` from Python: statements, settings, and what cannot be traced."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import obverse
from obverse.core import ConfigError, DataError, Fact, SubjectNotFound, UnknownName
from obverse.locating.trace import TRACE_KINDS
from obverse.recipes.statements import Statement
from obverse.recipes.trace import kinds_of, make_config, trace

NEEDLE = Fact("Space Needle", "The {} is in the city of", "Paris")
BEN = Fact("Big Ben", "{} is in", "Rome")
QUICK = {"samples": 3, "window": 2, "noise": "0.5"}

NAMES = st.from_regex(r"[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?", fullmatch=True)
WORDS = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=4).map(" ".join)


@given(WORDS, NAMES, WORDS)
def test_a_place_or_the_subject_itself_make_the_same_statement(before, name, after):
    filled, place = f"{before} {name} {after}", f"{before} {{}} {after}"
    assert Statement.of(filled, name) == Statement.of(place, name)
    assert Statement.of(filled, name).text == filled
    assert Statement.of(filled, name).note == ""


@given(st.permutations(TRACE_KINDS), st.integers(0, 5))
def test_kinds_come_in_one_order_and_once(kinds, count):
    wanted = kinds[:count]
    assert kinds_of([*wanted, *wanted]) == tuple(kind for kind in TRACE_KINDS if kind in wanted)
    severed = kinds_of(wanted, ["mlp"])
    assert {"hidden", "severed-mlp"} <= set(severed)
    assert set(severed) == {*wanted, "hidden", "severed-mlp"}


def test_several_facts_are_traced_as_each_alone(tiny_lm):
    lm = tiny_lm("llama")
    together = trace(lm, [NEEDLE, BEN], **QUICK)
    for fact, found in zip((NEEDLE, BEN), together, strict=True):
        alone = trace(lm, fact, **QUICK)
        assert alone.fact == found.fact
        assert alone.corrupted == pytest.approx(found.corrupted, abs=1e-5)
        for kind in alone.kinds:
            torch.testing.assert_close(alone.restored[kind], found.restored[kind], atol=1e-5, rtol=0)


def test_a_prompt_is_traced_to_the_likeliest_next_token(tiny_lm):
    lm = tiny_lm("llama")
    found = obverse.trace(lm, NEEDLE.text, NEEDLE.subject, **QUICK)
    (likeliest,) = obverse.ask(lm, NEEDLE, 1).top
    assert isinstance(found, obverse.CausalTrace)
    assert (found.answer_id, found.fact.target) == (likeliest.id, likeliest.text.strip())
    assert found.clean == pytest.approx(likeliest.probability, abs=1e-6)
    assert found.fact.prompt == NEEDLE.prompt
    assert (found.samples, found.window, found.noise) == (3, 2, "0.5")


def test_the_subject_may_be_guessed(tiny_lm):
    found = trace(tiny_lm("llama"), "Big Ben is in", **QUICK)
    assert found.fact.subject == "Big Ben"
    assert "guessed 'Big Ben'" in Statement.of("Big Ben is in").note


def test_of_two_places_the_first_is_taken_and_this_is_said():
    made = Statement.of("Annabel met Ann, and Ann said", "Ann")
    assert made.prompt == "Annabel met {}, and Ann said"
    assert "stands 2 times in the prompt; the first" in made.note
    marked = Statement.of("Ann and {} said", "Ann")
    assert (marked.prompt, "at {} is" in marked.note) == ("Ann and {} said", True)


@pytest.mark.parametrize(
    ("text", "subject", "error", "message"),
    [
        ("nobody is here", None, SubjectNotFound, "none can be guessed"),
        ("{} is here", None, ConfigError, "no subject is given"),
        ("Ann is here", "Bob", SubjectNotFound, "'Bob' does not occur"),
        ("{} and {}", "Bob", DataError, "has 2 places"),
        ("Ann is here", "", SubjectNotFound, "does not occur"),
        ("", None, SubjectNotFound, "none can be guessed"),
        ("Ann", "Ann ", SubjectNotFound, "does not occur"),
    ],
)
def test_a_statement_without_a_subject(text, subject, error, message):
    with pytest.raises(error, match=message):
        Statement.of(text, subject)


@pytest.mark.parametrize(
    ("family", "text", "tokens"), [("llama", "Space Needle", None), ("gpt2", "a", 1)], ids=["words", "one token"]
)
def test_the_subject_may_be_the_whole_prompt(tiny_lm, family, text, tokens):
    found = trace(tiny_lm(family), text, text, **QUICK)
    assert len(found.tokens) == (tokens or len(found.tokens))
    assert found.subject == range(len(found.tokens))
    assert found.role(len(found.tokens) - 1) == "last token"
    assert found.restored["hidden"][-1, -1] == pytest.approx(found.clean, abs=1e-5)


def test_a_prompt_that_cannot_be_traced_is_an_error(tiny_lm):
    with pytest.raises(DataError, match=r"longer than the context \(\d+ tokens; tiny-llama reads (at most )?128\)"):
        trace(tiny_lm("llama"), "Ann " + "and so on " * 100, "Ann", **QUICK)
    with pytest.raises(DataError, match="beside a fact"):
        trace(tiny_lm("llama"), NEEDLE, "Needle")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"samples": 0}, ConfigError, "samples: .*greater than or equal to 1"),
        ({"window": 0}, ConfigError, "window: "),
        ({"memory": 0}, ConfigError, "memory: "),
        ({"sample": 3}, ConfigError, "did you mean samples"),
        ({"kinds": ("hiddn",)}, UnknownName, "Did you mean hidden"),
        ({"kinds": ()}, ConfigError, "kinds: "),
        ({"noise": "x3"}, ConfigError, "Unknown noise rule 'x3'"),
        ({"noise": "s-1"}, ConfigError, "needs a number above 0"),
    ],
)
def test_a_mistake_in_the_settings(settings, error, message):
    with pytest.raises(error, match=message):
        make_config(settings)
