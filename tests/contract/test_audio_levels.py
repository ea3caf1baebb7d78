"""Signals, volume, limit and ducking, as they come out of a simulated loudspeaker."""

from __future__ import annotations

import array
import asyncio
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.api import CueEnded, CueItem, CueStarted, EndReason, Level, Signal
from drivers.audio.driver import SimulatedAudio
from tests.contract.sound import MS, RATE, Recording, hearing, item, listen, rms, soon, tone, write_wav

pytestmark = pytest.mark.slow  # sound takes its time

TONE_PEAK = 8230


def driver(box: Path, **options: object) -> SimulatedAudio:
    return SimulatedAudio.from_options("horn", {"dir": str(box), **options})


def note(ms: int, *, hertz: int = 1000, gain_db: float = 0.0) -> CueItem:
    return CueItem(signal=Signal.TONE, hertz=hertz, duration_ms=ms, gain_db=gain_db)


def steepest(samples: Sequence[int]) -> int:
    return max(abs(b - a) for a, b in itertools.pairwise(samples))


def highest(samples: Sequence[int]) -> int:
    return max(abs(sample) for sample in samples)


async def test_a_signal_sounds_80_ms_after_the_order_from_rest_and_over_other_sound(tmp_path: Path) -> None:
    box = tmp_path / "box"
    at = []
    async with driver(box).open() as audio, hearing(audio) as ear:
        for number in range(1, 7):
            at.append(soon(80))
            await audio.cue(number, (CueItem(signal=Signal.ATTENTION, duration_ms=3000),), at[-1])
            await ear.started(number)
            await asyncio.sleep(0.3)
            if number == 3:
                await audio.stop(3)
                await asyncio.sleep(0.6)
        await audio.stop(6)
        await ear.ended(6)
    errors = sorted(
        abs(started.at_ns - at_ns) / MS for started, at_ns in zip(ear.of(CueStarted), at, strict=True)
    )
    assert errors[3] < 2  # the machine may hold one of them up
    heard = listen(box)
    assert abs(heard.first_sound(at[0] - 20 * MS, level=300) - at[0]) < 40 * MS


async def test_a_late_signal_joins_where_the_clock_says(tmp_path: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = time.monotonic_ns() - 700 * MS
        await audio.cue(1, (note(1000, hertz=480), note(400, hertz=2400)), at_ns)
        ended = await ear.ended(1)
    assert abs(ended.at_ns - at_ns - 1400 * MS) < 3 * MS
    heard = listen(box)
    assert steepest(heard.part(at_ns + 750 * MS, 200)) < 600
    assert steepest(heard.part(at_ns + 1050 * MS, 300)) > 2000
    assert heard.first_sound(0) < at_ns + 900 * MS


async def test_volume_and_limit_follow_while_it_sounds(tmp_path: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = soon(100)
        await audio.cue(1, (note(5000),), at_ns, volume_db=-6.0)
        await ear.started(1)
        await asyncio.sleep(0.4)
        changed = [time.monotonic_ns()]
        await audio.adjust(1, volume_db=6.0, max_dbfs=-1.0, ramp_ms=100)
        await asyncio.sleep(0.5)
        changed.append(time.monotonic_ns())
        await audio.adjust(1, volume_db=6.0, max_dbfs=-20.0, ramp_ms=100)
        await audio.adjust(99, volume_db=6.0, max_dbfs=-20.0)
        await asyncio.sleep(0.5)
        await audio.stop(1)
        await ear.ended(1)
    heard = listen(box)
    assert highest(heard.part(at_ns + 50 * MS, 300)) == pytest.approx(TONE_PEAK * 0.501, rel=0.02)
    assert highest(heard.part(changed[0] + 300 * MS, 150)) == pytest.approx(TONE_PEAK * 1.995, rel=0.02)
    low = highest(heard.part(changed[1] + 300 * MS, 150))
    assert low <= 32768 * 0.1
    assert low == pytest.approx(3276, rel=0.02)
    assert steepest(heard.samples) <= 2 * TONE_PEAK * 0.1309 + 2 * TONE_PEAK / 240


async def test_a_waiting_cue_can_be_adjusted(tmp_path: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (note(300),), soon(300))
        await audio.adjust(1, volume_db=-20.0, max_dbfs=-1.0, ramp_ms=5000)
        await ear.ended(1)
    assert highest(listen(box).samples) == pytest.approx(TONE_PEAK * 0.1, rel=0.03)


@pytest.mark.parametrize(("gain_db", "volume_db", "max_dbfs"), [(20.0, 12.0, -1.0), (20.0, 0.0, -12.0)])
async def test_the_limiter_holds_loud_sound_without_clipping_it(
    tmp_path: Path, gain_db: float, volume_db: float, max_dbfs: float
) -> None:
    box = tmp_path / "box"
    path = write_wav(
        tmp_path / "a.wav", tone(1000, 300, 0.02) + tone(1000, 300, 0.99) + tone(1000, 300, 0.02)
    )
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = soon(300)
        await audio.cue(
            1, (item(path, duration_ms=900, gain_db=gain_db),), at_ns, volume_db=volume_db, max_dbfs=max_dbfs
        )
        await ear.ended(1)
    heard = listen(box)
    limit = 32768 * 10 ** (max_dbfs / 20)
    assert limit * 0.98 < highest(heard.samples) <= limit
    loud = heard.part(at_ns + 350 * MS, 200)
    assert rms(loud) == pytest.approx(highest(loud) / 2**0.5, rel=0.01)  # still a sine


async def test_sound_below_the_limit_passes_bit_exact(tmp_path: Path) -> None:
    box = tmp_path / "box"
    wanted = tone(997, 700, 0.88)
    path = write_wav(tmp_path / "a.wav", wanted)
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = soon(300)
        await audio.cue(1, (item(path, duration_ms=700),), at_ns, fade_in_ms=0)
        await ear.ended(1)
    heard = listen(box)
    begin = heard.index(heard.first_sound(at_ns - 10 * MS))
    assert heard.samples[begin : begin + len(wanted)].tolist() == wanted


async def test_what_sounded_before_goes_on_underneath_and_then_ends(tmp_path: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (note(10_000, hertz=480),), soon(80))
        await ear.started(1)
        at_ns = soon(300)
        await audio.cue(
            2, (CueItem(signal=Signal.SILENCE, duration_ms=2500),), at_ns, duck_ms=1000, duck_db=-20.0
        )
        old = await ear.ended(1)
        new = await ear.ended(2)
    assert (old.reason, new.reason) == (EndReason.STOPPED, EndReason.FINISHED)
    assert 1000 * MS <= old.at_ns - at_ns < 1150 * MS
    assert abs(new.at_ns - at_ns - 2500 * MS) < 3 * MS
    levels = [event for event in ear.of(Level) if event.cue == 2]
    assert len(levels) >= 8
    assert new.played_ms == 2500
    heard = listen(box)
    assert highest(heard.part(at_ns - 100 * MS, 90)) == pytest.approx(TONE_PEAK, rel=0.02)
    assert highest(heard.part(at_ns + 150 * MS, 800)) == pytest.approx(TONE_PEAK * 0.1, rel=0.03)
    assert highest(heard.part(at_ns + 1200 * MS, 1000)) == 0
    assert steepest(heard.samples) < TONE_PEAK * 0.0629 + TONE_PEAK / 240 + 20


async def test_both_at_once_stay_below_the_limit(tmp_path: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (note(10_000, gain_db=11.0),), soon(80))
        await ear.started(1)
        await audio.cue(
            2, (note(800, gain_db=11.0),), soon(200), duck_ms=5000, duck_db=0.0, max_dbfs=-1.5, volume_db=3.0
        )
        await ear.ended(2)
        await ear.ended(1, limit_s=1)
    assert 26_000 < highest(listen(box).samples) <= 32768 * 10 ** (-1.0 / 20)
    ends = [event.cue for event in ear.of(CueEnded)]
    assert sorted(ends) == [1, 2]


async def test_every_start_stop_and_change_is_without_a_click(tmp_path: Path) -> None:
    async def steepest_of(box: Path) -> int:
        async with driver(box).open() as audio, hearing(audio) as ear:
            for number in range(1, 6):
                await audio.cue(number, (note(10_000, hertz=480),), soon(80))
                await ear.started(number)
                await asyncio.sleep(0.1)
            await audio.stop(5, fade_ms=0)
            await ear.ended(5)
        return steepest(listen(box).samples)

    # A machine that stands still for half a second tears a hole into any sound: the best of three counts.
    found = [await steepest_of(tmp_path / f"box{n}") for n in range(3)]
    assert min(found) <= TONE_PEAK * 0.0629 + TONE_PEAK / 240 + 20


@pytest.mark.timeout(90)
async def test_two_boxes_with_different_crystals_stay_together(tmp_path: Path) -> None:
    """A fast and a slow card, 1600 ppm apart: without correction they would be 32 ms apart after 20 s."""
    seconds = 20
    marks = [0] * (seconds * RATE)
    for second in range(seconds):
        marks[second * RATE : second * RATE + 4800] = tone(480, 100, 0.3)
    path = write_wav(tmp_path / "marks.wav", marks)
    boxes = {ppm: tmp_path / f"box{ppm}" for ppm in (800, -800)}
    async with (
        driver(boxes[800], ppm=800).open() as fast,
        driver(boxes[-800], ppm=-800).open() as slow,
        hearing(fast) as fast_ear,
        hearing(slow) as slow_ear,
    ):
        at_ns = soon(600)
        for audio in (fast, slow):
            await audio.cue(1, (item(path, duration_ms=seconds * 1000),), at_ns, fade_in_ms=0)
        ends = [await ear.ended(1, limit_s=seconds + 10) for ear in (fast_ear, slow_ear)]
    heard = [listen(box) for box in boxes.values()]
    compared = 0
    for second in range(seconds):
        due_ns = at_ns + second * 1000 * MS
        errors = [(one.first_sound(due_ns - 300 * MS, level=1000) - due_ns) / MS for one in heard]
        if max(abs(error) for error in errors) > 20:
            continue  # the machine stood still: without correction the drift would be 16 ms at most
        compared += 1
        assert abs(errors[0] - errors[1]) < 5, (second, errors)
        assert max(abs(error) for error in errors) < 5, (second, errors)
    assert compared >= seconds // 2
    assert all(abs(end.at_ns - at_ns - seconds * 1000 * MS) < 5 * MS for end in ends)
    for one in heard:
        assert largest_jump(one, at_ns) <= 3 * 0.3 * 32767 * 0.0629


def largest_jump(heard: Recording, at_ns: int) -> int:
    """Highest step within the first half of a mark, once it sounds."""
    begin = heard.index(heard.first_sound(at_ns + 900 * MS, level=1000))
    part: array.array[int] = heard.samples[begin : begin + 2400]
    return steepest(part)
