"""The health service: reads, judges, remembers; sensors that fail or hang are states."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from agent.health import service
from agent.health.issues import IssueBook
from agent.health.service import HealthService, Observations, Sensors, read_temperature
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from drivers.api import Bearer, ClockSource, DeviceUnavailableError, PowerState, StorageState, UplinkState
from tests.unit.health.doubles import ClockChip, Power, StillClock, Storage, Uplink


class Bench:
    """A health service with everything around it."""

    def __init__(self, tmp_path: Path, *, power: bool = True) -> None:
        self.clock = StillClock()
        self.book = IssueBook(self.clock)
        self.uplink, self.power, self.storage = Uplink(), Power(), Storage()
        self.service = HealthService(
            book=self.book,
            clock=self.clock,
            sensors=Sensors(self.uplink, self.storage, ClockChip(), self.power if power else None),
            data_dir=tmp_path,
            keep_free_bytes=256 << 20,
            sysfs=tmp_path,
        )

    async def round(self) -> Observations:
        """Run the service until its first round is done."""
        self.clock.sleeping.clear()
        task = asyncio.create_task(self.service.run())
        try:
            async with asyncio.timeout(20):
                await self.clock.sleeping.wait()
        finally:
            task.cancel()
            await asyncio.wait([task])
        return self.service.observations

    @property
    def faults(self) -> list[Fault]:
        return [issue.fault for issue in self.book.open]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_sound_box_has_no_issues_and_its_readings_are_kept(bench: Bench) -> None:
    seen = await bench.round()
    assert bench.faults == []
    assert seen.uplink == UplinkState(Bearer.ETHERNET, None, data=True)
    assert seen.storage == StorageState(10 << 30, 5 << 30)
    assert seen.clock is not None
    assert seen.clock.source is ClockSource.RTC
    assert seen.temperature_c is None
    assert bench.clock.slept == [10.0]


async def test_each_condition_raises_its_fault_and_clears_with_it(bench: Bench) -> None:
    bench.power.state = PowerState(mains=False)
    bench.uplink.state = UplinkState(Bearer.CELLULAR, -70, data=False)
    bench.storage.state = StorageState(10 << 30, 0)
    bench.clock.trust_now = ClockTrust.UNKNOWN
    await bench.round()
    assert bench.faults == [Fault.MAINS_LOST, Fault.SIM_NO_DATA, Fault.CLOCK_UNTRUSTED, Fault.STORAGE_FULL]
    bench.power.state = PowerState(mains=True)
    bench.uplink.state = UplinkState(Bearer.CELLULAR, -70, data=True)
    bench.storage.state = StorageState(10 << 30, 1 << 30)
    bench.clock.trust_now = ClockTrust.SYNCHRONISED
    await bench.round()
    assert bench.faults == []


async def test_a_box_without_a_power_sensor_never_reports_mains(tmp_path: Path) -> None:
    bench = Bench(tmp_path, power=False)
    seen = await bench.round()
    assert seen.power is None
    assert bench.faults == []


async def test_a_sensor_that_fails_is_absent_and_logged_once_lost_once_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.uplink.error = DeviceUnavailableError("no modem")
    assert (await bench.round()).uplink is None
    assert (await bench.round()).uplink is None
    bench.clock.pass_time(30)
    bench.uplink.error = None
    assert (await bench.round()).uplink is not None
    assert [record.getMessage() for record in caplog.records] == [
        "sensor uplink: lost: no modem",
        "sensor uplink: back after 30 s",
    ]


async def test_a_sensor_that_hangs_does_not_hold_the_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "READ_TIMEOUT_S", 0.05)
    bench.power.state = PowerState(mains=False)
    await bench.round()
    bench.storage.hold = threading.Event()
    try:
        assert await bench.round() == Observations()
        assert await bench.round() == Observations()
        assert bench.storage.reads == 2, "a second read was started behind the one that hangs"
        assert bench.faults == [Fault.MAINS_LOST]
    finally:
        bench.storage.hold.set()
        monkeypatch.setattr(service, "READ_TIMEOUT_S", 10.0)
    assert (await bench.round()).storage is not None


async def test_a_bug_in_a_sensor_is_not_hidden(bench: Bench) -> None:
    bench.uplink.error = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await bench.service.run()


def test_temperature_is_read_in_thousandths_of_a_degree(tmp_path: Path) -> None:
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("48312\n")
    assert read_temperature(tmp_path) == 48.312


@pytest.mark.parametrize("text", ["", "hot", "\xff"])
def test_a_temperature_that_cannot_be_read_is_absent(tmp_path: Path, text: str) -> None:
    assert read_temperature(tmp_path) is None
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text(text, encoding="latin-1")
    assert read_temperature(tmp_path) is None
