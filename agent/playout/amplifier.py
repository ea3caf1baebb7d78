"""Keeps a zone's amplifier on exactly while somebody needs it: on → settle → unmute → mute → hold → off.

The order is a pure rule (`target`); `AmplifierSwitch` carries it out on the device. Leaving the
driver's context is the safe state, so a crash or cancel in any line here ends muted and off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agent.clock import Clock
from agent.model.issue import Fault
from drivers.api import Amplifier, DriverError

logger = logging.getLogger(__name__)

MS = 1_000_000
READY_EARLY_MS = 500
"""The amplifier is ready so much before a planned sound: a busy machine may be late by as much."""

VERB_LIMIT_S = 2.0
"""No amplifier verb may take longer."""


class Issues(Protocol):
    """Where conditions a person can fix are told."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class AmplifierTimes:
    """How an amplifier must be treated; calibrated per box.

    Attributes:
        settle_ms: from power to the moment it may be unmuted.
        unmute_ms: from unmute to the first sound.
        hold_s: how long it stays powered, muted, after the last sound.
    """

    settle_ms: int = 500
    unmute_ms: int = 50
    hold_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """What the pins should say now, and when to look again (CLOCK_MONOTONIC ns, None: only on a change)."""

    powered: bool
    unmuted: bool
    look_again_ns: int | None


def target(
    needs: Mapping[int, int], times: AmplifierTimes, now_ns: int, powered_ns: int | None, idle_ns: int | None
) -> Target:
    """Decide power and mute.

    Args:
        needs: for each user, the moment at which it will sound first.
        times: treatment of this amplifier.
        now_ns: now.
        powered_ns: since when it has been powered, None while off.
        idle_ns: when the last user left, None if there never was one.
    """
    settle_ns, unmute_ns = times.settle_ms * MS, times.unmute_ms * MS
    if needs:
        first_ns = min(needs.values())
        power_at = first_ns - settle_ns - unmute_ns
        if now_ns < power_at and not (idle_ns is not None and now_ns < idle_ns + times.hold_s * 1e9):
            return Target(powered=False, unmuted=False, look_again_ns=power_at)
        since = now_ns if powered_ns is None else powered_ns
        unmute_at = max(first_ns - unmute_ns, since + settle_ns)
        if now_ns < unmute_at:
            return Target(powered=True, unmuted=False, look_again_ns=unmute_at)
        return Target(powered=True, unmuted=True, look_again_ns=None)
    if idle_ns is not None and powered_ns is not None:
        off_at = idle_ns + int(times.hold_s * 1e9)
        if now_ns < off_at:
            return Target(powered=True, unmuted=False, look_again_ns=off_at)
    return Target(powered=False, unmuted=False, look_again_ns=None)


class AmplifierSwitch:
    """Runs one amplifier by the rule above and keeps its driver open."""

    def __init__(
        self,
        zone: str,
        open_device: Callable[[], AbstractAsyncContextManager[Amplifier]],
        times: AmplifierTimes,
        clock: Clock,
        issues: Issues,
    ) -> None:
        self.name = f"amplifier {zone}"
        self.times = times
        self._zone = zone
        self._open = open_device
        self._clock = clock
        self._issues = issues
        self._needs: dict[int, int] = {}
        self._powered_ns: int | None = None
        self._idle_ns: int | None = None
        self._unmuted = False
        self._fault: bool | None = None
        self._changed = asyncio.Event()

    @property
    def sounding(self) -> bool:
        """Powered and unmuted, as last commanded without error."""
        return self._powered_ns is not None and self._unmuted

    @property
    def powered(self) -> bool:
        """Powered, as last commanded without error."""
        return self._powered_ns is not None

    @property
    def fault(self) -> bool | None:
        """State of the fault pin when last read, None without one."""
        return self._fault

    def lead_ns(self) -> int:
        """How far ahead a first sound must lie for the amplifier to be ready for it."""
        now_ns = self._clock.monotonic_ns()
        settled = self._powered_ns is not None and now_ns - self._powered_ns >= self.times.settle_ms * MS
        return (0 if settled else self.times.settle_ms * MS) + (
            0 if self._unmuted else self.times.unmute_ms * MS
        )

    def need(self, user: int, first_sound_ns: int) -> None:
        """Ask for the amplifier to be ready by `first_sound_ns`, half a second early where there is time."""
        self._needs[user] = first_sound_ns - READY_EARLY_MS * MS
        self._changed.set()

    def release(self, user: int) -> None:
        """No longer needed by `user`; the hold time starts."""
        if self._needs.pop(user, None) is not None:
            self._idle_ns = self._clock.monotonic_ns()
        self._changed.set()

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                async with self._open() as device:
                    failures = 0
                    self._issues.clear(Fault.AMPLIFIER_UNAVAILABLE, self._zone)
                    await self._drive(device)
            except DriverError as error:
                failures += 1
                self._issues.raise_(Fault.AMPLIFIER_UNAVAILABLE, self._zone, str(error))
            except TimeoutError:
                failures += 1
                self._issues.raise_(Fault.AMPLIFIER_UNAVAILABLE, self._zone, "no answer within 2 s")
            finally:
                self._powered_ns, self._unmuted = None, False
            await self._clock.sleep(min(30.0, 0.5 * 2 ** min(failures, 6)))

    async def _drive(self, device: Amplifier) -> None:
        while True:
            self._changed.clear()
            now_ns = self._clock.monotonic_ns()
            wish = target(self._needs, self.times, now_ns, self._powered_ns, self._idle_ns)
            await self._apply(device, wish)
            if wish.powered:
                async with asyncio.timeout(VERB_LIMIT_S):
                    self._fault = (await device.read()).fault
                if self._fault:
                    self._issues.raise_(Fault.AMPLIFIER_FAULT, self._zone)
                elif self._fault is False:
                    self._issues.clear(Fault.AMPLIFIER_FAULT, self._zone)
            # A powered amplifier's fault pin is looked at every second.
            waits = [1.0] if wish.powered else [60.0]
            if wish.look_again_ns is not None:
                waits.append((wish.look_again_ns - self._clock.monotonic_ns()) / 1e9)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(waits))):
                    await self._changed.wait()

    async def _apply(self, device: Amplifier, wish: Target) -> None:
        async with asyncio.timeout(VERB_LIMIT_S):
            if self._unmuted and not wish.unmuted:
                await device.set_mute(muted=True)
                self._unmuted = False
            if wish.powered != (self._powered_ns is not None):
                await device.set_power(on=wish.powered)
                self._powered_ns = self._clock.monotonic_ns() if wish.powered else None
                logger.info("zone %s: amplifier %s", self._zone, "on" if wish.powered else "off")
            if wish.unmuted and not self._unmuted:
                await device.set_mute(muted=False)
                self._unmuted = True
