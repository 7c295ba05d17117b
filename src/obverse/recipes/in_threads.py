"""Requests in several threads, whose answers are kept one by one, whatever stops the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

from obverse.core import ObverseError

Item = TypeVar("Item")
Out = TypeVar("Out")


def in_threads(
    items: Iterable[Item],
    ask: Callable[[Item], Out],
    keep: Callable[[Item, Out], Item | None],
    parallel: int,
) -> None:
    """Ask for each item, and keep each answer as it comes.

    After a failure, or Ctrl-C, nothing new is asked, and what is under way is kept before the error goes on.

    Args:
        items: What to ask for.
        ask: Asks; runs in a thread.
        keep: Keeps an answer, in this thread; gives back what is left to ask of the item, None for nothing.
        parallel: Requests under way at once.

    Raises:
        ObverseError: What the first request that failed raised.
    """
    queue, failed = deque(items), list[ObverseError]()
    waiting: dict[Future[Out], Item] = {}
    with ThreadPoolExecutor(parallel) as pool:
        try:
            while waiting or (queue and not failed):
                while queue and not failed and len(waiting) < parallel:
                    item = queue.popleft()
                    waiting[pool.submit(ask, item)] = item
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    item = waiting.pop(future)
                    try:
                        found = future.result()
                    except ObverseError as error:
                        failed.append(error)
                        continue
                    if (rest := keep(item, found)) is not None:
                        queue.appendleft(rest)
        finally:  # on Ctrl-C, what is under way was asked for already
            for future, item in waiting.items():
                with suppress(ObverseError):
                    keep(item, future.result())
    if failed:
        raise failed[0]
