"""Queries answered with and without an edit, in a template or bare."""

import pytest
from tokenizers.processors import TemplateProcessing

from command_line import SETTINGS
from families import tiny
from obverse.core import Case, ConfigError, DataError, Fact
from obverse.data.chat_templates import PLACE, ChatTemplate
from obverse.measuring import greedy
from obverse.recipes.answers import Answerer, Session, template_for, verify_with
from obverse.recipes.edit import edit
from obverse.recipes.stack import stacked
from obverse.verifying import Continuation, verify

NEEDLE = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
BEN = Fact("Big Ben", "{} is in", "Rome", "London")
QUERIES = ["Where is it?", "The Space Needle is", "Rome"]
AROUND = ChatTemplate("", "Ask: {query} Say:")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))


def test_answers_are_greedy_continuations_of_the_template(tiny_lm, monkeypatch):
    lm = tiny_lm("llama")
    monkeypatch.setattr("obverse.recipes.answers.BATCH", 2)
    around = [AROUND.fill(query) for query in QUERIES]
    assert Answerer(AROUND, 6)(lm, QUERIES) == [greedy(lm, [text], 6)[0] for text in around]
    assert Answerer(AROUND, 6)(lm, QUERIES, raw=True) == [greedy(lm, [text], 6)[0] for text in QUERIES]
    assert Answerer(AROUND, 6)(lm, []) == []


def test_an_answer_ends_where_the_next_turn_begins(tiny_lm):
    lm = tiny_lm("llama")
    (whole,) = Answerer(AROUND, 8)(lm, ["Where?"])
    stop = whole[3:5]
    (cut,) = Answerer(ChatTemplate("", AROUND.text, (stop,)), 8)(lm, ["Where?"])
    assert cut == whole[: whole.index(stop)] != whole


def test_a_session_leaves_the_model_and_counts_earlier_edits_as_its_own(tiny_lm):
    lm = tiny_lm("llama")
    settings = {**SETTINGS, "steps": 20}
    first, second = edit(lm, BEN, settings=settings), edit(lm, NEEDLE, settings=settings)
    session, query = Session(lm, second, [first], Answerer(AROUND, 6)), NEEDLE.text
    bare = greedy(lm, [query], 6)
    with stacked([first], lm):
        assert session.lm is lm
        below = greedy(lm, [AROUND.fill(query), query], 6)
        with second.applied(lm):
            above = greedy(lm, [AROUND.fill(query), query], 6)
    assert [session.unedited(query), session.unedited(query, raw=True)] == below
    assert [session.edited(query), session.edited(query, raw=True)] == above
    assert above != below
    assert greedy(lm, [query], 6) == bare


def test_a_query_that_leaves_no_room_is_named(tiny_lm):
    lm = tiny_lm("llama")
    assert lm.context is not None
    with pytest.raises(DataError, match=rf"The query 'Space .* more than the {lm.context} that"):
        Answerer(AROUND, 6)(lm, ["Where?", "Space Needle " * lm.context])
    with pytest.raises(DataError, match="Where"):
        Answerer(AROUND, lm.context)(lm, ["Where?"])


def test_the_model_s_own_template():
    lm = tiny("llama")
    lm.tokenizer.chat_template = None
    with pytest.raises(ConfigError, match="has no template of its own"):
        template_for(lm, "model")
    lm.tokenizer.chat_template = "[{{ messages[0]['content'] }}]{% if add_generation_prompt %}A{% endif %}"
    template = template_for(lm, "model")
    assert (template.name, template.text) == ("model", f"[{PLACE}]A")
    assert set(template.stops) == set(lm.tokenizer.all_special_tokens)


@pytest.mark.parametrize("adds", [True, False])
def test_the_start_token_stands_once(adds):
    lm = tiny("llama")
    start = lm.tokenizer.convert_ids_to_tokens(5)
    lm.tokenizer.add_special_tokens({"bos_token": start})
    special = [(start, 5)] if adds else []
    lm.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A" if adds else "$A", special_tokens=special
    )
    lm.tokenizer.chat_template = "{{ bos_token }}[{{ messages[0]['content'] }}]"
    text = template_for(lm, "model").fill("Who?")
    assert list(lm.tokenizer(text)["input_ids"]).count(5) == 1


def test_a_report_has_the_answers_and_is_else_the_same(tiny_lm):
    lm = tiny_lm("llama")
    cases = [Case.of(NEEDLE, prompts=("A", "B")), Case.of(BEN, id="1")]
    change = edit(lm, [NEEDLE, BEN], settings=SETTINGS)
    answers = [Continuation("B", "b", "bb"), Continuation("A", "a", "aa")]
    with_answers, plain = verify_with(lm, change, cases, answers), verify(lm, change, cases)
    assert [one.case for one in with_answers.cases] == cases
    assert with_answers.cases[0].continuations == (answers[1], answers[0])
    assert with_answers.cases[1] == plain.cases[1]
    assert with_answers.summary() == plain.summary()
