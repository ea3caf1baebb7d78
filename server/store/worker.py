"""One thread that runs one call after another; urgent ones overtake those that wait."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

FIRST, NEXT, LAST = 0, 1, 2


class Worker:
    """A named thread with a queue by urgency; within one urgency, in order of arrival."""

    def __init__(self, name: str) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False

    def submit(self, work: Callable[[], T], urgency: int = NEXT) -> Future[T]:
        """Run `work` in the thread; `FIRST` before everything that waits, never amid what runs."""
        if not self._started:
            self._started = True
            self._thread.start()
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._queue.put((urgency, next(self._numbers), call))
        return future

    def stop(self) -> None:
        """Finish what waits, then end the thread; returns when it has ended."""
        if self._started:
            self._queue.put((LAST, next(self._numbers), None))
            self._thread.join()

    def _run(self) -> None:
        while True:
            call = self._queue.get()[2]
            if call is None:
                return
            call()
