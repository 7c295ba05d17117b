"""``obverse score`` from flags to a scored corpus, and what it says of mistakes."""

import json
from pathlib import Path

import pytest
import typer

from command_line import calling
from scorers import SHOUTING


@pytest.fixture
def score(tmp_path, monkeypatch, capsys, cache):
    from obverse.cli.score import score as command

    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    Path("shouting.py").write_text(SHOUTING)
    Path("notes.txt").write_text("One LINE here.\nAnother.\n\nA RAISE here.\n\nThe end.\n")
    app = typer.Typer()
    app.command()(command)
    return calling(app, capsys)


def test_a_table(score):
    ran = score("notes.txt", "--scorer", "shouting.py:Shouting", "--split", "lines", "--out", "scored")
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    for shown in (
        "2 of 3 scored",
        "1 raised",
        "3, 3 of them above 0",
        "capitals a character",
        "q0.5",
        "Scored corpus: scored",
    ):
        assert shown in words
    assert "1 document could not be scored: scored/failed.jsonl" in ran.err
    assert "q1 0.3333" in words  # LINE and the O, of 14 letters and the line's end


def test_json(score):
    flags = (
        "notes.txt",
        "-s",
        "shouting.py:Shouting",
        "-o",
        "scored",
        "--limit",
        1,
        "--set",
        "scale=2",
        "--timeout",
        0,
    )
    ran = score(*flags, "--format", "parquet", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["scored"] == found["documents"] == 1
    assert found["segment_quantiles"]["q1"] == pytest.approx(2 * 5 / 15)
    assert [path.name for path in Path("scored/documents").iterdir()] == ["000000.parquet"]
    assert not found["resumed"]
    assert json.loads(score(*flags, "--format", "parquet", "--json").out) == {**found, "resumed": True}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("notes.md", "-s", "shouting.py:Shouting"), "Did you mean notes.txt"),
        (("notes.txt", "-s", "shouting.py:Shout"), "has no class 'Shout'"),
        (("notes.txt", "-s", "shouting.py:Shouting", "--set", "scael=2"), "did you mean scale"),
        (("notes.txt", "-s", "shouting.py:Shouting", "--set", "scale"), "not of the form key=value"),
        (("notes.txt", "-s", "pep9"), "pep8"),
    ],
)
def test_mistakes(score, args, message):
    ran = score(*args, "--out", "scored")
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert not Path("scored").exists()
