"""Templates of chat models: what stands around a query, and where an answer ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError, UnknownName
from obverse.data.chat_templates import CHAT_TEMPLATES, PLACE, ChatTemplate, find_template

FASTEDIT = ("default", "alpaca", "baichuan", "intern", "vicuna", "ziya")

texts = st.text(max_size=30)
templates = st.sampled_from(sorted(CHAT_TEMPLATES.values(), key=lambda one: one.name))


@given(templates, texts)
def test_the_query_stands_in_the_text_as_it_is(template, query):
    before, after = template.text.split(PLACE)
    assert template.fill(query) == before + query + after


@given(st.lists(texts.filter(bool), max_size=3), st.lists(texts, max_size=4), st.data())
def test_an_answer_is_cut_before_the_first_stop(stops, parts, data):
    template = ChatTemplate("", PLACE, tuple(stops))
    answer = "".join(part + data.draw(st.sampled_from([*stops, ""])) for part in parts)
    cut = template.cut(answer)
    assert answer.startswith(cut)
    assert not any(stop in cut for stop in stops)
    assert cut == answer or any(answer[len(cut) :].startswith(stop) for stop in stops)


def test_the_names_of_fastedit_are_known():
    assert set(FASTEDIT) <= set(CHAT_TEMPLATES)
    assert all(find_template(name).name == name for name in CHAT_TEMPLATES)
    assert find_template("default").fill("Who?") == "Who?"
    assert find_template("vicuna").fill("Who?") == "USER: Who? ASSISTANT:"


def test_a_text_is_taken_as_it_is():
    assert find_template(" Q\\n{query} \n").fill("{}") == " Q\\n{} \n"


def test_a_file_is_taken_but_for_its_last_line_end(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("Ask: {query}\nSay:\n\n", "utf-8-sig")
    assert find_template(str(path)) == ChatTemplate("mine.txt", "Ask: {query}\nSay:\n")


def test_what_is_no_template_is_named(tmp_path):
    with pytest.raises(UnknownName, match="Unknown template 'alpacca'") as caught:
        find_template("alpacca")
    assert "Did you mean alpaca" in caught.value.hint
    assert PLACE in caught.value.hint
    with pytest.raises(DataError, match="has 2 places"):
        find_template("{query} or {query}")
    path = tmp_path / "t.txt"
    path.write_text("no place")
    with pytest.raises(DataError, match=r"'t\.txt' has 0 places"):
        find_template(str(path))
    path.write_bytes(b"{query} \xff")
    with pytest.raises(DataError, match="cannot be read"):
        find_template(str(path))
