"""A fact turned round: where its answer stands, where its subject would come, and what is followed."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, DataError, Fact, SubjectNotFound
from obverse.data.relations import case_for
from obverse.locating.noise import noise_for
from obverse.locating.tracing import first_token
from obverse.recipes import reverse as reverse_module
from obverse.recipes.reverse import reverse_statement, trace_reverse, turn
from obverse.recipes.statements import Statement
from obverse.recipes.trace import make_config

NEEDLE = Fact("Space Needle", "The {} is in the city of", "Seattle")
GUESSED = Fact("The Space Needle", "{} is in the city of", "Seattle")
BEN = Fact("Big Ben", "{} is in the city of", "London")
QUICK = make_config({"samples": 2, "window": 2, "noise": "0.5", "kinds": ("hidden",)})
WORDS = st.lists(st.from_regex(r"[b-z]{2,8}", fullmatch=True), min_size=1, max_size=4).map(" ".join)


@given(WORDS, st.sampled_from([NEEDLE, GUESSED, BEN]), st.sampled_from(["", " the", " a", " The", " the "]))
def test_the_statement_ends_where_the_name_starts(words, fact, article):
    made = reverse_statement(fact, f"{{}} {words}{article}")
    assert made.expect == fact.subject.removeprefix("The ")
    if fact is BEN or article:
        assert made.prompt == f"{{}} {words}{article}"
        assert made.note == ""
    else:
        assert made.prompt == f"{{}} {words} the"
        assert "made to end in 'the'" in made.note
    assert reverse_statement(fact, f"{{}} {words}{article}", "own").prompt == f"{{}} {words}{article}"


@pytest.mark.parametrize(
    ("text", "target", "subject", "prompt"),
    [
        ("{} is the home of the", "Seattle", "Seattle", "{} is the home of the"),
        ("Seattle is the home of the", "Seattle", "Seattle", "{} is the home of the"),
        ("Known to all of Seattle Bay is the", "Seattle", "Seattle", "Known to all of {} Bay is the"),
        ("Seattle Bay is home of the", "Seattle", "Seattle Bay", "{} is home of the"),
        ("{} is the home of the", "Greater Seattle", "Greater Seattle", "{} is the home of the"),
        ("in the town of seattle, Seattle, is the", "Seattle", "Seattle", "in the town of seattle, {}, is the"),
    ],
)
def test_in_reverse_the_answer_is_the_subject(text, target, subject, prompt):
    made = reverse_statement(dataclasses.replace(NEEDLE, target=target), text)
    assert (made.subject, made.prompt, made.note) == (subject, prompt, "")
    assert made.expect == "Space Needle"


def test_a_reverse_statement_about_something_else_is_said_to_be_so():
    made = reverse_statement(NEEDLE, "Paris is the home of the")
    assert made.subject == "Paris"
    assert "'Seattle' does not occur" in made.note
    with pytest.raises(SubjectNotFound, match="'Seattle' does not occur"):
        reverse_statement(NEEDLE, "the city is the home of the")


@pytest.mark.parametrize("fact", [NEEDLE, GUESSED, BEN], ids=["article before it", "article in it", "no article"])
def test_the_reverse_of_a_known_relation_is_that_of_its_probes(fact):
    made = reverse_statement(fact, "auto")
    (probe, *_) = case_for(fact).probes["reverse"]
    the = " the" if fact is GUESSED else ""  # there the article is part of what the probe expects
    assert made.text == probe.text + the
    assert made.subject == fact.target
    assert made.note == ""
    with pytest.raises(ConfigError, match="its relation is not in the table"):
        reverse_statement(Fact("Ann", "{} hums to", "Seattle"), "auto")


def test_the_forward_subject_is_followed_and_the_models_own_answer_is_kept(tiny_lm):
    lm = tiny_lm("llama")
    noise = noise_for(lm, "0.5")
    statement = turn(lm, NEEDLE, "{} is", "subject", own=False)
    made = trace_reverse(lm, statement, "subject", QUICK, noise)
    assert made.trace.fact == Fact("Seattle", "{} is the", "Space Needle")
    assert made.trace.answer_id == first_token(lm, made.trace.fact)
    assert made.followed.answer == "Space Needle"
    own = trace_reverse(lm, statement, "own", QUICK, noise)
    assert own.followed is None
    assert own.trace.answer == made.followed.own
    assert own.trace.clean == pytest.approx(made.followed.own_probability)
    assert "In reverse the model answers" in own.notes[-1]
    assert not torch.equal(own.trace.restored["hidden"], made.trace.restored["hidden"])


@pytest.mark.parametrize("known", [0.0, 1.0])
def test_a_reverse_that_is_not_known_is_called_the_reversal_curse(tiny_lm, monkeypatch, known):
    monkeypatch.setattr("obverse.recipes.followed.KNOWN", known)
    lm = tiny_lm("llama")
    made = trace_reverse(lm, Statement.of("{} is the", "Seattle", "Space"), "subject", QUICK, noise_for(lm, "0.5"))
    assert made.followed.rank > 1
    assert [("reversal curse" in note, "next to nothing" in note) for note in made.notes] == [(True, True)] * int(known)


def test_the_models_own_answer_is_what_is_turned_round(tiny_lm, monkeypatch):
    lm = tiny_lm("llama")
    (likeliest,) = reverse_module.top_tokens(lm, NEEDLE.text, 1)
    assert turn(lm, NEEDLE, "{} is the", "subject", own=True).subject == likeliest.text.strip()
    space = dataclasses.replace(likeliest, text="\n")
    monkeypatch.setattr(reverse_module, "top_tokens", lambda *args: [space])
    with pytest.raises(DataError, match=r"'\\n', which is only space"):
        turn(lm, NEEDLE, "{} is the", "subject", own=True)
