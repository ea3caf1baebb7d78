"""Reads an encoded stream from a FIFO, so that no missing or silent writer can ever block for long."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable

from drivers.audio.media import UnreadableError, find_stream

_LOOK_MS = 100
_HEAD_BYTES = 16 * 1024
_ENOUGH_BYTES = 2 * 1024
_UNKNOWN_SIZE = (1 << 64) - 1


class FifoStream:
    """The reading end of a FIFO as a stream for the decoder: no size, no seeking.

    Raises from the constructor:
        UnreadableError: there is no such FIFO.
    """

    size = _UNKNOWN_SIZE
    seekable = False

    def __init__(self, place: str, closed: Callable[[], bool]) -> None:
        """Open the FIFO.

        Args:
            place: its path.
            closed: whether whoever reads has lost interest; looked at ten times a second.
        """
        self._closed = closed
        self._head = b""
        self.read_bytes = 0
        self.read_ns = time.monotonic_ns()
        try:
            self._descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror}") from error
        if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
            self.close()
            raise UnreadableError("is not a FIFO")
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def recognise(self) -> tuple[str, ...]:
        """Wait for the first bytes, however long that takes, and choose the decoder for them.

        Returns:
            libvlc media options; none when the stream ended or was closed before a byte came.

        Raises:
            UnreadableError: what comes is not sound that this box plays.
        """
        while True:
            data = self._receive(_HEAD_BYTES - len(self._head))
            self._head += data
            ended = not data
            if ended and not self._head:
                return ()
            found = find_stream(self._head, whole=ended)
            if found is not None:
                self._head = self._head[found.skip :]
                return found.options
            if ended or len(self._head) >= _HEAD_BYTES:
                raise UnreadableError("is not sound that this box plays live")

    def seek(self, position: int) -> None:
        """Only the beginning, before anything was read, is a place to go to."""
        if position:
            raise OSError("a FIFO cannot be sought in")

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, waiting for the first; b"" at the end."""
        if self._head:
            data, self._head = self._head[:count], self._head[count:]
            return data
        return self._receive(count)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _receive(self, count: int) -> bytes:
        while not self._closed():
            events = self._poll.poll(_LOOK_MS)
            if not events:
                continue
            # Before the first writer there is nothing to poll; after the last one there is only the hang-up.
            try:
                data = os.read(self._descriptor, count)
            except BlockingIOError:
                continue
            self.read_bytes += len(data)
            self.read_ns = time.monotonic_ns()
            return data
        return b""
