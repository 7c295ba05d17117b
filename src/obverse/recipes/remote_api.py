"""Fine-tuning on a server that speaks OpenAI's protocol: files, jobs and their events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

from obverse.core import JsonValue
from obverse.measuring.openai_http import Wire

ENDED = ("succeeded", "failed", "cancelled")
"""States that a job stays in."""
PAGE = 100
"""Jobs or events asked for at once."""


@dataclass(frozen=True, slots=True)
class Job:
    """A fine-tuning job, as the server tells of it.

    Attributes:
        id: Its id.
        model: The model it begins from.
        status: queued, running, succeeded, ...
        created: Seconds since 1970, UTC.
        fine_tuned_model: What the server calls the trained model; None until there is one.
        trained_tokens: Tokens trained on; None until known.
        training_file: Id of its file.
        error: Why it failed, as far as the server says.
        tag: What it was tagged with, where the server keeps that.
    """

    id: str
    model: str
    status: str
    created: int
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    training_file: str = ""
    error: str = ""
    tag: str = ""

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a job tells.

    Attributes:
        id: Its id.
        created: Seconds since 1970, UTC.
        message: What is told.
        values: Numbers told with it by name, e.g. ``train_loss``.
        step: The step they belong to; None if not told.
    """

    id: str
    created: int
    message: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])
    step: int | None = None


class FineTuningServer:
    """The part of the protocol that trains.

    Args:
        wire: The line to the server.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire, self.url = wire, wire.url

    def upload(self, name: str, content: bytes) -> str:
        """Upload a training file and return its id. One that is sent twice lies there twice, and does no harm."""
        border = uuid.uuid4().hex
        parts = [
            f'--{border}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'.encode(),
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{quote(name)}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n".encode(),
            content,
            f"\r\n--{border}--\r\n".encode(),
        ]
        kind = f"multipart/form-data; boundary={border}"
        return self._wire.send("POST", "/files", lambda found: _text(found, "id"), body=b"".join(parts), kind=kind)

    def create(self, settings: Mapping[str, JsonValue]) -> Job:
        """Start a job; one whose answer was lost is looked for by its training file before it is asked for again."""
        file = settings["training_file"]

        def lost() -> Job | None:
            return next((job for job in self.jobs() if job.training_file == file), None)

        return self._wire.send("POST", "/fine_tuning/jobs", _job, body=json.dumps(settings).encode(), found=lost)

    def job(self, id: str) -> Job:
        """Return a job as it is now."""
        return self._wire.send("GET", f"/fine_tuning/jobs/{quote(id, safe='')}", _job)

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs, newest first."""
        yield from self._pages("/fine_tuning/jobs", _job)

    def events(self, id: str) -> list[Event]:
        """Return what a job has told so far, oldest first."""
        return list(self._pages(f"/fine_tuning/jobs/{quote(id, safe='')}/events", _event))[::-1]

    def _pages(self, path: str, read: Any) -> Iterator[Any]:
        after = ""
        while True:
            query = urlencode({"limit": PAGE, **({"after": after} if after else {})})
            items, more = self._wire.send("GET", f"{path}?{query}", lambda found: _page(found, read))
            yield from items
            if not more or not items:
                return
            after = items[-1].id


def _page(found: Any, read: Any) -> tuple[list[Any], bool]:
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise ValueError("a page of another form")
    return [read(one) for one in found["data"]], bool(found.get("has_more"))


def _job(found: Any) -> Job:
    model, status = _text(found, "model"), _text(found, "status")
    error, metadata = found.get("error") or {}, found.get("metadata") or {}
    return Job(
        id=_text(found, "id"),
        model=model,
        status=status,
        created=int(found.get("created_at") or 0),
        fine_tuned_model=found.get("fine_tuned_model") or None,
        trained_tokens=found.get("trained_tokens"),
        training_file=found.get("training_file") or "",
        error=str(error.get("message") or "") if isinstance(error, dict) else str(error),
        tag=str(metadata.get("tag") or ""),
    )


def _event(found: Any) -> Event:
    data = found.get("data") or {}
    values = {
        name: float(value)
        for name, value in data.items()
        if name not in ("step", "total_steps") and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    step = data.get("step")
    return Event(
        _text(found, "id"),
        int(found.get("created_at") or 0),
        str(found.get("message") or ""),
        values,
        step if isinstance(step, int) else None,
    )


def _text(found: Any, name: str) -> str:
    """Return a text of an answer; a ValueError makes the request be sent again."""
    if not isinstance(found, dict) or not isinstance(found.get(name), str):
        raise ValueError(f"an answer without {name!r}")
    return cast("str", found[name])
