"""What every meter owes: true values, and an absent or foreign chip told apart from a quiet amplifier."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.api import DeviceProtocolError, DeviceUnavailableError, MeterDriver, MeterReading
from drivers.sensor.ads1115.driver import Ads1115Meter
from drivers.sensor.ads1115.emulator import Ads1115Emulator
from drivers.sensor.ina219.driver import Ina219Meter
from drivers.sensor.ina219.emulator import Ina219Emulator
from drivers.sensor.mcp3008.driver import Mcp3008Meter
from drivers.sensor.mcp3008.emulator import Mcp3008Emulator
from drivers.sensor.meter import Scale, Scales
from drivers.sensor.simulated import SimulatedMeter
from drivers.simulation import AmplifierCell, Gate, SpeakerCell
from tests.contract.bus import EmulatedBus

# A Hall sensor of 10 A for each volt above 1.65 V, a divider of 11, and 10 mV for each degree from 0.5 V.
SCALES = Scales(
    volts=Scale(1, 11.0), amps=Scale(0, 10.0, zero_volts=1.65), celsius=Scale(3, 100.0, zero_volts=0.5)
)


@dataclass
class Bench:
    """A driver whose supply gives 24 V and 1.5 A (and 60 degrees), and ways to break it."""

    driver: MeterDriver
    amps: float
    unplug: Callable[[], None]
    replace: Callable[[], None] | None = None
    temperature_c: float | None = None
    amps_within: float = 0.02


def ina219() -> Bench:
    bus = EmulatedBus({0x40: Ina219Emulator(bus_millivolts=24_000, shunt_microvolts=15_000)})

    def unplug() -> None:
        bus.broken = errno.EREMOTEIO

    def another_chip() -> None:
        bus.garbage = b"\x00\xff"

    return Bench(Ina219Meter("meter", 0.01, connect=lambda _: bus), 1.5, unplug, another_chip)


def ads1115() -> Bench:
    chip = Ads1115Emulator((1_800_000, 2_181_818, 0, 1_100_000))
    bus = EmulatedBus({0x48: chip})

    def unplug() -> None:
        bus.broken = errno.ENXIO

    def another_chip() -> None:
        bus.garbage = b"\x12\x34"

    return Bench(Ads1115Meter("meter", SCALES, connect=lambda _: bus), 1.5, unplug, another_chip, 60.0)


class Link:
    """An SPI chip select with a chip, with none (the line is pulled up), or with another one."""

    def __init__(self, chip: Mcp3008Emulator) -> None:
        self.chip: Mcp3008Emulator | None = chip
        self.answer = b"\xff\xff\xff"

    def transfer(self, data: bytes) -> bytes:
        return self.chip.transfer(data) if self.chip is not None else self.answer

    def close(self) -> None:
        pass


def mcp3008() -> Bench:
    link = Link(Mcp3008Emulator((1_800_000, 2_181_818, 0, 1_100_000, 0, 0, 0, 0)))

    def unplug() -> None:
        link.chip = None

    def another_chip() -> None:
        link.chip, link.answer = None, b"\x00\x17\x00"

    driver = Mcp3008Meter("meter", SCALES, connect=lambda _: link)
    return Bench(driver, 1.5, unplug, another_chip, 60.0, amps_within=0.04)


def simulated(box: Path) -> Bench:
    amplifier = AmplifierCell(box, "main", writable=True)
    amplifier.store(Gate(powered=True, muted=False, passing=True, since_ns=0, changed_ns=0))
    speaker = SpeakerCell(box, "main", writable=True)
    speaker.store(-10.103, time.monotonic_ns() + 10**12)  # as fresh as can be, however long the test takes

    def no_power() -> None:
        (box / "faults.toml").write_text("amplifier_no_power = true\n")

    return Bench(SimulatedMeter.from_options("meter", {"dir": str(box)}), 1.5, no_power, None, 41.0)


@pytest.fixture(params=["ina219", "ads1115", "mcp3008", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "ina219":
            return ina219()
        case "ads1115":
            return ads1115()
        case "mcp3008":
            return mcp3008()
        case _:
            return simulated(tmp_path)


async def test_reads_what_the_supply_gives(bench: Bench) -> None:
    begun_ns = time.monotonic_ns()
    async with bench.driver.open() as meter:
        assert meter.name == "meter"
        await meter.probe()
        found = await meter.read()
    assert found.volts == pytest.approx(24.0, abs=0.05)
    assert found.amps == pytest.approx(bench.amps, abs=bench.amps_within)
    if bench.temperature_c is None:
        assert found.temperature_c is None
    else:
        assert found.temperature_c == pytest.approx(bench.temperature_c, abs=0.5)
    assert begun_ns < found.at_ns <= time.monotonic_ns()


async def test_can_be_opened_again(bench: Bench) -> None:
    for _ in range(2):
        async with bench.driver.open() as meter:
            assert isinstance(await meter.read(), MeterReading)


async def test_a_chip_that_is_not_there_is_unavailable(bench: Bench) -> None:
    if bench.replace is None:
        pytest.skip("a simulated meter is always there")
    bench.unplug()
    with pytest.raises(DeviceUnavailableError, match="meter"):
        async with bench.driver.open():
            raise AssertionError("opened a chip that is not there")


async def test_a_chip_that_goes_away_is_unavailable(bench: Bench) -> None:
    async with bench.driver.open() as meter:
        await meter.probe()
        bench.unplug()
        if bench.replace is None:
            return
        with pytest.raises(DeviceUnavailableError):
            await meter.read()


async def test_another_chip_is_refused(bench: Bench) -> None:
    if bench.replace is None:
        pytest.skip("there is no chip to replace")
    bench.replace()
    with pytest.raises(DeviceProtocolError, match="meter"):
        async with bench.driver.open():
            raise AssertionError("took another chip for its own")


async def test_a_supply_cut_short_shows_as_lost_settings() -> None:
    chip = Ina219Emulator(bus_millivolts=24_000)
    bus = EmulatedBus({0x41: chip})
    async with Ina219Meter("meter", 0.01, address=0x41, connect=lambda _: bus).open() as meter:
        await meter.probe()
        chip.power_cycle()
        with pytest.raises(DeviceProtocolError, match="lost its settings"):
            await meter.read()


async def test_current_can_flow_backwards_and_stops_at_the_end_of_the_range() -> None:
    chip = Ina219Emulator(bus_millivolts=24_000, shunt_microvolts=-5_000)
    bus = EmulatedBus({0x40: chip})
    async with Ina219Meter("meter", 0.01, connect=lambda _: bus).open() as meter:
        assert (await meter.read()).amps == pytest.approx(-0.5)
        chip.shunt_microvolts = 900_000
        assert (await meter.read()).amps == pytest.approx(32.0)


async def test_a_bus_that_hangs_holds_up_nobody_and_is_let_go_of() -> None:
    bus = EmulatedBus({0x40: Ina219Emulator(bus_millivolts=24_000)})
    released = threading.Event()
    async with Ina219Meter("meter", 0.01, connect=lambda _: bus).open() as meter:
        bus.hangs = released
        begun = time.monotonic()
        with pytest.raises(DeviceUnavailableError, match="within 1 s"):
            await meter.read()
        assert time.monotonic() - begun < 3
    released.set()
    end = time.monotonic() + 5
    while not bus.closed and time.monotonic() < end:
        time.sleep(0.01)
    assert bus.closed == 1


async def test_a_bus_that_hangs_at_the_start_is_let_go_of_when_it_comes_back() -> None:
    bus = EmulatedBus({0x40: Ina219Emulator(bus_millivolts=24_000)}, hangs=threading.Event())
    assert bus.hangs is not None
    with pytest.raises(DeviceUnavailableError, match="within 1 s"):
        async with Ina219Meter("meter", 0.01, connect=lambda _: bus).open():
            raise AssertionError("opened")
    bus.hangs.set()
    end = time.monotonic() + 5
    while not bus.closed and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert bus.closed == 1


async def test_a_conversion_without_end_is_unavailable() -> None:
    bus = EmulatedBus({0x48: Ads1115Emulator(looks_busy=10**6)})
    with pytest.raises(DeviceUnavailableError, match="no end"):
        async with Ads1115Meter("meter", SCALES, connect=lambda _: bus).open():
            raise AssertionError("opened")
    assert bus.closed == 1
