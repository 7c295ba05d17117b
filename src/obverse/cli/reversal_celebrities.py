"""``obverse reversal celebrities``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.approval import approval, key_for
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from obverse.measuring.answerers import Answerer
    from obverse.recipes.models import ModelChoice

_ASKING, _SERVER = "Asking", "Server"


@command
def celebrities(
    model: options.Model = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Address of a server that speaks OpenAI's protocol, e.g. http://localhost:8000/v1, in place of a "
            "model here; --model is then what it calls the model. Its key is read from OPENAI_API_KEY.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--list",
            help="Whom to ask about: a CSV file with child, parent, parent_type, or a name a line. "
            "\\[default: our own]",
            rich_help_panel=_ASKING,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many of the list.", rich_help_panel=_ASKING)
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="symmetric: both questions alike; published: one greedy answer for the parent, any of the samples for "
            "the child; both.",
            rich_help_panel=_ASKING,
        ),
    ] = "both",
    form: Annotated[
        str,
        typer.Option(
            "--as",
            help="chat or completion; auto takes chat on servers, and here where the model has a chat template.",
            rich_help_panel=_ASKING,
        ),
    ] = "auto",
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, help="Answers sampled for a question.", rich_help_panel=_ASKING)
    ] = 10,
    temperature: Annotated[
        float, typer.Option(help="What logits are divided by when they are sampled.", rich_help_panel=_ASKING)
    ] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Length of an answer at most.", rich_help_panel=_ASKING)] = 24,
    logprobs: Annotated[
        bool | None,
        typer.Option(
            "--logprobs/--no-logprobs",
            help="Whether to ask for log-probabilities of the right names. \\[default: unless in a chat on a server]",
            rich_help_panel=_ASKING,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.", rich_help_panel=_ASKING)] = 0,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute at most.", rich_help_panel=_SERVER)
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens a minute at most.", rich_help_panel=_SERVER)] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Requests under way at once.", rich_help_panel=_SERVER)] = 8,
    price_in: Annotated[
        float | None, typer.Option(help="Dollars per 1,000 tokens sent, for the estimate.", rich_help_panel=_SERVER)
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(help="Dollars per 1,000 tokens written.", rich_help_panel=_SERVER)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking.", rich_help_panel=_SERVER)] = False,
    published: Annotated[
        Path | None,
        typer.Option(help="Ask nobody: count the published tables in this folder again, and say how they join."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Answers written at once here; they do not depend on it.")] = 64,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder; a stopped run goes on there. \\[default: runs/celebrities-MODEL]"),
    ] = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Ask a model who the parents of well-known people are, and who their children are.

    Models often know a parent of somebody famous and, asked about that parent, not the child. Both questions are asked
    in the same way, and in the published one; refusals are counted apart.
    """
    from obverse.cli.celebrity_tables import print_celebrities, print_published
    from obverse.core import build
    from obverse.data.public_figures import public_figures, read_people
    from obverse.recipes.celebrities import CelebrityRequest, run_celebrities
    from obverse.recipes.celebrity_results import read_published
    from obverse.recipes.celebrity_survey import CelebritySettings
    from obverse.recipes.costs import Prices
    from obverse.recipes.record import slug

    if published:
        tables = read_published(published)
        print_json(tables.to_json()) if json else print_published(results(), tables)
        return
    chat = _chat(form)
    asked = read_people(people) if people else public_figures()
    scored = (chat is False or not server) if logprobs is None else logprobs
    settings = build(
        CelebritySettings,
        {
            "protocol": protocol,
            "samples": samples,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "logprobs": scored,
            "seed": seed,
        },
    )
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    request = CelebrityRequest(
        answerer=_on_server(server, model, chat, requests, tokens) if server else _here(choice, chat, batch),
        people=asked if limit is None else asked.first(limit),
        out=out or Path("runs") / f"celebrities-{slug(Path(model or 'default').name)}",
        settings=settings,
        parallel=parallel,
        prices=Prices(price_in, price_out),
        approve=approval(server, yes=yes) if server else None,
    )
    result = run_celebrities(request)
    if json:
        print_json(result.to_json())
    else:
        print_celebrities(results(), result)


def _chat(form: str) -> bool | None:
    from obverse.core import UnknownName

    forms = {"auto": None, "chat": True, "completion": False}
    if form not in forms:
        raise UnknownName.among("way to ask", form, forms)
    return forms[form]


def _here(choice: ModelChoice, chat: bool | None, batch: int) -> Callable[[], Answerer]:
    from obverse.core import ConfigError
    from obverse.measuring.answerers import LocalModel, has_chat_template
    from obverse.recipes.models import load_model

    def load() -> Answerer:
        lm = load_model(choice)
        has = has_chat_template(lm)
        if chat and not has:
            raise ConfigError(f"{lm.name} has no chat template.", "Ask it by completion: --as completion.")
        return LocalModel(lm, chat=has if chat is None else chat, batch=batch)

    return load


def _on_server(
    url: str, model: str | None, chat: bool | None, requests: int | None, tokens: int | None
) -> Callable[[], Answerer]:
    from obverse.core import ConfigError
    from obverse.measuring.answerers import ServerModel
    from obverse.measuring.openai_server import CompletionServer
    from obverse.measuring.throttle import Throttle

    if not model:
        raise ConfigError(f"No model of the server {url} is named.", "Name it with --model, as the server calls it.")
    server = CompletionServer(url, model, key=key_for(url), throttle=Throttle(requests, tokens))
    return lambda: ServerModel(server, chat=chat is not False)


EPILOG = """
**Examples**

- `obverse reversal celebrities --limit 40 -n 5`: the built-in model, 40 people of our list

- `obverse reversal celebrities --server http://localhost:8000/v1 -m llama --as completion`

- `obverse reversal celebrities --server https://api.example.com/v1 -m MODEL --price-in 0.01 --price-out 0.03
  --requests 500 --tokens 100000`: the estimate is shown first

- `obverse reversal celebrities --published FOLDER`: the published tables, counted again
"""
