"""One live source from the moment it is wanted until it no longer is: connects, judges, tries again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.clock import Clock
from agent.live.api import (
    Issues,
    LiveLostError,
    LiveRefusedError,
    LiveTimes,
    LiveUnavailableError,
    Source,
    WantedLive,
)
from agent.live.inlet import Inlet
from agent.live.lease import Facts, Next, Terms, Why, decide, wait_s
from agent.live.pipes import Fan
from agent.model.issue import Fault
from agent.model.live import LiveState, LiveStatus
from drivers.api import FeedKind, LiveFeed

logger = logging.getLogger(__name__)

_HEARD_FOR_S = 1.5
_GRANT_BUFFER_MS = 300
_RELAY_BUFFER_MS = 1000
_MAX_BUFFER_MS = 5000
_FAULTS = (Fault.LIVE_LOST, Fault.LIVE_SILENT, Fault.TUNER_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class _Over:
    why: Why
    detail: str
    tuner: bool = False


class Session:
    """One live source.

    Args:
        wanted: what it is.
        source: makes a source for one connection.
        fan: the pipes of its readers.
        place: capture name for line-in, microphone and FM; "" for what comes through pipes.
        on_change: told of each change of the status.
    """

    def __init__(
        self,
        wanted: WantedLive,
        source: Callable[[], Source],
        fan: Fan,
        place: Callable[[], str] | None,
        *,
        clock: Clock,
        issues: Issues,
        times: LiveTimes,
        on_change: Callable[[], None],
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.wanted = wanted
        self.status = LiveStatus(LiveState.CONNECTING, clock.now())
        self._source = source
        self._fan = fan
        self._place = place
        self._clock = clock
        self._issues = issues
        self._times = times
        self._on_change = on_change
        self._draw = draw
        limits = wanted.input
        self._terms = Terms(
            wanted.final, limits.silence_limit_s, limits.stall_limit_s, times.connect_s, times.ready_s
        )
        self._heard: deque[tuple[float, int, int]] = deque(maxlen=64)
        self._was_ready = False
        self._state_s = clock.monotonic()
        self._failures = 0
        self._inlet = Inlet(fan, clock)

    async def run(self) -> None:
        """Keep the source until it has ended for good, or this is cancelled."""
        try:
            while True:
                over, state = await self._connection()
                if state is LiveState.ENDED:
                    return
                await self._clock.sleep(wait_s(self._times, over.why, self._failures, self._draw))
        finally:
            self._fan.close()

    def close(self) -> None:
        """Nobody wants it any longer."""
        self._fan.close()
        for fault in _FAULTS:
            self._issues.clear(fault, self.wanted.id)

    def rewanted(self, wanted: WantedLive) -> None:
        """The same source, perhaps for other zones."""
        for zone in set(self.wanted.zones) - set(wanted.zones):
            self._fan.release(zone)
        self.wanted = wanted

    def feed(self, zone: str) -> LiveFeed:
        """What a zone is to read.

        Raises:
            LiveUnavailableError: it has ended, is not for this zone, or no pipe could be made.
        """
        live_id = self.wanted.id
        if zone not in self.wanted.zones:
            raise LiveUnavailableError(f"live {live_id!r} is not for zone {zone!r}")
        if self.status.state is LiveState.ENDED:
            raise LiveUnavailableError(f"live {live_id!r} has ended: {self.status.detail}")
        buffer_ms = _GRANT_BUFFER_MS if self.wanted.final else _RELAY_BUFFER_MS
        buffer_ms = min(_MAX_BUFFER_MS, max(buffer_ms, int(1500 * self._inlet.grain_s)))
        if self._place is not None:
            try:
                return LiveFeed(FeedKind.CAPTURE, self._place(), _GRANT_BUFFER_MS)
            except LiveRefusedError as error:
                raise LiveUnavailableError(f"live {live_id!r}: {error}") from error
        try:
            path: Path = self._fan.open(zone)
        except OSError as error:
            raise LiveUnavailableError(f"live {live_id!r}: no pipe can be made: {error}") from error
        return LiveFeed(FeedKind.PIPE, str(path), buffer_ms)

    def release(self, zone: str) -> None:
        """The zone no longer reads."""
        self._fan.release(zone)

    def heard(self, silent_ms: int, starved_ms: int) -> None:
        """What a reader's output really gave."""
        self._heard.append((self._clock.monotonic(), silent_ms, starved_ms))

    async def _connection(self) -> tuple[_Over, LiveState]:
        """Connect once; returns what it ended with, and the state after it."""
        self._inlet.begin()
        tried_s = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            pump = group.create_task(self._pump(), name=f"live {self.wanted.id}")
            try:
                while True:
                    await asyncio.wait({pump}, timeout=self._times.tick_s)
                    over = pump.result() if pump.done() else None
                    self._fan.tend()
                    after = decide(self._terms, self._facts(tried_s, over), self._clock.monotonic())
                    if after.hang_up:
                        ended = over or _Over(after.why or Why.BROKEN, self._reason(after))
                        self._enter(after, ended)
                        return ended, after.state
                    self._enter(after, None)
                    if self.status.state is LiveState.READY and self._state_age_s() > self._times.healthy_s:
                        self._failures = 0
            finally:
                pump.cancel()

    async def _pump(self) -> _Over:
        try:
            await self._source().run(self._inlet)
        except LiveRefusedError as error:
            return _Over(Why.REFUSED, str(error), error.tuner)
        except LiveLostError as error:
            return _Over(Why.BROKEN, str(error), error.tuner)
        if self._inlet.unknown:
            return _Over(Why.REFUSED, "what came was no audio, and ended")
        return _Over(Why.FINISHED, "the source ended the stream")

    def _facts(self, tried_s: float, over: _Over | None) -> Facts:
        now_s = self._clock.monotonic()
        # of several zones the one that hears most is believed; what was reported before a reconnect is not
        fresh = [one for one in self._heard if one[0] >= now_s - _HEARD_FOR_S and one[0] >= self._state_s]
        ready_ms = self._state_age_s() * 1000
        return Facts(
            state=self.status.state,
            tried_at_s=tried_s,
            opened=self._inlet.captures,
            first_data_s=self._inlet.first_s,
            data_s=self._inlet.newest_s,
            sound_s=self._inlet.sound_s,
            silent_s=min(ready_ms, min((one[1] for one in fresh), default=0)) / 1000,
            starved_s=min(ready_ms, min((one[2] for one in fresh), default=0)) / 1000,
            over=None if over is None else over.why,
        )

    def _state_age_s(self) -> float:
        return self._clock.monotonic() - self._state_s

    def _reason(self, after: Next) -> str:
        limits = self.wanted.input
        match after.why:
            case Why.SILENT:
                return f"silent for more than {limits.silence_limit_s} s"
            case Why.STARVED:
                return f"nothing to play for more than {limits.stall_limit_s} s"
            case _:
                return f"no data for more than {limits.stall_limit_s} s"

    def _enter(self, after: Next, over: _Over | None) -> None:
        before, now = self.status, self._clock.now()
        if over is not None:
            self._failures += 1
            self._fan.forget()
            self._complain(after, over)
        elif after.why is Why.READY:
            for fault in _FAULTS:
                self._issues.clear(fault, self.wanted.id)
        if after.state is before.state:
            return
        back_at = before.back_at
        detail = "" if over is None else over.detail
        if after.state is LiveState.READY:
            back_at = now if self._was_ready else None
            self._was_ready = True
        if after.state is LiveState.READY:
            logger.info("live %s: ready after %.1f s", self.wanted.id, self._state_age_s())
        else:
            logger.warning(
                "live %s: %s after %.0f s: %s", self.wanted.id, after.state, self._state_age_s(), detail
            )
        self._state_s = self._clock.monotonic()
        self.status = LiveStatus(after.state, now, back_at, detail)
        self._on_change()

    def _complain(self, after: Next, over: _Over) -> None:
        if over.why is Why.FINISHED and after.state is LiveState.ENDED:
            return
        fault = Fault.LIVE_SILENT if over.why is Why.SILENT else Fault.LIVE_LOST
        if over.tuner:
            fault = Fault.TUNER_UNAVAILABLE
        for other in _FAULTS:
            if other is not fault:
                self._issues.clear(other, self.wanted.id)
        self._issues.raise_(fault, self.wanted.id, over.detail)
