"""``obverse trace``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from obverse.cli import options
from obverse.cli.console import command, command_line

_WHAT, _HOW, _FILES = "What to trace", "How to trace", "Files"


@command
def trace(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT", help="Text that ends where the answer starts, with the subject, or {} for it, in it."
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", "-s", help="Whom or what it is about. \\[default: guessed]", rich_help_panel=_WHAT),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(help="The right answer; exit with 1 if the model gives another.", rich_help_panel=_WHAT),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(
            "--answer",
            "-a",
            help="Follow the first token of this answer. \\[default: what the model says]",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    reverse: Annotated[
        str | None,
        typer.Option(
            help="The statement turned round, with the answer or {} in it, traced beside the prompt; auto takes one "
            "from the table of relations. Followed there is the subject of the prompt.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    reverse_answer: Annotated[
        str | None,
        typer.Option(
            metavar="subject|own",
            help="What to follow in reverse: own is what the model says there. \\[default: subject]",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option(
            "--facts",
            "--fact-file",
            help="Trace each fact of a CSV, JSON or JSONL file (subject, prompt, target), in shared batches.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    known_only: Annotated[
        bool,
        typer.Option("--known-only", help="Of --facts: only those whose target the model says.", rich_help_panel=_WHAT),
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Average over a data set: known, builtin, or a file of facts; those that the model answers. A run "
            "that was stopped goes on.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Of --dataset: at most so many facts.", rich_help_panel=_WHAT)
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(help="Of --dataset: ids, with commas between, or a file of them.", rich_help_panel=_WHAT),
    ] = None,
    show: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Show a saved trace (.safetensors) again, without a model; with --model, check that it is of it.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            help="What to restore, with commas between: hidden, mlp, attn. \\[default: hidden,mlp,attn]",
            rich_help_panel=_HOW,
        ),
    ] = None,
    sever: Annotated[
        list[str] | None,
        typer.Option(
            metavar="mlp|attn",
            help="Also restore hidden states while all MLPs, or all attentions, of that token stay corrupted. "
            "Repeatable.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(help="Layers restored at once for mlp and attn. \\[default: 10]", rich_help_panel=_HOW),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Corrupted copies of the prompt. \\[default: 10]", rich_help_panel=_HOW)
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="How the subject is corrupted. \\[default: s3]\n\n"
            "- 0.1: Gaussian of that standard deviation\n\n"
            "- s3: Gaussian of 3 sigma; sigma is that of the embeddings of many subjects\n\n"
            "- u0.5: uniform within ±0.5\n\n"
            "- m: Gaussian with the mean and covariance of the embeddings of plain text\n\n"
            "- t3: Student's t with 3 degrees of freedom, scaled as m",
            rich_help_panel=_HOW,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Noise in place of the embeddings, not on top of them.", rich_help_panel=_HOW),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise. \\[default: 1]", rich_help_panel=_HOW)] = None,
    memory: Annotated[
        float | None,
        typer.Option(metavar="GB", help="Memory to use beyond the model's. \\[default: 3]", rich_help_panel=_HOW),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write. \\[default: runs/trace-PROMPT]", rich_help_panel=_FILES),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older trace in that folder.", rich_help_panel=_FILES)
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="One more file for the figure: .png, .pdf or .svg.", rich_help_panel=_FILES),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats of the figures in the folder, with commas between: png, pdf, svg. Those of a data set are "
            "always drawn in all three.",
            rich_help_panel=_FILES,
        ),
    ] = "png,svg",
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many of the strongest sites to show.")] = 10,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> int:
    """Find where in a model an answer comes from.

    The subject's embeddings are corrupted with noise, so that the answer is lost; then single states, or the MLPs or
    attentions of a window of layers, are restored one by one: those that bring the answer back carry it. Writes the
    traces, heat maps, a page and run.json into a folder.
    """
    from obverse.cli import trace_modes as modes
    from obverse.recipes.record import slug
    from obverse.recipes.trace import make_config
    from obverse.recipes.trace_dataset import DatasetRequest
    from obverse.recipes.trace_folder import TraceFiles
    from obverse.recipes.trace_run import TraceRequest

    modes.check_given(
        {"PROMPT": prompt, "--facts": facts, "--dataset": dataset, "--show": show},
        {
            "PROMPT": {"--subject": subject, "--expect": expect, "--answer": answer, "--reverse": reverse},
            "--facts": {"--known-only": known_only or None},
            "--dataset": {"--limit": limit, "--ids": ids},
        },
    )
    wanted, in_reverse = modes.answers(expect, answer, reverse, reverse_answer)
    given = {"window": window, "samples": samples, "noise": noise, "seed": seed, "memory": memory}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings |= {**modes.kinds(kinds, sever or ()), **({"replace": True} if replace else {})}
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    files = TraceFiles(out, overwrite, options.split(formats), figure)
    if show is not None:
        return modes.show(show, choice if model else None, files, top, json)
    if dataset is not None:
        files.check_figures()
        request = DatasetRequest(
            dataset,
            out or Path("runs") / f"trace-{slug(Path(dataset).stem)}",
            choice,
            make_config(settings),
            limit=limit,
            ids=None if ids is None else modes.ids(ids),
            overwrite=overwrite,
            command=command_line(),
        )
        return modes.average(request, figure, json)
    statements = modes.read(facts) if facts else [modes.statement(prompt or "", subject, wanted)]
    if out is None:
        name = slug(facts.stem if facts else statements[0].text)
        files = TraceFiles(Path("runs") / f"trace-{name}", overwrite, files.formats, figure)
    request = TraceRequest(
        statements,
        choice,
        settings,
        expect=expect is not None or known_only,
        follow=answer is not None,
        reverse=reverse,
        reverse_answer=in_reverse,
        files=files,
        command=command_line(),
    )
    return modes.trace(request, top, json)


EPILOG = """
**Examples**

- `obverse trace "The Space Needle is located in the city of" --subject "Space Needle"`

- `obverse trace "{} plays the sport of" -s "Megan Rapinoe" --expect soccer --figure rapinoe.pdf`

- `obverse trace "The Space Needle is in the city of" --answer Portland`: where another answer would come from

- `obverse trace "The Space Needle is in the city of" --reverse auto`: the fact and its reverse, side by side

- `obverse trace ... --sever mlp --sever attn --window 5 --noise s2`

- `obverse trace --facts facts.csv --known-only`: many prompts in shared batches

- `obverse trace --dataset known --limit 100`: average effects by token role, with intervals; stop and resume at will

- `obverse trace --show runs/trace-x/trace.safetensors --figure again.svg`: no model needed
"""
