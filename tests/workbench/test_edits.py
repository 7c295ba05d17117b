"""A visitor's edits: made, stacked, shown, talked to, taken home; the shared model keeps its bits."""

import zipfile
from dataclasses import replace

import pytest

from obverse.core import ObverseError
from obverse.editing import Edit
from obverse.model.fingerprint import memory_hash
from obverse.workbench.edits import EditForm, chat, keep, make_edit, verify_stack, zip_layer, zip_stack
from obverse.workbench.jobs import Cancelled
from obverse.workbench.view_edit import layer_page, report_page, stack_page
from workbench_parts import NEEDLE, QUICK

HOW = EditForm(layers="1", settings=QUICK)
PLAIN = replace(NEEDLE, prompt="The {} was built by")  # no known relation, so few questions


def done(desk, visitor, work):
    return desk.submit(visitor, "edit", work).result()


def edited(desk, visitor, fact=PLAIN, how=HOW):
    return done(desk, visitor, lambda job: make_edit(desk, job, visitor, desk.names[0], fact, how))


def test_two_visitors_edit_one_model_and_neither_meets_the_others_edit(desk):
    anna, ben = desk.visitors.visit(), desk.visitors.visit()
    name = desk.names[0]
    bits = memory_hash(done(desk, anna, lambda _: desk.model(name)).model)
    layer = edited(desk, anna, replace(PLAIN, target="<u>Paris", queries="Is <i>it</i>?"))
    assert list(anna.stack(name)) == [layer]
    assert len(ben.stack(name)) == 0
    assert layer.folder.is_relative_to(anna.folder)

    def ask(visitor):
        return done(desk, visitor, lambda _: chat(desk, visitor, name, "The Space Needle was built by", tokens=8))

    said, other = ask(anna), ask(ben)
    assert said.unedited == other.unedited == other.edited
    assert said.edited != said.unedited
    assert (said.edits, other.edits) == (1, 0)
    anna.stack(name).switch(layer.number)
    assert ask(anna).edited == said.unedited
    anna.stack(name).switch(layer.number)
    assert ask(anna).edited == said.edited
    assert memory_hash(desk.model(name).model) == bits
    for html in (layer_page(layer), stack_page(anna.stack(name))):
        assert "&lt;u&gt;Paris" in html
        assert "<u>" not in html
        assert "<i>it" not in html
    assert 'data-action="up"' not in stack_page(anna.stack(name))
    assert "is empty" in stack_page(ben.stack(name))
    anna.stack(name).undo()
    assert ask(anna).edits == 0


def test_an_edit_upon_another_is_verified_with_it_and_taken_home_as_one(desk, tmp_path):
    anna, name = desk.visitors.visit(), desk.names[0]
    first = edited(desk, anna)
    second = edited(desk, anna, replace(PLAIN, subject="Big Ben", target="Rome", true="London"))
    assert second.result.plan.layers == (1,)
    report, talk = done(desk, anna, lambda _: verify_stack(desk, anna, name))
    assert [case.case.fact.target for case in report.cases] == ["Paris", "Rome"]
    assert "The whole stack: 2 facts" in report_page(report, talk)
    with zipfile.ZipFile(zip_stack(anna, name)) as file:
        file.extractall(tmp_path / "home")
    (folder,) = (tmp_path / "home").iterdir()
    assert [fact.target for fact in Edit.load(folder).facts] == ["Paris", "Rome"]
    with zipfile.ZipFile(zip_layer(anna, name, first.number)) as file:
        names = {one.rpartition("/")[2] for one in file.namelist()}
    assert {"adapter_config.json", "adapter_model.safetensors", "edit.json", "report.html", "run.json"} <= names
    kept = [keep(desk, anna, name, first.number).name for _ in range(2)]
    assert kept == ["edit-space-needle-paris", "edit-space-needle-paris-2"]
    assert {one.name for one in desk.runs.list(kind="edit")} == set(kept)
    assert [fact.target for fact in Edit.load(desk.runs.root / kept[1]).facts] == ["Paris"]


@pytest.mark.parametrize(
    ("fact", "how", "told"),
    [
        (replace(PLAIN, target=""), HOW, "answer is empty"),
        (replace(PLAIN, target="Seattle"), HOW, "both 'Seattle'"),
        (PLAIN, replace(HOW, method="romme"), "Unknown method"),
        (PLAIN, replace(HOW, layers="77"), "77"),
        (PLAIN, replace(HOW, settings="stepps=3"), "stepps"),
        (PLAIN, replace(HOW, settings="layers=[0]"), "given twice"),
    ],
)
def test_a_mistake_is_said_and_leaves_the_stack_as_it_was(desk, fact, how, told):
    anna, name = desk.visitors.visit(), desk.names[0]
    with pytest.raises(ObverseError, match=told):
        edited(desk, anna, fact, how)
    assert len(anna.stack(name)) == 0


def test_a_cancelled_edit_leaves_model_and_stack_as_they_were(desk):
    anna, name = desk.visitors.visit(), desk.names[0]
    bits = memory_hash(done(desk, anna, lambda _: desk.model(name)).model)

    def work(job):
        def stop(_):
            job.cancel()
            type(job).show(job, None)

        job.show = stop
        return make_edit(desk, job, anna, name, PLAIN, HOW)

    with pytest.raises(Cancelled):
        done(desk, anna, work)
    assert len(anna.stack(name)) == 0
    assert not any(anna.folder.iterdir())
    assert memory_hash(desk.model(name).model) == bits
    assert edited(desk, anna).number == 2


def test_without_edits_there_is_nothing_to_verify_or_take_home(desk):
    anna, name = desk.visitors.visit(), desk.names[0]
    for work in (lambda _: verify_stack(desk, anna, name), lambda _: zip_stack(anna, name)):
        with pytest.raises(ObverseError, match="switched on"):
            done(desk, anna, work)
    with pytest.raises(ObverseError, match="no question"):
        done(desk, anna, lambda _: chat(desk, anna, name, " "))
    with pytest.raises(ObverseError, match="Unknown template"):
        done(desk, anna, lambda _: chat(desk, anna, name, "Hello", "/etc/passwd"))
    with pytest.raises(ObverseError, match="Unknown model"):
        done(desk, anna, lambda _: chat(desk, anna, "other", "Hello"))
    with pytest.raises(ObverseError, match="not ready"):
        desk.submit(None, "edit", lambda _: None)
