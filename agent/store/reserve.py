"""Room on the card kept for orders that must not be lost: a file that is given up when nothing else fits."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

SIZE_BYTES = 2 * 1024 * 1024
"""Hundreds of orders, with their write-ahead log."""

SPARE = 8
"""The file is made only where so many times its size is free, so that it never is what fills the card."""


class Reserve:
    """One file of real blocks beside the database. No method raises for what a card may do."""

    def __init__(self, path: Path, size_bytes: int = SIZE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def kept(self) -> bool:
        """Whether the room is held."""
        return self._path.exists()

    def make(self) -> None:
        """Hold the room, unless it is held already or the card has little left."""
        try:
            if self.kept:
                return
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < SPARE * self._size_bytes:
                return
            handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_bytes)
            finally:
                os.close(handle)
        except OSError as error:
            logger.warning("no room is kept for orders: %s", error)
            with contextlib.suppress(OSError):
                self._path.unlink()

    def give_up(self) -> bool:
        """Free the room; False if there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("the card is full: room kept for orders was freed")
        return True
