"""Disk work off the event loop, with a caller that never lets go of a file still being written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from agent.threads import Workers

P = ParamSpec("P")
T = TypeVar("T")

_WORKERS = Workers("media", 3)


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking `work` in a thread; a cancelled caller leaves only after `work` has ended.

    `asyncio.to_thread` leaves at once, and the caller's `finally` would close the file under the thread.
    """
    doing = _WORKERS.start(work, *args, **kwargs)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        while not doing.done():
            with suppress(asyncio.CancelledError):  # asked again; it is raised below all the same
                await asyncio.wait((doing,))
        if not doing.cancelled():
            doing.exception()  # seen; the cancellation goes before it
        raise
