"""Both directions side by side, by one model or several."""

import pytest

from obverse.core import ConfigError, DataError
from obverse.workbench.asking import ask_models
from obverse.workbench.form import FactForm
from obverse.workbench.view_ask import asked_page
from workbench_parts import NEEDLE


def ask(desk, form, models=None, k=4):
    work = lambda job: ask_models(desk, job, desk.names if models is None else models, form, k)  # noqa: E731
    return desk.submit(desk.visitors.visit(), "ask", work).result()


def test_a_fact_is_asked_forward_and_in_reverse(desk):
    (found,) = ask(desk, NEEDLE)
    assert len(found.forward.top) == 4
    assert found.forward.prompt == "The Space Needle is in the city of"
    assert found.reverse
    assert all("Paris" in one.prompt for one in found.reverse)
    kinds = {answer.kind for answer in found.forward.answers}
    assert {"efficacy", "reverse"} <= kinds
    html = asked_page([found])
    assert html.count("class=card") == 1 + len(found.reverse)
    assert f"<h2>{found.model}" not in html
    assert f"<h2>{found.model}" in asked_page([found, found])


def test_a_bare_prompt_is_gone_on_from_and_a_fact_without_reverse_says_so(desk):
    (bare,) = ask(desk, FactForm(prompt="The sky is"))
    assert bare.reverse == bare.forward.answers == ()
    (named,) = ask(desk, FactForm("Anna", "{} likes"))
    assert named.forward.prompt == "Anna likes"
    (lone,) = ask(desk, FactForm("Anna", "{} likes to eat much", "cake"))
    assert "No reverse question is known" in asked_page([lone])


def test_what_is_missing_is_said(desk):
    with pytest.raises(DataError, match="prompt is empty"):
        ask(desk, FactForm())
    with pytest.raises(ConfigError, match="No model"):
        ask(desk, NEEDLE, [])
