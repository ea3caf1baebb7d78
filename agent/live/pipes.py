"""Hands one stream to the pipes of several readers, none of whom can delay the others or the loop.

A pipe keeps its write end open without a reader: on Linux a FIFO may be opened for writing while another
descriptor can read it, and writes fail with EPIPE from then on until a reader comes (fifo(7), pipe(7)). So a
reader never waits in `open`, never sees an end that is none, and the moment it comes is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import select
import stat
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.live.pieces import Piece

MAX_BACKLOG_BYTES = 512 * 1024
_KEPT = 2
"""Pipes of a zone kept besides the newest."""


@dataclass(frozen=True, slots=True)
class PipeLimits:
    """Bounds of one live source's pipes.

    Attributes:
        kernel_bytes: size of each pipe in the kernel; it is delay too.
        queue_bytes: sound kept for a reader that does not read.
        lag_s: the same in seconds; 0 when only bytes count.
        backlog_s: sound a late reader is given at once.
    """

    kernel_bytes: int = 32 * 1024
    queue_bytes: int = 256 * 1024
    lag_s: float = 0.0
    backlog_s: float = 0.5


class Pipe:
    """One FIFO and what waits to be written to it.

    Attributes:
        attached: somebody reads.
        lost_bytes: sound left out because the reader was too slow.
    """

    def __init__(self, path: Path, kernel_bytes: int) -> None:
        self.path = path
        self.attached = False
        self.lost_bytes = 0
        self.queued = 0
        self._queue: deque[bytes] = deque()
        self._begun = b""
        self._watched = False
        os.mkfifo(path, 0o600)
        try:
            both = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            finally:
                os.close(both)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        with contextlib.suppress(
            OSError
        ):  # the user's share of pipe memory may be used up; it works unchanged
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, kernel_bytes)
        self._poll = select.poll()
        self._poll.register(self._descriptor, 0)

    def came(self) -> bool:
        """Whether a reader has just come."""
        if self.attached or any(events & select.POLLERR for _, events in self._poll.poll(0)):
            return False
        self.attached = True
        return True

    def offer(self, pieces: Iterable[bytes], most_bytes: int) -> None:
        """Write what can be written; keep at most about `most_bytes`, and of more the newest half."""
        if not self.attached:
            return
        for piece in pieces:
            self._queue.append(piece)
            self.queued += len(piece)
        if self.queued > most_bytes:
            while self._queue and self.queued > most_bytes // 2:
                self.lost_bytes += len(self._queue[0])
                self.queued -= len(self._queue.popleft())
        if not self._watched:
            self._write()

    def close(self) -> None:
        """End for the reader, once it has read what is in the kernel."""
        if self._descriptor < 0:
            return
        self._forget()
        os.close(self._descriptor)
        self._descriptor = -1
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            while self._begun or self._queue:
                if not self._begun:
                    self._begun = self._queue.popleft()
                    self.queued -= len(self._begun)
                # What has been begun is finished: half a sample frame would turn all after it into noise.
                self._begun = self._begun[os.write(self._descriptor, self._begun) :]
        except BlockingIOError:
            self._watch(on=True)
            return
        except BrokenPipeError:
            self._forget()
            self._drain()
            return
        self._watch(on=False)

    def _watch(self, *, on: bool) -> None:
        if on and not self._watched:
            asyncio.get_running_loop().add_writer(self._descriptor, self._write)
        elif self._watched and not on:
            asyncio.get_running_loop().remove_writer(self._descriptor)
        self._watched = on

    def _forget(self) -> None:
        self._watch(on=False)
        self._queue.clear()
        self._begun, self.queued, self.attached = b"", 0, False

    def _drain(self) -> None:
        """What a reader left behind is old by the time the next one comes."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            with contextlib.suppress(BlockingIOError):
                while os.read(descriptor, 65536):
                    pass
        finally:
            os.close(descriptor)


class Fan:
    """The pipes of one live source, by zone.

    Args:
        folder: where the FIFOs are made.
        numbers: names them, so that no name from outside gets into a path.
    """

    def __init__(self, folder: Path, limits: PipeLimits, numbers: Iterable[int] | None = None) -> None:
        self._folder = folder
        self._limits = limits
        self._numbers = iter(numbers if numbers is not None else itertools.count(1))
        self._pipes: dict[str, list[Pipe]] = {}
        self._backlog: deque[tuple[float, bytes]] = deque()
        self._backlog_bytes = 0
        self._header = b""
        self._format = ""

    @property
    def pipes(self) -> tuple[Pipe, ...]:
        """All open pipes."""
        return tuple(pipe for pipes in self._pipes.values() for pipe in pipes)

    @property
    def crowded(self) -> bool:
        """Every reader has half of what is kept for it still to read; there is at least one."""
        queued = [pipe.queued for pipe in self.pipes if pipe.attached]
        return bool(queued) and min(queued) > self._limits.queue_bytes // 2

    def open(self, zone: str) -> Path:
        """Make a FIFO for a zone; the two before it stay, until `release`, for who reads them or is about to.

        Raises:
            OSError: it cannot be made.
        """
        pipe = Pipe(self._folder / f"live-{next(self._numbers)}.fifo", self._limits.kernel_bytes)
        earlier = self._pipes.get(zone, [])
        for one in earlier[:-_KEPT]:
            one.close()
        self._pipes[zone] = [*earlier[-_KEPT:], pipe]
        return pipe.path

    def release(self, zone: str) -> None:
        """Close the pipes of a zone."""
        for pipe in self._pipes.pop(zone, []):
            pipe.close()

    def close(self) -> None:
        """Close all pipes."""
        for zone in tuple(self._pipes):
            self.release(zone)
        self.forget()

    def forget(self) -> None:
        """The connection is lost: what was kept for late readers is old now."""
        self._backlog.clear()
        self._backlog_bytes = 0

    def begin(self, name: str) -> None:
        """A connection gives sound of this format; readers of another format are sent away."""
        if self._format and name != self._format:
            for zone in tuple(self._pipes):
                self.release(zone)
            self._header = b""
        self._format = name
        self.forget()

    def push(self, pieces: Iterable[Piece], header: bytes, now_s: float, rate: float) -> None:
        """Give new pieces to every reader.

        Args:
            pieces: in order.
            header: what a late reader needs first.
            now_s: for the age of what is kept.
            rate: bytes in a second of sound, about; for what counts as too slow.
        """
        fresh = []
        for piece in pieces:
            if not piece.starts:
                fresh.append(piece.data)
                self._keep(piece.data, now_s)
            elif self._format == "ogg":  # links of a chain follow each other in one stream
                fresh.append(piece.data)
                self.forget()
            elif self._header and (self._format != "wav" or piece.data != self._header):
                self._restart()
        self._header = header
        most = self._limits.queue_bytes
        if self._limits.lag_s:
            most = min(most, max(16 * 1024, int(rate * self._limits.lag_s)))
        for pipe in self.pipes:
            pipe.offer(fresh, most)
        self.tend()

    def tend(self) -> None:
        """Give readers that have come what they need first."""
        if not self._format or (self._format in ("wav", "flac") and not self._header):
            return
        for pipe in self.pipes:
            if pipe.came():
                kept = [data for _, data in self._backlog]
                pipe.offer([self._header, *kept] if self._header else kept, 2 * MAX_BACKLOG_BYTES)

    def _restart(self) -> None:
        """A header that cannot come in mid-stream: whoever reads the old stream must begin anew."""
        for pipes in self._pipes.values():
            for pipe in [one for one in pipes if one.attached]:
                pipe.close()
                pipes.remove(pipe)
        self.forget()

    def _keep(self, data: bytes, now_s: float) -> None:
        self._backlog.append((now_s, data))
        self._backlog_bytes += len(data)
        while self._backlog and (
            self._backlog[0][0] < now_s - self._limits.backlog_s or self._backlog_bytes > MAX_BACKLOG_BYTES
        ):
            self._backlog_bytes -= len(self._backlog.popleft()[1])


def clean(folder: Path) -> None:
    """Make the folder, and remove FIFOs that an earlier run left behind.

    Raises:
        OSError: it cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("live-*.fifo"):
        if stat.S_ISFIFO(path.lstat().st_mode):
            path.unlink(missing_ok=True)
