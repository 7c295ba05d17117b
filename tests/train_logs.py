"""A training run as it is read from disk, made by hand; no model needed."""

import numpy as np

from obverse.report.train_page import TrainedRun


def trained(steps=60, every=20, name="free", text="Anna plays chess."):
    """A run made by hand."""
    rng = np.random.default_rng(0)
    log = []
    for step in range(steps + 1):
        if step % every == 0:
            mean = float(rng.uniform(0.1, 0.2))
            own = {"score": mean, "score_low": mean - 0.05, "score_high": mean + 0.05, "distinct_2": 0.9}
            log.append(
                {"id": f"generation {step}", "step": step, **{f"generation/{name}/{k}": v for k, v in own.items()}}
            )
            log.append({"id": f"kl {step}", "step": step, "kl/nats": step / 7, "kl/nats_low": 0.0, "kl/nats_high": 9.0})
        if step:
            loss = float(5 / step + rng.uniform(0, 0.1))
            log.append({"id": f"train {step}", "step": step, "loss": loss, "learning_rate": 1e-3, "value_loss": 0.5})
    summary = {
        "plan": {
            "model": "a-small-model", "parameters": [1000, 900], "objective": {"name": "awr"}, "rows": 42, "length": 16,
            "batch": [4, 2, 1], "steps": steps, "passes": 5.7, "resumed": 0,
        },
        "numbers": {"loss": log[-1]["loss"]}, "seconds": {"Training": 3.0}, "folder": "runs/x",
    }  # fmt: skip
    rows = [{"prompt": "", "text": text, "score": 0.25 * i} for i in range(3)] + [{"text": text, "score": None}]
    config = {"evaluation": {"scenarios": [{"name": name, "samples": 30}]}, "kl": {"samples": 20}}
    about = {"config": config, "model": {"dtype": "float32"}, "seed": 7}
    return TrainedRun(summary, log, {name: {0: rows, steps: rows}}, about)
