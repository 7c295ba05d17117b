"""Figures of the reproduction of PHF: they are written, with every method in them."""

from pathlib import Path

import pytest

from obverse.core import Interval
from obverse.report.phf_figures import Bar, Curve, Panel, Point, bars, curves, scatter, write_scatter

pytest.importorskip("matplotlib")

ONE = Interval(1.0, 0.5, 2.0, 5)
NONE = Interval(0.0, 0.0, 0.0, 5)


def test_a_scatter_has_a_panel_each_and_names_every_method(tmp_path: Path) -> None:
    points = (Point("mle", ONE, ONE), Point("conditional", ONE, NONE))
    panels = [Panel("half", "loss", points), Panel("half", "KL", points), Panel("scarce", "loss", points[:1])]
    figure = scatter(panels)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_visible()] == ["loss", "KL", "loss"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["mle", "conditional"]
    written = write_scatter(panels, tmp_path, "tradeoff")
    assert [path.suffix for path in written] == [".png", ".svg"]
    assert all(path.stat().st_size > 1000 for path in written)


def test_curves_and_bars_name_every_method() -> None:
    lines = [Curve("mle", (0.0, 0.1), (ONE, ONE)), Curve("awr", (0.0, 0.1), (NONE, ONE))]
    assert [text.get_text() for text in curves(lines).axes[0].get_legend().get_texts()] == ["mle", "awr"]
    found = bars([Bar("rwr-10-density", ONE, True), Bar("rwr", ONE, False)])
    assert [label.get_text() for label in found.axes[0].get_yticklabels()] == ["rwr-10-density", "rwr"]
