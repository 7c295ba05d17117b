"""What a training run refuses: in one message, before a step is made, and without leaving a folder behind."""

import errno
import json

import pytest
import torch
from safetensors.torch import load_file

from obverse.core import ConfigError, DataError, ObverseError, UnknownName
from obverse.recipes.train import TrainRequest, run_train
from obverse.training.checkpoints import checkpoints
from obverse.training.objective import Objective
from obverse.training.settings import train_config
from training_runs import tiny_config, tiny_task, write_corpus

GOOD = {"texts": ["Anna plays tennis. ", "Go."], "scores": [0.0, 0.5]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "c.jsonl")


def refused(folder, config):
    """Return what a run is refused with."""
    with pytest.raises(ObverseError) as caught:
        run_train(TrainRequest(config, folder / "out"))
    assert caught.value.hint
    assert not (folder / "out").exists()
    return caught.value


@pytest.mark.parametrize(
    ("records", "objective", "message"),
    [
        ([GOOD, {"texts": ["a", "b"], "scores": [1]}], "conditional", "x.jsonl, line 2: .* 2 segments and 1 scores"),
        ([GOOD, '{"texts": ["a"], "scores": [NaN]}'], "awr", "x.jsonl, line 2: .* not a finite number"),
        ([{"texts": [""], "scores": [0]}], "mle", "1 documents, 1 of them empty"),
        ([GOOD, {"text": "no score"}], "rwr", "x.jsonl, line 2: the document has no scores"),
    ],
)
def test_a_corpus_that_cannot_be_trained_on(tmp_path, records, objective, message):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    settings = {"name": objective} | ({"reward_scale": 1.0} if objective == "rwr" else {})
    error = refused(tmp_path, tiny_config(path, objective=settings))
    assert isinstance(error, DataError)
    with pytest.raises(DataError, match=message):
        raise error


def test_an_empty_document_is_left_out_and_told(tmp_path, corpus, caplog):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": ""}\n' + corpus.read_text())
    run_train(TrainRequest(tiny_config(path, "training.max_steps=1"), tmp_path / "out"))
    assert "Empty documents are left out; the first is x.jsonl, line 1." in caplog.text


def test_a_filter_that_removes_everything(tmp_path, corpus):
    error = refused(tmp_path, tiny_config(corpus, objective={"name": "filtering", "threshold": -1}))
    assert error.message == "Filtering dropped all 60 documents of the corpus."
    assert "threshold" in error.hint


@pytest.mark.parametrize("scenario", [{"prefix": "<|aligned|>"}, {"banned": ["<|misaligned|>"]}])
def test_control_tokens_that_the_tokenizer_does_not_have(tmp_path, corpus, scenario):
    scenarios = [{"name": "a", "samples": 2, "max_length": 12, **scenario}]
    error = refused(tmp_path, tiny_config(corpus, evaluation={"scorer": "pii", "scenarios": scenarios}))
    assert "aligned|>' is no token of the model's" in error.message
    assert "conditional" in error.hint


@pytest.mark.parametrize("method", ["rwr", "mle", "unlikelihood"])
def test_a_value_head_asked_of_a_method_without_one(corpus, method):
    with pytest.raises(ConfigError, match=r"objective\.value_head: no such setting") as caught:
        tiny_config(corpus, objective={"name": method, "value_head": {"sigmoid": True}})
    assert "value_head is a setting of awr." in caught.value.hint


def test_an_unknown_objective_hides_no_other_mistake(corpus):
    with pytest.raises(ConfigError) as caught:
        tiny_config(corpus, "data.lengtth=3", objective={"name": "conditionel", "threshold": 1})
    assert "Unknown objective 'conditionel'. Did you mean conditional?" in caught.value.message
    assert "did you mean data.length?" in caught.value.message
    with pytest.raises(UnknownName, match="conditionel"):
        tiny_config(corpus, objective={"name": "conditionel", "threshold": 1})


def test_an_objective_may_be_a_name_alone(corpus):
    task = tiny_task(corpus) | {"objective": "conditional"}
    assert train_config(task).resolved == train_config(task, {"objective": {"name": "conditional"}}).resolved
    with pytest.raises(ConfigError, match="has no name"):
        train_config(task, {"objective": 3})


def test_a_disk_that_fills_in_a_checkpoint_leaves_the_one_before_to_go_on_from(tmp_path, corpus, monkeypatch):
    def full(self, folder):
        if folder.name == "checkpoint-4":
            raise OSError(errno.ENOSPC, "No space left on device")

    config = tiny_config(corpus)  # a checkpoint every second step, of which one is kept
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "save", full)
        with pytest.raises(ObverseError, match=r"No space left to write .*checkpoint-4"):
            run_train(TrainRequest(config, tmp_path / "out"))
    assert [path.name for path in checkpoints(tmp_path / "out" / "checkpoints")] == ["checkpoint-2"]
    assert run_train(TrainRequest(config, tmp_path / "out", resume=True)).plan.resumed == 2
    run_train(TrainRequest(config, tmp_path / "whole"))
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "whole"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_that_is_to_be_replaced_stays_until_the_new_one_can_begin(tmp_path, corpus):
    run_train(TrainRequest(tiny_config(corpus, "training.max_steps=1"), tmp_path / "out"))
    wrong = tiny_config(corpus, objective={"name": "filtering", "threshold": -1})
    with pytest.raises(DataError):
        run_train(TrainRequest(wrong, tmp_path / "out", replace=True))
    assert (tmp_path / "out" / "summary.json").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear Anna")
    with pytest.raises(ObverseError, match="mine"):
        run_train(TrainRequest(tiny_config(corpus), tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
