"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from obverse.cli.completion import complete_editor, complete_model

if TYPE_CHECKING:
    from obverse.recipes.models import ModelChoice

_LOADING = "Model"
_FACT = "Fact"

_WHICH = (
    "A built-in model (gemma-3-270m, smollm2-135m), a GGUF file, a folder, or a hub id such as "
    "openai-community/gpt2-xl."
)

Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=_WHICH + " \\[default: gemma-3-270m]",
        autocompletion=complete_model,
        rich_help_panel=_LOADING,
    ),
]
ModelOfEdits: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=_WHICH + " \\[default: the one the edits were made for; gemma-3-270m without edits]",
        autocompletion=complete_model,
        rich_help_panel=_LOADING,
    ),
]
Dtype: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Type of the weights: float32, bfloat16, float16, or auto for the stored one. "
        "\\[default: float32 on the CPU, auto elsewhere]",
        rich_help_panel=_LOADING,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1 or mps. \\[default: the first GPU, else cpu]", rich_help_panel=_LOADING),
]
DeviceMap: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Spread a large model over several devices, e.g. auto.", rich_help_panel=_LOADING),
]
Revision: TypeAlias = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a hub model.", rich_help_panel=_LOADING)
]
Trust: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run code that comes with the model; only for models you trust.",
        rich_help_panel=_LOADING,
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")
]
Method: TypeAlias = Annotated[
    str,
    typer.Option(
        help="How to edit; see obverse list editors.", autocompletion=complete_editor, rich_help_panel="Method"
    ),
]
MethodSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method. Repeatable.", rich_help_panel="Method"),
]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")]
Ray: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Spread over Ray workers: local, or the address of a cluster.", rich_help_panel="Spreading the work"
    ),
]
GpusPerWorker: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="GPUs of each worker on Ray, e.g. 0.5. \\[default: 1, if there are any]",
        rich_help_panel="Spreading the work",
    ),
]
TopK: TypeAlias = Annotated[int, typer.Option("--top", "-k", min=1, help="How many of the likeliest answers to show.")]

Facts: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--facts",
        help="A CSV, JSON or JSONL file with the columns subject, prompt, target, and optionally target_true, "
        "paraphrases, neighbours, reverse; or records of CounterFact.",
        rich_help_panel=_FACT,
    ),
]
Subject: TypeAlias = Annotated[
    str | None, typer.Option("--subject", "-s", help="Whom or what the fact is about.", rich_help_panel=_FACT)
]
Prompt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        "-p",
        help="Text that ends where the answer starts, with {} for the subject (or with the subject itself).",
        rich_help_panel=_FACT,
    ),
]
Paraphrases: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--paraphrase", help="Another way to ask; {} is the subject. Repeatable.", rich_help_panel=_FACT),
]
Reverse: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--reverse",
        help="The question turned round: {} is the answer, and the subject should follow. Repeatable.",
        rich_help_panel=_FACT,
    ),
]


def split(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas between."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def model_choice(
    name: str | None,
    dtype: str | None,
    device: str | None,
    device_map: str | None,
    revision: str | None,
    trust: bool,
) -> ModelChoice:
    """Gather the model options of a command."""
    from obverse.recipes.models import ModelChoice

    return ModelChoice(name, dtype, device, device_map, revision, trust)
