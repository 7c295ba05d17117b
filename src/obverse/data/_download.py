"""Fetch a published file from the site of its authors."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from typing import BinaryIO
from urllib.request import Request, urlopen

from obverse.core import ObverseError, Progress

SECONDS = 30
"""How long a site may stay silent."""

_CHUNK = 1 << 20


def download(url: str, into: BinaryIO, limit: int, what: str, hint: str, size: int | None = None) -> None:
    """Write what a site gives into a file, as it comes.

    Args:
        url: The file.
        into: Where its bytes go.
        limit: How many bytes to take at most; the rest is left.
        what: What it is, for the progress bar and for messages, e.g. "the known facts".
        hint: What to do without a network.
        size: How many bytes it has, for the progress bar, if known.

    Raises:
        ObverseError: If it cannot be fetched.
    """
    with Progress(f"Fetching {what}", size) as progress:
        for chunk in _chunks(url, limit, what, hint):
            into.write(chunk)
            progress.advance(len(chunk))


def _chunks(url: str, limit: int, what: str, hint: str) -> Iterator[bytes]:
    request = Request(url, headers={"User-Agent": "obverse"})  # some sites refuse Python's own
    try:
        with urlopen(request, timeout=SECONDS) as response:
            while limit and (chunk := response.read(min(limit, _CHUNK))):
                yield chunk
                limit -= len(chunk)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ObverseError(f"{what[0].upper()}{what[1:]} cannot be fetched from {url}: {reason}.", hint) from error
