"""Hands each report on to whoever watches, as it arrives; slow watchers are told they missed some."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.problems import Problem, RefusedError

MOST_WATCHERS = 64
WAITING = 256


@dataclass(frozen=True, slots=True)
class News:
    """One report of one box; `body` is its JSON. Kind `missed` says that some were left out."""

    device: str
    kind: str
    body: str


class Hub:
    """Keeps the watchers."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[News | None]] = set()
        self._closed = False

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[News | None]]:
        """A queue that receives everything from now on; None says the server stops.

        Raises:
            RefusedError: too many are watching.
        """
        if self._closed or len(self._watchers) >= MOST_WATCHERS:
            raise RefusedError(Problem.BUSY, retry_after_s=10)
        queue: asyncio.Queue[News | None] = asyncio.Queue(WAITING)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def tell(self, news: News) -> None:
        """Give news to everybody; a full queue is emptied and starts again with `missed`."""
        for queue in self._watchers:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(News(news.device, "missed", "{}"))
            queue.put_nowait(news)

    def close(self) -> None:
        """End all watching."""
        self._closed = True
        for queue in self._watchers:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)
