"""What every tuner owes: silence until it is told otherwise, the station it was asked for, and no guesses."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.api import (
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    TunerDriver,
    TunerState,
)
from drivers.simulation import TunerCell
from drivers.tuner.rda5807m.driver import Rda5807mTuner
from drivers.tuner.rda5807m.emulator import Rda5807mEmulator
from drivers.tuner.simulated import SimulatedTuner
from drivers.tuner.tea5767.driver import Tea5767Tuner
from drivers.tuner.tea5767.emulator import Tea5767Emulator
from tests.contract.bus import EmulatedBus


@dataclass
class Bench:
    """A driver in reach of one station on 103.5 MHz, and what comes out of it."""

    driver: TunerDriver
    sounding: Callable[[], bool]
    running: Callable[[], bool]
    unplug: Callable[[], None]
    silence_the_station: Callable[[], None]
    rssi: int


def rda5807m() -> Bench:
    chip = Rda5807mEmulator({1035: 52})
    bus = EmulatedBus({0x11: chip})

    def unplug() -> None:
        bus.broken = errno.EREMOTEIO

    driver = Rda5807mTuner("tuner", connect=lambda _: bus)
    return Bench(driver, lambda: chip.sounding, lambda: chip.running, unplug, chip.stations.clear, 52)


def tea5767() -> Bench:
    chip = Tea5767Emulator({1035: 11})
    bus = EmulatedBus({0x60: chip})

    def unplug() -> None:
        bus.broken = errno.ENXIO

    driver = Tea5767Tuner("tuner", connect=lambda _: bus)
    return Bench(driver, lambda: chip.sounding, lambda: chip.running, unplug, chip.stations.clear, 11)


def simulated(box: Path) -> Bench:
    cell = TunerCell(box)

    def sounding() -> bool:
        found = cell.load()
        return found is not None and not found.muted

    def running() -> bool:
        found = cell.load()
        return found is not None and found.megahertz > 0

    def fault(name: str) -> None:
        (box / "faults.toml").write_text(f"{name} = true\n")
        time.sleep(0.2)  # faults are looked for every 150 ms

    return Bench(
        SimulatedTuner.from_options("tuner", {"dir": str(box)}),
        sounding,
        running,
        lambda: fault("tuner_missing"),
        lambda: fault("tuner_no_signal"),
        45,
    )


@pytest.fixture(params=["rda5807m", "tea5767", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "rda5807m":
            return rda5807m()
        case "tea5767":
            return tea5767()
        case _:
            return simulated(tmp_path)


async def test_is_silent_until_told(bench: Bench) -> None:
    async with bench.driver.open() as tuner:
        assert await tuner.read() == TunerState(None, muted=True, locked=None, rssi=None)
        with pytest.raises(DeviceRefusedError, match="tuned to nothing"):
            await tuner.set_mute(muted=False)
        assert not bench.sounding()
        state = await tuner.tune(103.5)
        assert state.muted
        assert not bench.sounding()
        await tuner.set_mute(muted=False)
        assert bench.sounding()
        await tuner.set_mute(muted=True)
        assert not bench.sounding()


async def test_tunes_to_the_station(bench: Bench) -> None:
    async with bench.driver.open() as tuner:
        state = await tuner.tune(103.5)
        assert state == TunerState(103.5, muted=True, locked=True, rssi=bench.rssi, stereo=True)
        await tuner.probe()
        bench.silence_the_station()
        state = await tuner.read()
        assert state.locked is False
        assert state.rssi is not None
        assert state.rssi < bench.rssi


async def test_a_change_of_station_is_silent(bench: Bench) -> None:
    async with bench.driver.open() as tuner:
        await tuner.tune(103.5)
        await tuner.set_mute(muted=False)
        state = await tuner.tune(99.9)
        assert (state.megahertz, state.muted) == (99.9, True)
        assert not bench.sounding()


@pytest.mark.parametrize("megahertz", [86.9, 108.1, 0.0, -1.0, math.nan, math.inf])
async def test_refuses_what_lies_outside_the_band(bench: Bench, megahertz: float) -> None:
    async with bench.driver.open() as tuner:
        with pytest.raises(DeviceRefusedError, match="outside the band"):
            await tuner.tune(megahertz)
        for edge in (87.0, 108.0):
            assert (await tuner.tune(edge)).megahertz == edge


async def test_is_muted_and_asleep_at_the_end(bench: Bench) -> None:
    async with bench.driver.open() as tuner:
        await tuner.tune(103.5)
        await tuner.set_mute(muted=False)
        assert bench.running()
    assert not bench.sounding()
    assert not bench.running()


async def test_is_muted_and_asleep_when_its_user_fails_or_is_cancelled(bench: Bench) -> None:
    sounds = asyncio.Event()

    async def user(*, fails: bool) -> None:
        async with bench.driver.open() as tuner:
            await tuner.tune(103.5)
            await tuner.set_mute(muted=False)
            sounds.set()
            if fails:
                raise RuntimeError("user")
            await asyncio.sleep(30)

    with pytest.raises(RuntimeError, match="user"):
        await user(fails=True)
    assert not bench.sounding()
    sounds.clear()
    task = asyncio.create_task(user(fails=False))
    await sounds.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    end = time.monotonic() + 2
    while (bench.sounding() or bench.running()) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert not bench.sounding()
    assert not bench.running()


async def test_a_tuner_that_is_not_there_is_unavailable(bench: Bench) -> None:
    async with bench.driver.open() as tuner:
        await tuner.tune(103.5)
        bench.unplug()
        for verb in (tuner.read(), tuner.probe(), tuner.set_mute(muted=False), tuner.tune(99.9)):
            with pytest.raises(DeviceUnavailableError, match="tuner"):
                await verb
    with pytest.raises(DeviceUnavailableError, match="tuner"):
        async with bench.driver.open():
            raise AssertionError("opened a chip that is not there")


async def test_rda5807m_bytes_as_the_data_sheet_has_them() -> None:
    chip = Rda5807mEmulator({1035: 52})
    bus = EmulatedBus({0x11: chip})
    async with Rda5807mTuner("tuner", connect=lambda _: bus).open() as tuner:
        assert (chip.microseconds, chip.volume, chip.aerial) == (50, 15, 2)
        await tuner.tune(103.5)
        await tuner.set_mute(muted=False)
        sent = [data for _, data, _ in bus.transfers]
    assert bytes.fromhex("03 29 50") in sent
    assert bytes.fromhex("02 c0 01") in sent
    assert sent.index(bytes.fromhex("02 80 01")) < sent.index(bytes.fromhex("03 29 50"))
    assert chip.written[-1] == (0x02, 0x0000)
    assert bus.closed == 0 or not chip.running


async def test_tea5767_bytes_as_the_data_sheet_has_them() -> None:
    chip = Tea5767Emulator({1035: 11})
    bus = EmulatedBus({0x60: chip})
    async with Tea5767Tuner("tuner", connect=lambda _: bus).open() as tuner:
        await tuner.tune(103.5)
        await tuner.set_mute(muted=False)
    assert chip.microseconds == 50
    assert [frame.hex(" ") for frame in chip.written[1:3]] == ["b1 76 10 12 00", "31 76 10 12 00"]
    assert chip.written[-1].hex(" ") == "b1 76 10 52 00"


@pytest.mark.parametrize("kind", ["rda5807m", "tea5767"])
async def test_another_chip_and_one_that_is_never_ready(kind: str) -> None:
    make = Rda5807mTuner if kind == "rda5807m" else Tea5767Tuner
    other = EmulatedBus({0x11: Rda5807mEmulator(), 0x60: Tea5767Emulator()}, garbage=b"\x12\x34\x56")
    with pytest.raises(DeviceProtocolError, match="tuner"):
        async with make("tuner", connect=lambda _: other).open():
            raise AssertionError("took another chip for its own")
    assert other.closed == 1
    slow = EmulatedBus({0x11: Rda5807mEmulator(looks_busy=10**6), 0x60: Tea5767Emulator(looks_busy=10**6)})
    async with make("tuner", connect=lambda _: slow).open() as tuner:
        with pytest.raises(DeviceUnavailableError, match="not ready"):
            await tuner.tune(103.5)
        assert (await tuner.read()).muted


async def test_rda5807m_that_lost_its_supply_says_so() -> None:
    chip = Rda5807mEmulator({1035: 52})
    bus = EmulatedBus({0x11: chip})
    async with Rda5807mTuner("tuner", connect=lambda _: bus).open() as tuner:
        await tuner.tune(103.5)
        chip.power_cycle()
        with pytest.raises(DeviceProtocolError, match="lost its settings"):
            await tuner.probe()


async def test_simulated_tuner_writes_down_what_it_was_told(tmp_path: Path) -> None:
    async with SimulatedTuner.from_options("tuner", {"dir": str(tmp_path)}).open() as tuner:
        await tuner.tune(103.5)
        await tuner.set_mute(muted=False)
    lines = [json.loads(line) for line in (tmp_path / "tuner.jsonl").read_text().splitlines()]
    assert [line["edge"] for line in lines] == ["tuned", "unmuted", "asleep"]
    assert lines[0]["megahertz"] == 103.5
