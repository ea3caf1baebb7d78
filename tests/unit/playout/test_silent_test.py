"""The weekly silent test on a real switch."""

from __future__ import annotations

import asyncio

import pytest

from agent.clock import SystemClock
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.playout import silent_test
from agent.playout.amplifier import AmplifierSwitch
from agent.playout.silent_test import RefusedNowError, SilentTest
from agent.playout.supervision import Kind
from tests.unit.playout.amplifiers import LIMITS, Device, Gauge, hurry, now, running, until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(silent_test, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(silent_test, "START_LIMIT_S", 0.5)


def a_test(switch: AmplifierSwitch, *, quiet: bool = True, watch_s: float = 0.5) -> SilentTest:
    return SilentTest(switch, SystemClock(lambda: ClockTrust.RTC), quiet=lambda: quiet, watch_s=watch_s)


async def test_all_well_gives_the_measured_values() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.sound = 0.0
    async with running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues):
        finding = await a_test(switch).run_once()
        assert (finding.kind, finding.amps, finding.volts) == (Kind.OK, 0.25, 24.0)
        await until(lambda: not switch.powered)
        assert device.log == ["power True", "mute False", "mute True", "power False"]
        assert issues.open == set()


async def test_without_a_meter_it_still_sees_whether_it_starts() -> None:
    async with running(Device()) as (switch, _):
        finding = await a_test(switch, watch_s=0.1).run_once()
        assert (finding.kind, finding.amps) == (Kind.OK, None)


async def test_an_amplifier_that_does_not_start() -> None:
    device = Device()
    device.refuses = True
    async with running(device) as (switch, issues):
        finding = await a_test(switch).run_once()
        assert finding.kind is Kind.STOPPED
        assert issues.open == {Fault.AMPLIFIER_UNAVAILABLE}


async def test_an_amplifier_that_reports_a_fault() -> None:
    device = Device()
    device.fault = True
    async with running(device) as (switch, issues):
        finding = await a_test(switch).run_once()
        assert finding.kind is Kind.STOPPED
        await until(lambda: Fault.AMPLIFIER_FAULT in issues.open)


async def test_an_amplifier_without_power() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.idle = gauge.sound = 0.0
    async with running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues):
        finding = await a_test(switch, watch_s=1.5).run_once()
        assert finding.kind is Kind.NO_POWER
        assert issues.open == {Fault.AMPLIFIER_NO_POWER}


async def test_it_refuses_when_it_would_disturb() -> None:
    device = Device()
    async with running(device) as (switch, _):
        with pytest.raises(RefusedNowError, match="needed"):
            await a_test(switch, quiet=False).run_once()
        switch.need(1, now() + 60 * 10**9)
        with pytest.raises(RefusedNowError, match="needed"):
            await a_test(switch).run_once()
        switch.release(1)
        switch.set_hold_off(on=True)
        with pytest.raises(RefusedNowError, match="safety stop"):
            await a_test(switch).run_once()
        assert device.log == []


async def test_it_gives_way_to_an_airing_which_keeps_the_amplifier() -> None:
    device = Device()
    async with running(device) as (switch, _), asyncio.TaskGroup() as group:
        task = group.create_task(refused(a_test(switch, watch_s=30)))
        await until(lambda: switch.sounding)
        switch.need(1, now())
        await until(task.done)
        assert "needed" in task.result()
        await asyncio.sleep(0.1)
        assert switch.sounding
        assert device.log == ["power True", "mute False"]


async def refused(test: SilentTest) -> str:
    try:
        await test.run_once()
    except RefusedNowError as error:
        return str(error)
    return ""


async def test_cancelled_it_lets_go_of_the_amplifier() -> None:
    device = Device()
    async with running(device) as (switch, _):
        task = asyncio.create_task(a_test(switch, watch_s=30).run_once())
        await until(lambda: switch.sounding)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not switch.powered)
        assert switch.users == 0
