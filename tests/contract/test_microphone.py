"""What every monitoring microphone owes: the level it hears, and never a reading that waits for sound."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import math
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.api import DeviceUnavailableError, DriverSetupError, LineSenseDriver
from drivers.sensor.alsa_microphone import AlsaMicrophone, level_dbfs
from drivers.sensor.simulated import SimulatedMicrophone
from drivers.simulation import SpeakerCell

FRAMES_AT_ONCE = 2400  # 50 ms


def sine(amplitude: float, frames: int, offset: int = 0) -> bytes:
    """1 kHz at 48 kHz, 16 bit mono, on top of a direct component."""
    return b"".join(
        struct.pack("<h", round(amplitude * 32767 * math.sin(2 * math.pi * n / 48)) + offset)
        for n in range(frames)
    )


@dataclass
class FakeAlsa:
    """As much of libasound as capturing needs; a card that can stall, overrun, vanish or be absent."""

    sound: bytes = field(default_factory=lambda: sine(0.5, FRAMES_AT_ONCE))
    channels: int = 1
    absent: bool = False
    stalled: bool = False
    fail_once: list[int] = field(default_factory=list)
    recovered: int = 0
    opened: int = 0

    def snd_pcm_open(self, handle: Any, name: bytes, stream: int, mode: int) -> int:
        if self.absent:
            return -errno.ENOENT
        assert (stream, mode) == (1, 1)
        self.opened += 1
        return 0

    def snd_pcm_close(self, handle: Any) -> int:
        self.opened -= 1
        return 0

    def snd_pcm_set_params(self, handle: Any, *settings: int) -> int:
        form, access, channels, rate, resample, latency_us = settings
        assert (form, access, rate, resample, latency_us) == (2, 3, 48_000, 1, 400_000)
        return 0 if channels == self.channels else -errno.EINVAL

    def snd_pcm_start(self, handle: Any) -> int:
        return 0

    def snd_pcm_wait(self, handle: Any, milliseconds: int) -> int:
        time.sleep(milliseconds / 1000)
        return 0

    def snd_pcm_recover(self, handle: Any, code: int, silent: int) -> int:
        self.recovered += 1
        return 0

    def snd_pcm_readi(self, handle: Any, buffer: Any, frames: int) -> int:
        if self.fail_once:
            return -self.fail_once.pop()
        if self.stalled:
            return -errno.EAGAIN
        frames = min(frames, FRAMES_AT_ONCE)
        time.sleep(frames / 48_000)
        data = self.sound[: frames * 2]
        if self.channels == 2:
            data = b"".join(data[at : at + 2] * 2 for at in range(0, len(data), 2))
        ctypes.memmove(buffer, data, len(data))
        return frames

    def snd_strerror(self, code: int) -> bytes:
        return errno.errorcode[-code].encode()


@dataclass
class Bench:
    driver: LineSenseDriver
    play: Callable[[float], None]  # a sine of this amplitude from now on
    unplug: Callable[[], None] | None


def alsa(*, channels: int = 1) -> Bench:
    library = FakeAlsa(channels=channels)

    def play(amplitude: float) -> None:
        library.sound = sine(amplitude, FRAMES_AT_ONCE, offset=700)

    def unplug() -> None:
        library.absent = True
        library.fail_once = [errno.ENODEV]

    play(0.0)
    return Bench(AlsaMicrophone("ear", "plughw:CARD=Mic", library=lambda: library), play, unplug)


def simulated(box: Path) -> Bench:
    cell = SpeakerCell(box, "main", writable=True)

    def play(amplitude: float) -> None:
        level = 20 * math.log10(amplitude / math.sqrt(2)) if amplitude else -120.0
        cell.store(level, time.monotonic_ns() + 10**12)

    return Bench(SimulatedMicrophone.from_options("ear", {"dir": str(box)}), play, None)


@pytest.fixture(params=["alsa", "alsa-stereo", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "alsa":
            return alsa()
        case "alsa-stereo":
            return alsa(channels=2)
        case _:
            return simulated(tmp_path)


async def test_hears_how_loud_it_is(bench: Bench) -> None:
    async with bench.driver.open() as ear:
        assert ear.name == "ear"
        quiet = await ear.read()
        assert not quiet.active
        assert quiet.level_dbfs is not None
        assert quiet.level_dbfs < -90
        bench.play(0.5)
        await asyncio.sleep(0.5)
        loud = await ear.read()
        assert loud.active
        assert loud.level_dbfs == pytest.approx(-9.03, abs=0.3)
        assert quiet.at_ns < loud.at_ns <= time.monotonic_ns()
        await ear.probe()


async def test_can_be_opened_again(bench: Bench) -> None:
    for _ in range(2):
        async with bench.driver.open() as ear:
            assert not (await ear.read()).active


async def test_a_microphone_that_is_not_there_is_unavailable(bench: Bench) -> None:
    if bench.unplug is None:
        pytest.skip("a simulated microphone can be deaf, not absent")
    async with bench.driver.open() as ear:
        await ear.read()
        bench.unplug()
        await asyncio.sleep(0.3)
        with pytest.raises(DeviceUnavailableError, match=r"Mic.*ENODEV"):
            await ear.read()
    with pytest.raises(DeviceUnavailableError, match=r"Mic.*ENOENT"):
        async with bench.driver.open():
            raise AssertionError("opened a microphone that is not there")


async def test_a_stream_that_stalls_holds_up_no_reading() -> None:
    library = FakeAlsa()
    async with AlsaMicrophone("ear", "mic", library=lambda: library).open() as ear:
        assert (await ear.read()).active
        library.stalled = True
        await asyncio.sleep(1.3)
        begun = time.monotonic()
        with pytest.raises(DeviceUnavailableError, match="gives no sound"):
            await ear.read()
        assert time.monotonic() - begun < 0.1
        library.stalled = False
        await asyncio.sleep(0.5)
        assert (await ear.read()).active
    assert library.opened == 0


async def test_a_stream_that_never_begins_is_unavailable() -> None:
    library = FakeAlsa(stalled=True)
    with pytest.raises(DeviceUnavailableError, match="gives no sound"):
        async with AlsaMicrophone("ear", "mic", library=lambda: library).open():
            raise AssertionError("opened")
    assert library.opened == 0


async def test_an_overrun_is_got_over() -> None:
    library = FakeAlsa(fail_once=[errno.EPIPE])
    async with AlsaMicrophone("ear", "mic", library=lambda: library).open() as ear:
        assert (await ear.read()).active
    assert library.recovered == 1


async def test_a_card_that_cannot_is_unavailable() -> None:
    with pytest.raises(DeviceUnavailableError, match="EINVAL"):
        async with AlsaMicrophone("ear", "mic", library=lambda: FakeAlsa(channels=6)).open():
            raise AssertionError("opened")


def test_level_leaves_out_the_direct_component() -> None:
    assert level_dbfs(sine(1.0, 4800)) == pytest.approx(-3.01, abs=0.02)
    assert level_dbfs(sine(0.01, 4800, offset=9000)) == pytest.approx(-43.0, abs=0.3)
    assert level_dbfs(struct.pack("<h", 500) * 4800) == -120.0
    assert level_dbfs(b"") == -120.0


def test_options() -> None:
    AlsaMicrophone.from_options("ear", {"device": "plughw:CARD=Mic,DEV=0", "threshold_dbfs": -40})
    for options in ({}, {"device": ""}, {"device": "x", "threshold_dbfs": -120}, {"device": "x", "gain": 1}):
        with pytest.raises(DriverSetupError):
            AlsaMicrophone.from_options("ear", options)


LISTEN = """
import asyncio, json, threading
from drivers.sensor.alsa_microphone import AlsaMicrophone

async def main():
    async with AlsaMicrophone("ear", "recorded").open() as ear:
        await asyncio.sleep(0.5)
        reading = await ear.read()
    left = [t.name for t in threading.enumerate() if "microphone" in t.name]
    print(json.dumps([reading.active, reading.level_dbfs, left]))

asyncio.run(main())
"""


def test_real_libasound_hears_a_recording(tmp_path: Path) -> None:
    recording = tmp_path / "sound.raw"
    recording.write_bytes(sine(0.25, 48_000 * 4))
    config = tmp_path / "asound.conf"
    config.write_text(
        "pcm.recorded { type file slave.pcm { type null } "
        f'file "{tmp_path}/unused.raw" infile "{recording}" format "raw" }}\n'
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTEN],
        env={"ALSA_CONFIG_PATH": str(config), "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    active, level, left = json.loads(found.stdout)
    assert active
    assert level == pytest.approx(-15.05, abs=0.2)
    assert left == []
