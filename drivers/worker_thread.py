"""One thread for one device: blocking calls leave the event loop, and none of them can hold it up."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from drivers.api import DeviceUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    discard: Callable[[Any], None] | None
    abandoned: bool = False


class WorkerThread:
    """Runs blocking calls of one device, one after the other, in a daemon thread.

    A call that does not come back holds up only this thread: those who wait get DeviceUnavailableError at
    their time limit, and calls nobody waits for any more are skipped.
    """

    def __init__(self, name: str) -> None:
        """Start the thread; `name` is that of the device, for messages."""
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._last: Callable[[], None] | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(
        self, work: Callable[[], T], limit_s: float, discard: Callable[[T], None] | None = None
    ) -> T:
        """Run `work` in the thread and return its result, or raise what it raised.

        Args:
            work: blocks.
            limit_s: longest time to wait.
            discard: called, in the thread or the loop, with a result that comes too late.

        Raises:
            DeviceUnavailableError: it has not come back in time, or the thread was closed.
        """
        if self._closed:
            raise DeviceUnavailableError(f"{self._name}: closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future(), discard)
        self._jobs.put(job)
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                result: T = await job.answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeviceUnavailableError(f"{self._name}: no answer within {limit_s:g} s") from error
        finally:
            job.abandoned = True
        return result

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end after the call under way and then `last`; does not wait for either."""
        self._closed = True
        self._last = last
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.abandoned:
                self._do(job)
        if self._last is not None:
            try:
                self._last()
            except Exception as error:  # noqa: BLE001  nobody waits for it
                logger.debug("%s: while letting go: %s", self._name, error)

    def _do(self, job: _Job) -> None:
        result: Any = None
        problem: Exception | None = None
        try:
            result = job.work()
        except Exception as error:  # noqa: BLE001  handed to whoever asked
            problem = error
        try:
            job.loop.call_soon_threadsafe(_answer, job, result, problem)
        except RuntimeError:  # the loop has ended: nobody is left to hear
            _throw_away(job, result, problem)


def _answer(job: _Job, result: Any, problem: Exception | None) -> None:
    if job.answer.done():
        _throw_away(job, result, problem)
    elif problem is not None:
        job.answer.set_exception(problem)
    else:
        job.answer.set_result(result)


def _throw_away(job: _Job, result: Any, problem: Exception | None) -> None:
    if problem is None and job.discard is not None:
        job.discard(result)
