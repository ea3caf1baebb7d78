"""The kernel's I2C and SPI interfaces, and the threads in which they are used."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from drivers import i2c, spi
from drivers.api import DeviceProtocolError, DeviceUnavailableError, DriverSetupError
from drivers.options import number
from drivers.sensor.ina219.driver import Ina219Meter
from drivers.sensor.mcp3008.driver import Mcp3008Meter
from drivers.tuner.rda5807m.driver import Rda5807mTuner
from drivers.worker_thread import WorkerThread


@pytest.fixture
def any_device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every device file opens as /dev/null; returns the names asked for."""
    asked: list[str] = []
    real = os.open

    def fake(path: str, flags: int) -> int:
        asked.append(path)
        return real("/dev/null", flags)

    monkeypatch.setattr(os, "open", fake)
    return asked


def test_i2c_message_as_the_kernel_reads_it(any_device: list[str]) -> None:
    seen: list[tuple[int, int, int]] = []
    sent = b""

    def kernel(descriptor: int, request: int, argument: Any) -> None:
        nonlocal sent
        assert request == 0x0707
        raw = bytes(argument)
        pointer, count = struct.unpack_from("@QI" if ctypes.sizeof(ctypes.c_void_p) == 8 else "@II", raw)
        size = ctypes.sizeof(i2c._Message)
        for at in range(count):
            message = i2c._Message.from_address(pointer + at * size)
            seen.append((message.addr, message.flags, message.len))
            if message.flags & 1:
                ctypes.memmove(message.buf, b"\x39\x9f", message.len)
            else:
                sent += ctypes.string_at(message.buf, message.len)

    bus = i2c.LinuxBus(1, kernel)
    assert i2c.Chip("x", bus, 0x40).read_register(0x05) == 0x399F
    assert seen == [(0x40, 0, 1), (0x40, 1, 2)]
    assert sent == b"\x05"
    i2c.Chip("x", bus, 0x41).write_register(0x00, 0x8001)
    assert seen[-1] == (0x41, 0, 3)
    assert sent == b"\x05\x00\x80\x01"
    assert bus.transfer(0x60, b"", 5)[:2] == b"\x39\x9f"
    bus.close()
    assert any_device == ["/dev/i2c-1"]


def test_spi_message_as_the_kernel_reads_it(any_device: list[str]) -> None:
    requests: list[int] = []

    def kernel(descriptor: int, request: int, argument: Any) -> None:
        requests.append(request)
        if request == 0x40206B00:
            assert ctypes.sizeof(argument) == 32
            out, into, length, speed = struct.unpack_from("=QQII", bytes(argument))
            assert (ctypes.string_at(out, length), speed) == (b"\x01\xd0\x00", 1_000_000)
            ctypes.memmove(into, b"\xff\xfa\x55", length)

    link = spi.LinuxLink(1, 1_000_000, kernel)
    assert link.transfer(b"\x01\xd0\x00") == b"\xff\xfa\x55"
    link.close()
    assert any_device == ["/dev/spidev0.1"]
    assert requests == [0x40016B01, 0x40046B04, 0x40206B00]

    def refuse(descriptor: int, request: int, argument: Any) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    with pytest.raises(DeviceUnavailableError, match="refuses mode 0"):
        spi.LinuxLink(0, 1_000_000, refuse)


async def test_a_machine_without_buses_says_what_to_switch_on() -> None:
    if Path("/dev/i2c-1").exists() or Path("/dev/spidev0.0").exists():
        pytest.skip("this machine has such a bus")
    drivers = (
        (Ina219Meter.from_options("meter", {"shunt_ohms": 0.01}), "i2c_arm"),
        (Rda5807mTuner.from_options("tuner", {}), "i2c_arm"),
        (Mcp3008Meter.from_options("meter", {"volts_channel": 0}), "dtparam=spi=on"),
    )
    for driver, advice in drivers:
        with pytest.raises(DeviceUnavailableError, match=advice):
            async with driver.open():
                raise AssertionError("opened a bus that does not exist")


def test_a_short_answer_is_a_protocol_error() -> None:
    class Short:
        def transfer(self, address: int, data: bytes, read: int) -> bytes:
            return b"\x00"

        def close(self) -> None: ...

    with pytest.raises(DeviceProtocolError, match="1 bytes instead of 2"):
        i2c.Chip("x", Short(), 0x40).read_register(0)


async def test_the_thread_hands_over_results_and_errors() -> None:
    thread = WorkerThread("device")
    assert await thread.call(lambda: 6 * 7, 1.0) == 42

    def fail() -> None:
        raise DeviceProtocolError("nonsense")

    def late() -> None:
        raise TimeoutError("of the bus itself")

    with pytest.raises(DeviceProtocolError, match="nonsense"):
        await thread.call(fail, 1.0)
    with pytest.raises(TimeoutError, match="of the bus itself"):
        await thread.call(late, 1.0)
    ended = threading.Event()
    thread.close(ended.set)
    assert await asyncio.to_thread(ended.wait, 5)
    with pytest.raises(DeviceUnavailableError, match="closed"):
        await thread.call(lambda: 1, 1.0)


async def test_a_call_that_hangs_is_given_up_and_those_behind_it_are_skipped() -> None:
    thread = WorkerThread("device")
    free = threading.Event()
    thrown_away: list[str] = []
    done: list[str] = []

    def hang() -> str:
        free.wait(10)
        return "late"

    with pytest.raises(DeviceUnavailableError, match=r"device: no answer within 0\.05 s"):
        await thread.call(hang, 0.05, thrown_away.append)
    with pytest.raises(DeviceUnavailableError):
        await thread.call(lambda: done.append("skipped"), 0.05)
    free.set()
    assert await thread.call(lambda: "alive", 5.0) == "alive"
    assert thrown_away == ["late"]
    assert done == []
    thread.close()


async def test_a_cancelled_caller_leaves_the_thread_usable() -> None:
    thread = WorkerThread("device")
    free = threading.Event()
    task = asyncio.create_task(thread.call(lambda: free.wait(10), 5.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    free.set()
    assert await thread.call(lambda: 1, 5.0) == 1
    thread.close()


def test_options_of_meters() -> None:
    assert number("x", {"a": 1}, "a", low=0, high=2) == 1.0
    for value in (True, "1", float("nan"), 3):
        with pytest.raises(DriverSetupError, match="from 0 to 2"):
            number("x", {"a": value}, "a", low=0, high=2)
    wrong: list[dict[str, object]] = [
        {},
        {"amps_per_volt": 3.0},
        {"amps_channel": 8},
        {"amps_channel": 0, "celsius_zero_volts": 0.5},
        {"amps_channel": 0, "shunt_ohms": 1},
        {"amps_channel": 0, "device": 2},
        {"amps_channel": 0, "reference_volts": 12},
    ]
    for options in wrong:
        with pytest.raises(DriverSetupError):
            Mcp3008Meter.from_options("m", options)
    also_wrong: list[dict[str, object]] = [{}, {"shunt_ohms": 0}, {"shunt_ohms": 0.1, "address": 0x50}]
    for options in also_wrong:
        with pytest.raises(DriverSetupError):
            Ina219Meter.from_options("m", options)
