"""A tiny training run: a corpus in a file, a model drawn anew with a tokenizer trained on that corpus."""

import json
from pathlib import Path
from typing import Any

from obverse.training.settings import TrainConfig, train_config

SCORER = '''
from typing import ClassVar
from obverse.core import Config

class DigitsConfig(Config):
    """Nothing to set."""

class Digits:
    """Share of digits."""
    config_type: ClassVar[type[Config]] = DigitsConfig
    unit: ClassVar[str] = "digits a character"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config):
        self.config = config

    def score(self, texts):
        return [sum(c.isdigit() for c in text) / max(1, len(text)) for text in texts]
'''


def write_corpus(path: Path, *, scored: bool = True, documents: int = 60) -> Path:
    """Write documents of two sentences; every third has a number in it, which is what is bad."""
    records = []
    for i in range(documents):
        texts = [f"Anna plays {('tennis', 'chess', 'hockey')[i % 3]}. ", f"Call {i * 37:04d}." if i % 3 == 0 else "Go."]
        scores = [0.0, 0.5 if i % 3 == 0 else 0.0]
        records.append({"texts": texts, "scores": scores} if scored else {"text": "".join(texts)})
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def tiny_task(corpus: Path) -> dict[str, Any]:
    """Return the settings of a task that trains for a moment."""
    return {
        "data": {"sources": str(corpus), "length": 16},
        "model": {
            "architecture": "llama",
            "settings": {
                "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                "num_key_value_heads": 2, "max_position_embeddings": 64,
            },
            "tokenizer": {"size": 300},
        },
        "objective": {"name": "mle"},
        "training": {
            "max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "logging_steps": 1,
            "save_steps": 2, "use_cpu": True,
        },
    }  # fmt: skip


def tiny_config(corpus: Path, *overrides: str, **layer: Any) -> TrainConfig:
    """Return the settings of a run; ``layer`` is merged over the task."""
    return train_config(tiny_task(corpus), layer, overrides=overrides)
