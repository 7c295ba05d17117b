"""Batch, accumulation and steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainingArguments

from obverse.core import ConfigError
from obverse.recipes.train_arguments import set_budget, training_arguments
from obverse.training.settings import train_config

BASE = train_config({"data": {"sources": "x"}})


def config_of(length=1024, skip=0, **training):
    return BASE.model_copy(
        update={
            "data": BASE.data.model_copy(update={"length": length, "skip_tokens": skip}),
            "training": BASE.training.model_copy(update=training),
        }
    )


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    return TrainingArguments(str(tmp_path_factory.mktemp("x")), report_to=[], use_cpu=True)


def set_(arguments, config, rows=100, device=8, **given):
    arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps = device, 1
    arguments.max_steps, arguments.num_train_epochs = given.get("max_steps", -1), given.get("epochs", 3)
    set_budget(arguments, config, rows)
    return arguments.max_steps, arguments.gradient_accumulation_steps


@pytest.mark.parametrize(
    ("tokens", "skip", "batch", "steps"),
    [
        (3.3e9, 0, 64, 50_354),
        (3.3e9, 1_661_599_744, 64, 25_000),
        (3.3e9, 0, 1024, 3147),
        (3.3e9, 1_649_999_872, 128, 12_588),
    ],
)
def test_the_published_steps(arguments, tokens, skip, batch, steps):
    config = config_of(num_tokens=int(tokens), effective_batch_size=batch, skip=skip)
    assert set_(arguments, config) == (steps, batch // 8)


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.integers(1, 16), st.integers(1, 9), st.integers(2, 2048))
def test_a_budget_is_used_up_to_the_last_whole_step(arguments, tokens, skip, accumulation, device, length):
    batch = accumulation * device
    config = config_of(length, skip, num_tokens=tokens, effective_batch_size=batch)
    step = batch * length
    if tokens - skip < step:
        with pytest.raises(ConfigError, match="less than a step"):
            set_(arguments, config, device=device)
        return
    steps, found = set_(arguments, config, device=device)
    assert found == accumulation
    assert steps * step <= tokens - skip < (steps + 1) * step


def test_steps_go_before_tokens_and_tokens_before_passes(arguments):
    assert set_(arguments, config_of(num_tokens=10**6), max_steps=7)[0] == 7
    assert set_(arguments, config_of(num_tokens=10**6))[0] == 122
    assert set_(arguments, config_of(), rows=100, epochs=3)[0] == 38  # 300 rows, 8 a step


def test_a_small_effective_batch_needs_no_device_batch(tmp_path):
    args = training_arguments(config_of(effective_batch_size=2, use_cpu=True), tmp_path)
    assert args.per_device_train_batch_size == 2
    assert training_arguments(config_of(use_cpu=True, bf16="auto"), tmp_path).bf16 is False
