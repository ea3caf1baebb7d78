"""The file that stands for what a simulated board shows; an older picture never replaces a newer one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drivers.api import Frame
from drivers.board.picture_file import encode_png, replace_picture

logger = logging.getLogger(__name__)

_EVERY_S = 0.25
_SHARE = 10  # drawing the file takes at most a tenth of the time
_MAX_BYTES = 64 * 1024 * 1024


class PictureFile:
    """Writes pictures in threads: at once, or for moving ones soon, at most four times a second."""

    def __init__(self, path: Path, seen: Callable[[], Frame]) -> None:
        """Write to `path`; `seen` tells, in the loop, what the board shows."""
        self._path = path
        self._seen = seen
        self._lock = threading.Lock()
        self._taken = 0
        self._written = 0
        self._drawn_s = -1e9
        self._pause_s = _EVERY_S
        self._later: asyncio.TimerHandle | None = None
        self._storing: asyncio.Future[None] | None = None

    async def draw(self) -> None:
        """Write what is seen now."""
        self.forget()
        await asyncio.to_thread(self._store, self._seen(), self._next())

    def draw_soon(self) -> None:
        """Write what is seen in a moment."""
        if self._later is None and (self._storing is None or self._storing.done()):
            wait_s = max(0.0, self._drawn_s + self._pause_s - time.monotonic())
            self._later = asyncio.get_running_loop().call_later(wait_s, self._start)

    def forget(self) -> None:
        """Write no more of what was to be written soon."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    async def copy(self, picture: Path) -> None:
        """Take over a picture file as it is."""
        self.forget()
        await asyncio.to_thread(self.copy_now, picture, self._next())

    def copy_now(self, picture: Path, number: int = 0) -> None:
        """Take over a picture file, blocking."""
        try:
            if picture.stat().st_size <= _MAX_BYTES:
                self._replace(picture.read_bytes(), number)
        except OSError as error:
            logger.warning("%s: no commercial picture: %s", self._path, error)

    def _next(self) -> int:
        self._taken += 1
        return self._taken

    def _start(self) -> None:
        self._later = None
        self._drawn_s = time.monotonic()
        self._storing = asyncio.get_running_loop().run_in_executor(
            None, self._store, self._seen(), self._next()
        )

    def _store(self, picture: Frame, number: int) -> None:
        began_s = time.thread_time()
        self._replace(encode_png(picture), number)
        self._drawn_s = time.monotonic()
        self._pause_s = max(_EVERY_S, _SHARE * (time.thread_time() - began_s))

    def _replace(self, content: bytes, number: int) -> None:
        with self._lock:
            if number >= self._written:
                self._written = number
                replace_picture(self._path, content)
