"""``obverse edit``: from flags or a file to a folder, and what may stop it."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from command_line import QUICK, SPACE_NEEDLE, process
from obverse.editing import Edit
from obverse.model import LanguageModel

FILES = {
    "adapter_config.json", "adapter_model.safetensors", "edit.json", "keys.safetensors", "report.html", "report.json",
    "run.json",
}  # fmt: skip


def test_writes_the_edit_with_its_report(obverse, model):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--true", "Seattle", *QUICK)
    assert ran.code == 0, ran.err
    folder = Path("runs/edit-space-needle-paris")
    assert {file.name for file in folder.iterdir()} == FILES
    assert "The Space Needle is in the city of" in ran.out
    for words in ("before", "after", "efficacy", "Drift", "Time:", "report.html", "cost"):
        assert words in ran.out
    record = json.loads((folder / "edit.json").read_text())
    assert record["config"]["layers"] == [1]
    assert record["verification"]["efficacy"]["success"]["after"]["n"] == 1
    assert "Paris" in (folder / "report.html").read_text("utf-8")


def test_run_json_says_what_was_run(obverse, model):
    obverse("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--seed", "3", "--out", "x", "--no-verify")
    run = json.loads(Path("x/run.json").read_text())
    assert run["seed"] == 3
    assert run["config"]["settings"]["contexts"]["seed"] == 3
    assert run["versions"]["torch"] == torch.__version__
    assert run["model"]["fingerprint"] == LanguageModel.load(model).fingerprint.to_json()
    assert run["start"] <= run["end"]


def test_json_is_all_that_stands_on_stdout(obverse, model):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--true", "Seattle", *QUICK, "--out", "x", "--json")
    found = json.loads(ran.out)
    assert found["plan"]["layers"] == [1]
    assert found["folder"] == "x"
    assert len(found["top"][0]["before"]) == 5
    assert found["report"]["summary"]["efficacy"]["probability"]["after"]["n"] == 1
    assert "Loading the model" in ran.err
    assert "layer" in ran.err


def test_dry_run_writes_nothing(obverse, model, tmp_path):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, "--dry-run", "--set", "steps=7", "--layer", "1", "--set",
                  "contexts.lengths=[[4, 2]]")  # fmt: skip
    assert ran.code == 0
    assert list(tmp_path.iterdir()) == []
    words = " ".join(ran.out.split())
    for shown in ("method rome", "steps 7", "layer 1 (model.layers.1.mlp.down_proj)", "3, the bare prompt among them"):
        assert shown in words
    assert "will be counted first" in words
    assert "MB beside the model" in words
    plan = json.loads(obverse("edit", "-m", model, *SPACE_NEEDLE, "--dry-run", "--json").out)["plan"]
    assert plan["moments"] == "to be counted"
    assert plan["cost"]["seconds"] > 0


def test_many_facts_of_a_file(obverse, model):
    Path("facts.csv").write_text(
        "subject,prompt,target,target_true\nSpace Needle,The {} is in,Paris,Seattle\nBig Ben,{} is in,Rome,London\n"
    )
    ran = obverse("edit", "-m", model, "--facts", "facts.csv", *QUICK)
    assert ran.code == 0, ran.err
    edit = Edit.load("runs/edit-facts")
    assert [fact.target for fact in edit.facts] == ["Paris", "Rome"]
    assert edit.deltas["model.layers.1.mlp.down_proj"].left.shape[1] == 2


def test_requirements_set_the_exit_code(obverse, model):
    args = ("edit", "-m", model, *SPACE_NEEDLE, "--true", "Seattle", *QUICK, "--out")
    assert obverse(*args, "a", "--require", "efficacy=0").code == 0
    ran = obverse(*args, "b", "--neighbour", "Big Ben is in => London", "--require", "efficacy.generated=1",
                  "--require", "specificity=0", "--set", "clamp=0.0001")  # fmt: skip
    assert ran.code == 1
    assert "required efficacy.generated=1, found 0" in ran.err
    assert Path("b/edit.json").is_file()


def test_an_edit_upon_another(obverse, model, edits):
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--force", "--upon", edits[0], "--out", "x", "--json")
    found = json.loads(ran.out)
    assert found["cross_talk"][0]["share"] == pytest.approx(1, abs=0.01)  # the same subject in the same layer
    assert json.loads(Path("x/run.json").read_text())["config"]["upon"] == [str(edits[0])]


def test_contexts_and_moments_are_counted_without_the_edits_below(obverse, model, edits, tmp_path, monkeypatch):
    args = ("edit", "-m", model, *SPACE_NEEDLE, "--layer", "2", "--set", "moment.tokens=50", "--set", "moment.length=8",
            "--set", "steps=2", "--set", "contexts.lengths=[[4, 1]]", "--no-verify", "--force")  # fmt: skip
    moments = []
    for upon in ((), ("--upon", edits[0])):
        monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / f"cache{len(moments)}"))
        assert obverse(*args, *upon, "--out", f"x{len(moments)}").code == 0
        moments += [load_file(file)["sum"] for file in (tmp_path / f"cache{len(moments)}" / "moments").iterdir()]
    assert torch.equal(*moments)


def test_an_older_edit_is_kept_unless_it_may_be_replaced(obverse, model):
    args = ("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--no-verify", "--out", "x")
    assert obverse(*args).code == 0
    ran = obverse(*args)
    assert ran.code == 2
    assert "x exists already" in ran.err
    assert obverse(*args, "--overwrite").code == 0


def test_a_folder_that_is_not_an_edit_is_never_replaced(obverse, model):
    Path("home").mkdir()
    Path("home/thesis.tex").write_text("all of it")
    ran = obverse("edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--out", "home", "--overwrite")
    assert ran.code == 2
    assert "is not replaced" in ran.err
    assert Path("home/thesis.tex").is_file()


def test_the_adapter_loads_in_peft(model, edits):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    lm = LanguageModel.load(model)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with Edit.load(edits[0]).applied(lm):
        expected = lm.model(ids).logits
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), edits[0])
    torch.testing.assert_close(adapted(ids).logits, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(model, environment, tmp_path):
    args = ["edit", "-m", model, *SPACE_NEEDLE, *QUICK, "--set", "steps=1000000", "--set", "stop_loss=-1", "--out", "x"]
    running = process(args, environment, tmp_path)
    try:
        assert running.stderr is not None
        while "optimizing" not in (line := running.stderr.readline()):
            assert line, "ended before it was interrupted"
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        _, rest = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Interrupted" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
