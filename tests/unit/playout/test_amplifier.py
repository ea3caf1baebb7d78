"""The switch on real time and devices that can be broken: order, faults, safety stop, spare, meter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.model.issue import Fault
from agent.playout.amplifier import MS, AmplifierTimes
from drivers.api import DeviceUnavailableError
from tests.unit.playout.amplifiers import LIMITS, Device, Gauge, hurry, now, running, speaking, until

TIMES = AmplifierTimes(settle_ms=500, unmute_ms=50, hold_s=30)
S = 1000 * MS


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


async def test_switch_powers_then_unmutes_then_mutes_then_goes_off() -> None:
    device = Device()
    async with running(device, AmplifierTimes(settle_ms=20, unmute_ms=5, hold_s=0.03)) as (switch, _):
        switch.need(1, time.monotonic_ns() + 30 * MS)
        await until(lambda: switch.sounding)
        switch.release(1)
        await until(lambda: not switch.powered)
    assert device.log == ["power True", "mute False", "mute True", "power False", "safe"]


async def test_amplifier_stays_on_between_two_close_airings() -> None:
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


# --- faults ----------------------------------------------------------------------------------------------


async def test_a_fault_pin_mutes_and_switches_off_and_is_told() -> None:
    device = Device()
    async with running(device) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        device.fault = True
        await until(lambda: not switch.powered)
        assert device.log == ["power True", "mute False", "mute True", "power False"]
        assert issues.details[Fault.AMPLIFIER_FAULT] == "fault pin; retry 1 of 3"
        assert switch.fault is True


async def test_after_three_retries_it_waits_for_a_human() -> None:
    device = Device()
    device.fault = True
    async with running(device) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.latched)
        await asyncio.sleep(0.25)
        assert switch.cycles == device.log.count("power True") == 4
        assert not device.powered
        assert issues.details[Fault.AMPLIFIER_FAULT] == "fault pin; off after 3 retries"
        device.fault = False
        switch.reset_latch()
        await until(lambda: switch.sounding)
        assert Fault.AMPLIFIER_FAULT not in issues.open


async def test_an_amplifier_without_a_fault_pin_runs() -> None:
    device = Device()
    device.fault = None
    async with running(device) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        assert switch.fault is None
        assert issues.open == set()


# --- safety stop ------------------------------------------------------------------------------------------


async def test_cut_is_off_at_once_and_stays_off_until_let_go() -> None:
    device = Device()
    async with running(device, AmplifierTimes(0, 0, hold_s=30)) as (switch, _):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        begun = time.monotonic()
        await switch.cut()
        assert time.monotonic() - begun < 1.0
        assert (device.powered, device.muted, switch.hold_off) == (False, True, True)
        assert device.log[-2:] == ["mute True", "power False"]
        switch.need(2, now())
        await asyncio.sleep(0.1)
        assert not device.powered
        switch.set_hold_off(on=False)
        await until(lambda: switch.sounding)  # whoever needed it still does


async def test_cut_of_an_amplifier_that_is_off_or_absent_returns_at_once() -> None:
    device = Device()
    device.refuses = True
    async with running(device) as (switch, _):
        async with asyncio.timeout(0.5):
            await switch.cut()
        assert not switch.powered


async def test_a_cut_while_it_is_being_switched_on_never_unmutes() -> None:
    device = Device()
    device.slow_s = 0.5
    async with running(device) as (switch, _):
        switch.need(1, now())
        await asyncio.sleep(0.03)
        assert device.log == []  # the verb is on its way
        await switch.cut()
        assert device.log == ["power True", "power False"]


async def test_hold_off_ignores_the_hold_time() -> None:
    device = Device()
    async with running(device, AmplifierTimes(0, 0, hold_s=30)) as (switch, _):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        switch.release(1)
        await until(lambda: not switch.sounding)
        assert switch.powered
        switch.set_hold_off(on=True)
        await until(lambda: not switch.powered)


# --- spare amplifier ----------------------------------------------------------------------------------------


async def test_the_spare_takes_over_from_a_lost_main_one_and_keeps_the_zone() -> None:
    journal: list[str] = []
    main, spare = Device("main ", journal), Device("spare ", journal)
    async with running(main, open_spare=spare.open) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        assert not switch.on_spare
        main.refuses = True
        await until(lambda: switch.on_spare and switch.sounding)
        assert (main.powered, spare.powered, spare.muted) == (False, True, False)
        assert journal.index("main safe") < journal.index("spare power True")
        assert issues.details[Fault.AMPLIFIER_SPARE] == "may still be on: no gpiochip"
        assert issues.details[Fault.AMPLIFIER_UNAVAILABLE] == "main: may still be on: no gpiochip"
        main.refuses = False
        await until(lambda: Fault.AMPLIFIER_UNAVAILABLE not in issues.open)
        await asyncio.sleep(0.1)
        assert (main.powered, spare.powered) == (False, True)
        switch.reset_latch()
        await until(lambda: switch.sounding and not switch.on_spare)
        assert (main.powered, spare.powered, spare.muted) == (True, False, True)
        assert Fault.AMPLIFIER_SPARE not in issues.open


async def test_the_spare_takes_over_from_a_main_one_that_stopped_for_a_fault() -> None:
    main, spare = Device(), Device()
    main.fault = True
    async with running(main, open_spare=spare.open) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding and switch.on_spare)
        assert issues.details[Fault.AMPLIFIER_SPARE] == "fault pin"
        await switch.cut()
        assert not spare.powered


async def test_the_spare_takes_over_from_a_main_one_without_power() -> None:
    main, spare = Device(), Device()
    gauge = Gauge(main)
    gauge.idle = gauge.sound = 0.0
    async with running(main, open_spare=spare.open, open_meter=gauge.open, limits=LIMITS) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding and switch.on_spare)
        assert Fault.AMPLIFIER_NO_POWER in issues.open
        assert issues.details[Fault.AMPLIFIER_SPARE] == "main amplifier has no power"
        assert switch.drawing is None  # the meter is in the supply of the main one


# --- meter ----------------------------------------------------------------------------------------------------


async def test_a_sound_line_draws_what_the_level_needs() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.sound = 3.75 * 10 ** (-12 / 20)
    async with (
        running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues),
        speaking(switch),
    ):
        await until(lambda: switch.drawing is True)
        await asyncio.sleep(0.3)
        assert switch.latest is not None
        assert switch.latest.amps == pytest.approx(1.19, abs=0.01)
        assert switch.finding is not None
        assert switch.finding.detail(LIMITS).startswith("1.19 A of 1.19 A expected at -12 dBFS, 24.0 V")
        assert issues.open == set()


async def test_an_open_line_is_told_and_its_repair_too() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.sound = 0.02
    async with (
        running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues),
        speaking(switch),
    ):
        await until(lambda: Fault.LINE_OPEN in issues.open)
        assert "0.27 A of 1.19 A expected at -12 dBFS" in issues.details[Fault.LINE_OPEN]
        assert switch.drawing is False
        assert switch.sounding  # an open line harms nothing
        gauge.sound = 0.9
        await until(lambda: issues.open == set())


async def test_a_short_stops_the_amplifier() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.sound = 8.0
    async with (
        running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues),
        speaking(switch),
    ):
        await until(lambda: not switch.powered)
        await until(lambda: switch.latched)
        assert {Fault.LINE_SHORT, Fault.AMPLIFIER_FAULT} <= issues.open
        assert issues.details[Fault.AMPLIFIER_FAULT].startswith("line short: 8.25 A of 1.19 A expected")
        gauge.sound = 0.9
        switch.reset_latch()
        await until(lambda: switch.sounding)
        assert issues.open == set()


async def test_low_supply_is_told() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.volts = 18.0
    async with running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues):
        switch.need(1, now())
        await until(lambda: Fault.DC_LOW in issues.open)
        assert "18.0 V (normal 20 to 30)" in issues.details[Fault.DC_LOW]
        assert switch.sounding


async def test_a_meter_that_does_not_answer_is_a_state() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.refuses = True
    async with (
        running(device, open_meter=gauge.open, limits=LIMITS) as (switch, issues),
        speaking(switch),
    ):
        await asyncio.sleep(0.1)
        assert (switch.latest, switch.finding, switch.drawing) == (None, None, None)
        gauge.refuses = False
        await until(lambda: switch.latest is not None)
        assert issues.open == set()


async def test_values_are_told_without_limits_and_nothing_is_judged() -> None:
    device = Device()
    gauge = Gauge(device)
    gauge.sound = 50.0
    async with running(device, open_meter=gauge.open) as (switch, issues), speaking(switch):
        await until(lambda: switch.latest is not None and (switch.latest.amps or 0) > 50)
        await asyncio.sleep(0.2)
        assert switch.drawing is None
        assert issues.open == set()


async def test_an_amplifier_that_stops_answering_while_on_is_not_believed_off() -> None:
    class Stubborn(Device):
        """Cannot be made safe while it does not answer, as with a cable that came off."""

        @asynccontextmanager
        async def open(self) -> AsyncIterator[Device]:
            if self.refuses:
                raise DeviceUnavailableError("no gpiochip")
            yield self

    main, spare = Stubborn(), Device()
    async with running(main, open_spare=spare.open) as (switch, issues):
        switch.need(1, now())
        await until(lambda: switch.sounding)
        main.refuses = True
        await until(lambda: switch.sounding and switch.on_spare)
        assert main.powered
        assert "may still be on" in issues.details[Fault.AMPLIFIER_UNAVAILABLE]
        cut = asyncio.create_task(switch.cut())
        await until(lambda: not spare.powered)
        assert switch.powered, "the main one, for all we know"
        assert not switch.sounding
        assert not cut.done()
        main.refuses = False
        await until(lambda: not main.powered)
        await cut
        assert main.muted
        assert not switch.powered
