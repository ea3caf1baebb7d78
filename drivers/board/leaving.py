"""Leaving a board safe, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def see_through(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, which has to end by itself, to its end; a cancellation is raised only then.

    A service that is stopped signals its processes more than once: the second signal must not undo what the
    first one has begun, or the board keeps its text for ever.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and (task.cancelled() or task.exception() is None):
        raise cancelled
    task.result()
