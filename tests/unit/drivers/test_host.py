from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.api import Bearer, ClockSource, DeviceUnavailableError, DriverSetupError
from drivers.modem.host import HostUplink
from drivers.sensor.gpio_line import GpioLineSense
from drivers.sensor.gpio_power import GpioPower
from drivers.sensor.host_clock import Discipline, HostClock, read_discipline
from drivers.sensor.host_storage import HostStorage

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def machine(tmp_path: Path, routes: str = "", *, v6: str = "") -> HostUplink:
    (tmp_path / "proc/net").mkdir(parents=True, exist_ok=True)
    (tmp_path / "proc/net/route").write_text(HEAD + routes)
    (tmp_path / "proc/net/ipv6_route").write_text(v6)
    return HostUplink(tmp_path / "proc", tmp_path / "sys")


def interface(
    tmp_path: Path, name: str, *, state: str = "up", driver: str = "", wireless: bool = False
) -> str:
    base = tmp_path / "sys/class/net" / name
    (base / "device").mkdir(parents=True)
    (base / "operstate").write_text(state + "\n")
    (base / "uevent").write_text(f"INTERFACE={name}\n")
    (base / "device/uevent").write_text(f"DRIVER={driver}\n" if driver else "")
    if wireless:
        (base / "wireless").mkdir()
    return name


def route(name: str, metric: int = 100) -> str:
    return f"{name}\t00000000\t0101A8C0\t0003\t0\t0\t{metric}\t00000000\t0\t0\t0\n"


def test_no_route_is_no_bearer(tmp_path: Path) -> None:
    assert machine(tmp_path).read().bearer is Bearer.NONE
    assert HostUplink(tmp_path / "nothing", tmp_path / "nothing").read().bearer is Bearer.NONE


@pytest.mark.parametrize(
    ("name", "driver", "bearer"),
    [
        ("eth0", "bcmgenet", Bearer.ETHERNET),
        ("end0", "macb", Bearer.ETHERNET),
        ("wwan0", "qmi_wwan", Bearer.CELLULAR),
        ("ppp0", "", Bearer.CELLULAR),
        ("usb0", "cdc_ether", Bearer.CELLULAR),
        ("usb0", "rndis_host", Bearer.CELLULAR),
        ("usb0", "asix", Bearer.ETHERNET),
    ],
)
def test_bearer_by_interface(tmp_path: Path, name: str, driver: str, bearer: Bearer) -> None:
    interface(tmp_path, name, driver=driver)
    assert machine(tmp_path, route(name)).read().bearer is bearer


def test_lowest_metric_wins_and_wifi_has_a_signal(tmp_path: Path) -> None:
    interface(tmp_path, "eth0")
    interface(tmp_path, "wlan0", wireless=True)
    uplink = machine(tmp_path, route("eth0", 600) + route("wlan0", 100))
    (tmp_path / "proc/net/wireless").write_text("h\nh\n wlan0: 0000   54.  -56.  -256        0\n")
    state = uplink.read()
    assert (state.bearer, state.signal_dbm, state.data) == (Bearer.WIFI, -56, None)


def test_interface_that_is_down_and_ipv6_only(tmp_path: Path) -> None:
    interface(tmp_path, "eth0", state="down")
    assert machine(tmp_path, route("eth0")).read().bearer is Bearer.NONE
    interface(tmp_path, "wwan0", state="unknown")
    zero = "0" * 32
    v6 = f"{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001 wwan0\n"
    assert machine(tmp_path, v6=v6).read().bearer is Bearer.CELLULAR


def clock(tmp_path: Path, found: Discipline) -> HostClock:
    return HostClock(tmp_path, lambda: found)


def test_clock_sources(tmp_path: Path) -> None:
    assert read_discipline().state >= 0
    synchronised = clock(tmp_path, Discipline(0, 0x2001, 500_000, 1_500)).read()
    assert (synchronised.source, synchronised.error_ms) == (ClockSource.SYNCHRONISED, 1.5)
    assert clock(tmp_path, Discipline(0, 0, 250_000, 0)).read().error_ms == 250.0
    for found in (Discipline(5, 0, 0, 0), Discipline(0, 0x40, 0, 0)):
        assert clock(tmp_path, found).read().source is ClockSource.UNKNOWN
    chip = tmp_path / "class/rtc/rtc0"
    chip.mkdir(parents=True)
    (chip / "hctosys").write_text("0\n")
    assert clock(tmp_path, Discipline(5, 0x40, 0, 0)).read().source is ClockSource.UNKNOWN
    (chip / "hctosys").write_text("1\n")
    assert clock(tmp_path, Discipline(5, 0x40, 0, 0)).read().source is ClockSource.RTC


def test_clock_that_does_not_answer(tmp_path: Path) -> None:
    def refuse() -> Discipline:
        raise OSError(1, "EPERM")

    with pytest.raises(DeviceUnavailableError):
        HostClock(tmp_path, refuse).read()


def test_storage(tmp_path: Path) -> None:
    state = HostStorage.from_options("s", {}).read(tmp_path)
    assert 0 < state.free_bytes <= state.total_bytes
    with pytest.raises(DriverSetupError):
        HostStorage.from_options("s", {"path": "/"})


async def test_line_sense_holds_for_a_while() -> None:
    factory: Any = MockFactory()  # type: ignore[no-untyped-call]
    sense = GpioLineSense("line", (5, 6), hold_ms=100, factory=lambda: factory)
    async with sense.open() as line:
        assert not (await line.read()).active
        factory.pin(6).drive_low()
        factory.pin(6).drive_high()
        assert (await line.read()).active
        await asyncio.sleep(0.12)
        assert not (await line.read()).active
        factory.pin(5).drive_low()
        await asyncio.sleep(0.12)
        assert (await line.read()).active
        await line.probe()


@pytest.mark.parametrize("pull_up", [True, False])
async def test_line_sense_active_high(pull_up: bool) -> None:
    factory: Any = MockFactory()  # type: ignore[no-untyped-call]
    sense = GpioLineSense("line", (5,), active_high=True, pull_up=pull_up, hold_ms=0, factory=lambda: factory)
    async with sense.open() as line:
        factory.pin(5).drive_low()
        assert not (await line.read()).active
        factory.pin(5).drive_high()
        assert (await line.read()).active


def test_line_sense_options() -> None:
    GpioLineSense.from_options("line", {"pins": [5, 6]})
    wrong: list[dict[str, object]] = [
        {},
        {"pins": []},
        {"pins": [99]},
        {"pins": ["x"]},
        {"pins": [1], "hold_ms": -1},
    ]
    for options in wrong:
        with pytest.raises(DriverSetupError):
            GpioLineSense.from_options("line", options)


@pytest.mark.parametrize("active_high", [True, False])
def test_power(active_high: bool) -> None:
    factory: Any = MockFactory()  # type: ignore[no-untyped-call]
    power = GpioPower("mains", 5, active_high=active_high, factory=lambda: factory)
    assert power.read().mains is False
    factory.pin(5).drive_low() if active_high else factory.pin(5).drive_high()
    assert power.read().mains is True
    pin = factory.pin(5)
    pin.drive_high() if active_high else pin.drive_low()
    assert power.read().mains is False
    pin.drive_low() if active_high else pin.drive_high()
    assert power.read().mains is True
    with pytest.raises(DriverSetupError):
        GpioPower.from_options("mains", {})
