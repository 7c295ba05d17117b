"""``obverse remote``: fine-tunes on a server that speaks OpenAI's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from obverse.cli import options
from obverse.cli.approval import approval, key_for
from obverse.cli.console import BELOW, DONE, command, notes, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.remote_api import FineTuningServer

Server: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="OPENAI_BASE_URL", help="Address of the server, ending in /v1. Its key is read from OPENAI_API_KEY."
    ),
]
Folder: TypeAlias = Annotated[Path, typer.Option(help="Where it is noted what was submitted.")]
Tracker: TypeAlias = Annotated[
    str | None, typer.Option("--tracker", help="Also pass the curves on: tensorboard, trackio, wandb or mlflow.")
]
Project: TypeAlias = Annotated[str, typer.Option(help="The tracker's project.")]

OPENAI = "https://api.openai.com/v1"
FOLDER = Path("runs") / "remote"

remote_app = typer.Typer(
    name="remote",
    help="Fine-tunes on a server that speaks OpenAI's protocol.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _server(url: str) -> FineTuningServer:
    from obverse.measuring.openai_http import Wire
    from obverse.recipes.remote_api import FineTuningServer

    return FineTuningServer(Wire(url, key=key_for(url)))


SUBMIT_EPILOG = """
**Examples**

- `obverse remote submit data/reversal-0123abcd -m MODEL --tag curse --epochs 10 --runs 3 --price 0.003`

- `obverse remote submit rows.jsonl -m MODEL --form chat --yes`
"""


@remote_app.command("submit", epilog=SUBMIT_EPILOG)
@command
def submit(
    data: Annotated[Path, typer.Argument(help="Folder of 'obverse reversal build', or a JSON lines file.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The server's name of the model to begin from.")],
    tag: Annotated[str, typer.Option(help="A word to find the jobs by.")] = "",
    epochs: Annotated[int, typer.Option(min=1, help="Times that each row is trained on.")] = 1,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows of a step. \\[default: the server's]")] = None,
    learning_rate_multiplier: Annotated[
        float | None, typer.Option(help="What the server's learning rate is multiplied by. \\[default: the server's]")
    ] = None,
    form: Annotated[
        Literal["as-is", "document", "chat"],
        typer.Option(help="Form of the rows: as-is; document: the whole text is learnt; chat: a question, an answer."),
    ] = "as-is",
    validation: Annotated[
        Path | None, typer.Option(help="File that the loss is also measured on. \\[default: the set's own]")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many jobs alike.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Seed of the first run; others count on.")] = None,
    price: Annotated[float | None, typer.Option(help="Dollars per 1,000 tokens trained on, for the estimate.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Submit without asking.")] = False,
    server: Server = OPENAI,
    folder: Folder = FOLDER,
    json: options.Json = False,
) -> None:
    """Submit fine-tunes. The same command again submits nothing, and goes on where it was stopped."""
    from obverse.cli.remote_tables import print_jobs
    from obverse.core import build
    from obverse.recipes.costs import Prices
    from obverse.recipes.remote import FineTuneSettings, SubmitRequest
    from obverse.recipes.remote import submit as run

    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
        "seed": seed,
    }
    request = SubmitRequest(
        model=model,
        data=data,
        folder=folder,
        tag=tag,
        validation=validation,
        form=form,
        runs=runs,
        settings=build(FineTuneSettings, given),
        prices=Prices(trained=price),
        approve=approval(server, yes=yes),
    )
    listed = run(_server(server), request)
    print_json({"jobs": [one.to_json() for one in listed]}) if json else print_jobs(results(), listed)


LIST_EPILOG = """
**Examples**

- `obverse remote list`: jobs of the last two days

- `obverse remote list --filter curse --all`
"""


@remote_app.command("list", epilog=LIST_EPILOG)
@command
def list_(
    matching: Annotated[
        str, typer.Option("--filter", help="Part of the id, the model's name, the trained one's, or the tag.")
    ] = "",
    days: Annotated[float, typer.Option(min=0, help="How old jobs may be.")] = 2,
    everything: Annotated[bool, typer.Option("--all", help="Jobs of any age.")] = False,
    server: Server = OPENAI,
    folder: Folder = FOLDER,
    json: options.Json = False,
) -> None:
    """List fine-tuning jobs, newest first."""
    from obverse.cli.remote_tables import print_jobs
    from obverse.recipes.remote import list_jobs

    listed = list_jobs(_server(server), folder, matching=matching, days=None if everything else days)
    print_json({"jobs": [one.to_json() for one in listed]}) if json else print_jobs(results(), listed)


FOLLOW_EPILOG = """
**Examples**

- `obverse remote follow ftjob-abc`

- `obverse remote follow ftjob-abc --tracker tensorboard`
"""


@remote_app.command("follow", epilog=FOLLOW_EPILOG)
@command
def follow(
    job: Annotated[str, typer.Argument(help="Id or tag of a job; of several with the tag, the newest.")],
    every: Annotated[float, typer.Option(min=0, help="Seconds between two looks.")] = 10.0,
    tracker: Tracker = None,
    project: Project = "obverse",
    server: Server = OPENAI,
    folder: Folder = FOLDER,
    json: options.Json = False,
) -> int:
    """Print what a job tells until it has ended. Exit code 1: it failed, or was cancelled."""
    from obverse.cli.remote_tables import event_line
    from obverse.recipes.remote import Listed, find_jobs
    from obverse.recipes.remote import follow as run
    from obverse.recipes.remote_api import Job
    from obverse.recipes.remote_sync import Synced, check_tracker

    if tracker:
        check_tracker(tracker)
    connected = _server(server)
    one = find_jobs(connected, folder, job)[0]
    synced = Synced(tracker, one.notes(server), folder, project=project) if tracker else None
    console, ended = notes() if json else results(), one.job
    try:
        for told in run(connected, one.job.id, every=every):
            if isinstance(told, Job):
                ended = told
                continue
            console.print(event_line(told), markup=False)
            if synced:
                synced.tell([told])
    finally:
        if synced:
            synced.close()
    final = Listed(ended, one.noted)
    if json:
        print_json(final.to_json())
    else:
        console.print(f"{ended.id}: {ended.status}. {ended.fine_tuned_model or ended.error}", markup=False)
    return DONE if ended.status == "succeeded" else BELOW


SYNC_EPILOG = """
**Examples**

- `obverse remote sync curse --tracker tensorboard`: curves of all jobs with a tag
"""


@remote_app.command("sync", epilog=SYNC_EPILOG)
@command
def sync(
    wanted: Annotated[str, typer.Argument(help="Id of a job, or a tag.")],
    tracker: Annotated[str, typer.Option(help="tensorboard, trackio, wandb or mlflow.")] = "tensorboard",
    project: Project = "obverse",
    server: Server = OPENAI,
    folder: Folder = FOLDER,
    json: options.Json = False,
) -> None:
    """Pass the curves of jobs on to a tracker."""
    from obverse.recipes.remote import find_jobs
    from obverse.recipes.remote_sync import Synced, check_tracker

    check_tracker(tracker)
    connected, told = _server(server), dict[str, int]()
    for one in find_jobs(connected, folder, wanted):
        synced = Synced(tracker, one.notes(server), folder, project=project)
        told[one.job.id] = synced.tell(connected.events(one.job.id))
        synced.close()
    if json:
        print_json({"tracker": tracker, "events": told})
    else:
        for id, number in told.items():
            results().print(f"{id}: {number} new point{'s' * (number != 1)} for {tracker}.", markup=False)


EVALUATE_EPILOG = """
**Examples**

- `obverse remote evaluate curse`: all trained models with a tag, the four subtasks of their reversal set

- `obverse remote evaluate ftjob-abc --as chat --limit 50`
"""


@remote_app.command("evaluate", epilog=EVALUATE_EPILOG)
@command
def evaluate(
    wanted: Annotated[str, typer.Argument(help="Id of a job, name of a trained model, or a tag.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the reversal set. \\[default: what was submitted]")
    ] = None,
    form: Annotated[
        Literal["completion", "chat"],
        typer.Option("--as", help="completion, or chat, which gives no log-probabilities."),
    ] = "completion",
    logprobs: Annotated[
        bool, typer.Option("--logprobs/--no-logprobs", help="Whether to ask for log-probabilities too.")
    ] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions of a subtask at most.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random answers.")] = 0,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests a minute at most.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens a minute at most.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder. \\[default: runs/remote-WANTED]")] = None,
    server: Server = OPENAI,
    folder: Folder = FOLDER,
    json: options.Json = False,
) -> None:
    """Ask trained models about the people of their reversal set, in both directions."""
    from obverse.cli.remote_tables import print_evaluation
    from obverse.measuring.openai_server import CompletionServer
    from obverse.measuring.throttle import Throttle
    from obverse.recipes.record import slug
    from obverse.recipes.remote import find_jobs
    from obverse.recipes.remote_evaluate import evaluate_remote

    key, pace = key_for(server), Throttle(requests, tokens)
    found = evaluate_remote(
        find_jobs(_server(server), folder, wanted),
        lambda model: CompletionServer(server, model, key=key, throttle=pace),
        out or Path("runs") / f"remote-{slug(wanted)}",
        data=data,
        chat=form == "chat",
        logprobs=logprobs,
        limit=limit,
        seed=seed,
    )
    print_json(found.to_json()) if json else print_evaluation(results(), found)
