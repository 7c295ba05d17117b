"""``obverse reversal run``, ``plot`` and ``report`` from flags to output, and what they say of mistakes."""

import json
from pathlib import Path

import pytest

TINY = (
    "--override",
    "model.settings={hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2, "
    "num_key_value_heads: 2, max_position_embeddings: 64}",
)


def test_a_dry_run_shows_the_plan_and_writes_nothing(reversal):
    ran = reversal("run", "--dry-run", "--objectives", "mle, bico", "--seeds", 2, "--then", "edit", "--steps", 7)
    assert ran.code == 0, ran.err
    for words in (
        "a tiny one, from scratch",
        "mle, bico",
        "6 (the untrained one",
        "7 each",
        "edit",
        "16 of each group",
    ):
        assert words in ran.out
    assert not list(Path().iterdir())
    told = json.loads(reversal("run", "--dry-run", "--json").out)["plan"]
    assert (told["objectives"], told["seeds"], told["models"]) == (["mle", "reverse"], [0, 1, 2], 9)


def test_run_report_and_plot_tell_the_same(reversal):
    size = ("--objectives", "mle", "--seeds", 1, "--people", 2, "--steps", 1)
    ran = reversal("run", *size, *TINY, "--out", "run", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    shown = reversal("report", "run")
    assert shown.code == 0, shown.err
    assert "Right answers, held-out wordings (2 persons a group)" in shown.out
    again = json.loads(reversal("report", "run", "--format", "json").out)
    assert again["summaries"] == told["summaries"]
    written = reversal("report", "run", "--format", "latex", "--out", "table.tex")
    assert written.code == 0, written.err
    assert r"\toprule" in Path("table.tex").read_text("utf-8")
    drawn = json.loads(reversal("plot", "run", "--out", "figures", "--json").out)["figures"]
    assert {Path(path).name for path in drawn} == {
        f"{name}.{ending}" for name in ("right-training", "right-held-out", "logprobs-mle") for ending in ("png", "svg")
    }
    assert all(Path(path).stat().st_size > 1000 for path in drawn)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("run", "--objectives", "revese"), ("revese", "reverse")),
        (("run", "--then", "edits"), ("edits", "edit")),
        (("run", "--objectives", "conditional"), ("misalignment scores", "--preferences")),
        (("run", "--people", 90), ("90 people", "Ask for")),
        (("report", "nowhere"), ("nowhere is no run", "--out")),
        (("report", "nowhere", "--format", "pdf"), ("pdf", "latex")),
        (("plot", "nowhere"), ("nowhere is no run",)),
    ],
)
def test_mistakes_are_said_with_what_to_do(reversal, args, words):
    ran = reversal(*args)
    assert ran.code == 2
    assert all(word in ran.err for word in words)
    assert not Path("runs").exists() or not list(Path("runs").glob("*/models"))
