"""``obverse trace``: from a prompt to tables, figures and a folder, and what may stop it."""

import html
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from obverse.locating.trace import CausalTrace
from obverse.measuring import top_tokens
from obverse.model import LanguageModel
from obverse.recipes import trace_folder

WITHOUT = {"trace.safetensors", "report.html", "run.json"}
PROMPT = "The Space Needle is in the city of"
SUBJECT = ("--subject", "Space Needle")
QUICK = ("--samples", "2", "--noise", "0.5", "--window", "2")
NEEDLE = (PROMPT, *SUBJECT, *QUICK)
FOLDER = Path("runs/trace-the-space-needle-is-in-the-city-of")


@pytest.fixture
def drawing(obverse, model):
    """Run the command."""
    return lambda *args: obverse("trace", "-m", model, *args)


@pytest.fixture
def trace(drawing, monkeypatch):
    """Run the command as if matplotlib were not installed, which is quicker."""
    monkeypatch.setattr(trace_folder, "find_spec", lambda name: None)
    return drawing


@pytest.fixture(scope="module")
def known(model):
    """Facts that the model answers with a new word: records of a file of facts."""
    lm = LanguageModel.load(model)
    records = []
    for subject, prompt in (("Ann", "{} can be found in"), ("Space Needle", "The {} stands in the city of"),
                            ("Colosseum", "{} was born in")):  # fmt: skip
        (likeliest,) = top_tokens(lm, prompt.replace("{}", subject), 1)
        assert likeliest.text.startswith(" ")
        records.append({"id": f"n {subject}", "subject": subject, "prompt": prompt, "target": likeliest.text.strip()})
    return records


def write_facts(records):
    Path("facts.jsonl").write_text("\n".join(map(json.dumps, records)))


def test_writes_traces_figures_and_page(drawing):
    ran = drawing(*NEEDLE)
    assert ran.code == 0, ran.err
    assert {file.name for file in FOLDER.iterdir()} == WITHOUT | {"heatmap.png", "heatmap.svg"}
    for words in (f"{PROMPT} … ", "tokens 2-3 of 8", "clean", "total effect", "standard deviation 0.5",
                  "Strongest sites", "last subject token", "hidden state: indirect effect", "Needle*│",
                  str(FOLDER / "report.html"), "Time:"):  # fmt: skip
        assert words in ran.out
    assert "tracing" in ran.err
    assert PROMPT in (FOLDER / "report.html").read_text("utf-8")
    run = json.loads((FOLDER / "run.json").read_text())
    assert (run["command"], run["seed"]) == ("trace", 1)
    assert run["config"]["settings"]["samples"] == 2
    saved = CausalTrace.load(FOLDER / "trace.safetensors")
    assert saved.fact.subject == "Space Needle"


def test_json_is_all_that_stands_on_stdout(trace):
    found = json.loads(trace(*NEEDLE, "--json", "--top", "3", "--seed", "4", "--replace").out)
    made = found["traces"][""]
    assert (made["fact"]["target"], made["seed"], made["replace"]) == (made["answer"].strip(), 4, True)
    assert made["total_effect"] == pytest.approx(made["clean"] - made["corrupted"])
    effects = [site["indirect_effect"] for site in made["strongest"]]
    assert len(effects) == 3
    assert effects == sorted(effects, reverse=True)
    assert set(made["restored"]) == {"hidden", "mlp", "attn"}
    assert found["folder"] == str(FOLDER)


def test_figures_in_the_formats_and_places_asked_for(drawing):
    ran = drawing(*NEEDLE, "--kinds", "hidden", "--format", "pdf", "--figure", "mine.png", "--out", "x")
    assert ran.code == 0, ran.err
    assert {file.name for file in Path("x").iterdir()} == WITHOUT | {"heatmap.pdf"}
    assert Path("mine.png").read_bytes().startswith(b"\x89PNG")


def test_severed_kinds_stand_beside_the_whole_states(trace):
    found = json.loads(trace(*NEEDLE, "--kinds", "mlp", "--sever", "attn", "--sever", "mlp", "--json").out)
    assert list(found["traces"][""]["restored"]) == ["hidden", "mlp", "severed-mlp", "severed-attn"]


def test_what_is_decided_for_the_user_is_said(trace):
    ran = trace("Ann met Ann in", *QUICK, "--window", "50")
    assert ran.code == 0, ran.err
    assert "guessed 'Ann'" in ran.err
    assert "stands 2 times in the prompt; the first" in ran.err
    assert "wider than the model (3)" in ran.err


def test_an_expected_answer(trace, known):
    fact = known[0]
    assert trace(fact["prompt"], "-s", fact["subject"], *QUICK, "--expect", fact["target"], "--out", "right").code == 0
    ran = trace(*NEEDLE, "--expect", "Zorbl", "--out", "wrong")
    assert ran.code == 1
    assert ran.out == ""
    assert f"The answer to {PROMPT!r} is " in ran.err
    assert ", not 'Zorbl'." in ran.err
    assert not Path("wrong").exists()


def test_another_answer_is_followed_on_demand(trace, known, model):
    lm, fact = LanguageModel.load(model), known[1]
    text = fact["prompt"].replace("{}", fact["subject"])
    likeliest, *others = top_tokens(lm, text, 50)
    rank, other = next((i, t) for i, t in enumerate(others, 2) if t.text[0] == " " and t.text.strip().isalpha())
    args = (text, "-s", fact["subject"], *QUICK, "--answer", f"{other.text.strip()} Bay")
    ran = trace(*args, "--out", "x")
    assert ran.code == 0, ran.err
    said = f"{other.text!r}, the first token of '{other.text.strip()} Bay': "
    beside = f", rank {rank}; the model's own likeliest is {likeliest.text!r} ("
    assert said in ran.out
    assert beside in ran.out
    page = html.unescape(Path("x/report.html").read_text("utf-8"))
    assert f"Followed: {said}" in page
    assert beside in page
    assert json.loads(Path("x/run.json").read_text())["config"]["follow"] is True
    made = json.loads(trace(*args, "--out", "y", "--json").out)["traces"][""]
    assert (made["answer"], made["fact"]["target"]) == (other.text, f"{other.text.strip()} Bay")
    assert made["followed"]["rank"] == rank
    assert made["clean"] == pytest.approx(other.probability, abs=1e-6)
    own = json.loads(trace(*args[:-2], "--out", "z", "--json").out)["traces"][""]
    assert (own["answer"], own["followed"]) == (likeliest.text, None)


def test_a_file_of_facts(trace, known):
    write_facts([known[0], {"id": "n 1", "subject": "Big Ben", "prompt": "{} is in", "target": "Zorbl"}])
    assert trace("--facts", "facts.jsonl", *QUICK).code == 0
    names = {"trace-n-ann.safetensors", "trace-n-1.safetensors"}
    assert {file.name for file in Path("runs/trace-facts").iterdir()} == {*names, "report.html", "run.json"}
    page = Path("runs/trace-facts/report.html").read_text("utf-8")
    assert "2 statements traced" in page
    assert "Both directions" not in page
    ran = trace("--fact-file", "facts.jsonl", "--known-only", *QUICK, "--out", "known")
    assert ran.code == 0, ran.err
    assert "Skipped 1 prompt, another answer: e.g. 'Big Ben is in'" in ran.out
    found = json.loads(trace("--facts", "facts.jsonl", "--known-only", *QUICK, "--out", "again", "--json").out)
    assert list(found["traces"]) == ["n Ann"]
    assert [one["reason"] for one in found["skipped"]] == ["another answer"]


def test_a_prompt_of_a_file_that_is_too_long_is_skipped_and_counted(trace, known):
    write_facts([known[0], {"id": "n 1", "subject": "Ann", "prompt": "{} " + "so " * 200, "target": "on"}])
    ran = trace("--facts", "facts.jsonl", *QUICK)
    assert ran.code == 0, ran.err
    assert "Skipped 1 prompt, prompt longer than the context: e.g. " in ran.out
    assert [file.name for file in Path("runs/trace-facts").glob("trace*")] == ["trace-n-ann.safetensors"]


def test_both_directions(drawing):
    args = ("--reverse", "{} is the home of", "--out", "x", "--format", "svg", "--kinds", "hidden")
    ran = drawing(*NEEDLE, *args)
    assert ran.code == 0, ran.err
    files = {"trace-reverse.safetensors", "heatmap.svg", "heatmap-reverse.svg", "difference.svg"}
    assert {file.name for file in Path("x").iterdir()} == WITHOUT | files
    assert "In reverse" in ran.out
    assert ", the first token of 'Space Needle': " in ran.out
    assert "the reversal curse" in ran.err  # a random model does not know the reverse
    assert "made to end in 'the'" in ran.err
    forward, reverse = (CausalTrace.load(f"x/trace{name}.safetensors") for name in ("", "-reverse"))
    assert (reverse.fact.subject, reverse.fact.target) == (forward.fact.target, "Space Needle")
    assert reverse.fact.prompt == "{} is the home of the"
    assert reverse.level == forward.level
    page = html.unescape(Path("x/report.html").read_text("utf-8"))
    assert "Both directions of a fact" in page
    assert "the first token of 'Space Needle'" in page
    again = drawing("--show", "x", "--out", "y", "--format", "svg")
    assert again.code == 0
    assert f"In reverse\n{reverse.fact.text}" in again.out
    assert {file.name for file in Path("y").iterdir()} == WITHOUT - {"run.json"} | files
    assert "Both directions of a fact" in Path("y/report.html").read_text("utf-8")


def test_the_models_own_answer_in_reverse(trace):
    args = ("--reverse", "{} is the home of", "--reverse-answer", "own", "--kinds", "hidden", "--json")
    ran = trace(*NEEDLE, *args)
    assert ran.code == 0, ran.err
    assert "In reverse the model answers" in ran.err
    found = json.loads(ran.out)["reverse"]
    assert found["fact"]["prompt"] == "{} is the home of"
    assert (found["fact"]["target"], found["followed"]) == (found["answer"].strip(), None)


def test_a_saved_trace_is_shown_without_its_model(obverse, drawing):
    ran = drawing(*NEEDLE, "--kinds", "hidden", "--out", "x", "--format", "svg")
    again = obverse("trace", "--show", "x/trace.safetensors", "--figure", "again.svg", "--out", "y")
    assert again.code == 0, again.err
    assert ran.out[ran.out.index("model") : ran.out.index("Time:")].strip() in again.out
    assert {file.name for file in Path("y").iterdir()} == WITHOUT - {"run.json"} | {"heatmap.png", "heatmap.svg"}
    assert Path("again.svg").is_file()
    assert "Loading" not in again.err
    assert drawing("--show", "x").code == 0


def test_without_matplotlib_there_are_no_figures(trace):
    ran = trace(*NEEDLE)
    assert ran.code == 0, ran.err
    assert ran.err.count("pip install 'obverse[plot]'") == 1
    assert {file.name for file in FOLDER.iterdir()} == WITHOUT


def test_without_matplotlib_a_figure_that_is_asked_for_is_refused_before_the_work(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    for args in (NEEDLE, ("--dataset", "known")):
        ran = trace(*args, "--figure", "mine.png")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.count("pip install 'obverse[plot]'") == 1
        assert "Loading" not in ran.err
    assert not Path("mine.png").exists()
    assert not FOLDER.exists()


def test_a_data_set_is_averaged_and_gone_on_with(trace, known):
    write_facts([{**fact, "id": fact["subject"]} for fact in known])
    first = trace("--dataset", "facts.jsonl", *QUICK, "--out", "runs/x", "--limit", "2")
    assert first.code == 0, first.err
    assert first.err.count("pip install 'obverse[plot]'") == 1
    for words in ("2 traced", "ATE", "last subject token", "peak layer", "95 % interval", "runs/x/report.html"):
        assert words in first.out
    Path("ids.txt").write_text("Ann\n")
    found = json.loads(trace("--dataset", "facts.jsonl", *QUICK, "--out", "runs/x", "--ids", "ids.txt", "--json").out)
    assert (found["traced"], found["resumed"]) == (1, 1)
    again = trace("--dataset", "facts.jsonl", *QUICK, "--out", "runs/x")
    assert "3 traced, 2 of them from an earlier start" in again.out
    write_facts([{**fact, "target": "Zorbl"} for fact in known])
    ran = trace("--dataset", "facts.jsonl", *QUICK)
    assert ran.code == 2
    assert "another answer: 3" in ran.err


def test_help_lists_every_noise_rule_and_has_examples(obverse):
    out = obverse("trace", "--help").out
    for words in ("0.1: Gaussian", "s3: Gaussian of 3 sigma", "u0.5: uniform", "m: Gaussian", "t3: Student's",
                  "Examples", "--json"):  # fmt: skip
        assert words in out


@pytest.mark.real_model
@pytest.mark.timeout(600)
def test_the_space_needle_is_found_at_its_last_token(tmp_path):
    """The paper's picture: an early site at the last subject token, a late one at the last token."""
    done = subprocess.run(
        [sys.executable, "-m", "obverse", "trace", "The Space Needle is located in the city of", *SUBJECT, "--samples",
         "3", "--kinds", "hidden", "--expect", "Seattle", "--out", tmp_path / "trace", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["traces"][""]
    effects = torch.tensor(found["restored"]["hidden"]) - found["corrupted"]
    assert found["total_effect"] > 0.3
    assert effects[3].argmax() < 12
    assert effects[3].max() > 0.2
    assert effects[-1].argmax() == 17
    assert effects[4:-1].max() < 0.1
