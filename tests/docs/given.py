"""What the pages take as given: a model, facts, files. The model is a tiny random one, so blocks run in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import obverse
from families import tiny
from obverse import Case, Fact

NEEDLE = Fact("Space Needle", "The {} is located in the city of", "Paris", "Seattle")
BEN = Fact("Big Ben", "{} is in the city of", "Rome", "London")
CSV = (
    "subject,prompt,target,target_true,paraphrases,reverse\n"
    "Space Needle,The {} is located in the city of,Paris,Seattle,The Space Needle is in,A tower in {} is the\n"
    "Big Ben,{} is in the city of,Rome,London,,\n"
)


def common() -> dict[str, Any]:
    """Return the names that any page may use."""
    cases = [Case.of(NEEDLE, id="needle", reverse=("A tower in {} is the",)), Case.of(BEN, id="ben")]
    return {
        "ob": obverse, "obverse": obverse, "lm": tiny("llama"), "fact": NEEDLE, "other": BEN, "cases": cases,
        "Path": Path, "json": json,
    }  # fmt: skip


def files(folder: Path) -> None:
    """Write the files that any page may read, by the names the pages use."""
    (folder / "facts.csv").write_text(CSV, "utf-8")
    (folder / "mine.csv").write_text(CSV, "utf-8")
    (folder / "notes.txt").write_text("Give me the book.\nPlease give me the book.\n", "utf-8")


def _alphaedit(_: Path) -> dict[str, Any]:
    from obverse.editing.alphaedit import AlphaEdit

    quick = {"contexts": {"lengths": [[4, 2]]}, "moment": {"corpus": "facts", "tokens": 500}, "steps": 4}
    config = AlphaEdit.config_type(layers=[1], **quick)
    return {"editor": AlphaEdit(config), "facts": [NEEDLE], "more": [BEN]}


def _files_page(folder: Path) -> dict[str, Any]:
    import safetensors

    obverse.trace(tiny("llama"), NEEDLE.text, "Space Needle", samples=2).save(folder / "trace.safetensors")
    return {"safetensors": safetensors}


def _metrics(_: Path) -> dict[str, Any]:
    from obverse.data.toy_reversal import toy_reversal
    from obverse.measuring.reversal import LeftToRight, evaluate_prompts

    data = toy_reversal(seed=0, entities=2)
    ask = LeftToRight(tiny("llama"), as_document=True)
    untrained = {name: evaluate_prompts(ask, rows, write=False) for name, rows in data.subtasks().items()}
    names = [row.completion for row in next(iter(data.subtasks().values()))]
    return {"reversal_set": data, "rng": np.random.default_rng(0), "names": names, "untrained": untrained}


def _reversal_data(folder: Path) -> dict[str, Any]:
    from obverse.data.toy_reversal import toy_reversal

    toy_reversal(seed=0, entities=2).write(folder / "data" / "reversal-7a8425e87c")
    return {}


def _saved(_: Path) -> dict[str, Any]:
    lm, quick = tiny("llama"), {"layers": [1], "contexts": {"lengths": [[4, 2]]}, "moment": None, "steps": 8}
    return {"lm": lm, "edit": obverse.edit(lm, NEEDLE, settings=quick)}


def _family(folder: Path) -> dict[str, Any]:
    lm = tiny("llama")
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    return {}


def _scored(folder: Path, name: str) -> None:
    from obverse.data.scored import ScoredText
    from obverse.data.scored_files import write_documents

    documents = [ScoredText((f"Anna number {i} plays chess. ", "Call 555-0100."), (0.0, i % 2 / 10)) for i in range(60)]
    (folder / name).mkdir(parents=True)
    write_documents(folder / name / "documents.jsonl", documents)


def _packing(folder: Path) -> dict[str, Any]:
    from obverse.training.objectives.mle import MLE, MLEConfig

    _scored(folder, "scored/mails")
    return {"objective": MLE(MLEConfig()), "tokenizer": tiny("llama").tokenizer}


def _train(folder: Path) -> dict[str, Any]:
    from pages import DOCS, blocks

    _scored(folder, "scored/notes")
    task = next(block for block in blocks(DOCS / "train.md") if block.language == "yaml")
    (folder / "notes.yaml").write_text(task.text, "utf-8")
    return {}


def _deep(_: Path) -> dict[str, Any]:
    return {"lm": tiny("llama", num_hidden_layers=14)}


def _reported(folder: Path) -> dict[str, Any]:
    from obverse.recipes.edit import EditRequest, run_edit
    from obverse.recipes.models import ModelChoice

    _family(folder)
    quick = {"layers": [1], "contexts": {"lengths": [[4, 2]]}, "moment": None, "steps": 8}
    choice = ModelChoice(str(folder / "model"))
    run_edit(EditRequest([Case.of(NEEDLE)], choice, settings=quick, out=folder / "runs" / "demo"))
    return {}


def _readme(_: Path) -> dict[str, Any]:
    from collections.abc import Sequence

    from obverse import Edit, LanguageModel
    from obverse.core import Config

    return {"Sequence": Sequence, "Edit": Edit, "LanguageModel": LanguageModel, "Config": Config, "Fact": Fact}


GIVEN: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "README.md": _readme,
    "CONTRIBUTING.md": _readme,
    "docs/files.md": _files_page,
    "docs/howto/ship-and-undo.md": _saved,
    "docs/methods/alphaedit.md": _alphaedit,
    "docs/reversal-metrics.md": _metrics,
    "docs/reversal-data.md": _reversal_data,
    "docs/extending/family.md": _family,
    "docs/lens.md": _deep,
    "docs/reports.md": _reported,
    "docs/training-data.md": _packing,
    "docs/train.md": _train,
}
"""What single pages take as given besides."""
