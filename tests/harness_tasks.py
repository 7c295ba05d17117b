"""What the tests of lm-evaluation-harness share: small tasks in a folder, edits, and the harness's own model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from obverse.core import Case, Fact
from obverse.editing import Dense, Edit, LowRank
from obverse.model import tensor_hash
from obverse.model.language_model import LanguageModel

FACTS = (
    Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle"),
    Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer"),
    Fact("Ueno Zoo", "People who visit {} travel to", "Madrid", "Tokyo"),
)
CASES = [
    Case.of(
        fact,
        id=f"case {i}",
        paraphrases=(f"I wonder about {fact.subject}:", f"It is said that {fact.text}"),
        neighbours=((f"Big Ben, not {fact.subject}, is near", None), ("Steve Jobs was born in", "Rome")),
        reverse=("What one thinks of at {} is the",),
    )
    for i, fact in enumerate(FACTS)
]


def random_edit(
    lm: LanguageModel, seed: int, layer: int = 1, rank: int = 1, dense: bool = False, prefix: str = ""
) -> Edit:
    """An edit of random numbers, wide enough to be seen."""
    generator = torch.Generator().manual_seed(seed)
    a = lm.architecture
    name = a.mlp_out(layer)
    left, right = (torch.randn(size, rank, generator=generator) for size in (a.hidden, a.inner))
    delta = Dense(left @ right.T) if dense else LowRank(left, right)
    weights = {name: tensor_hash(lm.model.get_submodule(name).weight)}
    fact = FACTS[seed % len(FACTS)]
    deltas = {} if prefix else {name: delta}
    return Edit(deltas, (fact,), "test", {}, lm.fingerprint, lm.name, weights, a.transposed, prefix=prefix)


def write_task(folder: Path, name: str, documents: list[dict[str, Any]], **config: Any) -> None:
    """Write a task as its author would."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    whole = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "metadata": {"version": 2.0},
        **config,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole))


def requests(kind: str, *args: tuple[Any, ...], docs: list[dict[str, Any]] | None = None) -> list[Any]:
    """Requests as the harness makes them."""
    from lm_eval.api.instance import Instance

    docs = docs or [{}] * len(args)
    return [
        Instance(request_type=kind, doc=doc, arguments=one, idx=0, metadata=("some_task", i, 1))
        for i, (one, doc) in enumerate(zip(args, docs, strict=True))
    ]


def own_model(lm: LanguageModel, kind: str = "bpe") -> Any:
    """The harness's own model class around the same model."""
    from lm_eval.models.huggingface import HFLM

    from tiny_tokenizers import tokenizer

    return HFLM(pretrained=lm.model, tokenizer=tokenizer(kind), batch_size=3, device="cpu")
