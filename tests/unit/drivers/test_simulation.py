from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from drivers.api import Bearer, ClockSource, DriverSetupError, UplinkState
from drivers.journal import Journal
from drivers.modem.simulated import SimulatedUplink
from drivers.options import boolean, integer, maybe_integer, refuse_unknown, text
from drivers.sensor.simulated import SimulatedClock, SimulatedLineSense, SimulatedPower, SimulatedStorage
from drivers.simulation import AmplifierCell, FaultFile, Faults, Gate, SpeakerCell, place, suffixed


def write(box: Path, content: str) -> None:
    (box / "new").write_text(content)
    (box / "new").replace(box / "faults.toml")


def test_faults_follow_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultFile(tmp_path, look_every_ns=0)
    assert faults.current() == Faults()
    write(tmp_path, "horn_open = true\n")
    assert faults.current() == Faults(horn_open=True)
    with caplog.at_level(logging.WARNING):
        write(tmp_path, "horn_open = \n")
        for _ in range(3):
            assert faults.current() == Faults(horn_open=True)
        write(tmp_path, "mains_lost = true\nflux_capacitor = true\nhorn_open = 1\n")
        for _ in range(3):
            assert faults.current() == Faults(mains_lost=True)
    assert len(caplog.records) == 3
    assert "flux_capacitor" in caplog.text
    (tmp_path / "faults.toml").unlink()
    assert faults.current() == Faults()


def test_the_file_is_looked_at_seldom(tmp_path: Path) -> None:
    faults = FaultFile(tmp_path)
    assert faults.current() == Faults()
    write(tmp_path, "horn_open = true\n")
    assert faults.current() == Faults()
    time.sleep(0.2)
    assert faults.current().horn_open


def test_place_and_names(tmp_path: Path) -> None:
    assert place("x", {"dir": str(tmp_path)}) == (tmp_path, "main")
    assert place("x", {"dir": str(tmp_path), "zone": "b"}) == (tmp_path, "b")
    for options in ({}, {"dir": ""}, {"dir": 3}, {"dir": "x", "zone": "../y"}, {"dir": "x", "zone": ""}):
        with pytest.raises(DriverSetupError):
            place("x", options)
    assert suffixed("speaker", "main", ".wav") == "speaker.wav"
    assert suffixed("speaker", "b", ".wav") == "speaker-b.wav"


def test_cells_are_never_read_torn(tmp_path: Path) -> None:
    writer = AmplifierCell(tmp_path, "main", writable=True)
    reader = AmplifierCell(tmp_path, "main")
    assert reader.load() is None
    done = threading.Event()

    def write_many() -> None:
        for n in range(20_000):
            writer.store(Gate(bool(n & 1), bool(n & 1), bool(n & 1), n, n))
        done.set()

    thread = threading.Thread(target=write_many)
    thread.start()
    while not done.is_set():
        gate = reader.load()
        if gate is not None:
            assert gate.since_ns == gate.changed_ns
            assert gate.powered == gate.muted == gate.passing == bool(gate.since_ns & 1)
    thread.join()
    writer.close()
    reader.close()


async def test_line_sense_needs_a_fresh_level(tmp_path: Path) -> None:
    async with SimulatedLineSense.from_options("line", {"dir": str(tmp_path)}).open() as line:
        assert not (await line.read()).active
        cell = SpeakerCell(tmp_path, "main", writable=True)
        cell.store(-20.0, time.monotonic_ns())
        reading = await line.read()
        assert (reading.active, reading.level_dbfs) == (True, -20.0)
        cell.store(-20.0, time.monotonic_ns() - 10**9)
        assert not (await line.read()).active
        cell.store(-90.0, time.monotonic_ns())
        assert not (await line.read()).active
        await line.probe()
        cell.close()


async def test_sensors_show_the_faults(tmp_path: Path) -> None:
    options = {"dir": str(tmp_path)}
    power = SimulatedPower.from_options("p", options)
    storage = SimulatedStorage.from_options("s", options)
    clock = SimulatedClock.from_options("c", options)
    uplink = SimulatedUplink.from_options("u", options)
    assert power.read().mains is True
    assert storage.read(tmp_path).free_bytes > 0
    assert clock.read().source is ClockSource.SYNCHRONISED
    assert uplink.read() == UplinkState(Bearer.CELLULAR, signal_dbm=-71, data=True)
    write(tmp_path, "mains_lost = true\ndisk_full = true\nclock_unknown = true\nsim_out_of_data = true\n")
    await asyncio.sleep(0.2)
    assert power.read().mains is False
    assert storage.read(tmp_path).free_bytes == 0
    assert storage.read(tmp_path / "not" / "there").total_bytes > 0
    assert clock.read().source is ClockSource.UNKNOWN
    assert uplink.read() == UplinkState(Bearer.CELLULAR, signal_dbm=-71, data=False)


def test_journal_is_bounded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "x.jsonl", rotate_bytes=500)
    for n in range(20):
        journal.append(time.monotonic_ns(), n=n)
    journal.close()
    lines = (tmp_path / "a" / "x.jsonl").read_text().splitlines()
    previous = (tmp_path / "a" / "x.previous.jsonl").read_text().splitlines()
    numbers = [json.loads(line)["n"] for line in previous + lines]
    assert numbers == list(range(numbers[0], 20))
    assert len(lines) < 10


def test_options() -> None:
    refuse_unknown("x", {"a": 1}, frozenset({"a"}))
    with pytest.raises(DriverSetupError, match="b"):
        refuse_unknown("x", {"b": 1}, frozenset({"a"}))
    assert text("x", {"a": "t"}, "a") == "t"
    assert text("x", {}, "a", "d") == "d"
    assert integer("x", {"a": 3}, "a", low=1, high=5) == 3
    assert integer("x", {}, "a", low=1, high=5, default=2) == 2
    assert maybe_integer("x", {}, "a", low=1, high=5) is None
    assert boolean("x", {}, "a", default=True) is True
    for call in (
        lambda: text("x", {}, "a"),
        lambda: text("x", {"a": 1}, "a"),
        lambda: integer("x", {}, "a", low=1, high=5),
        lambda: integer("x", {"a": True}, "a", low=0, high=5),
        lambda: integer("x", {"a": 9}, "a", low=0, high=5),
        lambda: boolean("x", {"a": 1}, "a", default=True),
    ):
        with pytest.raises(DriverSetupError):
            call()
