"""Fine-tunes on a server: submitted once each, listed, followed; what was submitted is noted in a folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from obverse.core import Config, DataError, JsonValue, UnknownName, track, write_whole
from obverse.recipes.costs import Approve, Estimate, Prices, tokens_of
from obverse.recipes.record import now, write_json
from obverse.recipes.remote_api import Event, FineTuningServer, Job
from obverse.recipes.remote_data import Form, training_content, training_files

_log = logging.getLogger(__name__)

DAY = 86_400


class FineTuneSettings(Config):
    """How a fine-tune is trained; what is None the server chooses."""

    epochs: int = Field(default=1, ge=1)
    """Times that each row is trained on."""
    batch_size: int | None = Field(default=None, ge=1)
    """Rows of a step."""
    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    """What the server's own learning rate is multiplied by."""
    seed: int | None = None
    """Seed of the first run; others count on from it."""

    def hyperparameters(self) -> dict[str, JsonValue]:
        """Return the settings as the protocol calls them."""
        given: dict[str, JsonValue] = {
            "n_epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What is asked of `submit`.

    Attributes:
        model: The server's name of the model to begin from.
        data: Folder of a reversal set, or a JSON lines file.
        folder: Where it is noted what was submitted.
        tag: A word to find the jobs by.
        validation: File that the loss is also measured on; by default that of the reversal set.
        form: Form of the rows, see `training_content`.
        runs: How many jobs alike.
        settings: How to train.
        prices: Price of training.
        approve: Told the estimate before anything is sent; raises if that is not wanted.
    """

    model: str
    data: Path
    folder: Path
    tag: str = ""
    validation: Path | None = None
    form: Form = "as-is"
    runs: int = 1
    settings: FineTuneSettings = field(default_factory=FineTuneSettings)
    prices: Prices = field(default_factory=Prices)
    approve: Approve | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted of a submission.

    Attributes:
        key: Hash of everything that it is, and so the name of its file.
        server: Address of the server.
        model: The model it begins from.
        data: The reversal set, or the file.
        tag: Its tag.
        files: Ids of the uploaded files by what they are for.
        job: Id of the job; empty until it is known.
        estimate: What it was to cost.
        synced: For each tracker the ids of the events that it has.
    """

    key: str
    server: str
    model: str
    data: str
    tag: str
    files: Mapping[str, str]
    job: str = ""
    estimate: Mapping[str, JsonValue] | None = None
    synced: Mapping[str, Sequence[str]] | None = None

    def write(self, folder: Path) -> Noted:
        """Write it, and return itself."""
        written = {**asdict(self), "written": now()}
        write_whole(folder / f"{self.key}.json", lambda part: write_json(part, written))
        return self


def read_noted(folder: Path) -> list[Noted]:
    """Return all submissions that a folder has notes of.

    Raises:
        DataError: If a file of it is damaged.
    """
    out = list[Noted]()
    for path in sorted(folder.glob("*.json")):
        try:
            found = json.loads(path.read_text("utf-8"))
            out.append(Noted(**{name: found.get(name) for name in Noted.__dataclass_fields__}))
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path} is damaged ({error}).", "Remove it; the job stays on the server.") from error
    return out


@dataclass(frozen=True, slots=True)
class Listed:
    """A job with what is noted of it; None where it was not submitted from here."""

    job: Job
    noted: Noted | None = None

    @property
    def tag(self) -> str:
        """Its tag, as noted or as the server keeps it."""
        return (self.noted.tag if self.noted else "") or self.job.tag

    def notes(self, server: str) -> Noted:
        """Return what is noted of it; new notes where it was not submitted from here."""
        return self.noted or Noted(self.job.id, server, self.job.model, "", self.tag, {}, self.job.id)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        data = self.noted.data if self.noted else None
        return {**asdict(self.job), "tag": self.tag, "data": data, "dollars": cost(self)}


def submit(server: FineTuningServer, request: SubmitRequest) -> list[Listed]:
    """Submit fine-tunes. The same request again submits nothing: it goes on where it stopped, and gives the same jobs.

    Raises:
        DataError: If the data cannot be used.
        ServerError: If the server refuses or is not there.
    """
    train, validation = training_files(request.data, request.validation)
    contents = {"training_file": training_content(train, request.form)}
    contents |= {"validation_file": training_content(validation, request.form)} if validation else {}
    known = {one.key: one for one in read_noted(request.folder)}
    keys = [_key(server, request, contents, run) for run in range(request.runs)]
    fresh = sum(key not in known or not known[key].job for key in keys)
    tokens = tokens_of(len(contents["training_file"])) * request.settings.epochs
    estimate = Estimate(fresh * (1 + len(contents)), trained=fresh * tokens, prices=request.prices)
    if fresh and request.approve:
        request.approve(estimate)
    out = list[Listed]()
    for run, key in enumerate(track(keys, "submitting")):
        noted = known.get(key) or Noted(key, server.url, request.model, str(request.data), request.tag, {})
        noted = replace(noted, estimate=noted.estimate or {"tokens_trained": tokens, "price": request.prices.trained})
        out.append(_submit_one(server, request, contents, noted, run))
    return out


def _submit_one(
    server: FineTuningServer, request: SubmitRequest, contents: Mapping[str, bytes], noted: Noted, run: int
) -> Listed:
    if noted.job:
        _log.info("%s was submitted before.", noted.job)
        return Listed(server.job(noted.job), noted)
    resumed = bool(noted.files)
    for use, content in contents.items():
        if use not in noted.files:
            id = server.upload(f"{request.tag or 'obverse'}-{use}.jsonl", content)
            noted = replace(noted, files={**noted.files, use: id}).write(request.folder)
    file = noted.files["training_file"]
    job = next((job for job in server.jobs() if job.training_file == file), None) if resumed else None
    if job is None:
        seed = request.settings.seed
        settings: dict[str, JsonValue] = {
            "model": request.model, **noted.files, "hyperparameters": request.settings.hyperparameters(),
        }  # fmt: skip
        settings |= {"suffix": request.tag[:18], "metadata": {"tag": request.tag}} if request.tag else {}
        settings |= {"seed": seed + run} if seed is not None else {}
        job = server.create(settings)
    return Listed(job, replace(noted, job=job.id).write(request.folder))


def _key(server: FineTuningServer, request: SubmitRequest, contents: Mapping[str, bytes], run: int) -> str:
    digests = {use: sha256(content).hexdigest() for use, content in contents.items()}
    whole = [server.url, request.model, request.tag, request.settings.model_dump(), digests, run]
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def list_jobs(
    server: FineTuningServer,
    folder: Path,
    *,
    matching: str = "",
    days: float | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Listed]:
    """Return the server's jobs, newest first.

    Args:
        server: The server.
        folder: Where submissions are noted.
        matching: Part of the model's or the trained model's name, or of the tag.
        days: How old they may be; None for any age.
        clock: Tells the seconds since 1970.
    """
    noted = {one.job: one for one in read_noted(folder)}
    out = list[Listed]()
    for job in server.jobs():
        if days is not None and job.created < clock() - days * DAY:
            break  # newest first
        one = Listed(job, noted.get(job.id))
        if any(matching in name for name in (job.id, job.model, job.fine_tuned_model or "", one.tag)):
            out.append(one)
    return out


def find_jobs(server: FineTuningServer, folder: Path, wanted: str) -> list[Listed]:
    """Return the job of an id, or all jobs of a tag.

    Raises:
        UnknownName: If there is none.
    """
    listed = list_jobs(server, folder)
    found = [one for one in listed if wanted in (one.job.id, one.job.fine_tuned_model)]
    found = found or [one for one in listed if one.tag == wanted]
    if not found:
        names = {one.job.id for one in listed} | {one.tag for one in listed if one.tag}
        raise UnknownName.among("job or tag", wanted, names)
    return found


def follow(
    server: FineTuningServer, id: str, *, every: float = 10.0, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Event | Job]:
    """Yield what a job tells, each event once, until it has ended; last comes the job.

    Args:
        server: The server.
        id: Id of the job.
        every: Seconds between two looks.
        sleep: Waits so many seconds.
    """
    seen = set[str]()
    while True:
        job = server.job(id)  # before its events, so that none of an ended job is missed
        for event in server.events(id):
            if event.id not in seen:
                seen.add(event.id)
                yield event
        if job.ended:
            yield job
            return
        sleep(every)


def cost(one: Listed) -> float | None:
    """Return what a job cost in dollars, at the price noted when it was submitted; None where that is not known."""
    estimate = (one.noted.estimate or {}) if one.noted else {}
    price, tokens = cast("float | None", estimate.get("price")), one.job.trained_tokens
    return None if price is None or tokens is None else tokens / 1000 * price
