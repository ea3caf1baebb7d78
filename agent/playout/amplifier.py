"""Keeps a zone's amplifier on exactly while somebody needs it, and watches over it.

The order is a pure rule (`switching.decide`) for the main amplifier and the spare one together;
`AmplifierSwitch` gathers what it depends on, hands the decision to both, and tells what went wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.clock import Clock
from agent.model.issue import Fault
from agent.playout.amplifier_runner import VERB_LIMIT_S, AmplifierRunner
from agent.playout.metering import Issues, Metering
from agent.playout.supervision import STOPPING, Finding, Kind, MeterLimits
from agent.playout.switching import (
    MS,
    RETRIES,
    AmplifierTimes,
    Bank,
    Inputs,
    Place,
    Target,
    decide,
    target,
)
from drivers.api import Amplifier, Meter, MeterReading

__all__ = ["MS", "AmplifierSwitch", "AmplifierTimes", "Issues", "Target", "target"]

logger = logging.getLogger(__name__)

READY_EARLY_MS = 500
"""The amplifier is ready so much before a planned sound: a busy machine may be late by as much."""

FINE_NS = 10_000 * MS
"""A fault is told as gone once the amplifier has run so long without it."""


class _Bell:
    """Wakes every amplifier of a zone."""

    def __init__(self, runners: tuple[AmplifierRunner, ...]) -> None:
        self._runners = runners

    def set(self) -> None:
        for runner in self._runners:
            runner.wake()


class AmplifierSwitch:
    """Runs a zone's amplifier, and its spare one, by the rules of `switching`; keeps their drivers open."""

    def __init__(
        self,
        zone: str,
        open_device: Callable[[], AbstractAsyncContextManager[Amplifier]],
        times: AmplifierTimes,
        clock: Clock,
        issues: Issues,
        *,
        open_spare: Callable[[], AbstractAsyncContextManager[Amplifier]] | None = None,
        spare_times: AmplifierTimes | None = None,
        open_meter: Callable[[], AbstractAsyncContextManager[Meter]] | None = None,
        limits: MeterLimits | None = None,
    ) -> None:
        """Wire the amplifiers of a zone.

        Args:
            zone: its id, the subject of every issue.
            open_device: opens the main amplifier.
            times: its treatment.
            clock: time.
            issues: where faults are told.
            open_spare: opens the spare amplifier, which takes over when the main one is out.
            spare_times: its treatment; that of the main one unless given.
            open_meter: opens the meter in the supply of the main amplifier.
            limits: what is normal there; without it values are told and nothing is judged.
        """
        self.name = f"amplifier {zone}"
        self._zone = zone
        self._clock = clock
        self._issues = issues
        self._needs: dict[int, int] = {}
        self._idle_ns: int | None = None
        self._hold_off = False
        self._bank = Bank()
        self._limits = limits or MeterLimits(warm_c=math.inf, hot_c=math.inf)
        self._main = self._runner(Place.MAIN, open_device, times)
        self._spare = None
        if open_spare is not None:
            self._spare = self._runner(Place.SPARE, open_spare, spare_times or times)
        self._runners = (self._main,) if self._spare is None else (self._main, self._spare)
        self._changed = _Bell(self._runners)
        self._meter: Metering | None = None
        if open_meter is not None:
            self._meter = Metering(
                zone,
                open_meter,
                self._limits,
                clock,
                issues,
                load=self._load,
                on_finding=self._weigh,
            )

    # --- what others may see -------------------------------------------------------------------------

    @property
    def times(self) -> AmplifierTimes:
        """Treatment of the amplifier in use."""
        return self._active.unit.times

    @property
    def sounding(self) -> bool:
        """Powered and unmuted, as last commanded without error."""
        return self._active.unit.powered_ns is not None and self._active.unmuted

    @property
    def powered(self) -> bool:
        """An amplifier is powered, as last commanded without error, or may be: it does not answer."""
        return any(one.unit.powered_ns is not None or one.unit.maybe_on for one in self._runners)

    @property
    def fault(self) -> bool | None:
        """State of the fault pin when last read, None without one."""
        return self._active.unit.fault

    @property
    def latched(self) -> bool:
        """The amplifier in use stays off until `reset_latch()`."""
        return self._bank.guard(self._bank.active).latched

    @property
    def on_spare(self) -> bool:
        """The spare amplifier is used instead of the main one."""
        return self._bank.active is Place.SPARE

    @property
    def hold_off(self) -> bool:
        """Nothing is switched on, whoever needs it."""
        return self._hold_off

    @property
    def users(self) -> int:
        """How many need it, now or soon."""
        return len(self._needs)

    @property
    def cycles(self) -> int:
        """How often a supply was switched on since the start, by which relays wear."""
        return sum(runner.cycles for runner in self._runners)

    @property
    def latest(self) -> MeterReading | None:
        """Newest reading of the meter; None without one, or while it does not answer."""
        return self._meter.latest if self._meter is not None else None

    @property
    def finding(self) -> Finding | None:
        """What the newest reading shows; None without a meter."""
        return self._meter.finding if self._meter is not None else None

    @property
    def drawing(self) -> bool | None:
        """The amplifier draws what the sound sent needs; None when nothing tells."""
        return self._meter.drawing if self._meter is not None and not self.on_spare else None

    def lead_ns(self) -> int:
        """How far ahead a first sound must lie for the amplifier to be ready for it."""
        unit, unmuted = self._active.unit, self._active.unmuted
        settled = unit.settled(self._clock.monotonic_ns())
        return (0 if settled else unit.times.settle_ms * MS) + (0 if unmuted else unit.times.unmute_ms * MS)

    # --- what others ask -----------------------------------------------------------------------------

    def need(self, user: int, first_sound_ns: int) -> None:
        """Ask for the amplifier to be ready by `first_sound_ns`, half a second early where there is time."""
        self._needs[user] = first_sound_ns - READY_EARLY_MS * MS
        self._changed.set()

    def release(self, user: int) -> None:
        """No longer needed by `user`; the hold time starts."""
        if self._needs.pop(user, None) is not None:
            self._idle_ns = self._clock.monotonic_ns()
        self._changed.set()

    def heard_level(self, rms_dbfs: float, at_ns: int) -> None:
        """The card consumed sound of this level in the period that ended at `at_ns` (CLOCK_MONOTONIC)."""
        if self._meter is not None:
            self._meter.heard_level(rms_dbfs, at_ns)

    def set_hold_off(self, on: bool) -> None:
        """Keep everything off while set; who needs the amplifier goes on needing it."""
        self._hold_off = on
        self._changed.set()

    async def cut(self) -> None:
        """Safety stop: mute and switch off now, without hold; holds off until `set_hold_off(False)`.

        Returns once both amplifiers are muted and off by command, or after 5 s; then one that does not answer
        may still be on. It has been told as unavailable, and is switched off as soon as it answers again.
        """
        self.set_hold_off(on=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * VERB_LIMIT_S + 1):
                for runner in self._runners:
                    await runner.quiet()

    async def measure(self) -> MeterReading | None:
        """A fresh reading of the meter, within two seconds; None without one, or if it does not answer."""
        return await self._meter.fresh() if self._meter is not None else None

    def reset_latch(self) -> None:
        """A human has looked: forget all faults, and return to the main amplifier."""
        self._bank = Bank()
        if self._meter is not None:
            self._meter.forget()
        self._weigh()
        self._changed.set()

    # --- tasks ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for runner in self._runners:
                group.create_task(runner.run(), name=runner.name)
            if self._meter is not None:
                group.create_task(self._meter.run(), name=f"{self.name} meter")

    # --- rules ---------------------------------------------------------------------------------------

    def _runner(
        self,
        place: Place,
        open_device: Callable[[], AbstractAsyncContextManager[Amplifier]],
        times: AmplifierTimes,
    ) -> AmplifierRunner:
        return AmplifierRunner(
            self._zone,
            place,
            open_device,
            times,
            self._clock,
            wish=self._wish,
            on_switch=self._switched,
            on_look=self._tell,
        )

    @property
    def _active(self) -> AmplifierRunner:
        return self._spare if self.on_spare and self._spare is not None else self._main

    def _switched(self) -> None:
        self._tell()
        self._changed.set()
        if self._meter is not None:
            self._meter.wake()

    def _wish(self, place: Place) -> Target:
        now_ns = self._clock.monotonic_ns()
        inputs = Inputs(
            main=self._main.unit,
            spare=self._spare.unit if self._spare is not None else None,
            needs=self._needs,
            idle_ns=self._idle_ns,
            hold_off=self._hold_off,
        )
        before = self._bank
        self._bank, orders = decide(before, inputs, now_ns)
        for one in Place:
            guard, old = self._bank.guard(one), before.guard(one)
            if guard.trips > old.trips:
                then = "off for good" if guard.latched else f"retry {guard.trips} of {RETRIES} in a minute"
                logger.warning(
                    "zone %s: %s amplifier stopped: %s; %s", self._zone, one.value, guard.cause, then
                )
        if self._bank.active is not before.active:
            logger.warning("zone %s: %s amplifier takes over", self._zone, self._bank.active.value)
            self._changed.set()
        return orders.of(place)

    def _load(self) -> tuple[bool, bool]:
        """Whether the metered amplifier is powered and settled, and whether it is unmuted."""
        return self._main.unit.settled(self._clock.monotonic_ns()), self._main.unmuted

    def _weigh(self) -> None:
        """Take what the meter shows into the decision about the main amplifier."""
        finding = self.finding
        if finding is None:
            self._main.set(alarm="", hot=False, dead=False)
            return
        stopping = finding.confirmed & STOPPING
        alarm = ""
        if stopping and self._main.unit.settled(finding.at_ns):
            worst = finding.kind.value.replace("_", " ")
            alarm = f"{worst}: {finding.detail(self._limits)}"
        self._main.set(alarm=alarm, hot=Kind.HOT in finding.kinds, dead=Kind.NO_POWER in finding.kinds)
        if alarm or self._main.unit.dead:
            self._changed.set()

    # --- issues --------------------------------------------------------------------------------------

    def _tell(self) -> None:
        lost = [runner for runner in self._runners if runner.problem]
        self._put(Fault.AMPLIFIER_UNAVAILABLE, [self._named(one, one.problem) for one in lost])
        self._put(Fault.AMPLIFIER_FAULT, [text for one in self._runners if (text := self._fault_text(one))])
        why = self._bank.main.cause or self._main.problem or "main amplifier has no power"
        self._put(Fault.AMPLIFIER_SPARE, [why] if self.on_spare else [])

    def _put(self, fault: Fault, details: list[str]) -> None:
        if details:
            self._issues.raise_(fault, self._zone, "; ".join(details))
        else:
            self._issues.clear(fault, self._zone)

    def _fault_text(self, runner: AmplifierRunner) -> str:
        """What there is to say of faults of one amplifier; empty if it runs well."""
        guard = self._bank.guard(runner.place)
        if guard.latched:
            return self._named(runner, f"{guard.cause}; off after {RETRIES} retries")
        fine_ns = guard.fine_since_ns
        if guard.trips == 0 or (fine_ns is not None and self._clock.monotonic_ns() - fine_ns >= FINE_NS):
            return ""
        return self._named(runner, f"{guard.cause}; retry {guard.trips} of {RETRIES}")

    def _named(self, runner: AmplifierRunner, text: str) -> str:
        return text if self._spare is None else f"{runner.place.value}: {text}"
