"""One live announcement: speech of one microphone in, the same MP3 frames out to every box that listens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from server.live.encoder import Container, Encoder, EncoderFailedError, encoding
from server.live.frames import FRAME_BYTES, FRAME_S, Freshness
from server.live.limits import Budget, Limits
from server.problems import Problem, RefusedError

logger = logging.getLogger(__name__)

MOST_PER_BOX = 4
CPU_SHARE = 0.25
"""Part of one core an encoder may take on average; it needs about a hundredth."""
CPU_START_S = 20


class LiveState(StrEnum):
    """Life of a session."""

    WAITING = "waiting"
    SPEAKING = "speaking"
    LOST = "lost"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a session is over; texts under `console.live.ended.<reason>`."""

    STOPPED = "stopped"
    LEASE = "lease"
    MICROPHONE = "microphone"
    UNREADABLE = "unreadable"
    TOO_MUCH = "too_much"
    ENCODER = "encoder"
    REFUSED = "refused"
    SERVER = "server"


class Over(StrEnum):
    """Why one turn at the microphone is over; after `ENCODER` the browser may begin again at once."""

    CLOSED = "closed"
    REPLACED = "replaced"
    ENCODER = "encoder"
    ENDED = "ended"


class Listener:
    """What waits for one box; the oldest is left out when too much does, so nobody waits for a slow box."""

    def __init__(self, device: str, most_bytes: int) -> None:
        self.device = device
        self.left_out = 0
        self._most = most_bytes
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._news = asyncio.Event()

    def put(self, frames: bytes) -> None:
        """Add whole frames."""
        self._waiting.append(frames)
        self._size += len(frames)
        while self._size > self._most and len(self._waiting) > 1:
            oldest = len(self._waiting.popleft())
            self._size -= oldest
            self.left_out += oldest
        self._news.set()

    def end(self) -> None:
        """Nothing will follow what waits."""
        self._ended = True
        self._news.set()

    @property
    def over(self) -> bool:
        """Whether nothing will be added any more."""
        return self._ended

    async def get(self) -> bytes | None:
        """Everything that waits, as soon as something does; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        frames = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return frames


class _Turn:
    """One browser's recording from its beginning to its end."""

    def __init__(self, now_s: float, limits: Limits) -> None:
        self.over = asyncio.Event()
        self.why = Over.CLOSED
        self.fed_s = now_s
        self.hungry_s: float | None = None
        self.heard = False
        self.freshness = Freshness(limits.late_s)

    def end(self, why: Over) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()


class LiveSession:
    """Sound from one microphone to many boxes until it is stopped or its lease ends.

    Attributes:
        begun: set when the first words have been encoded, or it is over before.
        ended: set when it is over and no box will get more.
        reason: why it is over, None while it is not.
    """

    def __init__(
        self,
        name: str,
        lease_s: float,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.reason: EndReason | None = None
        self._limits = limits or Limits()
        self._monotonic = monotonic
        self._ends_s = monotonic() + lease_s
        self._silent_until_s: float | None = monotonic() + self._limits.first_s
        self._cpu_s = int(lease_s * CPU_SHARE) + CPU_START_S
        self._turn: _Turn | None = None
        self._failures = 0
        self._budget = Budget(self._limits, monotonic())
        self._listeners: list[Listener] = []
        self._past: deque[bytes] = deque(maxlen=max(1, round(self._limits.replay_s / FRAME_S)))
        self._changed = asyncio.Event()

    @property
    def state(self) -> LiveState:
        """Where it stands."""
        if self.reason is not None:
            return LiveState.ENDED
        if self._turn is not None:
            return LiveState.SPEAKING if self._turn.heard else LiveState.WAITING
        return LiveState.LOST if self.begun.is_set() else LiveState.WAITING

    @property
    def left_s(self) -> float:
        """Seconds until the lease ends."""
        return max(0.0, self._ends_s - self._monotonic()) if self.reason is None else 0.0

    @property
    def listening(self) -> frozenset[str]:
        """Boxes that are being sent the sound."""
        return frozenset(one.device for one in self._listeners)

    async def run(self) -> None:
        """Watch over lease and microphone until the session is over."""
        while self.reason is None:
            now_s = self._monotonic()
            if now_s >= self._ends_s:
                self.end(EndReason.LEASE)
            elif self._silent_until_s is not None and now_s >= self._silent_until_s:
                self.end(EndReason.MICROPHONE)
            else:
                until_s = min(self._ends_s, self._silent_until_s or self._ends_s)
                await self._wait_change(until_s - now_s)
        await self.ended.wait()

    def end(self, reason: EndReason) -> None:
        """End it; after `STOPPED` the words already spoken still go out, otherwise it is cut."""
        if self.reason is not None:
            return
        self.reason = reason
        self._changed.set()
        logger.info("live %s: over: %s", self.name, reason)
        if self._turn is not None:
            self._turn.end(Over.ENDED)
        if self._turn is None or reason is not EndReason.STOPPED:
            self._close()

    @contextmanager
    def listen(self, device: str) -> Iterator[Listener]:
        """Everything from half a second ago until the end, for one box.

        Raises:
            RefusedError: it is over.
        """
        if self.reason is not None:
            raise RefusedError(Problem.NOT_FOUND)
        listener = Listener(device, round(self._limits.waiting_s / FRAME_S) * FRAME_BYTES)
        own = [one for one in self._listeners if one.device == device and not one.over]
        if len(own) >= MOST_PER_BOX:
            own[0].end()
        for frame in self._past:
            listener.put(frame)
        self._listeners.append(listener)
        logger.info("live %s: box %s listens", self.name, device)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)
            logger.info(
                "live %s: box %s listens no more, %d bytes left out", self.name, device, listener.left_out
            )

    async def speak(self, container: Container, messages: AsyncIterator[bytes]) -> Over:
        """Take one recording from its first byte on; a newer one replaces it.

        Args:
            container: what the browser records.
            messages: pieces of the recording as they come; untrusted.

        Returns:
            Why it is over.
        """
        if self.reason is not None:
            return Over.ENDED
        turn = _Turn(self._monotonic(), self._limits)
        if self._turn is not None:
            self._turn.end(Over.REPLACED)
        self._turn, self._silent_until_s = turn, None
        try:
            async with encoding(container, self._cpu_s) as encoder:
                await self._encode(turn, encoder, messages)
        finally:
            if self._turn is turn:
                self._turn = None
                self._silent_until_s = turn.fed_s + self._limits.lost_s
                self._changed.set()
            if self.state is LiveState.ENDED:
                self._close()
        return turn.why

    async def _encode(self, turn: _Turn, encoder: Encoder, messages: AsyncIterator[bytes]) -> None:
        async with asyncio.TaskGroup() as group:
            log = group.create_task(encoder.keep_log(), name="live-log")
            feed = group.create_task(self._feed(turn, encoder, messages), name="live-feed")
            watch = group.create_task(self._watch(turn), name="live-watch")
            publish = group.create_task(self._publish(turn, encoder), name="live-publish")
            await turn.over.wait()
            feed.cancel()
            watch.cancel()
            if turn.why is not Over.REPLACED:
                encoder.finish()
                await asyncio.wait((publish, log), timeout=self._limits.tail_s)
            publish.cancel()
            log.cancel()
        if turn.why is Over.ENCODER:
            self._judge(turn, encoder.said)

    def _judge(self, turn: _Turn, said: str) -> None:
        """An encoder that never worked was fed nonsense; one that did may try again."""
        logger.warning("live %s: encoder gave up: %s", self.name, said[-300:] or "no reason given")
        if not turn.heard:
            self.end(EndReason.UNREADABLE)
        elif self._failures >= self._limits.restarts:
            self.end(EndReason.ENCODER)
        self._failures += 1

    async def _feed(self, turn: _Turn, encoder: Encoder, messages: AsyncIterator[bytes]) -> None:
        async for data in messages:
            if not data:
                continue
            now_s = self._monotonic()
            if not self._budget.spend(len(data), now_s):
                self.end(EndReason.TOO_MUCH)
                return
            turn.fed_s = now_s
            if turn.hungry_s is None:
                turn.hungry_s = now_s
            try:
                await encoder.feed(data)
            except EncoderFailedError as error:
                logger.info("live %s: encoder %s", self.name, error)
                turn.end(Over.ENCODER)
                return
        turn.end(Over.CLOSED)

    async def _publish(self, turn: _Turn, encoder: Encoder) -> None:
        try:
            async for frames in encoder.frames():
                turn.hungry_s, turn.heard = None, True
                late = turn.freshness.is_late(frames, self._monotonic())
                if self._turn is turn and not late and not self.ended.is_set():
                    self._send(frames)
        except EncoderFailedError as error:
            logger.warning("live %s: encoder wrote nonsense: %s", self.name, error)
        turn.end(Over.ENCODER)

    async def _watch(self, turn: _Turn) -> None:
        """Give up on a recorder that sends nothing, and on an encoder that is fed and gives nothing."""
        limits = self._limits
        while True:
            await asyncio.sleep(min(limits.deaf_s, limits.lost_s) / 5)
            now_s = self._monotonic()
            if now_s - turn.fed_s > limits.lost_s:
                turn.end(Over.CLOSED)
            elif turn.hungry_s is not None and now_s - turn.hungry_s > limits.deaf_s:
                turn.end(Over.ENCODER)

    def _send(self, frames: bytes) -> None:
        for start in range(0, len(frames), FRAME_BYTES):
            self._past.append(frames[start : start + FRAME_BYTES])
        for listener in self._listeners:
            listener.put(frames)
        self.begun.set()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.end()
        self.ended.set()
        self.begun.set()
        self._changed.set()

    async def _wait_change(self, limit_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return
