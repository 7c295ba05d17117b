"""What ``obverse trace`` prints: the map in letters, the noise in words."""

import dataclasses

import pytest
import torch

from obverse.cli.trace_tables import MOST_ROWS, SHADES, noise_in_words, text_map
from obverse.core import Fact
from obverse.locating.trace import CausalTrace
from obverse.model.fingerprint import Fingerprint


@pytest.fixture
def drawn():
    """Build a trace of three tokens and seven layers, all of whose effect is at one cell."""
    table = torch.full((3, 7), 0.25)
    table[1, 4] = 0.75
    return CausalTrace(
        Fact("Ann", "{} is\n", "at"), "tiny", Fingerprint("a" * 64, "b" * 64), " at", 5, ("Ann", " is", "\n"),
        (1, 2, 3), range(0, 1), 0.8, 0.25, {"hidden": table}, 10, "s3", 0.3, False, 10, 1,
    )  # fmt: skip


def test_the_map_in_letters_shows_each_cell(drawn):
    title, *rows, layers = text_map(drawn, "hidden", 80)
    assert "50.0%" in title
    cells = [row[row.index("│") + 1 : -1] for row in rows]
    assert cells == [" " * 14, " " * 8 + SHADES[-1] * 2 + " " * 4, " " * 14]
    assert rows[0].index("│") == rows[2].index("│")
    assert [row.strip().startswith(label) for row, label in zip(rows, ("Ann*│", "is │", "⏎ │"), strict=True)]
    assert layers[rows[0].index("│") + 1 :] == "0         5"


@pytest.mark.parametrize(("width", "cell"), [(32, 2), (31, 1), (25, 1), (24, 0), (5, 0)])
def test_the_map_in_letters_keeps_within_the_screen(drawn, width, cell):
    lines = text_map(drawn, "hidden", width)
    assert bool(lines) == bool(cell)
    if cell:
        assert len(lines[1]) == len(lines[2]) <= width
        assert lines[2].count(SHADES[-1]) == cell


def test_a_long_prompt_is_not_drawn_in_letters(drawn):
    long = dataclasses.replace(
        drawn, tokens=("a",) * (MOST_ROWS + 1), restored={"hidden": torch.zeros(MOST_ROWS + 1, 7)}
    )
    assert text_map(long, "hidden", 80) == []


@pytest.mark.parametrize(
    ("rule", "level", "words"),
    [
        ("s3", 0.3, "0.3 = 3 sigma, sigma 0.1"),
        ("s", 0.1, "0.1 = 1 sigma, sigma 0.1"),
        ("0.1", 0.1, "standard deviation 0.1; added"),
        ("u0.5", 0.5, "uniform within ±0.5"),
        ("m", 1.0, "mean and covariance"),
        ("t3", 1.0, "3 degrees of freedom"),
    ],
)
def test_noise_in_words(drawn, rule, level, words):
    assert words in noise_in_words(dataclasses.replace(drawn, noise=rule, level=level))
