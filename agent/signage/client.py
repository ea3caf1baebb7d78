"""The agent's side of a board worker: spawn it, bound every wait, kill it when it hangs.

Lines to the worker: `{"op": "look"|"clock"|"brightness"|"screenshot"|"status"|"ping"|"quit", "id": n, ...}`.
Lines from it: `ready`, `unable`, `done` and `error` (answers, with the `id`), `fatal`, and the events of
`agent.signage.link`. A worker that is lost is not replaced here: whoever owns the client opens another one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from agent.model.board import Facts, Look
from agent.signage.link import (
    BoardEvent,
    Problem,
    Setup,
    Shown,
    board_of_row,
    event_of_row,
    row_of_facts,
    row_of_look,
    row_of_setup,
    status_of_row,
)
from drivers.api import BoardAbilities, BoardGeometry, BoardStatus, DeviceUnavailableError

__all__ = ["BoardClient", "Problem", "Setup", "Shown", "open_worker"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_READY_S = 20.0
_VERB_S = 45.0  # a slow card is asked after it has shown what it is showing; hanging is seen by the beats
_LOOK_S = 60.0
_EXIT_S = 11.0  # what the slowest card takes for its safe screen; the worker ends itself before
_LOST_EXIT_S = 3.0
_BEAT_S = 0.2
_BEATS_MAX = 5
_LATE_S = 0.1
_EVENTS_MAX = 256
_LINE_MAX_BYTES = 32 * 1024 * 1024
_STDERR_LINES_MAX = 50
_STDERR_LINE_CHARS = 300


class _Control(asyncio.Protocol):
    """Splits what the worker sends into lines."""

    def __init__(self, client: BoardClient) -> None:
        self._client = client
        self._partial = bytearray()

    def data_received(self, data: bytes) -> None:
        self._partial += data
        if b"\n" in data:
            *lines, rest = self._partial.split(b"\n")
            self._partial = rest
            for line in lines:
                self._client.on_line(bytes(line))
        if len(self._partial) > _LINE_MAX_BYTES:
            self._client.lose("the board worker sent a line without end")

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lose(f"the board worker is gone{f': {exc}' if exc else ''}")


class _Process(asyncio.SubprocessProtocol):
    """Logs what the worker prints, and notices its end."""

    def __init__(self, client: BoardClient) -> None:
        self._client = client
        self._partial = b""
        self._left = _STDERR_LINES_MAX
        self.exited = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 2:  # noqa: PLR2004  standard error
            return
        *lines, self._partial = (self._partial + data)[-64 * 1024 :].split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")[:_STDERR_LINE_CHARS]
            level = logging.WARNING if text.startswith(("WARNING", "ERROR")) else logging.DEBUG
            if self._left > 0:
                logger.log(level, "%s: worker: %s", self._client.name, text)
            self._left -= 1

    def process_exited(self) -> None:
        self.exited.set()
        self._client.lose("the board worker ended")


class BoardClient:
    """One running board worker.

    Every verb raises DeviceUnavailableError when the worker or the board is lost; a worker that does not
    answer in time is killed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lost: str | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 1
        self._events: deque[BoardEvent] = deque()
        self._news = asyncio.Event()
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._control: asyncio.Transport | None = None
        self._process: asyncio.SubprocessTransport | None = None
        self._output: _Process | None = None
        self._handle = -1  # pidfd: asyncio's own kill() would take the exit status from its child watcher
        self._beat: asyncio.TimerHandle | None = None
        self._beat_s = 0.0
        self._unanswered = 0
        self.geometry = BoardGeometry(0, 0)
        self.abilities = BoardAbilities()

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None before it runs."""
        return None if self._process is None else self._process.get_pid()

    # --- verbs ---------------------------------------------------------------------------------------

    async def look(self, number: int, look: Look, facts: Facts, assets: Mapping[str, Path]) -> None:
        """Show a look; comes back when its first frame is on the board, or a newer look took its place.

        Args:
            number: comes back in `Shown`.
            look: what to show.
            facts: for its templates.
            assets: files that are there, by SHA-256, already checked.
        """
        await self._ask(
            _LOOK_S,
            op="look",
            number=number,
            look=row_of_look(look),
            facts=row_of_facts(facts),
            assets={key: str(path) for key, path in assets.items()},
        )

    async def set_clock(self, wall_minus_monotonic_ns: int, known: bool) -> None:
        """Tell the time: nanoseconds since 1970 minus CLOCK_MONOTONIC; not `known`: shown nowhere."""
        await self._ask(_VERB_S, op="clock", offset_ns=wall_minus_monotonic_ns, known=known)

    async def set_brightness(self, level: float | None) -> None:
        """Order a brightness, 0 to 1; None lets the plan decide again."""
        await self._ask(_VERB_S, op="brightness", level=level)

    async def screenshot(self) -> bytes:
        """PNG of what is shown now, after gamma and colour order; black while dark."""
        answer = await self._ask(_VERB_S, op="screenshot")
        return self._read(lambda: base64.b64decode(answer["png"]))

    async def status(self) -> BoardStatus:
        """What the board said of itself last, at most a few seconds ago."""
        answer = await self._ask(_VERB_S, op="status")
        return self._read(lambda: status_of_row(answer["status"]))

    async def frames(self) -> int:
        """Frames of tickers and borders given to the board so far; 0 on a board without frame memory."""
        answer = await self._ask(_VERB_S, op="status")
        return self._read(lambda: int(answer["frames"]))

    async def events(self) -> AsyncIterator[BoardEvent]:
        """What happens on the board; raises DeviceUnavailableError when the worker is lost."""
        while True:
            while self._events:
                yield self._events.popleft()
            self._check()
            self._news.clear()
            await self._news.wait()

    async def _ask(self, limit_s: float, **message: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; a worker that misses the limit is killed."""
        self._check()
        number, self._next_id = self._next_id, self._next_id + 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            self._send({"id": number, **message})
            async with asyncio.timeout(limit_s):
                answer = await future
        except TimeoutError as error:
            self.lose(f"the board worker did not answer {message['op']!r} within {limit_s:.0f} s")
            raise DeviceUnavailableError(f"{self._name}: {self._lost}") from error
        finally:
            self._answers.pop(number, None)
        if answer["ev"] == "error":
            raise DeviceUnavailableError(f"{self._name}: {answer['detail']}")
        return answer

    def _read(self, read: Callable[[], T]) -> T:
        """Read an answer; a worker that answers something strange is lost."""
        try:
            return read()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.lose(f"the board worker answered something strange: {error!r}")
            raise DeviceUnavailableError(f"{self._name}: {self._lost}") from error

    def _check(self) -> None:
        if self._lost is not None:
            raise DeviceUnavailableError(f"{self._name}: {self._lost}")

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._control is not None:
            self._control.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    # --- what the worker says ------------------------------------------------------------------------

    def on_line(self, line: bytes) -> None:
        """Take one line from the worker."""
        try:
            message = json.loads(line)
            kind = message["ev"]
            if kind in ("ready", "unable"):
                if not self._ready.done():
                    self._ready.set_result(message)
            elif kind in ("done", "error"):
                self._answered(message)
            elif kind == "fatal":
                self.lose(str(message["detail"]), kill=False)
            else:
                self._add(event_of_row(message))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.lose(f"the board worker sent something strange: {line[:200]!r} ({error!r})")

    def _answered(self, message: dict[str, Any]) -> None:
        self._unanswered = 0
        future = self._answers.get(message["id"])
        if future is not None and not future.done():
            future.set_result(message)

    def _add(self, event: BoardEvent) -> None:
        if len(self._events) >= _EVENTS_MAX:
            self._events.popleft()
        self._events.append(event)
        self._news.set()

    def _beat_after(self) -> None:
        """Five times a second, see that the worker answers.

        Beats are counted, not seconds, and not while this process itself comes late: after a pause of the
        whole machine the answer gets its chance.
        """
        self._beat = None
        if self._lost is not None:
            return
        loop = asyncio.get_running_loop()
        starved = loop.time() - self._beat_s > _BEAT_S + _LATE_S
        self._beat_s = loop.time()
        if self._unanswered >= _BEATS_MAX:
            self.lose("the board worker does not answer")
            return
        if not self._unanswered:
            self._send({"op": "ping", "id": 0})
        self._unanswered += 0 if starved and self._unanswered else 1
        self._beat = loop.call_later(_BEAT_S, self._beat_after)

    def lose(self, reason: str, *, kill: bool = True) -> None:
        """Treat the worker as lost; the first reason is kept. `kill` False lets it leave the board safe."""
        if self._lost is not None:
            return
        self._lost = reason
        if self._beat is not None:
            self._beat.cancel()
        if kill:
            self._kill()
        if not self._ready.done():
            self._ready.set_result({"ev": "unable", "detail": reason})
        for future in self._answers.values():
            if not future.done():
                future.set_result({"ev": "error", "detail": reason})
        self._news.set()

    def _kill(self) -> None:
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    # --- life ----------------------------------------------------------------------------------------

    async def run(self, setup: Setup) -> None:
        """Spawn the worker and wait until it has the board; raises DeviceUnavailableError."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            transport, self._output = await loop.subprocess_exec(
                lambda: _Process(self),
                sys.executable,
                *("-P", "-m", "agent.signage.worker", str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )
            self._process = transport
            self._handle = os.pidfd_open(transport.get_pid())
            control, _ = await loop.create_connection(lambda: _Control(self), sock=ours)
            self._control = control
        except OSError as error:
            ours.close()
            raise DeviceUnavailableError(
                f"{self._name}: the board worker cannot be started: {error}"
            ) from error
        finally:
            theirs.close()
        self._send({"name": self._name, "setup": row_of_setup(setup)})
        try:
            async with asyncio.timeout(_READY_S):
                answer = await self._ready
        except TimeoutError as error:
            raise DeviceUnavailableError(
                f"{self._name}: the board worker is not ready in {_READY_S:.0f} s"
            ) from error
        if answer["ev"] != "ready":
            raise DeviceUnavailableError(f"{self._name}: {answer.get('detail', 'no reason given')}")
        self.geometry, self.abilities = self._read(lambda: board_of_row(answer))
        self._beat_s = loop.time()
        self._beat = loop.call_later(_BEAT_S, self._beat_after)

    async def end(self) -> None:
        """Safe screen, then the end of the process: asked first, killed when that takes too long."""
        if self._beat is not None:
            self._beat.cancel()  # it does not answer while the driver makes the board safe
        limit_s = _EXIT_S if self._lost is None else _LOST_EXIT_S
        exited = None if self._output is None else self._output.exited
        try:
            if self._control is not None and not self._control.is_closing():
                self._send({"op": "quit", "id": -1})
            if exited is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(limit_s):
                        await exited.wait()
        finally:
            self.lose("closed")
            self._kill()
        if exited is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await exited.wait()

    def release(self) -> None:
        """Let go of the sockets and pipes; the process is dead or killed by now."""
        self._kill()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


@asynccontextmanager
async def open_worker(name: str, setup: Setup) -> AsyncIterator[BoardClient]:
    """Run a board worker for as long as the context lasts; leaving it leaves the board safe.

    Raises:
        DeviceUnavailableError: the worker does not start, or the board does not answer.
    """
    client = BoardClient(name)
    started = time.monotonic()
    try:
        await client.run(setup)
        size = client.geometry
        logger.info(
            "%s: board worker %s ready in %.0f ms, %d x %d px",
            *(name, client.pid, (time.monotonic() - started) * 1000, size.width_px, size.height_px),
        )
        yield client
    finally:
        try:
            await client.end()
        finally:
            client.release()
