"""The weekly silent test: amplifier on and unmuted with nothing to say, and what pin and meter show.

It finds an amplifier that does not start, has no power, draws too much or reports a fault. It cannot find an
open line: without sound no current is expected there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.clock import Clock
from agent.errors import AgentError
from agent.playout.supervision import Finding, Kind
from agent.playout.switching import AmplifierTimes

USER = -1
"""The test among the users of an amplifier; airings count from 0."""

START_LIMIT_S = 15.0
"""Beyond settling: a spare amplifier may have to take over meanwhile."""

WATCH_S = 6.0
_LOOK_EVERY_S = 0.25


class RefusedNowError(AgentError):
    """The test would disturb, or is forbidden; the message says by what."""


class Testable(Protocol):
    """What the test needs of a zone's amplifier."""

    @property
    def times(self) -> AmplifierTimes: ...

    @property
    def sounding(self) -> bool: ...

    @property
    def latched(self) -> bool: ...

    @property
    def hold_off(self) -> bool: ...

    @property
    def users(self) -> int: ...

    @property
    def finding(self) -> Finding | None: ...

    def need(self, user: int, first_sound_ns: int) -> None: ...

    def release(self, user: int) -> None: ...


class SilentTest:
    """Runs the test on one zone; what it finds is told as issues by those who watch the amplifier."""

    def __init__(
        self,
        amplifier: Testable,
        clock: Clock,
        *,
        quiet: Callable[[], bool],
        watch_s: float = WATCH_S,
    ) -> None:
        """Wire the test.

        Args:
            amplifier: of the zone.
            clock: time.
            quiet: nothing sounds or is due within ten minutes.
            watch_s: how long to look once it is unmuted, 1 to 60.
        """
        self._amplifier = amplifier
        self._clock = clock
        self._quiet = quiet
        self._watch_s = watch_s

    async def run_once(self) -> Finding:
        """Test now; takes a few seconds, and gives way at once to whoever needs the amplifier.

        Returns:
            What is wrong, of kind `ok` with the measured values when nothing is.

        Raises:
            RefusedNowError: something is due or sounds, the amplifier is latched or held off, or the test
                had to give way before it saw anything.
        """
        self._refuse_if(self._amplifier.users > 0)
        self._amplifier.need(USER, self._clock.monotonic_ns())
        try:
            if not await self._started():
                return self._stopped()
            return await self._watch()
        finally:
            self._amplifier.release(USER)

    async def _started(self) -> bool:
        end_s = self._clock.monotonic() + START_LIMIT_S + self._amplifier.times.settle_ms / 1000
        while not self._amplifier.sounding:
            if self._amplifier.latched or self._clock.monotonic() >= end_s:
                return False
            self._refuse_if(self._amplifier.users > 1)
            await self._clock.sleep(_LOOK_EVERY_S)
        return True

    async def _watch(self) -> Finding:
        end_s = self._clock.monotonic() + self._watch_s
        while self._clock.monotonic() < end_s:
            self._refuse_if(self._amplifier.users > 1)
            if not self._amplifier.sounding:
                return self._stopped()
            await self._clock.sleep(_LOOK_EVERY_S)
        measured = self._amplifier.finding
        return measured or Finding()

    def _refuse_if(self, busy: bool) -> None:
        if busy or not self._quiet():
            raise RefusedNowError("the zone is needed, or will be soon")
        if self._amplifier.hold_off:
            raise RefusedNowError("the zone is under a safety stop")
        if self._amplifier.latched:
            raise RefusedNowError("the amplifier is off after a fault, until it is reset")

    def _stopped(self) -> Finding:
        """The amplifier did not start or stay on; with what the meter measured, if anything."""
        now = self._amplifier.finding
        return Finding(
            kind=Kind.STOPPED,
            kinds=frozenset({Kind.STOPPED}),
            volts=now.volts if now else None,
            amps=now.amps if now else None,
            temperature_c=now.temperature_c if now else None,
            at_ns=self._clock.monotonic_ns(),
        )
