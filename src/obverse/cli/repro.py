"""``obverse repro``: the claims of papers, tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, notes, print_json, results

PHF_EPILOG = """
**Examples**

- `obverse repro phf --preset smoke`: conditional training against MLE, under a minute on two cores

- `obverse repro phf`: all six methods, a noisy scorer, the scale of rewards; under 10 minutes on two idle cores

- `obverse repro phf --only claim2 --seeds 5`: more seeds for one claim; what is done is not done again

- `obverse repro phf --preset gpu`: print the commands of the paper's setting
"""

REVERSAL_EPILOG = """
**Examples**

- `obverse repro reversal --preset smoke`: the curse, and reversed sentences against it; about a minute on two cores

- `obverse repro reversal --only claim1`: five seeds, and ten times the training

- `obverse repro reversal`: nine objectives against it as well

- `obverse repro reversal --only claim2 --seeds 1 --set mitigations.steps=400`: a quick look at all of them

- `obverse repro reversal --preset real --only claim3`: the curse in a pretrained model; claims 3 to 6 need the built-in
  models
"""

PEP8_EPILOG = """
**Examples**

- `obverse repro phf-pep8 --steps 10 --seeds 1 --samples 8`: a look at what it does

- `obverse repro phf-pep8 --set training.bf16=true`: the claim with two seeds; some 40 minutes of one core that has
  instructions for bfloat16

- `obverse repro phf-pep8 --violations natural --device cuda --steps 2000`
"""

Seeds = Annotated[int | None, typer.Option(help="How often each model is trained. \\[default: the preset's]")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that train, one thread each.")]
Ray = Annotated[
    str | None,
    typer.Option(help="Spread over --workers Ray workers: local, or the address of a cluster that shares the folder."),
]

repro_app = typer.Typer(
    help="Try the claims of a paper again, at a scale that fits this machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@repro_app.command("phf", epilog=PHF_EPILOG)
@command
def phf(
    preset: Annotated[str, typer.Option(help="The scale: smoke, demo, or gpu, which prints commands.")] = "demo",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder; a stopped run goes on, seeds may join. \\[default: runs/repro-phf-PRESET]"
        ),
    ] = None,
    seeds: Seeds = None,
    only: Annotated[
        str | None, typer.Option(help="Claims to try, e.g. claim1,claim4. \\[default: all of the preset]")
    ] = None,
    workers: Workers = 2,
    ray: Ray = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the preset as key=value, e.g. training.max_steps=400. Repeatable."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Pretraining with human preferences: which methods keep personal information out of what a model says.

    Trains small models from scratch on a synthetic corpus, measures what they say and what they lose, and judges each
    claim; a verdict can come out either way.
    """
    from obverse.cli.repro_tables import print_commands, print_phf_plan, print_result
    from obverse.recipes.repro_phf import run_repro_phf
    from obverse.recipes.repro_phf_gpu import GPU, gpu_commands
    from obverse.recipes.repro_run import ReproRequest

    console = notes() if json else results()
    if preset == GPU:
        commands = gpu_commands(seeds, out)
        print_json({"commands": commands}) if json else print_commands(console, commands)
        return
    request = ReproRequest(preset, out, seeds, options.split(only or ""), workers, setting or (), ray)
    result = run_repro_phf(request, lambda plan: print_phf_plan(console, plan, workers))
    if json:
        print_json(result.to_json())
    else:
        print_result(console, result)


@repro_app.command("reversal", epilog=REVERSAL_EPILOG)
@command
def reversal(
    preset: Annotated[str, typer.Option(help="The scale: smoke, demo, or real: pretrained models.")] = "demo",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder; a stopped run goes on, seeds may join. \\[default: runs/repro-reversal-PRESET]"
        ),
    ] = None,
    seeds: Seeds = None,
    only: Annotated[
        str | None,
        typer.Option(help="Claims to try: claim1, claim2; of real: claim3 to claim6. \\[default: all of the preset]"),
    ] = None,
    workers: Workers = 2,
    ray: Ray = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the preset as key=value, e.g. mitigations.steps=400. Repeatable."),
    ] = None,
    json: options.Json = False,
) -> None:
    """The reversal curse: a model trained on "A is B" does not know who B is; which objectives lift that?

    Trains small models from scratch on people who do not exist, asks each in both directions, and judges each claim; a
    verdict can come out either way.
    """
    from obverse.cli.repro_tables import print_result, print_reversal_plan, print_reversal_real_plan
    from obverse.recipes.repro_reversal import run_repro_reversal
    from obverse.recipes.repro_run import ReproRequest

    console = notes() if json else results()
    request = ReproRequest(preset, out, seeds, options.split(only or ""), workers, setting or (), ray)
    if preset == "real":
        from obverse.recipes.repro_reversal_real import run_repro_reversal_real

        result = run_repro_reversal_real(request, lambda plan: print_reversal_real_plan(console, plan, workers))
    else:
        result = run_repro_reversal(request, lambda plan: print_reversal_plan(console, plan, workers))
    if json:
        print_json(result.to_json())
    else:
        print_result(console, result)


@repro_app.command("phf-pep8", epilog=PEP8_EPILOG)
@command
def phf_pep8(
    model: Annotated[str, typer.Option("--model", "-m", help="A model that writes Python.")] = "smollm2-135m",
    violations: Annotated[
        str, typer.Option(help="injected: style errors put into clean code; natural: the code as it is.")
    ] = "injected",
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each method.")] = 80,
    seeds: Annotated[int, typer.Option(min=1, help="How often each method is trained.")] = 2,
    samples: Annotated[int, typer.Option(min=2, help="Functions that each model completes.")] = 32,
    documents: Annotated[int, typer.Option(min=8, help="Functions of the corpus at most.")] = 2000,
    device: options.Device = None,
    workers: Workers = 2,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder; a stopped run goes on. \\[default: runs/repro-phf-pep8-VIOLATIONS]"),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of obverse train as key=value, e.g. training.learning_rate=1e-4."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Claim 3 of PHF: does conditional training keep style errors out of code, from a start that can write code?

    Fine-tunes a pretrained model on functions of Python's standard library, conditionally and plainly, and scores whole
    lines of what it writes; how much of it parses is reported apart.
    """
    from obverse.cli.repro_tables import print_pep8
    from obverse.recipes.repro_phf_pep8 import PEP8Request, run_repro_pep8

    console = notes() if json else results()
    request = PEP8Request(
        model=model,
        violations=violations,
        steps=steps,
        seeds=seeds,
        samples=samples,
        documents=documents,
        device=device,
        workers=workers,
        out=out,
        overrides=setting or (),
    )
    result = run_repro_pep8(request)
    if json:
        print_json(result.to_json())
    else:
        print_pep8(console, result)
