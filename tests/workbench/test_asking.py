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


def test_likeliest_answers_are_shown_before_the_probes_and_models_stand_side_by_side(desk):
    shown = []

    def work(job):
        keep, job.show = job.show, lambda found: (shown.append(found), keep(found))
        return ask_models(desk, job, [*desk.names, *desk.names], NEEDLE, 3)

    found = desk.submit(desk.visitors.visit(), "ask", work).result()
    assert [[bool(one.forward.answers) for one in some] for some in shown] == [
        [False],
        [False, False],
        [True, False],
        [True, True],
    ]
    assert shown[0][0].forward.top == found[0].forward.top
    assert "Question by question" not in asked_page(shown[1])
    html = asked_page(found)
    assert html.count("Question by question") == 1
    assert html.count("rank <data") == 2 * len(found[0].forward.answers)


def test_what_is_missing_is_said(desk):
    with pytest.raises(DataError, match="prompt is empty"):
        ask(desk, FactForm())
    with pytest.raises(ConfigError, match="no subject is given"):
        ask(desk, FactForm(prompt="{} likes"))
    with pytest.raises(ConfigError, match="No model"):
        ask(desk, NEEDLE, [])
