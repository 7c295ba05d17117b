"""The paper's setting of PHF as commands to launch: 124 M parameters, 3.3 billion tokens, on an accelerator."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import yaml

from obverse.core import Config, build

GPU = "gpu"
"""Name of the preset."""


class GPUSettings(Config):
    """What is launched."""

    launch: str
    """What starts a training run, before its options."""

    references: dict[str, str]
    """Task of ``obverse train`` → the model from which divergence is measured (the published ones are no more)."""

    methods: tuple[str, ...]
    """Methods of ``obverse train``."""

    seeds: int
    """How often each is trained."""

    overrides: tuple[str, ...] = ()
    """Settings of every run that differ from the published ones."""

    further: tuple[str, ...] = ()
    """Commands after these."""


def gpu_commands(seeds: int | None = None, out: Path | None = None) -> list[str]:
    """Return the commands; each run samples, scores and measures its model on the way and at the end.

    Args:
        seeds: How often each method is trained; None for the preset's number.
        out: Folder of all runs; by default ``runs/repro-phf-gpu``.
    """
    file = files("obverse") / "configs" / "repro" / "phf-gpu.yaml"
    settings = build(GPUSettings, yaml.safe_load(file.read_text("utf-8")), {"seeds": seeds} if seeds else {})
    return list(_commands(settings, out or Path("runs") / "repro-phf-gpu"))


def _commands(settings: GPUSettings, out: Path) -> Iterator[str]:
    for task, reference in settings.references.items():
        for seed, method in itertools.product(range(settings.seeds), settings.methods):
            overrides = (*settings.overrides, f"kl.reference={reference}", f"seed={seed}")
            given = [text for one in overrides for text in ("--override", one)]
            folder = out / f"{task}-{method}-seed{seed}"
            words = ["--task", task, "--method", method, *given, "--out", str(folder), "--resume"]
            yield f"{settings.launch} {shlex.join(words)}"
    yield from settings.further
