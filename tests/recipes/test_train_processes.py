"""Two processes train what one trains, copies of the model or shards of it, also where they are stopped in between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import obverse as obverse_package
from obverse.core import read_records
from training_runs import tiny_task, write_corpus

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)

if "ACCELERATE_USE_FSDP" in os.environ:  # accelerate shards on accelerators only; torch can on CPUs too
    from accelerate import PartialState
    from accelerate.utils import DistributedType
    begin = PartialState.__init__
    def begun(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU
    PartialState.__init__ = begun

from obverse.recipes.train import TrainRequest, run_train
from obverse.training.callbacks import StopOnSignal
from obverse.training.settings import train_config

stop, step_end = int(os.environ.get("STOP_AFTER", 0)), StopOnSignal.on_step_end
def stopping(self, args, state, control, **rest):
    if state.global_step == stop and state.is_world_process_zero:
        self._ask()
    return step_end(self, args, state, control, **rest)
StopOnSignal.on_step_end = stopping

for name, task in json.loads(Path("tasks.json").read_text()).items():
    try:
        run_train(TrainRequest(train_config(task), Path(sys.argv[1]) / name, resume=True))
    except KeyboardInterrupt:
        assert stop
"""

KINDS = {
    "copies": ["--multi_gpu"],
    "shards": ["--use_fsdp", "--fsdp_version=2", "--fsdp_auto_wrap_policy=TRANSFORMER_BASED_WRAP"],
}


def launched(folder, name, kind=None, stop=0):
    """Train the tasks of a folder, in one process or as two of a kind."""
    launch = ["-m", "accelerate.commands.launch", "--num_processes=2", "--num_machines=1", "--mixed_precision=no",
              "--dynamo_backend=no", "--main_process_port=0", *KINDS[kind]] if kind else []  # fmt: skip
    source = str(Path(obverse_package.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, *launch, "script.py", name],
        cwd=folder,
        env={
            **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": source, "OBVERSE_CACHE": str(folder / "cache"),
            "STOP_AFTER": str(stop),
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def by_one(tmp_path_factory):
    """A folder of tasks, trained by one process."""
    folder = tmp_path_factory.mktemp("processes")
    corpus = write_corpus(folder / "c.jsonl")
    tasks = {}
    for name, objective in (
        ("awr", {"name": "awr", "beta": 1.0}),
        ("conditional", {"name": "conditional", "drop_fraction": 0.5}),
        ("bico", {"name": "bico"}),
    ):
        task = tiny_task(corpus)
        task["data"] |= {"packing": "documents", "length": 32}  # rows of unequal length
        changes = {
            "effective_batch_size": 8, "max_steps": 3, "learning_rate": 0.01,
            "adam_epsilon": 1e-3,  # a smaller one makes a step of what rounding leaves of a gradient of zero
        }  # fmt: skip
        if name == "conditional":
            scenario = {"name": "free", "samples": 3, "min_length": 2, "max_length": 8}
            task["evaluation"] = {"scorer": "pii", "scenarios": [scenario], "every": 2}
        tasks[name] = task | {"objective": objective, "training": task["training"] | changes}
    (folder / "tasks.json").write_text(json.dumps(tasks))
    (folder / "script.py").write_text(SCRIPT)
    launched(folder, "by1")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_what_one_trains(by_one, kind):
    launched(by_one, kind, kind, stop=2)
    for task in json.loads((by_one / "tasks.json").read_text()):
        kept = by_one / kind / task / "checkpoints"
        assert [path.name for path in kept.iterdir()] == ["checkpoint-2"], task
        sharded = (kept / "checkpoint-2" / "pytorch_model_fsdp_0").is_dir()
        assert sharded == (kind == "shards")
    launched(by_one, kind, kind)
    for task in json.loads((by_one / "tasks.json").read_text()):
        one, two = ([*read_records(by_one / name / task)] for name in ("by1", kind))
        losses = [[(r["loss"], r["tokens_seen"]) for r in records if "loss" in r] for records in (one, two)]
        assert [seen for _, seen in losses[0]] == [seen for _, seen in losses[1]]
        assert [loss for loss, _ in losses[0]] == pytest.approx([loss for loss, _ in losses[1]], rel=1e-5)
        said = [[dict(r) for r in records if "generation/free/score" in r] for records in (one, two)]
        assert len(said[0]) == (2 if task == "conditional" else 0)
        for alone, together in zip(*said, strict=True):
            assert together.pop("id") == alone.pop("id")
            assert together == pytest.approx(alone, rel=1e-4)
        for file in ("model.safetensors", *(["value_head.safetensors"] if task == "awr" else [])):
            weights = [load_file(by_one / name / task / file) for name in ("by1", kind)]
            assert weights[0].keys() == weights[1].keys()
            for key in weights[0]:
                assert (weights[0][key] - weights[1][key]).abs().max() < 1e-5, (task, key)
        assert json.loads((by_one / kind / task / "run.json").read_text())["processes"] == 2
