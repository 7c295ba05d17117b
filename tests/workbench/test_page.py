"""The page in a real browser without a window: every tab by clicks and by keys, wide and narrow, light and dark."""

import shutil
import time
from functools import partial
from pathlib import Path

import pytest

from obverse.core import Run, track
from obverse.recipes.models import ModelChoice
from obverse.workbench.desk import Desk
from workbench_parts import QUICK

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytest.importorskip("gradio", reason="gradio is not installed (extra ui)")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
SOON = 120_000
"""Milliseconds to wait for anything: the machine may be busy."""


@pytest.fixture(scope="module")
def served(model, cache, tmp_path_factory):
    """Serve a tiny model, with a bench run, a training run and a reproduction to look at."""
    from obverse.workbench.page import build_page

    root = tmp_path_factory.mktemp("runs")
    for name, mean in (("one", 0.25), ("two", 0.75)):
        with Run.open(root / name, {"benchmark": 1, "method": name}, about={"command": "bench"}) as run:
            run.append({"id": "0", "prompt": "The Space Needle <is>", "score": mean})
            run.finish({"metrics": {"efficacy": {"mean": mean, "low": 0.1, "high": 0.9, "n": 4}}})
    with Run.open(root / "learning", {"training": {"max_steps": 30}}, about={"command": "train"}) as run:
        for step in (10, 20):
            run.append({"id": f"train {step}", "step": step, "loss": 3.0 - step / 10})
    (root / "learning" / "samples").mkdir()
    (root / "learning" / "samples" / "default-20.jsonl").write_text(
        '{"prompt": "", "text": "a <b>text", "score": 0.5}\n'
    )
    with Run.open(root / "curse", {"command": "repro reversal"}) as run:
        run.finish({"verdicts": [], "tables": [{"title": "Accuracy", "rows": [{"arm": "bico"}], "note": ""}]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBVERSE_CACHE", str(cache))
        desk = Desk([ModelChoice(str(model))], root)
        desk.load()
        page = build_page(desk)
        _, url, _ = page.blocks.launch(
            prevent_thread_lock=True, quiet=True, ssr_mode=False, footer_links=[], **page.look
        )
        yield url
        page.blocks.close(verbose=False)
        desk.close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser, served):
    """Visit as a user of one's own; in the end nothing was complained of, and nobody else was asked."""
    complaints, contexts = [], []

    def go(width: int = 1280, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SOON)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", partial(_stays_here, served, complaints))
        page.goto(served)
        page.wait_for_selector("#ask-go")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def test_a_name_and_a_password_are_asked_for_and_remembered(browser, tmp_path):
    """Nothing but the question is shown to who has neither; a reload asks nobody again."""
    from obverse.workbench.page import build_page
    from obverse.workbench.serving import ServeRequest, launch

    desk = Desk([ModelChoice("unused")], tmp_path / "runs")
    page_of = build_page(desk)
    served = launch(page_of, ServeRequest(auth=("anna", "se:cret")), desk.names)
    contexts = [browser.new_context() for _ in range(2)]
    anna, ben = (context.new_page() for context in contexts)
    for page in (anna, ben):
        page.set_default_timeout(SOON)
        page.goto(served.url)
        page.wait_for_selector("input[type=password]")
        assert "--auth" in page.inner_text("body")
        assert page.locator("#ask-go").count() == 0
    _log_in(anna, "wrong")
    anna.wait_for_selector("text=Incorrect Credentials")
    _log_in(anna, "se:cret")
    anna.wait_for_selector("#ask-go:not([disabled])")
    anna.reload()
    anna.wait_for_selector("#ask-go:not([disabled])")
    assert ben.context.request.get(f"{served.url}config").status == 401
    page_of.blocks.close(verbose=False)
    for context in contexts:
        context.close()
    desk.close()


def _log_in(page, password):
    page.locator("input:not([type=password])").first.fill("anna")
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Login").click()


def _stays_here(url, complaints, request):
    if not request.url.startswith((url, "data:", "blob:")):
        complaints.append(f"asked {request.url}")


def open_tab(page, name):
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() == 0 or not tab.first.is_visible():  # on a narrow screen some are in a menu
        page.locator(".overflow-menu > button").first.click()
        page.locator(".overflow-dropdown button", has_text=name).first.click()
    else:
        tab.first.click()


def field(page, name):
    return page.locator(f"#{name} :is(textarea, input)").first


def wait_for(page, tab):
    page.wait_for_selector(f"#{tab}-status :is(.done, .failed)")
    assert page.locator(f"#{tab}-status .done").count(), page.inner_text(f"#{tab}-status")


def quick_edit(page, target="Paris"):
    open_tab(page, "Edit & verify")
    if not field(page, "edit-set").is_visible():
        page.get_by_role("button", name="More: probes and settings").click()
    field(page, "edit-set").fill(QUICK)
    field(page, "edit-layers").fill("1")
    field(page, "edit-prompt").fill("The {} was built by")
    field(page, "edit-target").fill(target)
    page.click("#edit-go")
    page.wait_for_selector(f"#edit-stack li:has-text('{target}')")
    wait_for(page, "edit")


def fits(page):
    """Say whether nothing sticks out at the side."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


WAYS = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])


@WAYS
def test_ask_locate_edit_and_talk_by_clicks(visit, tmp_path, width, scheme):
    page = visit(width, scheme)
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    page.click("#ask-go")
    wait_for(page, "ask")
    assert page.locator("#ask-page .card").count() >= 2
    _look(page, tmp_path / "ask.png")

    page.click("#ask-to-locate")
    page.click("#locate-go")
    wait_for(page, "locate")
    assert page.locator("#locate-page .map").count() == 3
    rows = page.locator("#locate-page .map.mlp .cells g")
    assert rows.count() > 2
    cell = rows.nth(2).locator("rect").nth(2)
    cell.hover()
    assert "layer 2" in page.inner_text("#locate-page .tip")
    cell.click()
    page.wait_for_selector("#locate-choice:has-text('Layer 2 is chosen')")
    assert "layer 2" in cell.get_attribute("aria-label")
    frames = page.locator("#locate-page .cells .chosen").all()
    assert [frame.get_attribute("d") for frame in frames] == 3 * [f"M2 0h1v{rows.count()}h-1z"]
    _look(page, tmp_path / "locate.png")
    page.click("#locate-keep")
    page.wait_for_selector("#locate-status .done:has-text('Kept among the runs as trace-space-needle')")

    page.click("#locate-to-edit")
    page.wait_for_selector("#edit-go")
    assert field(page, "edit-layers").input_value() == "2"
    quick_edit(page)
    assert page.locator("#edit-page .card").count() > 4
    _look(page, tmp_path / "edit.png")
    page.click("#edit-stack [data-action=zip]")
    with page.expect_download() as download:
        page.locator("#edit-file a").first.click()
    assert download.value.suggested_filename.endswith("paris.zip")
    open_tab(page, "Talk to both")
    field(page, "chat-query").fill("The Space Needle was built by")
    page.click("#chat-go")
    wait_for(page, "chat")
    assert page.inner_text("#chat-unedited") != page.inner_text("#chat-edited")
    _look(page, tmp_path / "chat.png")


@WAYS
def test_training_and_runs_by_clicks(visit, tmp_path, width, scheme):
    page = visit(width, scheme)
    open_tab(page, "Train & prefer")
    page.wait_for_selector("#train-page:has-text('Step 20 of 30')")
    page.wait_for_selector("#train-texts:has-text('a <b>text')")
    page.wait_for_selector("#train-sheets:has-text('bico')")
    _look(page, tmp_path / "train.png")

    open_tab(page, "Runs")
    page.wait_for_selector("#runs-list [data-name=two]")
    field(page, "runs-find").fill("two")
    page.wait_for_selector("#runs-list [data-name=one]", state="detached")
    page.click("#runs-list [data-name=two]")
    page.wait_for_selector("#runs-page:has-text('metrics.efficacy')")
    page.locator("#runs-records summary").first.click()
    assert "Space Needle <is>" in page.inner_text("#runs-records pre")
    page.click("#runs-export")
    page.wait_for_selector("#runs-file a")
    page.click("#runs-report")
    page.wait_for_selector("#runs-status .failed:has-text('has no report')")
    page.get_by_role("button", name="Compare two").click()
    for name, value in (("runs-first", "one"), ("runs-second", "two")):
        field(page, name).fill(value)
        page.get_by_role("option", name=value, exact=True).last.click()  # the other list may be closing still
    page.click("#runs-compare")
    page.wait_for_selector("#runs-compared:has-text('+0.5')")
    _look(page, tmp_path / "runs.png")


def _look(page, path: Path):
    page.screenshot(path=path, full_page=True)
    assert fits(page), path.stem


def test_two_visitors_do_not_meet_and_a_reload_keeps_what_is_ones_own(visit):
    anna, ben = visit(), visit()
    quick_edit(anna, "Rome")
    open_tab(ben, "Edit & verify")
    ben.wait_for_selector("#edit-stack:has-text('is empty')")
    for page in (anna, ben):
        open_tab(page, "Ask")
        page.click("#ask-go")
    for page in (anna, ben):
        wait_for(page, "ask")
    assert anna.inner_text("#ask-page") == ben.inner_text("#ask-page")
    for page, found in ((anna, "Rome"), (ben, "is empty")):
        page.reload()
        page.wait_for_selector("#ask-go")
        open_tab(page, "Edit & verify")
        page.wait_for_selector(f"#edit-stack:has-text('{found}')")
    anna.click("#edit-stack [data-action=switch]")
    anna.wait_for_selector("#edit-stack li.off")
    anna.click("#edit-stack [data-action=undo]")
    anna.wait_for_selector("#edit-stack:has-text('is empty')")


def test_a_mistake_is_said_and_a_job_is_cancelled_also_by_leaving(visit, monkeypatch):
    page = visit()
    field(page, "ask-prompt").fill("nobody here")
    page.click("#ask-go")
    page.wait_for_selector("#ask-status .failed[role=alert]")
    assert "Traceback" not in page.inner_text("#ask-status")

    ended = []

    def forever(*_, **__):
        try:
            for _ in track(range(10**9), "cells"):
                time.sleep(0.01)
        finally:
            ended.append(True)

    with monkeypatch.context() as patch:
        patch.setattr("obverse.workbench.tracing.traced", forever)
        open_tab(page, "Locate")
        page.click("#locate-go")
        page.wait_for_selector("#locate-status progress")
        page.wait_for_selector("#locate-status:has-text('cells')")
        page.click("#locate-cancel")
        page.wait_for_selector("#locate-status:has-text('Cancelled')")
        assert ended == [True]
        page.click("#locate-go")
        page.wait_for_selector("#locate-status:has-text('cells')")
        other = visit()
        other.click("#ask-go")
        other.wait_for_selector("#ask-status:has-text('1 job comes first')")
        page.close()
        wait_for(other, "ask")  # whoever waits comes next, once the other has left
        assert ended == [True, True]


def test_everything_can_be_reached_by_keys(visit):
    page = visit()
    page.get_by_role("tab", name="Ask").focus()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('[id]')?.id"))
    assert {"ask-go", "ask-cancel", "ask-to-edit"} <= reached
    page.focus("#ask-to-locate")
    page.keyboard.press("Enter")
    page.wait_for_selector("#locate-go")
    page.focus("#locate-go")
    page.keyboard.press("Enter")
    wait_for(page, "locate")
    page.locator("#locate-page .map.hidden > .scroll").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    tip = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert page.inner_text("#locate-page .tip") == tip
    page.keyboard.press("Enter")
    layer = tip.split("layer ")[1].split()[0]
    page.wait_for_selector(f"#locate-choice:has-text('Layer {layer} is chosen')")
