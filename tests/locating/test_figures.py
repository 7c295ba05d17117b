import sys
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import traces
from obverse.core import ConfigError, ObverseError
from obverse.core.plotting import visible, write_figure
from obverse.locating._panels import layer_ticks
from obverse.locating.figures import average_lines, average_maps, difference_map, heat_maps, layer_axis
from obverse.locating.trace import ROLES, TRACE_KINDS

matplotlib = pytest.importorskip("matplotlib")

ODD = (
    *("<bos>", "\n", "\t", "$x_", "$", " \\frac{", "東京", "القاهرة", "�", " ", "", "मुंबई", "🗼", "&<b>"),
    *("a" * 50, "\ud800"),
)

LONG = tuple(f"token{i}" for i in range(200))


def panels(figure):
    """The axes with a map or lines, without colour bars."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def mesh(axes):
    (found,) = axes.collections
    return found


@given(st.text(max_size=60), st.integers(2, 30))
def test_every_token_is_a_label_of_visible_letters(token, limit):
    label = visible(token, limit)
    assert 1 <= len(label) <= limit
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Cf") for letter in label)


def test_signs_for_what_cannot_be_seen():
    assert [visible(token) for token in (" Space", "\n\n", "\t", "  ", "", "a\nb")] == [
        "Space", "⏎⏎", "⇥", "␣␣", "␣", "a⏎b"
    ]  # fmt: skip
    assert visible("a" * 50) == "a" * 23 + "…"


@given(st.integers(1, 300))
def test_few_layers_are_numbered_from_zero_in_equal_steps(n_layers):
    ticks = layer_ticks(n_layers)
    assert ticks[0] == 0
    assert ticks[-1] < n_layers
    assert 1 <= len(ticks) <= 10
    assert len(set(np.diff(ticks))) <= 1


def test_one_trace_shows_probabilities_from_the_corrupted_run_on():
    one = traces.trace()
    drawn = panels(heat_maps([one]))
    assert len(drawn) == 3
    for axes, kind in zip(drawn, one.kinds, strict=True):
        table = one.restored[kind].double().numpy()
        np.testing.assert_array_equal(mesh(axes).get_array(), table)
        assert mesh(axes).get_clim() == (one.corrupted, table.max())
        assert axes.yaxis_inverted()  # the first token is on top
    assert [axes.collections[0].get_cmap().name for axes in drawn] == ["Purples", "Greens", "Reds"]
    labels = [tick.get_text() for tick in drawn[0].get_yticklabels()]
    assert labels[:5] == ["<bos>", "The*", "Space*", "Needle*", "is"]
    assert drawn[1].get_xlabel() == "centre of a window of 10 restored MLP layers"


def test_several_traces_show_effects_on_one_scale_a_kind():
    both = [traces.trace(), traces.reverse()]
    drawn = panels(heat_maps(both))
    for column, kind in enumerate(traces.KINDS):
        upper, lower = drawn[column], drawn[3 + column]
        top = max(float(trace.indirect_effect(kind).max()) for trace in both)
        assert mesh(upper).get_clim() == mesh(lower).get_clim() == (0, top)
        for axes, trace in zip((upper, lower), both, strict=True):
            np.testing.assert_array_equal(mesh(axes).get_array(), trace.indirect_effect(kind).double().numpy())


def test_what_one_trace_lacks_is_a_gap():
    drawn = panels(heat_maps([traces.trace(kinds=("mlp",)), traces.reverse(kinds=("hidden",))]))
    gaps = [bool(np.ma.getmaskarray(mesh(axes).get_array()).all()) for axes in drawn]
    assert gaps == [True, False, False, True]
    assert drawn[0].get_yticklabels()[3].get_text() == "Needle*"


@pytest.mark.parametrize("window", [1, 10])
def test_axes_say_what_a_layer_stands_for(window):
    names = [layer_axis(kind, window) for kind in TRACE_KINDS]
    assert names[0] == names[3] == names[4] == "restored layer"
    assert names[2] == ("restored attention layer", f"centre of a window of {window} restored attention layers")[
        window > 1
    ]  # fmt: skip


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=8), min_size=2, max_size=5))
def test_any_text_can_be_drawn(tmp_path_factory, tokens):
    path = tmp_path_factory.mktemp("figures") / "any.png"
    heat_maps([traces.trace(tokens, (0, 1), layers=2, kinds=("hidden",), answer=tokens[0])], path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_odd_tokens_in_every_format_and_twice_the_same_bytes(tmp_path, ending):
    one = traces.trace(ODD, (3, 6), layers=2, kinds=("severed-mlp",))
    first, second = (tmp_path / f"{name}.{ending}" for name in "ab")
    for path in (first, second):
        heat_maps([one], path)
    assert first.read_bytes() == second.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name}


def test_the_difference_is_reverse_less_forward_by_role():
    forward, reverse = traces.trace(), traces.reverse(kinds=("hidden", "attn"))
    drawn = panels(difference_map(forward, reverse))
    assert len(drawn) == 6  # the kinds that both have
    for row, kind in enumerate(("hidden", "attn")):
        tables = [mesh(axes).get_array() for axes in drawn[3 * row : 3 * row + 3]]
        expected = (reverse.by_role(kind) - forward.by_role(kind)).double().numpy()
        missing = np.zeros_like(expected, bool)
        missing[ROLES.index("middle subject tokens")] = True
        np.testing.assert_array_equal(np.ma.getmaskarray(tables[1]), missing)
        np.testing.assert_array_equal(np.ma.getmaskarray(tables[2]), missing)
        np.testing.assert_allclose(tables[2].filled(0), np.where(missing, 0, expected), atol=1e-7)
        low, high = mesh(drawn[3 * row + 2]).get_clim()
        assert low == -high < 0
        assert mesh(drawn[3 * row]).get_clim() == mesh(drawn[3 * row + 1]).get_clim()
    labels = [tick.get_text() for tick in drawn[0].get_yticklabels()]
    assert labels[0] == "first entity: first subject token"
    assert labels[3:] == [
        "relation: first subsequent token", "relation: further tokens", "second entity: last token"
    ]  # fmt: skip


def test_traces_that_cannot_be_compared():
    with pytest.raises(ConfigError, match="no kind in common: hidden and mlp"):
        difference_map(traces.trace(kinds=("hidden",)), traces.reverse(kinds=("mlp",)))
    with pytest.raises(ConfigError, match="18 and 4 layers"):
        difference_map(traces.trace(), traces.reverse(layers=4))
    with pytest.raises(ConfigError, match="no trace"):
        heat_maps([])


def test_averages_as_maps_on_the_first_panels_scale():
    found = traces.averages()
    drawn = panels(average_maps(found))
    top = max(value.mean for values in found.effects["hidden"].values() for value in values)
    assert {mesh(axes).get_clim() for axes in drawn} == {(0.0, top)}
    np.testing.assert_allclose(
        mesh(drawn[1]).get_array()[2], [value.mean for value in found.effects["mlp"]["last subject token"]]
    )
    assert np.ma.getmaskarray(mesh(drawn[2]).get_array()).sum(1).tolist() == [0, 18, 0, 0, 0, 0]
    assert "n = 100" in drawn[0].get_title()


def test_averages_as_lines_with_bands_in_points():
    found = traces.averages()
    figure = average_lines(found)
    drawn = panels(figure)
    assert [len(axes.get_lines()) - 1 for axes in drawn] == [6, 6, 5]  # one is the line at 0
    line, band = drawn[0].get_lines()[2], drawn[0].collections[2]
    values = found.effects["hidden"]["last subject token"]
    np.testing.assert_allclose(line.get_ydata(), [100 * value.mean for value in values])
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(100 * max(value.high for value in values))
    assert heights.min() == pytest.approx(100 * min(value.low for value in values))
    assert line.get_color() == "#009E73"
    (legend,) = figure.legends
    assert "middle subject tokens (n = 70)" in [text.get_text() for text in legend.get_texts()]


def texts_of(figure):
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    found = [figure._suptitle]
    for axes in panels(figure):
        found += [axes.title, axes.xaxis.label, *(label for label in axes.get_yticklabels() if label.get_visible())]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found if text.get_text()]


@pytest.mark.parametrize("draw", [
    lambda: heat_maps([traces.trace(), traces.reverse()]),
    lambda: heat_maps([traces.trace(LONG, (3, 7), layers=100, kinds=("mlp",))]),
    lambda: heat_maps([traces.trace(layers=2)]),
    lambda: difference_map(traces.trace(kinds=("hidden", "attn")), traces.reverse()),
    lambda: average_maps(traces.averages(layers=48)),
    lambda: average_lines(traces.averages()),
], ids=["two", "large", "small", "difference", "maps", "lines"])  # fmt: skip
def test_no_text_overlaps_another_or_leaves_the_page(draw):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw()
    FigureCanvasAgg(figure)
    found = texts_of(figure)
    assert len(found) > 5
    width, height = figure.bbox.size
    for i, (name, box) in enumerate(found):
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= width, name
        assert box.y1 <= height, name
        for other, rival in found[i + 1 :]:
            clear = box.x1 <= rival.x0 or rival.x1 <= box.x0 or box.y1 <= rival.y0 + 0.5 or rival.y1 <= box.y0 + 0.5
            assert clear, (name, other)


@pytest.mark.parametrize(("name", "said"), [("map.gif", r"ending is \.gif"), ("map", "has no ending")])
def test_other_endings_are_refused_before_any_work(tmp_path, name, said):
    with pytest.raises(ConfigError, match=said) as caught:
        heat_maps([traces.trace()], tmp_path / name)
    assert caught.value.hint == "End the name in .png, .pdf or .svg."
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ObverseError) as caught:
        heat_maps([traces.trace()])
    assert caught.value.hint == "pip install 'obverse[plot]'"


def test_no_style_leaks_out_or_in(tmp_path):
    before = dict(matplotlib.rcParams)
    plain, styled = tmp_path / "plain.svg", tmp_path / "styled.svg"
    one = traces.trace(layers=3, kinds=("hidden",))
    heat_maps([one], plain)
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "image.cmap": "jet"}):
        heat_maps([one], styled)
    assert plain.read_bytes() == styled.read_bytes()


def test_a_trace_draws_itself_and_a_figure_can_be_written_again(tmp_path):
    one = replace(traces.trace(layers=2, kinds=("hidden",)), model="$weird_{name}")
    figure = one.plot(tmp_path / "deep" / "one.svg")
    assert write_figure(figure, tmp_path / "again.svg").read_bytes() == (tmp_path / "deep" / "one.svg").read_bytes()
