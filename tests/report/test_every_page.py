"""What holds for the page of every kind of run: one file, nothing fetched, one look, also on paper and in the dark."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import reports
import traces
from bench_folders import write_single
from obverse.core import Interval
from obverse.locating.trace import ROLES
from obverse.measuring.preferences import summarize
from obverse.measuring.samples import Sample
from obverse.measuring.scenarios import Scenario
from obverse.recipes.bench.cases import case_rows
from obverse.recipes.bench.report import read_report
from obverse.report import render
from obverse.report._averages import render_averages
from obverse.report.bench_page import render_bench
from obverse.report.prefs_page import Compared, render_prefs
from obverse.report.trace_page import render_traces
from obverse.report.train_page import render_train
from train_logs import trained

MOST_BYTES = 2_000_000
VOID = {"meta", "br", "input"}
FETCHING = ("src", "href", "xlink:href", "action", "srcset", "poster", "data", "background")


def _bench(folder):
    write_single(folder, {"rome": (0.9, 0.7, 0.01), "ft": (0.8, 0.4, 0.1)})
    report, found = read_report([folder])
    return render_bench(report, *case_rows(found, 300))


def _reversal():
    pytest.importorskip("matplotlib")
    from obverse.report.reversal_drawn import bars_figure, maps_figure, violins_figure
    from obverse.report.reversal_figures import Group, Violin
    from obverse.report.reversal_page import render_reversal
    from obverse.report.reversal_trace_figure import Column

    bars = {"N2D": Interval(0.9, 0.8, 1.0, 20), "N2D-reverse": Interval(0.0, 0.0, 0.1, 20)}
    violins = [Violin("N2D", (-1.0, -2.5), (-6.0, -7.5)), Violin("D2N", (-5.0, -6.5), (-6.0, -7.5))]
    effects = {"mlp": np.full((len(ROLES), 4), 0.25)}
    columns = [Column("mle", effects), Column("mle less bico", {"mlp": -effects["mlp"]}, difference=True)]
    figures = [
        bars_figure("Right answers", [Group("mle", bars)]),
        violins_figure("How likely", violins),
        maps_figure("Where the fact sits", columns, 2),
    ]
    return render_reversal("mle", [], figures, [], {"mle": 0.9}, versions={"torch": "2"}, settings={"seeds": 3})


def _prefs():
    samples = [Sample("", f"text {i} <b>", 7, True) for i in range(30)]
    scenario = Scenario(name="unconditional")
    found = [summarize(samples, [slope * i for i in range(30)], scenario) for slope in (0.01, 0.02)]
    compared = [Compared(f"model {i}", {"unconditional": one}) for i, one in enumerate(found)]
    return render_prefs(
        compared,
        scorer="pii",
        unit="findings",
        settings={"scorer": "pii"},
        versions={"torch": "2"},
        seconds={"all": 1.0},
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Kind of run → its page."""
    return {
        "edit": render(reports.needle(), **reports.BACKGROUND),
        "edits": render(reports.many(30), **reports.BACKGROUND),
        "trace": render_traces([traces.trace()], versions={"torch": "2"}, settings={"window": 10}),
        "both directions": render_traces([traces.trace(), traces.reverse()], reverse=True),
        "averages": render_averages(traces.averages()),
        "bench": _bench(tmp_path_factory.mktemp("bench")),
        "train": render_train(trained(), versions={"torch": "2"}, settings={"seed": 7}),
        "prefs": _prefs(),
        "reversal": _reversal(),
    }


KINDS = ("edit", "edits", "trace", "both directions", "averages", "bench", "train", "prefs", "reversal")
each = pytest.mark.parametrize("kind", KINDS)


class Checker(HTMLParser):
    """Collects tags, attributes, headings and pictures, and fails on tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.headings, self.scripts = [], [], [], [], []
        self.pictures = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "h2":
            self.headings.append("")
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag == "svg":
            self.pictures.append(dict(attrs))
        if tag == "title" and self.open[-1:] == ["svg"]:
            self.pictures[-1]["titled"] = True
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["h2"]:
            self.headings[-1] += data
        if self.open[-1:] == ["script"]:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)


def check(page):
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


@each
def test_it_is_one_file_that_fetches_nothing(pages, kind):
    page, found = pages[kind], check(pages[kind])
    assert len(page.encode()) < MOST_BYTES
    assert not [value for name, value in found.attributes if name in FETCHING and not value.startswith("#")]
    assert not {"img", "iframe", "object", "embed", "link", "base", "video", "audio", "image"} & set(found.tags)
    names = re.sub(r"http://www\.w3\.org/[\w/]+", "", page)  # of XML in a drawing; fetched by nobody
    assert not re.search(r"https?://|url\((?!#)|@import|@font-face", names)
    assert "default-src 'none'" in page  # and if one of these were missed, the browser refuses it
    assert not [name for name, _ in found.attributes if name.startswith("on")]


@each
def test_the_numbers_are_in_it_as_json(pages, kind):
    [data] = [text for type, text in check(pages[kind]).scripts if type == "application/json"]
    assert json.loads(data)


@each
def test_it_ends_with_how_it_was_made(pages, kind):
    assert check(pages[kind]).headings[-1] == "How this was made"


@each
def test_it_has_pictures_and_each_says_what_it_shows(pages, kind):
    found = check(pages[kind])
    drawn = [one for one in found.pictures if one.get("role") == "img"]
    assert drawn
    assert all(one.get("aria-label") or one.get("titled") for one in drawn)


@each
def test_text_in_pictures_is_text_in_the_font_of_the_page(pages, kind):
    assert "font-family" not in pages[kind]
    assert "DejaVu" not in pages[kind]
    letters = re.findall(r"<text[^>]*>([^<]+)", pages[kind])
    assert ("100%" in letters) == (kind == "reversal")  # a drawing of matplotlib's: its letters were outlines


def test_all_look_alike(pages):
    """Fonts, colours and the rules for paper and the dark stand in one style sheet that all pages share."""
    styles = {kind: re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1] for kind, page in pages.items()}
    shared = min(styles.values(), key=len)
    assert all(style.startswith(shared) for style in styles.values())
    assert shared.count("system-ui") == 1
    assert "@media print" in shared
    assert "prefers-color-scheme: dark" in shared
    assert all("font-family" not in style and "@media print" not in style[len(shared) :] for style in styles.values())


def test_lines_have_the_colours_of_the_figures(pages):
    from obverse.core.plotting import PALETTE

    style = re.search(r"<style>(.*?)</style>", pages["edit"], re.DOTALL)[1]
    lines = re.findall(r"--c(\d): (#\w+)", style)[: len(PALETTE)]
    for (place, drawn), colour in zip(lines, PALETTE, strict=True):
        ours, theirs = (tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)) for text in (drawn, colour))
        far = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        assert far <= 60, (place, drawn, colour)  # light ones are darker on a page, where lines are thin
