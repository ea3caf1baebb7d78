from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.model.issue import Fault
from agent.playout.amplifier import MS, AmplifierSwitch, AmplifierTimes, Target, target
from drivers.api import AmplifierState, DeviceUnavailableError

TIMES = AmplifierTimes(settle_ms=500, unmute_ms=50, hold_s=30)
S = 1000 * MS


@pytest.mark.parametrize(
    ("needs", "now", "powered", "idle", "expected"),
    [
        ({}, 0, None, None, Target(powered=False, unmuted=False, look_again_ns=None)),
        (
            {1: 10 * S},
            9 * S,
            None,
            None,
            Target(powered=False, unmuted=False, look_again_ns=10 * S - 550 * MS),
        ),
        (
            {1: 10 * S},
            10 * S - 550 * MS,
            None,
            None,
            Target(powered=True, unmuted=False, look_again_ns=10 * S - 50 * MS),
        ),
        (
            {1: 10 * S},
            10 * S - 50 * MS,
            10 * S - 550 * MS,
            None,
            Target(powered=True, unmuted=True, look_again_ns=None),
        ),
        # powered late: settling is never skipped
        (
            {1: 10 * S},
            10 * S,
            10 * S - 100 * MS,
            None,
            Target(powered=True, unmuted=False, look_again_ns=10 * S + 400 * MS),
        ),
        # just left: muted, still powered until the hold is over
        ({}, 20 * S, 9 * S, 20 * S, Target(powered=True, unmuted=False, look_again_ns=50 * S)),
        ({}, 50 * S, 9 * S, 20 * S, Target(powered=False, unmuted=False, look_again_ns=None)),
        # needed again within the hold: it stays powered, muted, until shortly before the sound
        (
            {2: 40 * S},
            30 * S,
            9 * S,
            20 * S,
            Target(powered=True, unmuted=False, look_again_ns=40 * S - 50 * MS),
        ),
        # of two users the earlier counts
        ({1: 90 * S, 2: 10 * S}, 11 * S, 9 * S, None, Target(powered=True, unmuted=True, look_again_ns=None)),
    ],
)
def test_rule(
    needs: dict[int, int], now: int, powered: int | None, idle: int | None, expected: Target
) -> None:
    assert target(needs, TIMES, now, powered, idle) == expected


class Issues:
    def __init__(self) -> None:
        self.open: set[Fault] = set()

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open.add(fault)

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.discard(fault)


class Device:
    name = "amp"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fault = False
        self.refuses = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Device]:
        if self.refuses:
            raise DeviceUnavailableError("no gpiochip")
        try:
            yield self
        finally:
            self.log.append("safe")

    async def set_power(self, *, on: bool) -> None:
        self.log.append(f"power {on}")

    async def set_mute(self, *, muted: bool) -> None:
        self.log.append(f"mute {muted}")

    async def read(self) -> AmplifierState:
        return AmplifierState(powered=True, muted=False, fault=self.fault)

    async def probe(self) -> None:
        pass


@contextlib.asynccontextmanager
async def running(device: Device, times: AmplifierTimes) -> AsyncIterator[tuple[AmplifierSwitch, Issues]]:
    from agent.clock import SystemClock
    from agent.model.bulletin import ClockTrust

    issues = Issues()
    switch = AmplifierSwitch("main", device.open, times, SystemClock(lambda: ClockTrust.RTC), issues)
    task = asyncio.create_task(switch.run())
    try:
        await asyncio.sleep(0.01)
        yield switch, issues
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_switch_powers_then_unmutes_then_mutes_then_goes_off() -> None:
    import time

    device = Device()
    async with running(device, AmplifierTimes(settle_ms=20, unmute_ms=5, hold_s=0.03)) as (switch, _):
        switch.need(1, time.monotonic_ns() + 30 * MS)
        await asyncio.sleep(0.06)
        assert switch.sounding
        switch.release(1)
        await asyncio.sleep(0.08)
        assert not switch.powered
    assert device.log == ["power True", "mute False", "mute True", "power False", "safe"]


async def test_amplifier_stays_on_between_two_close_airings() -> None:
    import time

    device = Device()
    async with running(device, AmplifierTimes(settle_ms=0, unmute_ms=0, hold_s=5)) as (switch, _):
        switch.need(1, time.monotonic_ns())
        await asyncio.sleep(0.02)
        switch.need(2, time.monotonic_ns() + 3 * S)
        switch.release(1)
        await asyncio.sleep(0.05)
        assert switch.powered
        assert not switch.sounding
    assert device.log == ["power True", "mute False", "mute True", "safe"]


async def test_cancel_while_sounding_leaves_the_device_by_its_safe_exit() -> None:
    import time

    device = Device()
    async with running(device, AmplifierTimes(settle_ms=0, unmute_ms=0)) as (switch, _):
        switch.need(1, time.monotonic_ns())
        await asyncio.sleep(0.02)
    assert device.log[-1] == "safe"
    assert not switch.sounding


async def test_absent_amplifier_is_an_issue_and_not_a_crash() -> None:
    device = Device()
    device.refuses = True
    async with running(device, TIMES) as (switch, issues):
        assert issues.open == {Fault.AMPLIFIER_UNAVAILABLE}
        assert not switch.powered


async def test_fault_pin_becomes_an_issue() -> None:
    import time

    device = Device()
    device.fault = True
    async with running(device, AmplifierTimes(settle_ms=0, unmute_ms=0)) as (switch, issues):
        switch.need(1, time.monotonic_ns())
        await asyncio.sleep(0.02)
        assert issues.open == {Fault.AMPLIFIER_FAULT}
        assert switch.fault is True
