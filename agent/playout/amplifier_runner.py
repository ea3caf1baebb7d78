"""One amplifier: its driver kept open, what was last commanded to it, and its fault pin.

What it should do is decided elsewhere; leaving its driver's context is the safe state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from agent.clock import Clock
from agent.playout.switching import AmplifierTimes, Place, Target, Unit, Verb, verbs
from drivers.api import Amplifier, DriverError

logger = logging.getLogger(__name__)

OPEN_LIMIT_S = 5.0
VERB_LIMIT_S = 2.0
"""No amplifier verb may take longer."""

PAUSE_S = 0.05
"""From mute to off."""

LOOK_POWERED_S = 0.25
"""How often the fault pin of a powered amplifier is read."""

_LOOK_OFF_S = 1.0
_LONGEST_UNSURE_S = 1.0
"""One that may be on is tried again so soon, to switch it off."""


class AmplifierRunner:
    """Service: carries out what is wished of one amplifier."""

    def __init__(
        self,
        zone: str,
        place: Place,
        open_device: Callable[[], AbstractAsyncContextManager[Amplifier]],
        times: AmplifierTimes,
        clock: Clock,
        *,
        wish: Callable[[Place], Target],
        on_switch: Callable[[], None],
        on_look: Callable[[], None],
    ) -> None:
        """Wire one amplifier.

        Args:
            zone: for messages.
            place: main or spare.
            open_device: opens its driver.
            times: its treatment.
            clock: time.
            wish: what its pins should say now.
            on_switch: called when it was switched, lost or found.
            on_look: called after each look at it.
        """
        self.name = f"amplifier {zone} {place.value}"
        self.place = place
        self.unit = Unit(times=times)
        self.unmuted = False
        self.problem = ""
        self.cycles = 0
        self._zone = zone
        self._open = open_device
        self._clock = clock
        self._wish = wish
        self._on_switch = on_switch
        self._on_look = on_look
        self._woken = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def set(self, **changes: Any) -> None:
        """Note what is known of it now: fields of `Unit`."""
        self.unit = replace(self.unit, **changes)
        if self.unit.powered_ns is None and not self.unit.may_sound and not self.unit.maybe_on:
            self._quiet.set()
        else:
            self._quiet.clear()

    def wake(self) -> None:
        """Ask for its wish again, now."""
        self._woken.set()

    async def quiet(self) -> None:
        """Wait until it is muted and off, as commanded without error.

        One that stopped answering while it was on may still be: this then waits until it answers again.
        """
        await self._quiet.wait()

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    async with asyncio.timeout(OPEN_LIMIT_S):
                        device = await stack.enter_async_context(self._open())
                    failures = 0
                    self.problem = ""
                    self.set(lost_ns=None)
                    await self._make_sure(device)
                    self._on_switch()
                    await self._drive(device)
            except DriverError as error:
                self.problem = str(error) or type(error).__name__
            except TimeoutError:
                self.problem = f"no answer within {VERB_LIMIT_S:g} s"
            finally:
                self.unmuted = False
                self.set(powered_ns=None, may_sound=False, fault=None)
                if self.unit.maybe_on:
                    self.problem = f"may still be on: {self.problem}"
            failures += 1
            if self.unit.lost_ns is None:
                self.set(lost_ns=self._clock.monotonic_ns())
            self._on_switch()
            longest_s = _LONGEST_UNSURE_S if self.unit.maybe_on else 30.0
            await self._clock.sleep(min(longest_s, 0.5 * 2 ** min(failures, 6)))

    async def _make_sure(self, device: Amplifier) -> None:
        """Switch off what was on when it stopped answering; nobody knew since."""
        if self.unit.maybe_on:
            async with asyncio.timeout(VERB_LIMIT_S):
                await self._do(Verb.MUTE, device)
                await self._do(Verb.POWER_OFF, device)

    async def _drive(self, device: Amplifier) -> None:
        while True:
            self._woken.clear()
            if self.unit.powered_ns is not None:
                async with asyncio.timeout(VERB_LIMIT_S):
                    state = await device.read()
                self.set(fault=state.fault, read_ns=self._clock.monotonic_ns())
            wish = self._wish(self.place)
            if await self._apply(device, wish):
                continue
            self._on_look()
            wait_s = _LOOK_OFF_S if self.unit.powered_ns is None else LOOK_POWERED_S
            if wish.look_again_ns is not None:
                wait_s = min(wait_s, (wish.look_again_ns - self._clock.monotonic_ns()) / 1e9)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._woken.wait()

    async def _apply(self, device: Amplifier, wish: Target) -> bool:
        """Go towards the wish; tells whether anything was to do."""
        steps = verbs(powered=self.unit.powered_ns is not None, unmuted=self.unit.may_sound, wish=wish)
        async with asyncio.timeout(VERB_LIMIT_S):
            for number, step in enumerate(steps):
                if number and step is Verb.UNMUTE and self._woken.is_set():
                    break  # something changed while it was switched on: a safety stop, perhaps
                await self._do(step, device)
        if steps:
            self._on_switch()
        return bool(steps)

    async def _do(self, step: Verb, device: Amplifier) -> None:
        match step:
            case Verb.MUTE:
                self.unmuted = False
                await device.set_mute(muted=True)
                self.set(may_sound=False)
            case Verb.PAUSE:
                await asyncio.sleep(PAUSE_S)
            case Verb.POWER_OFF:
                await device.set_power(on=False)
                self.set(powered_ns=None, maybe_on=False)
                logger.info("zone %s: %s amplifier off", self._zone, self.place.value)
            case Verb.POWER_ON:
                self.set(maybe_on=True)
                await device.set_power(on=True)
                self.set(powered_ns=self._clock.monotonic_ns())
                self.cycles += 1
                logger.info("zone %s: %s amplifier on", self._zone, self.place.value)
            case Verb.UNMUTE:
                self.set(may_sound=True)
                await device.set_mute(muted=False)
                self.unmuted = True
