"""``obverse edit-fit`` from flags to a file, and ``obverse edit`` that uses it."""

import json
from pathlib import Path

import pytest

from command_line import SPACE_NEEDLE

FACTS = """subject,prompt,target,paraphrases
Anna Keller,{} was born in,Paris,The birthplace of {} is
Marie Curie,{} was born in,Rome,The birthplace of {} is
LeBron James,{} was born in,Tokyo,The birthplace of {} is
Steve Jobs,{} was born in,Berlin,The birthplace of {} is
"""
QUICK = [f"--set={setting}" for setting in (
    "fit.steps=2", "fit.accumulate=1", "fit.corpus=facts", "fit.texts=4", "fit.length=6", "rank=8"
)]  # fmt: skip


@pytest.fixture
def fit(obverse, model):
    Path("facts.csv").write_text(FACTS)
    return lambda *args: obverse("edit-fit", "-m", model, "--facts", "facts.csv", *args)


def test_fits_and_edits(fit, obverse, model):
    ran = fit(*QUICK, "--layer", 1, "--limit", 3)
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    for shown in ("2 to learn from, 1 held out", "layers 1 (3 matrices", "nll after", "kept", "Editor: runs/mend.safe"):
        assert shown in words
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--method", "mend", "--set", "weights=runs/mend.safetensors")
    assert ran.code == 0, ran.err
    (folder,) = Path("runs").glob("edit-*")
    edit = json.loads((folder / "edit.json").read_text())
    assert edit["method"] == "mend"
    assert edit["config"]["layers"] == [1]
    assert (folder / "adapter_model.safetensors").is_file()
    assert "exists already" in fit(*QUICK).err


def test_json_and_dry_run(fit):
    ran = fit("--method", "ke", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["plan"]["settings"]["condition"] == 768
    assert found["file"] is None
    assert not Path("runs").exists()
    found = json.loads(fit(*QUICK, "--json", "--out", "x.safetensors").out)
    assert found["file"] == "x.safetensors"
    assert Path("x.safetensors").is_file()


def test_without_weights_an_edit_says_how_to_get_them(obverse, model):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--method", "ke")
    assert ran.code == 2
    assert "no fitted weights are given" in ran.err
    assert "obverse edit-fit --method ke" in " ".join(ran.err.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--method", "rome"), "rome is not learned"),
        (("--set", "fit.steps=-1"), "fit.steps"),
        (("--layer", 9), "Layer 9 is out of range"),
        (("--skip", 3), "at least two are needed"),
    ],
)
def test_a_mistake_is_one_message(fit, args, message):
    ran = fit(*args)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_help_has_examples(obverse):
    ran = obverse("edit-fit", "--help")
    assert ran.code == 0
    assert "obverse edit-fit --facts" in ran.out
