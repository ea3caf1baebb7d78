"""Simulated meters and microphones, and the spare amplifier in the simulated loudspeaker."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from drivers.api import DriverSetupError, MeterReading
from drivers.audio import pcm
from drivers.audio.simulated import SimulatedSink
from drivers.sensor.simulated import SimulatedMeter, SimulatedMicrophone
from drivers.simulation import AmplifierCell, Faults, Gate, SpeakerCell


def gate(*, on: bool, since_ns: int = 0) -> Gate:
    return Gate(powered=on, muted=not on, passing=on, since_ns=since_ns, changed_ns=since_ns)


def write(box: Path, content: str) -> None:
    (box / "new").write_text(content)
    (box / "new").replace(box / "faults.toml")


async def measured(box: Path) -> MeterReading:
    async with SimulatedMeter.from_options("meter", {"dir": str(box)}).open() as meter:
        return await meter.read()


async def test_meter_of_a_box_without_amplifier(tmp_path: Path) -> None:
    found = await measured(tmp_path)
    assert (found.volts, found.amps, found.temperature_c) == (24.0, 0.0, 41.0)


async def test_current_follows_the_loudspeaker(tmp_path: Path) -> None:
    main = AmplifierCell(tmp_path, "main", writable=True)
    speaker = SpeakerCell(tmp_path, "main", writable=True)
    main.store(gate(on=True))
    for level, amps in ((-120.0, 0.25), (-20.0, 0.65), (-6.02, 2.25), (0.0, 4.25)):
        speaker.store(level, time.monotonic_ns())
        assert (await measured(tmp_path)).amps == pytest.approx(amps, abs=0.01)
    main.store(gate(on=False))
    assert (await measured(tmp_path)).amps == 0.0
    spare = AmplifierCell(tmp_path, "main", spare=True, writable=True)
    spare.store(gate(on=True))
    speaker.store(-20.0, time.monotonic_ns() - 10**9)  # long ago: silent by now
    assert (await measured(tmp_path)).amps == pytest.approx(0.25, abs=0.01)
    for cell in (main, spare, speaker):
        cell.close()


@pytest.mark.parametrize(
    ("fault", "volts", "amps", "temperature_c"),
    [
        ("amplifier_hot", 24.0, 2.25, 90.0),
        ("amplifier_no_power", 0.0, 0.0, 41.0),
        ("dc_low", 18.0, 2.25, 41.0),
        ("line_short", 24.0, 9.0, 41.0),
        ("mains_lost", 24.0, 2.25, 41.0),
    ],
)
async def test_meter_shows_the_faults(
    tmp_path: Path, fault: str, volts: float, amps: float, temperature_c: float
) -> None:
    main = AmplifierCell(tmp_path, "main", writable=True)
    speaker = SpeakerCell(tmp_path, "main", writable=True)
    main.store(gate(on=True))
    speaker.store(-6.02, time.monotonic_ns())
    write(tmp_path, f"{fault} = true\n")
    found = await measured(tmp_path)
    assert found.volts == volts
    assert found.amps == pytest.approx(amps, abs=0.01)
    assert found.temperature_c == temperature_c
    main.close()
    speaker.close()


async def test_microphone_hears_the_loudspeaker_unless_deaf(tmp_path: Path) -> None:
    speaker = SpeakerCell(tmp_path, "market", writable=True)
    options = {"dir": str(tmp_path), "zone": "market", "threshold_dbfs": -30}
    async with SimulatedMicrophone.from_options("ear", options).open() as ear:
        assert (await ear.read()).active is False
        speaker.store(-29.0, time.monotonic_ns())
        heard = await ear.read()
        assert (heard.active, heard.level_dbfs) == (True, -29.0)
        speaker.store(-31.0, time.monotonic_ns())
        assert (await ear.read()).active is False
        write(tmp_path, "microphone_deaf = true\n")
        await asyncio.sleep(0.2)
        speaker.store(-3.0, time.monotonic_ns())
        assert (await ear.read()).level_dbfs == -120.0
        await ear.probe()
    speaker.close()
    with pytest.raises(DriverSetupError, match="threshold_dbfs"):
        SimulatedMicrophone.from_options("ear", {"dir": "x", "threshold_dbfs": 3})


LOUD = b"\x00\x40" * 48


@pytest.fixture
def sink(tmp_path: Path) -> SimulatedSink:
    return SimulatedSink(tmp_path, "main", 1)


def heard(sink: SimulatedSink, faults: Faults) -> bytes:
    frame = sink._file.frame_at(time.monotonic_ns())
    return sink._gated(frame, LOUD, sink._gates(faults))


@pytest.mark.parametrize(
    ("main", "spare", "faults", "sounds"),
    [
        (None, None, Faults(), True),
        (None, None, Faults(amplifier_dead=True), False),
        (True, None, Faults(), True),
        (False, None, Faults(), False),
        (True, None, Faults(amplifier_dead=True), False),
        (True, False, Faults(amplifier_dead=True), False),
        (False, True, Faults(amplifier_dead=True), True),
        (False, True, Faults(), True),
        (True, True, Faults(), True),
        (False, False, Faults(), False),
        (True, True, Faults(horn_open=True), False),
        (True, True, Faults(line_short=True), False),
        (True, True, Faults(amplifier_no_power=True), False),
        (True, True, Faults(amplifier_hot=True, dc_low=True, microphone_deaf=True), True),
    ],
)
def test_sound_passes_by_either_amplifier(
    tmp_path: Path,
    sink: SimulatedSink,
    *,
    main: bool | None,
    spare: bool | None,
    faults: Faults,
    sounds: bool,
) -> None:
    for is_spare, on in ((False, main), (True, spare)):
        if on is not None:
            cell = AmplifierCell(tmp_path, "main", spare=is_spare, writable=True)
            cell.store(gate(on=on))
            cell.close()
    assert heard(sink, faults) == (LOUD if sounds else bytes(len(LOUD)))
    sink.release()


def test_the_edge_of_a_switch_over_is_exact(tmp_path: Path, sink: SimulatedSink) -> None:
    now_ns = time.monotonic_ns()
    frame = sink._file.frame_at(now_ns)
    edge_ns = sink._file.origin_ns + pcm.ns_of_frames(frame + 10)
    main, spare = (AmplifierCell(tmp_path, "main", spare=s, writable=True) for s in (False, True))
    main.store(gate(on=False, since_ns=edge_ns))
    spare.store(gate(on=True, since_ns=edge_ns + pcm.ns_of_frames(20)))
    found = sink._gated(frame, LOUD, sink._gates(Faults()))
    silent = [at for at in range(48) if found[at * 2 : at * 2 + 2] == b"\x00\x00"]
    assert len(silent) == pytest.approx(20, abs=1)
    assert silent == list(range(silent[0], silent[-1] + 1))
    for cell in (main, spare):
        cell.close()
    sink.release()
