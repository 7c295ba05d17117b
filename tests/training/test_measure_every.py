"""Measurements at a cadence: when they are taken, by whom, and what is logged."""

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from obverse.training import callbacks
from obverse.training.callbacks import MeasureEvery

ARGS = TrainingArguments(output_dir="never", report_to=[], use_cpu=True)


def run(measure: MeasureEvery, steps: int, *, begin: int = 0, first: bool = True) -> None:
    state, control = TrainerState(max_steps=steps, global_step=begin, is_world_process_zero=first), TrainerControl()
    measure.on_train_begin(ARGS, state, control)
    for step in range(begin + 1, steps + 1):
        state.global_step, control.should_log = step, True
        measure.on_step_end(ARGS, state, control)
        assert control.should_log


@pytest.mark.parametrize(
    ("at", "begin", "expected"),
    [((), 0, [3, 6, 7]), ((0, 2), 0, [0, 2, 3, 6, 7]), ((0, 2), 2, [3, 6, 7]), ((7,), 6, [7])],
)
def test_when(at, begin, expected):
    seen, logged = [], []
    measure = MeasureEvery(lambda step: seen.append(step) or {"score": step}, "kl/", 3, at)
    measure.log = lambda numbers, seconds: logged.append((numbers, seconds >= 0))
    run(measure, 7, begin=begin)
    assert seen == expected
    assert logged == [({"kl/score": step}, True) for step in expected]


@pytest.mark.parametrize("sharded", [False, True])
def test_other_processes_measure_only_where_weights_are_spread(monkeypatch, sharded):
    monkeypatch.setattr(callbacks, "is_sharded", lambda _: sharded)
    seen, logged = [], []
    measure = MeasureEvery(lambda step: seen.append(step) or {"score": step}, "kl/", 3)
    measure.log = lambda numbers, _: logged.append(numbers)
    run(measure, 3, first=False)
    assert seen == ([3] if sharded else [])
    assert logged == [{}]
