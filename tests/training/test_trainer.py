"""The one trainer: its loss, its checkpoints, and going on after a stop."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TrainingArguments

from families import tiny
from obverse.core import ObverseError
from obverse.training import objectives
from obverse.training._tally import counts
from obverse.training.callbacks import KeepLog
from obverse.training.checkpoints import checkpoints, step_of
from obverse.training.example import Example, collate
from obverse.training.objectives.mle import MLE, MLEConfig
from obverse.training.sampling import TrainingData
from obverse.training.trainer import ObjectiveTrainer

STEPS = 4


class Listed:
    """Rows in memory, in place of a packed corpus."""

    def __init__(self, lengths, seed=0):
        draws = np.random.default_rng(seed)
        self._rows = [Example.of(draws.integers(1, 500, n), draws.random(n)) for n in lengths]
        self.components = np.full(len(self._rows), -1)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, row):
        return self._rows[row]


class Told(MLE):
    """Next-token prediction with something to log, and something of its own to save."""

    def loss(self, output, batch):
        loss = super().loss(output, batch)
        return type(loss)(loss.total, loss.count, {"rows": torch.tensor(float(len(batch["labels"])))})

    def save(self, folder):
        (folder / "own.txt").write_text("learnt")

    def load(self, folder):
        self.loaded = (folder / "own.txt").read_text()


def trainer_of(folder, *, lengths=(9, 16, 5, 12, 16, 7, 11, 3), family="gpt2", callbacks=(), **changes):
    torch.set_num_threads(1)
    lm = tiny(family)
    lm.model.requires_grad_(True)
    arguments = {
        "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "logging_steps": 1, "seed": 3,
        "save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True, "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }  # fmt: skip
    args = TrainingArguments(output_dir=str(folder), **{**arguments, **changes})
    objective = Told(MLEConfig())
    return ObjectiveTrainer(lm.model, objective, args, TrainingData(Listed(lengths), objective, 0, 3), callbacks)


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **tolerance)


def test_neither_padding_nor_accumulation_changes_the_loss(tmp_path):
    """Rows of unequal length, one at a time (nothing is padded) and four at a time."""
    plain = {"family": "llama", "optim": "sgd"}  # Adam makes a step of rounding where a gradient is zero
    together = trainer_of(tmp_path, **plain)
    alone = trainer_of(tmp_path, per_device_train_batch_size=1, gradient_accumulation_steps=4, **plain)
    together.train()
    alone.train()
    assert losses(together) == pytest.approx(losses(alone), rel=1e-5)
    assert_same(weights(together), weights(alone), atol=1e-5, rtol=1e-5)


def test_the_loss_is_the_mean_over_the_tokens_of_a_step(tmp_path):
    trainer = trainer_of(tmp_path, max_steps=1, family="llama", gradient_accumulation_steps=2)
    data, model = trainer.train_dataset, trainer.model
    totals, n = 0.0, 0
    for row in range(8):  # a step has all rows
        ids = torch.from_numpy(data.rows[row].ids)[None]
        with torch.no_grad():
            logprobs = model(ids).logits[0, :-1].log_softmax(-1)
        totals -= float(logprobs.gather(1, ids[0, 1:, None]).sum())
        n += ids.shape[1] - 1
    trainer.train()
    assert losses(trainer) == [pytest.approx(totals / n, rel=1e-5)]


def test_what_is_logged(tmp_path):
    kept = []
    trainer = trainer_of(
        tmp_path, logging_steps=2, family="llama", callbacks=[KeepLog(lambda *entry: kept.append(entry))]
    )
    trainer.train()
    (first, one), (second, two), (_, end) = kept
    assert (first, second) == (2, 4)
    assert one["rows"] == two["rows"] == 4.0
    seen = sum(len(trainer.train_dataset.rows[row].ids) for row in range(8))
    assert (one["tokens_seen"], two["tokens_seen"]) == (seen, 2 * seen)  # two batches are a pass
    assert two["tokens_per_second"] > 0
    assert "train_runtime" in end


@pytest.mark.parametrize("stop", [2, STEPS])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, stop):
    """With dropout (GPT-2's 0.1), so that the random state must come back too."""
    whole = trainer_of(tmp_path / "whole")
    whole.train()
    half = trainer_of(tmp_path / "half", save_strategy="steps", save_steps=2)
    half.train()
    (first, last) = checkpoints(tmp_path / "half")
    assert (step_of(first), step_of(last)) == (2, 4)
    resumed = trainer_of(tmp_path / "half")
    resumed.train(resume_from_checkpoint=str(first if stop == 2 else last))
    assert resumed.objective.loaded == "learnt"
    assert losses(resumed) == losses(whole)
    assert_same(weights(resumed), weights(whole), rtol=0, atol=0)
    seen = [entry["tokens_seen"] for entry in resumed.state.log_history if "tokens_seen" in entry]
    assert seen == [entry["tokens_seen"] for entry in whole.state.log_history if "tokens_seen" in entry]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    trainer_of(tmp_path, save_strategy="steps", save_steps=1, save_total_limit=2).train()
    assert [step_of(path) for path in checkpoints(tmp_path)] == [3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-4"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left to write .*checkpoint-4"),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0"), "could not be written"),
    ],
)
def test_a_disk_that_fills_leaves_the_previous_checkpoint(tmp_path, failure, message):
    trainer = trainer_of(tmp_path, save_strategy="steps", save_steps=2, save_total_limit=1)

    def save(folder: Path):
        if folder.name == "checkpoint-4":
            raise failure

    trainer.objective.save = save
    with pytest.raises(ObverseError, match=message) as caught:
        trainer.train()
    assert "free some space" in caught.value.hint.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
    assert trainer.args.output_dir == str(tmp_path)


def test_other_errors_of_a_checkpoint_pass(tmp_path):
    trainer = trainer_of(tmp_path, save_strategy="steps", save_steps=2)

    def save(_: Path):
        raise RuntimeError("something else")

    trainer.objective.save = save
    with pytest.raises(RuntimeError, match="something else"):
        trainer.train()
    assert not list(tmp_path.iterdir())


@settings(max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 7))
def test_padding_is_never_counted(lengths, more):
    rows = [Listed([n])[0] for n in [*lengths, max(lengths) + more]]
    predicted, seen = counts(collate(rows, 0)).tolist()
    assert seen == sum(len(row.ids) for row in rows)
    assert predicted == seen - len(rows)


def test_every_objective_counts_as_the_trainer_does():
    """The trainer divides by labels counted before the pass; an objective that counted otherwise would be scaled."""
    from obverse.data.scored import ScoredText
    from obverse.training.from_corpus import resolve

    document = ScoredText(("Anna plays tennis. ", "She was born in Rome."), (0.0, 0.5))
    for name in objectives.names():
        kind = objectives.load(name)
        objective = kind(resolve(kind.config_type(), [document]))
        lm = tiny("llama")
        objective.setup(lm, torch.Generator().manual_seed(0))
        rows = [Listed([n], seed=n)[0] for n in (14, 20)]
        corrupt = getattr(objective, "corrupt_for", None)
        seen = [
            corrupt(0, row, np.random.default_rng(1)) if corrupt else objective.corrupt(row, np.random.default_rng(1))
            for row in rows
        ]
        batch = collate(seen, 0)
        if corrupt:
            batch["component"] = torch.zeros(2, dtype=torch.int64)
        assert int(objective(lm.model, batch).count) == int(counts(batch)[0]), name
