"""Threads of one's own for blocking work.

The threads that `asyncio.to_thread` uses also look up names in the DNS; where that hangs, all of them can be
stuck in it for minutes. What must go on meanwhile works on threads of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """At most `threads` threads, which exist only while there is work: nobody has to shut them down.

    Args:
        name: the threads' names begin with it.
        threads: work beyond as many waits for its turn.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._threads = threads
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._under_way = 0

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin blocking `work`; cancelling the future keeps work that has not begun from ever beginning."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
            doing = self._pool.submit(partial(work, *args, **kwargs))
            self._under_way += 1
        doing.add_done_callback(self._ended)
        return asyncio.wrap_future(doing)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What blocking `work` returns; a cancelled caller leaves at once."""
        return await self.start(work, *args, **kwargs)

    def _ended(self, _done: Future[Any]) -> None:
        with self._lock:
            self._under_way -= 1
            if self._under_way or self._pool is None:
                return
            pool, self._pool = self._pool, None
        pool.shutdown(wait=False)
