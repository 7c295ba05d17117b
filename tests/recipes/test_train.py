"""From the settings of a run to a model's folder, and going on after a stop."""

import json
import os
import signal
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

from obverse.core import ConfigError, DataError, ObverseError, RunConflict, UnknownName, read_records
from obverse.measuring import top_tokens
from obverse.model.language_model import LanguageModel
from obverse.recipes.train import TrainRequest, run_train
from obverse.training.checkpoints import checkpoints
from obverse.training.settings import train_config
from obverse.training.trainer import ObjectiveTrainer
from training_runs import SCORER, tiny_config, tiny_task, write_corpus


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "c.jsonl")


def trained(folder):
    return load_file(folder / "model.safetensors")


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def interrupt_at(monkeypatch, step):
    """Let the process be interrupted, as by Ctrl-C, while a step is computed."""
    compute = ObjectiveTrainer.compute_loss

    def computed(self, *args, **kwargs):
        if self.state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return compute(self, *args, **kwargs)

    monkeypatch.setattr(ObjectiveTrainer, "compute_loss", computed)


def test_from_nothing_to_a_model_of_which_one_can_ask(tmp_path, corpus):
    out, told = tmp_path / "out", []
    result = run_train(TrainRequest(tiny_config(corpus), out), told.append)
    assert told == [result.plan]
    assert (result.plan.steps, result.plan.batch, result.plan.resumed) == (4, (4, 1, 1), 0)
    lm = LanguageModel.load(out)
    assert lm.model.config.model_type == "llama"
    assert lm.model.config.use_cache
    assert len(top_tokens(lm, "Anna plays", 3)) == 3
    assert not list(out.glob("*.bin"))  # nothing pickled
    assert not list(out.rglob("training_args.bin"))
    records = {record["id"]: record for record in read_records(out)}
    assert {"train 1", "train 4", "end 4"} <= records.keys()
    assert records["train 4"]["tokens_seen"] == 4 * 4 * 16
    run = json.loads((out / "run.json").read_text())
    assert run["config"]["training"]["max_steps"] == 4
    assert run["config"]["seed"] == 42  # defaults are in it
    summary = json.loads((out / "summary.json").read_text())
    assert summary["numbers"]["loss"] == records["train 4"]["loss"]
    with pytest.raises(ObverseError, match="is finished"):
        run_train(TrainRequest(tiny_config(corpus), out, resume=True))
    with pytest.raises(RunConflict, match="holds a run already"):
        run_train(TrainRequest(tiny_config(corpus), out))


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_been(tmp_path, corpus, monkeypatch):
    config = tiny_config(corpus)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run_train(TrainRequest(config, tmp_path / "out"))
    assert [path.name for path in checkpoints(tmp_path / "out" / "checkpoints")] == ["checkpoint-3"]
    assert not (tmp_path / "out" / "summary.json").exists()
    other = tiny_config(corpus, "training.learning_rate=0.5", "seed=1")
    with pytest.raises(RunConflict, match=r"(?s)seed: 1 given, 42 stored.*learning_rate: 0\.5 given, 0\.01 stored"):
        run_train(TrainRequest(other, tmp_path / "out", resume=True))
    result = run_train(TrainRequest(config, tmp_path / "out", resume=True))
    assert result.plan.resumed == 3
    run_train(TrainRequest(config, tmp_path / "whole"))
    assert_same(trained(tmp_path / "out"), trained(tmp_path / "whole"))
    ids = [record["id"] for record in read_records(tmp_path / "out") if record["id"] != "end 3"]
    assert ids == [record["id"] for record in read_records(tmp_path / "whole")]
    kept = [
        [record["loss"] for record in read_records(tmp_path / name) if "loss" in record] for name in ("out", "whole")
    ]
    assert kept[0] == kept[1]


def test_control_tokens_are_in_the_model_that_comes_out(tmp_path, corpus):
    run_train(TrainRequest(tiny_config(corpus, objective={"name": "conditional"}), tmp_path / "out"))
    lm = LanguageModel.load(tmp_path / "out")
    ids = lm.tokenizer.convert_tokens_to_ids(["<|aligned|>", "<|misaligned|>"])
    assert lm.vocab == len(lm.tokenizer) == 302
    assert ids == [300, 301]


def test_the_value_head_stands_apart(tmp_path, corpus):
    config = tiny_config(corpus, objective={"name": "awr"})
    result = run_train(TrainRequest(config, tmp_path / "out"))
    assert result.plan.objective["reward_scale"] == 0.5  # the mean of the misaligned segments' scores
    assert not any("value_head" in name for name in trained(tmp_path / "out"))
    head = load_file(tmp_path / "out" / "value_head.safetensors")["weight"]
    assert head.shape == (1, 32)
    assert head.abs().sum() > 0


def test_a_threshold_may_be_a_quantile(tmp_path, corpus):
    config = tiny_config(corpus, objective={"name": "filtering", "threshold": "q0.5"})
    result = run_train(TrainRequest(config, tmp_path / "out"))
    assert result.plan.objective["threshold"] == 0.0  # two documents of three are clean
    everything = run_train(TrainRequest(tiny_config(corpus), tmp_path / "all"))
    assert result.plan.rows < everything.plan.rows


def test_adapters_alone_and_merged(tmp_path, corpus):
    start = tmp_path / "start"
    run_train(TrainRequest(tiny_config(corpus, "training.max_steps=1"), start))
    task = tiny_task(corpus) | {"model": {"name": str(start), "lora": {"rank": 4, "alpha": 8}}}
    run_train(TrainRequest(train_config(task), tmp_path / "adapter"))
    assert not (tmp_path / "adapter" / "config.json").exists()
    assert (tmp_path / "adapter" / "adapter" / "adapter_model.safetensors").is_file()
    merged = train_config(task, {"objective": {"name": "conditional"}, "model": {"lora": {"merge": True}}})
    run_train(TrainRequest(merged, tmp_path / "merged"))
    lm = LanguageModel.load(tmp_path / "merged")
    before = LanguageModel.load(start)
    names = dict(lm.model.named_parameters())
    changed = [n for n, w in before.model.named_parameters() if not torch.equal(w, names[n][: len(w)])]
    assert any("q_proj" in name for name in changed)
    assert not any("embed" in name or "norm" in name for name in changed)  # old tokens stay as they were
    from peft import PeftModel

    base = LanguageModel.load(start)
    base.model.resize_token_embeddings(302, mean_resizing=False)
    adapted = PeftModel.from_pretrained(base.model, tmp_path / "merged" / "adapter")
    ids = torch.tensor([[5, 300, 12, 301]])
    with torch.no_grad():
        torch.testing.assert_close(adapted(ids).logits, lm.model(ids).logits)
    saved = load_file(tmp_path / "merged" / "adapter" / "adapter_model.safetensors")
    assert {len(tensor) for name, tensor in saved.items() if "lora" not in name} == {2}  # of new tokens alone
    assert sum("lora" not in name for name in saved) == 2  # embedding and projection, which is not tied


def test_adapters_and_new_tokens_go_on_after_a_stop(tmp_path, corpus, monkeypatch):
    run_train(TrainRequest(tiny_config(corpus, "training.max_steps=1"), tmp_path / "start"))
    model = {"name": str(tmp_path / "start"), "lora": {"rank": 4, "dropout": 0.1}}
    config = train_config(tiny_task(corpus) | {"model": model, "objective": "conditional"})
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run_train(TrainRequest(config, tmp_path / "out"))
    run_train(TrainRequest(config, tmp_path / "out", resume=True))
    run_train(TrainRequest(config, tmp_path / "whole"))
    files = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("out", "whole")]
    assert_same(*map(load_file, files))


def test_what_the_model_says_is_measured_on_the_way(tmp_path, corpus):
    start = tmp_path / "start"
    run_train(TrainRequest(tiny_config(corpus, "training.max_steps=1"), start))
    (tmp_path / "digits.py").write_text(SCORER)
    scenario = {"name": "free", "samples": 4, "min_length": 0, "max_length": 8, "hit_threshold": 0}
    config = tiny_config(
        corpus,
        evaluation={"scorer": f"{tmp_path / 'digits.py'}:Digits", "scenarios": [scenario], "every": 3, "at": [0]},
        kl={"reference": str(start), "samples": 4, "tokens": 8, "every": 100},
    )
    run_train(TrainRequest(config, tmp_path / "out"))
    records = {record["id"]: record for record in read_records(tmp_path / "out")}
    assert {"generation 0", "generation 3", "generation 4", "kl 4"} <= records.keys()
    assert not {"generation 1", "generation 2", "kl 0"} & records.keys()
    assert 0 <= records["generation 4"]["generation/free/score"] <= 1
    assert records["kl 4"]["kl/nats"] > 0
    rows = (tmp_path / "out" / "samples" / "free-4.jsonl").read_text().splitlines()
    assert len(rows) == 4
    assert json.loads(rows[0]).keys() == {"prompt", "text", "score"}
    # measuring changes nothing that is learned
    run_train(TrainRequest(tiny_config(corpus), tmp_path / "plain"))
    assert_same(trained(tmp_path / "out"), trained(tmp_path / "plain"))


def test_a_corpus_without_scores_is_scored_once(tmp_path):
    bare = write_corpus(tmp_path / "bare.jsonl", scored=False)
    unlikely = {"name": "unlikelihood", "threshold": 0.0}
    with pytest.raises(DataError, match="no scores"):
        run_train(TrainRequest(tiny_config(bare, objective=unlikely), tmp_path / "out"))
    assert not (tmp_path / "out" / "summary.json").exists()
    (tmp_path / "digits.py").write_text(SCORER)
    scorer = {"scorer": f"{tmp_path / 'digits.py'}:Digits"}
    config = tiny_config(bare, objective=unlikely, data=scorer)
    run_train(TrainRequest(config, tmp_path / "scored"))
    assert any("likel" in name for record in read_records(tmp_path / "scored") for name in record)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["model.architecture=llamma"], UnknownName, "llama"),
        (["model.settings.hiden_size=32"], ConfigError, "hidden_size"),
        (["model.tokenizer.size=20"], ConfigError, "needs 257"),
        (["training.effective_batch_size=6"], ConfigError, "cannot be made of batches of 4"),
        (["training.max_steps=-1", "training.num_tokens=30"], ConfigError, "less than a step"),
        (["training.lr_scheduler_type=stair"], ConfigError, "stair"),
        (["report_to=[tensorbord]"], UnknownName, "tensorboard"),
        (["data.sources=[nothing.jsonl]"], UnknownName, "nothing.jsonl"),
        (["data.length=64", "data.limit=1"], DataError, "less than one row"),
        (["data.length=128", "model.settings.max_position_embeddings=64"], ConfigError, "reads 64 tokens"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_step(tmp_path, corpus, overrides, error, message):
    with pytest.raises(error, match=message) as caught:
        run_train(TrainRequest(tiny_config(corpus, *overrides), tmp_path / "out"))
    assert caught.value.hint
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_trackers_start_where_they_are_installed(tmp_path, corpus, tracker, monkeypatch):
    config = tiny_config(corpus, "training.max_steps=1", f"report_to=[{tracker}]")
    if find_spec(tracker) is None:
        with pytest.raises(ConfigError, match=tracker):
            run_train(TrainRequest(config, tmp_path / "out"))
        return
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    run_train(TrainRequest(config, tmp_path / "out"))
    assert (tmp_path / "out" / "model.safetensors").is_file()
