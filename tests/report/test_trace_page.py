import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import traces
from obverse.core import ConfigError, Fact
from obverse.core.plotting import visible
from obverse.locating.figures import layer_axis
from obverse.locating.trace import ROLES, TRACE_KINDS
from obverse.report._averages import render_averages
from obverse.report._effects import layers_of
from obverse.report._format import percent, points
from obverse.report._maps import round_ticks
from obverse.report.trace_page import render_traces, write_averages_page, write_trace_page

VOID = {"meta", "br"}
ORIGIN = {
    "settings": {"kinds": ["hidden"], "memory": 3.0},
    "versions": {"obverse": "0.1", "torch": "2.6"},
    "seconds": {"tracing": 1.25},
    "command": "obverse trace 'The Space Needle is located in the city of'",
}


class Page(HTMLParser):
    """Its maps, as rows of cells, and its JSON; tags that do not nest fail."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.maps, self.gaps, self.marked, self.text = [], [], [], 0, [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "figure":
            self.maps.append([])
        if tag == "rect":
            sign = -1 if "less" in given.get("class", "").split() else 1
            self.maps[-1].append(("", sign * float(given["fill-opacity"])))
        if tag == "text":
            self.subject = "subject" in given.get("class", "").split()
            self.marked += [""] * self.subject

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs
        self.gaps += dict(attrs).get("class") == "gap"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.json = json.loads(data)
        elif self.open[-2:] == ["rect", "title"]:
            tip, share = self.maps[-1][-1]
            self.maps[-1][-1] = (tip + data, share)
        elif self.open[-1:] == ["text"] and self.subject:
            self.marked[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def two():
    return Page(render_traces([traces.trace(), traces.reverse()], reverse=True, **ORIGIN))


def as_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("text", [
    render_traces([traces.trace()], **ORIGIN), render_averages(traces.averages(), **ORIGIN)
], ids=["trace", "averages"])  # fmt: skip
def test_the_page_is_whole_and_fetches_nothing(text):
    page = Page(text)
    assert not [name for name, _ in page.attributes if name in ("src", "href", "action") or name.startswith("on")]
    for word in ("http://", "https://", "url(", "@import"):
        assert word not in text
    assert text.count("<script") == 1
    assert "default-src 'none'" in text
    for word in ("abababab-cdcdcdcd", "obverse trace", "torch", "memory", "noise", "a-small-model"):
        assert word in page.text


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_cell_of_every_trace_is_there_with_its_numbers_and_strength(data):
    names = data.draw(st.lists(st.text(max_size=6), min_size=2, max_size=5))
    kinds = tuple(kind for kind in TRACE_KINDS if data.draw(st.booleans())) or ("hidden",)
    layers, window = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    one = traces.trace(names, (0, 1), kinds=kinds, layers=layers, window=window)
    drawn = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    tables = {kind: torch.rand(len(names), layers, generator=drawn) for kind in kinds}
    one = replace(one, restored=tables, corrupted=data.draw(st.floats(0, 1)))
    page = Page(render_traces([one]))
    assert page.json["traces"] == [as_json(one.to_json())]
    assert len(page.maps) == len(kinds)
    for kind, cells in zip(kinds, page.maps, strict=True):
        effects = one.indirect_effect(kind)
        top = float(effects.max())
        assert len(cells) == effects.numel()
        for at, (tip, share) in enumerate(cells):
            position, layer = divmod(at, layers)
            p, effect = float(tables[kind][position, layer]), float(effects[position, layer])
            place = f"{visible(names[position])} · {layers_of(kind, layer, window, layers)}"
            # a parser reads line ends of every sort as \n, and only there
            assert tip == f"{place}\nprobability {percent(p)} · effect {points(effect)}"
            assert share == pytest.approx(max(0, effect / top) if top > 0 else 0, abs=0.0051)


def test_windows_are_spelled_out():
    assert layers_of("mlp", 12, 10, 26) == "layer 12 (7 to 16)"
    assert layers_of("attn", 0, 10, 26) == "layer 0 (0 to 4)"
    assert layers_of("mlp", 3, 1, 26) == layers_of("hidden", 3, 10, 26) == "layer 3"


def test_two_traces_share_a_scale_and_are_compared_by_role(two):
    forward, reverse = traces.trace(), traces.reverse()
    assert len(two.maps) == 2 * 3 + 3 * 3
    for i, kind in enumerate(traces.KINDS):
        top = max(float(trace.indirect_effect(kind).max()) for trace in (forward, reverse))
        for cells, trace in zip(two.maps[2 * i : 2 * i + 2], (forward, reverse), strict=True):
            expected = (trace.indirect_effect(kind).clamp(min=0) / top).flatten().tolist()
            assert [share for _, share in cells] == pytest.approx(expected, abs=0.0051)
    less = (reverse.by_role("hidden") - forward.by_role("hidden")).flatten()
    less = less[~less.isnan()]
    shares = [share for _, share in two.maps[8]]
    assert shares == pytest.approx((less / less.abs().max()).tolist(), abs=0.0051)
    assert min(shares) < 0 < max(shares) == 1
    assert two.gaps == 3 * 2 * 18  # no middle subject token in the reverse: there, and in the difference
    assert two.marked == 3 * ["The*", "Space*", "Needle*", "Seattle*"]
    assert "one scale for all statements" in two.text


def test_the_strongest_sites_are_listed(two):
    for trace in (traces.trace(), traces.reverse()):
        for site in trace.strongest(10):
            assert f"{points(site.indirect_effect)}" in two.text
    assert "last subject token" in two.text


def test_traces_that_cannot_be_compared_are_shown_without_a_comparison():
    page = Page(render_traces([traces.trace(layers=4), traces.reverse(layers=6)], reverse=True))
    assert len(page.maps) == 6
    assert "part by part" not in page.text
    assert "Both directions" in page.text
    facts = Page(render_traces([traces.trace(), traces.reverse()]))
    assert len(facts.maps) == 6
    assert "2 statements traced" in facts.text
    assert "directions" not in facts.text
    three = Page(render_traces([traces.trace(kinds=("mlp",))] * 3))
    assert len(three.maps) == 3
    assert "3 statements traced" in three.text
    with pytest.raises(ConfigError, match="no trace"):
        render_traces([])
    for count in (1, 3):
        with pytest.raises(ConfigError, match=f"two traces, not {count}"):
            render_traces([traces.trace(kinds=("mlp",))] * count, reverse=True)


def test_a_reverse_that_is_hardly_there_is_drawn_once_more():
    faint = traces.reverse(kinds=("hidden", "attn"))
    tables = {**faint.restored, "hidden": faint.corrupted + faint.indirect_effect("hidden") / 100}
    faint = replace(faint, restored=tables)
    page = Page(render_traces([traces.trace(), faint], reverse=True))
    assert "The reverse on scales of its own" in page.text
    assert len(page.maps) == 3 + 2 + 1 + 2 * 3
    shared, own = page.maps[1], page.maps[5]
    assert [tip for tip, _ in own] == [tip for tip, _ in shared]
    assert max(share for _, share in shared) < 0.02
    assert max(share for _, share in own) == 1


def test_notes_stand_beside_the_numbers():
    page = Page(render_traces([traces.trace()], notes=["Followed: <i>Space</i>.", "Mind the gap."]))
    assert "Followed: <i>Space</i>." in page.text
    assert "Mind the gap." in page.text


def test_everything_is_escaped():
    bad = "<script>alert('1')</script>\"&amp;<img src=x>"
    one = traces.trace([bad, "b"], (0, 1), fact=Fact(bad, "{} is " + bad, bad), answer=bad)
    one = replace(one, model=bad, noise=bad)
    spoiled = {"settings": {bad: bad}, "versions": {bad: bad}, "seconds": {bad: 1.0}, "command": bad}
    for text in (
        render_traces([one, one], reverse=True, notes=[bad], **spoiled),
        render_averages(replace(traces.averages(), model=bad), skipped={bad: 3}, **spoiled),
    ):
        assert text.count("<script") == 1
        assert "<img" not in text.split("<script")[0]
        Page(text)


class Drawn(HTMLParser):
    """A page's maps as drawn: labels and names of axes by class, and tables of numbers as rows of texts."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.texts, self.tables, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in VOID:
            self.open.append((tag, given))
        if tag == "svg" and given.get("class") == "heat":
            self.pictures.append(given)
            self.texts.append([])
        if tag == "table":
            self.tables.append([] if "told" in given["class"].split() else None)
        if tag == "tr" and self.tables[-1] is not None:
            self.tables[-1].append([])
        if tag in ("td", "th") and self.tables[-1] is not None:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        tag, given = self.open[-1] if self.open else ("", {})
        if tag == "text":
            self.texts[-1].append((given["class"].split()[0], data))
        if tag in ("td", "th") and self.tables[-1] is not None:
            self.tables[-1][-1][-1] += data


def test_a_map_is_one_picture_with_its_text_as_text_and_its_numbers_in_a_table():
    one = traces.trace()
    drawn = Drawn(render_traces([one]))
    tables = [rows for rows in drawn.tables if rows]
    assert len(drawn.pictures) == len(tables) == len(traces.KINDS)
    for kind, picture, texts, (head, *rows) in zip(traces.KINDS, drawn.pictures, drawn.texts, tables, strict=True):
        assert picture["role"] == "img"
        layer, position = divmod(int(one.indirect_effect(kind).T.argmax()), len(one.tokens))
        assert f"{visible(one.tokens[position])} · layer {layer}" in picture["aria-label"]
        names = [text for css, text in texts if css == "name"]
        assert names == head[1:] == ["<bos>", "The*", "Space*", "Needle*", "is", "located", "in", "the", "city", "of"]
        assert [int(text) for css, text in texts if css == "layer"] == list(range(0, 18, 2))
        assert [text for css, text in texts if css == "axis"] == [layer_axis(kind, 10)]
        assert [row[0] for row in rows] == [str(layer) for layer in range(18)]
        numbers = torch.tensor([[float(cell) for cell in row[1:]] for row in rows])
        torch.testing.assert_close(numbers, 100 * one.indirect_effect(kind).T, atol=0.0051, rtol=0)


def test_long_names_are_cut_and_whole_on_hover():
    drawn = render_traces([traces.trace([" Rindfleischetikett", "東京東京東京東京", " is"], (0, 2), kinds=("mlp",))])
    assert "<title>Rindfleischetikett*</title>Rindfleischet…<" in drawn
    assert "<title>東京東京東京東京*</title>東京東京東京…<" in drawn
    assert ">is<" in drawn


def test_pages_of_very_many_cells_stay_small_and_say_where_the_numbers_are():
    tokens = [f" token{i}" for i in range(50)]
    text = render_traces([traces.trace(tokens, (3, 7), layers=48, seed=i) for i in range(4)])
    assert len(text.encode()) < 2_000_000
    assert "too many to be told" in text
    page = Page(text)
    assert sum(map(len, page.maps)) == 4 * 3 * 50 * 48
    assert not any(tip for cells in page.maps for tip, _ in cells)
    assert len(page.json["traces"]) == 4
    assert "too many" not in render_traces([traces.trace()])


def test_pages_stay_small():
    tokens = [f" token{i}" for i in range(40)]
    both = [traces.trace(tokens, (3, 7), layers=48), traces.trace(tokens, (5, 8), layers=48, seed=1)]
    started = time.process_time()
    one, text = render_traces(both[:1]), render_traces(both, reverse=True)
    assert time.process_time() - started < 10  # under 1 s on an idle core; room for a busy one
    assert len(one.encode()) < 1_100_000
    assert len(text.encode()) < 2_000_000
    assert Page(one).json["digits"] is None


def test_large_maps_are_embedded_with_fewer_digits():
    one = traces.trace([f" token{i}" for i in range(70)], (3, 7), layers=60)
    data = Page(render_traces([one])).json
    assert data["digits"] == 6
    torch.testing.assert_close(
        torch.tensor(data["traces"][0]["restored"]["mlp"]), one.restored["mlp"], atol=1e-6, rtol=0
    )


def test_averages_have_every_cell_their_peaks_and_what_was_left_out():
    found = traces.averages()
    skipped = {"subject not found": 2, "another answer": 31}
    page = Page(render_averages(found, skipped=skipped))
    assert page.json == as_json({**found.to_json(), "skipped": skipped})
    top = max(
        value.mean for kind in found.kinds for values in found.effects[kind].values() for value in values if value
    )
    assert page.gaps == 18
    for kind, cells in zip(found.kinds, page.maps, strict=True):
        values = [value for role in ROLES for value in found.effects[kind][role] if value]
        for (tip, share), value in zip(cells, values, strict=True):
            assert f"mean {points(value.mean)} (n = {value.n})\n" in tip
            assert f"interval {points(value.low)} to {points(value.high)}" in tip
            assert share == pytest.approx(max(0, value.mean / top), abs=0.0051)
    for role in ROLES:
        assert points(found.peak("mlp", role).effect.mean) in page.text
    assert "33 facts were not traced" in page.text
    assert page.text.index("another answer") < page.text.index("subject not found")  # most frequent first
    assert "Left out" not in Page(render_averages(found)).text


def test_lines_pass_through_the_means():
    found = traces.averages(kinds=("mlp",))
    text = render_averages(found)
    drawn = re.search(r'<g class="c2">.*?<polyline points="([^"]*)"', text)[1]
    ys = [float(point.split(",")[1]) for point in drawn.split()]
    means = [value.mean for value in found.effects["mlp"]["last subject token"]]
    slope = (ys[8] - ys[0]) / (means[8] - means[0])
    assert slope < 0  # up is more
    assert ys == pytest.approx([ys[0] + slope * (mean - means[0]) for mean in means], abs=0.2)
    assert all(0 <= y <= 1000 for y in ys)


@given(st.floats(-1, 1), st.floats(0, 1))
def test_ticks_span_the_values_in_round_steps(low, size):
    ticks = list(round_ticks(low, low + size))
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= low + size - 1e-9
    assert len(ticks) <= 8


def test_pages_are_written_whole(tmp_path):
    path = tmp_path / "deep" / "page.html"
    assert write_trace_page(path, [traces.trace(layers=2)]) == path
    before = path.read_text("utf-8")
    assert before.startswith("<!doctype html>")
    assert write_averages_page(path, traces.averages(), skipped={}) == path
    assert path.read_text("utf-8") != before
    assert [found.name for found in path.parent.iterdir()] == ["page.html"]
