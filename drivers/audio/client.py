"""The agent's side of the audio worker: spawn it, bound every wait, kill it when it hangs.

Lines to the worker: `{"op": "cue"|"stop"|"adjust"|"ping"|"probe"|"quit", "id": n, ...}`. Lines from it:
`ready`, `unable`, `done` and `error` (answers, with the `id`), `fatal`, and the events of `drivers.api` in
short form.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from drivers.api import (
    AudioEvent,
    CueEnded,
    CueItem,
    CueStarted,
    DeviceUnavailableError,
    EndReason,
    ItemFailed,
    ItemStarted,
    Level,
)
from drivers.audio.order import check_cue, check_levels, row_of

logger = logging.getLogger(__name__)

_READY_S = 8.0
_VERB_S = 2.0
_PROBE_S = 1.0
_EXIT_S = 1.0
_UNANSWERED_MAX = 4
_SLOW_MS = 300
_LOOK_EVERY_S = 0.2
_STALLED_MS = 700
_HUNG_MS = 4_000  # whatever the machine does
_LATE_S = 0.1
_NICE = -15
_EVENTS_MAX = 512
_LINE_MAX_BYTES = 64 * 1024
_STDERR_LINES_MAX = 50
_STDERR_LINE_CHARS = 300


class _Control(asyncio.Protocol):
    """Splits what the worker sends into lines."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._client.on_line(line)
        if len(self._partial) > _LINE_MAX_BYTES:
            self._client.lose("the audio worker sent a line without end")

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lose(f"the audio worker is gone{f': {exc}' if exc else ''}")


class _Process(asyncio.SubprocessProtocol):
    """Logs what the worker, libvlc and libasound print, and notices the end of the process."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._partial = b""
        self._left = _STDERR_LINES_MAX
        self.exited = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 2:  # noqa: PLR2004  standard error
            return
        *lines, self._partial = (self._partial + data)[-_LINE_MAX_BYTES:].split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")[:_STDERR_LINE_CHARS]
            level = logging.WARNING if text.startswith(("WARNING", "ERROR")) else logging.DEBUG
            if self._left > 0:
                logger.log(level, "%s: worker: %s", self._client.name, text)
            self._left -= 1

    def process_exited(self) -> None:
        self.exited.set()
        self._client.lose("the audio worker ended")


class WorkerClient:
    """One running worker process; satisfies `drivers.api.Audio`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lost: str | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 1
        self._events: deque[AudioEvent] = deque()
        self._news = asyncio.Event()
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._control: asyncio.Transport | None = None
        self._process: asyncio.SubprocessTransport | None = None
        self._output: _Process | None = None
        self._handle = -1  # pidfd: asyncio's own kill() would take the exit status from its child watcher
        self._in_force: set[int] = set()
        self._look: asyncio.TimerHandle | None = None
        self._unanswered = 0  # looks since a question that has found no answer yet
        self._slow = False
        self._looked_at = 0.0
        self._starved = False
        self.network = "shared"

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None before it runs."""
        return None if self._process is None else self._process.get_pid()

    # --- verbs ---------------------------------------------------------------------------------------

    async def cue(
        self,
        cue: int,
        items: tuple[CueItem, ...],
        at_ns: int,
        *,
        fade_in_ms: int = 5,
        max_dbfs: float = -1.0,
        volume_db: float = 0.0,
        duck_ms: int = 0,
        duck_db: float = -18.0,
    ) -> None:
        check_cue(items, fade_in_ms=fade_in_ms, duck_ms=duck_ms, duck_db=duck_db)
        check_levels(volume_db, max_dbfs)
        self._in_force.add(cue)
        try:
            await self._ask(
                _VERB_S,
                op="cue",
                cue=cue,
                items=[row_of(item) for item in items],
                at_ns=at_ns,
                fade_in_ms=fade_in_ms,
                max_dbfs=max_dbfs,
                volume_db=volume_db,
                duck_ms=duck_ms,
                duck_db=duck_db,
            )
        except DeviceUnavailableError:
            self._in_force.discard(cue)
            raise
        if self._look is None and self._in_force:
            self._looked_at = asyncio.get_running_loop().time()
            self._look = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look_after)

    async def stop(self, cue: int, *, fade_ms: int = 50) -> None:
        await self._ask(_VERB_S, op="stop", cue=cue, fade_ms=max(0, min(fade_ms, 10_000)))

    async def adjust(self, cue: int, *, volume_db: float, max_dbfs: float, ramp_ms: int = 200) -> None:
        check_levels(volume_db, max_dbfs)
        ramp_ms = max(0, min(ramp_ms, 10_000))
        await self._ask(
            _VERB_S, op="adjust", cue=cue, volume_db=volume_db, max_dbfs=max_dbfs, ramp_ms=ramp_ms
        )

    async def probe(self) -> None:
        answer = await self._ask(_PROBE_S, op="probe")
        if answer.get("stalled_ms", 0) > _STALLED_MS:
            self.lose("the audio worker makes no progress")
            raise DeviceUnavailableError(f"{self._name}: {self._lost}")

    async def events(self) -> AsyncIterator[AudioEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._lost is not None:
                raise DeviceUnavailableError(f"{self._name}: {self._lost}")
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
            self.lose(f"the audio worker did not answer {message['op']!r} within {limit_s:.0f} s")
            raise DeviceUnavailableError(f"{self._name}: {self._lost}") from error
        finally:
            self._answers.pop(number, None)
        if answer["ev"] == "error":
            raise DeviceUnavailableError(f"{self._name}: {answer['detail']}")
        return answer

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
                self.lose(str(message["detail"]))
            else:
                self._add(_event(message))
        except (ValueError, KeyError, TypeError) as error:
            self.lose(f"the audio worker sent something strange: {line[:200]!r} ({error!r})")

    def _answered(self, message: dict[str, Any]) -> None:
        future = self._answers.get(message["id"])
        if future is not None and not future.done():
            future.set_result(message)
        elif message["id"] == 0:
            self._unanswered = 0
            if message["ev"] == "done":
                self._judge(message["stalled_ms"])

    def _add(self, event: AudioEvent) -> None:
        if len(self._events) >= _EVENTS_MAX:
            # Nobody reads: levels are worth least, then what is oldest.
            level = next((kept for kept in self._events if isinstance(kept, Level)), self._events[0])
            self._events.remove(level)
        self._events.append(event)
        if isinstance(event, CueEnded):
            self._in_force.discard(event.cue)
        self._news.set()

    def _judge(self, stalled_ms: int) -> None:
        """Lose a worker that was seen to stand still twice: once may be a machine that stood still itself.

        While this process itself comes late, nothing is said of the worker: a fresh one would be no faster.
        """
        if stalled_ms > _STALLED_MS and self._slow and (not self._starved or stalled_ms > _HUNG_MS):
            self.lose("the audio worker makes no progress")
        self._slow = stalled_ms > _SLOW_MS

    def _look_after(self) -> None:
        """While a cue is in force, make sure five times a second that the worker gets on with it.

        Looks are counted, not seconds: after a pause of the whole machine the answer gets its chance.
        """
        self._look = None
        now = asyncio.get_running_loop().time()
        self._starved = now - self._looked_at > _LOOK_EVERY_S + _LATE_S
        self._looked_at = now
        if self._lost is not None or not self._in_force:
            self._unanswered, self._slow = 0, False
            return
        if self._unanswered >= _UNANSWERED_MAX:
            self.lose("the audio worker does not answer")
            return
        if not self._unanswered:
            self._send({"op": "ping", "id": 0})
        self._unanswered += 1
        self._look = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look_after)

    def lose(self, reason: str) -> None:
        """Treat the worker as lost and make sure that it is silent; the first reason is kept."""
        if self._lost is not None:
            return
        self._lost = reason
        if self._look is not None:
            self._look.cancel()
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

    async def run(self, options: dict[str, Any], environment: dict[str, str]) -> None:
        """Spawn the worker and wait until it is ready; raises DeviceUnavailableError."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            transport, self._output = await loop.subprocess_exec(
                lambda: _Process(self),
                sys.executable,
                *("-P", "-m", "drivers.audio.worker", str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=environment,
            )
            self._process = transport
            self._handle = os.pidfd_open(transport.get_pid())
            _give_precedence(transport.get_pid())
            control, _ = await loop.create_connection(lambda: _Control(self), sock=ours)
            self._control = control
        except OSError as error:
            ours.close()
            raise DeviceUnavailableError(
                f"{self._name}: the audio worker cannot be started: {error}"
            ) from error
        finally:
            theirs.close()
        self._send(options)
        try:
            async with asyncio.timeout(_READY_S):
                answer = await self._ready
        except TimeoutError as error:
            raise DeviceUnavailableError(
                f"{self._name}: the audio worker is not ready in {_READY_S:.0f} s"
            ) from error
        if answer["ev"] != "ready":
            raise DeviceUnavailableError(f"{self._name}: {answer['detail']}")
        self.network = str(answer["network"])

    async def end(self) -> None:
        """Silence, then the end of the process: asked first, killed after a second."""
        exited = None if self._output is None else self._output.exited
        try:
            if exited is not None and self._lost is None:
                self._send({"op": "quit", "id": -1})
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EXIT_S):
                        await exited.wait()
        finally:
            self.lose("closed")
        if exited is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_S):
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
async def open_worker(
    name: str, options: dict[str, Any], environment: Mapping[str, str] | None = None
) -> AsyncIterator[WorkerClient]:
    """Run a worker for as long as the context lasts; leaving it is silence.

    Args:
        name: of the device, for messages.
        options: sent to the worker as its first line.
        environment: variables set for the worker besides the agent's own.

    Raises:
        DeviceUnavailableError: the worker does not start, or there is no sound card.
    """
    client = WorkerClient(name)
    variables = {**os.environ, "MALLOC_ARENA_MAX": "2", **(environment or {})}
    started = time.monotonic()
    try:
        await client.run(options, variables)
        logger.info(
            "%s: audio worker %s ready in %.0f ms, network %s",
            *(name, client.pid, (time.monotonic() - started) * 1000, client.network),
        )
        yield client
    finally:
        try:
            await client.end()
        finally:
            client.release()


def _give_precedence(pid: int) -> None:
    """Let the worker run before ordinary work, where that is permitted; its threads inherit it.

    Its output thread alone is not enough: a decoder thread that is held back while it holds the
    interpreter's lock would hold the output back with it. And a fresh worker is soonest ready like this.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)


def _event(message: dict[str, Any]) -> AudioEvent:
    """Translate a line of the worker into an event of the contract."""
    cue = int(message["cue"])
    match message["ev"]:
        case "started":
            return CueStarted(cue, int(message["at_ns"]))
        case "item":
            return ItemStarted(cue, int(message["index"]), int(message["at_ns"]))
        case "level":
            return Level(
                cue,
                int(message["item"]),
                int(message["played_ms"]),
                float(message["rms"]),
                float(message["peak"]),
                int(message["starved_ms"]),
            )
        case "failed":
            return ItemFailed(cue, int(message["index"]), str(message["code"]), str(message["detail"]))
        case "ended":
            reason = EndReason(message["reason"])
            return CueEnded(
                cue, int(message["at_ns"]), reason, int(message["played_ms"]), str(message["detail"])
            )
        case other:
            raise ValueError(f"unknown event {other!r}")
