"""What every sound output owes, asked of the simulated card and of ALSA without hardware."""

from __future__ import annotations

import array
import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.api import (
    Audio,
    CueEnded,
    CueStarted,
    DeviceUnavailableError,
    DriverSetupError,
    EndReason,
    ItemFailed,
    ItemStarted,
    Level,
)
from drivers.audio.driver import AlsaAudio, SimulatedAudio
from tests.contract.sound import MS, RATE, hearing, item, listen, soon, tone

pytestmark = pytest.mark.slow  # sound takes its time

ALSA_CONFIG = """
</usr/share/alsa/alsa.conf>
pcm.village {{ type file slave.pcm null file "{file}" format raw }}
"""


@dataclass
class Bench:
    """A driver and a way to hear it.

    Attributes:
        timed: the device keeps time like a card and its recording can be compared with the clock.
    """

    open: Callable[[], AbstractAsyncContextManager[Audio]]
    heard: Callable[[], array.array[int]]
    timed: bool


@pytest.fixture(params=["simulated", "alsa"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "simulated":
        box = tmp_path / "box"
        driver = SimulatedAudio.from_options("horn", {"dir": str(box)})
        return Bench(driver.open, lambda: listen(box).samples, timed=True)
    output = tmp_path / "heard.raw"
    config = tmp_path / "asound.conf"
    config.write_text(ALSA_CONFIG.format(file=output))
    alsa = AlsaAudio.from_options("horn", {"device": "village", "alsa_config": str(config)})

    def heard() -> array.array[int]:
        return array.array("h", output.read_bytes())

    return Bench(alsa.open, heard, timed=False)


async def test_a_cue_reports_its_life_in_order(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        at_ns = soon()
        items = (item(media / "tone.flac", duration_ms=200), item(media / "high.flac", duration_ms=200))
        await audio.cue(7, items, at_ns)
        ended = await ear.ended(7)
    started = ear.of(CueStarted)[0]
    assert abs(started.at_ns - at_ns) < 2 * MS
    first, second = ear.of(ItemStarted)
    assert (first.index, second.index) == (0, 1)
    assert abs(second.at_ns - first.at_ns - 200 * MS) < 2 * MS
    assert ended.reason is EndReason.FINISHED
    assert ended.played_ms == 400
    assert abs(ended.at_ns - at_ns - 400 * MS) < 3 * MS
    assert isinstance(ear.events[0], CueStarted)
    assert isinstance(ear.events[-1], CueEnded)


async def test_sound_is_exact_and_items_follow_without_a_gap(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        items = (item(media / "tone.flac", duration_ms=200), item(media / "high.flac", duration_ms=200))
        await audio.cue(1, items, soon(), fade_in_ms=0)
        await ear.ended(1)
    heard = bench.heard()
    wanted = tone(1000, 200) + tone(3000, 200)
    begin = next(n for n, sample in enumerate(heard) if sample)
    assert heard[begin : begin + len(wanted)].tolist() == wanted
    assert not any(heard[begin + len(wanted) :])


async def test_levels_come_at_least_four_times_a_second(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac", duration_ms=4000),), soon(300))
        await ear.started(1)
        begun = time.monotonic()
        await ear.until(lambda: len(ear.of(Level)) >= 5)
        assert time.monotonic() - begun < 5 * 0.25 + 0.1
        await audio.stop(1)
        await ear.ended(1)
    steady = ear.of(Level)[1:5]
    for level in steady:
        assert level.rms_dbfs == pytest.approx(-9.03, abs=0.2)
        assert level.peak_dbfs == pytest.approx(-6.02, abs=0.2)
    assert [level.played_ms for level in steady] == sorted({level.played_ms for level in steady})


async def test_gain_and_clamp(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "tone.flac", duration_ms=200, gain_db=-6.0),), soon(300))
        await ear.ended(1)
        await audio.cue(
            2, (item(media / "tone.flac", duration_ms=200, gain_db=20.0),), soon(300), max_dbfs=-3.0
        )
        await ear.ended(2)
    heard = bench.heard()
    half = len(heard) // 2
    first = max(abs(sample) for sample in heard[:half])
    assert first == pytest.approx(16384 * 10 ** (-6 / 20), rel=0.01)
    assert max(abs(sample) for sample in heard) == pytest.approx(32768 * 10 ** (-3 / 20), rel=0.01)


async def test_start_position_in_a_file(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(
            1, (item(media / "stairs.flac", start_ms=1700, duration_ms=3000),), soon(), fade_in_ms=0
        )
        ended = await ear.ended(1)
    assert ended.played_ms == 1300
    heard = bench.heard()
    begin = next(n for n, sample in enumerate(heard) if sample)
    wanted = [(n % 9973) * 3 - 14000 for n in range(1700 * RATE // 1000, 3000 * RATE // 1000)]
    assert heard[begin : begin + len(wanted)].tolist() == wanted


async def test_stop_is_quick_and_gentle(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac", duration_ms=4000),), soon(300))
        await ear.started(1)
        await asyncio.sleep(0.15)
        stopped_ns = time.monotonic_ns()
        await audio.stop(1)
        ended = await ear.ended(1)
    assert ended.reason is EndReason.STOPPED
    assert ended.at_ns - stopped_ns <= 150 * MS
    heard = bench.heard()
    steepest = max(abs(b - a) for a, b in zip(heard[-9600:], heard[-9599:], strict=False))
    assert steepest < 5000


async def test_stop_of_another_cue_changes_nothing(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.stop(3)
        await audio.cue(4, (item(media / "tone.flac", duration_ms=200),), soon(300))
        await audio.stop(3)
        assert (await ear.ended(4)).reason is EndReason.FINISHED


async def test_a_waiting_cue_can_be_stopped(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "tone.flac"),), soon(5000))
        await audio.stop(1)
        ended = await ear.ended(1)
    assert (ended.reason, ended.played_ms) == (EndReason.STOPPED, 0)
    assert not ear.of(CueStarted)


async def test_a_new_cue_replaces_the_old_at_its_own_moment(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac", duration_ms=4000),), soon(300))
        await ear.started(1)
        at_ns = soon(300)
        await audio.cue(2, (item(media / "high.flac", duration_ms=200),), at_ns)
        old = await ear.ended(1)
        assert (await ear.ended(2)).reason is EndReason.FINISHED
    assert old.reason is EndReason.STOPPED
    assert abs(old.at_ns - at_ns) < 2 * MS
    assert abs(ear.of(CueStarted)[1].at_ns - at_ns) < 2 * MS


async def test_items_that_cannot_be_decoded_leave_the_time_line_as_announced(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.flac"
    empty.touch()
    page = tmp_path / "page.mp3"
    page.write_text("<html><body>404 Not Found</body></html>")
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(bytes((n * 7919 + n // 251) % 251 for n in range(50_000)))
    headless = tmp_path / "headless.flac"
    headless.write_bytes(b"fLaC" + bytes(range(256)) * 100)
    bad = (empty, page, noise, headless, tmp_path / "missing.flac")
    async with bench.open() as audio, hearing(audio) as ear:
        items = (*(item(path, duration_ms=100) for path in bad), item(media / "tone.flac", duration_ms=200))
        at_ns = soon()
        await audio.cue(1, items, at_ns)
        ended = await ear.ended(1)
    failures = ear.of(ItemFailed)
    assert [(failure.index, failure.code) for failure in failures] == [(n, "unreadable") for n in range(5)]
    assert [started.index for started in ear.of(ItemStarted)] == [5]
    assert abs(ear.of(ItemStarted)[0].at_ns - at_ns - 500 * MS) < 2 * MS
    assert (ended.reason, ended.played_ms) == (EndReason.FINISHED, 700)


async def test_bad_items_of_unknown_length_are_skipped_at_once(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.mp3"
    page.write_text("<html></html>")
    async with bench.open() as audio, hearing(audio) as ear:
        at_ns = soon()
        await audio.cue(1, (item(page), item(media / "tone.flac")), at_ns)
        await ear.ended(1)
    assert abs(ear.of(ItemStarted)[0].at_ns - at_ns) < 2 * MS


async def test_a_truncated_file_is_reported_and_its_slot_kept(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    whole = (media / "long.flac").read_bytes()
    short = tmp_path / "short.flac"
    short.write_bytes(whole[: len(whole) // 2])
    async with bench.open() as audio, hearing(audio) as ear:
        at_ns = soon()
        items = (item(short, duration_ms=4000, start_ms=3200), item(media / "tone.flac", duration_ms=200))
        await audio.cue(1, items, at_ns)
        await ear.ended(1)
        await audio.cue(2, (item(short, duration_ms=4000),), soon(250))
        await ear.until(lambda: any(failure.cue == 2 for failure in ear.of(ItemFailed)))
        await audio.stop(2)
    assert [failure.index for failure in ear.of(ItemFailed) if failure.cue == 1] == [0]
    assert [failure.code for failure in ear.of(ItemFailed) if failure.cue == 2] == ["truncated"]
    assert abs(ear.of(ItemStarted)[0].at_ns - at_ns - 800 * MS) < 2 * MS


async def test_a_file_longer_than_announced_is_cut(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        items = (item(media / "long.flac", duration_ms=300), item(media / "high.flac", duration_ms=200))
        await audio.cue(1, items, soon())
        ended = await ear.ended(1)
    assert ended.played_ms == 500
    assert not ear.of(ItemFailed)


@pytest.mark.parametrize("form", ["wav", "mp3", "ogg", "opus", "m4a"])
async def test_other_formats_play(bench: Bench, media: Path, tmp_path: Path, form: str) -> None:
    if not bench.timed:
        pytest.skip("decoding does not depend on the card")
    from tests.contract.sound import convert

    path = convert(media / "long.flac", tmp_path / f"long.{form}", "-t", "1")
    async with bench.open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(path, duration_ms=1000),), soon(1000))
        ended = await ear.ended(1)
    assert not ear.of(ItemFailed)
    assert ended.played_ms == 1000
    loud = sum(1 for sample in bench.heard() if abs(sample) > 1000)
    assert loud > 0.8 * RATE


async def test_a_hundred_quick_cues_leave_nothing_behind(bench: Bench, media: Path) -> None:
    async with bench.open() as audio, hearing(audio) as ear:
        process = Path(f"/proc/{audio.pid}")  # type: ignore[attr-defined]

        async def burst(first: int, count: int) -> tuple[int, int]:
            for number in range(first, first + count):
                await audio.cue(number, (item(media / "long.flac", duration_ms=4000),), soon(10))
                await asyncio.sleep(0.01)
                await audio.stop(number, fade_ms=5)
                await ear.ended(number)
            return await settled()

        async def settled() -> tuple[int, int]:
            """Fds and threads, once nothing changes any more."""
            counts = [(0, 0)]
            while len(counts) < 4 or len(set(counts[-4:])) > 1:
                await asyncio.sleep(0.1)
                counts.append(
                    (len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())))
                )
            return counts[-1]

        before = await burst(1, 3)
        after = await burst(10, 30)
    assert after[0] <= before[0]
    assert after[1] <= before[1]


async def test_wrong_arguments_are_refused(bench: Bench, media: Path) -> None:
    async with bench.open() as audio:
        with pytest.raises(ValueError, match="at least one item"):
            await audio.cue(1, (), soon())
        with pytest.raises(ValueError, match="out of range"):
            await audio.cue(1, (item(media / "tone.flac"),), soon(), fade_in_ms=5000)


async def test_probe_of_a_healthy_output(bench: Bench, media: Path) -> None:
    async with bench.open() as audio:
        await audio.probe()
        await audio.cue(1, (item(media / "tone.flac"),), soon(20))
        await audio.probe()


async def test_a_user_that_fails_or_is_cancelled_leaves_silence(bench: Bench, media: Path) -> None:
    pids: list[int] = []

    async def user(*, fail: bool) -> None:
        async with bench.open() as audio:
            pids.append(audio.pid)  # type: ignore[attr-defined]
            await audio.cue(1, (item(media / "long.flac"),), soon(50))
            await asyncio.sleep(0.3)
            if fail:
                raise RuntimeError("user failed")
            await asyncio.sleep(10)

    with pytest.raises(RuntimeError, match="user failed"):
        await user(fail=True)
    task = asyncio.create_task(user(fail=False))
    await asyncio.sleep(0.8)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


async def test_a_missing_card_is_named_and_no_other_is_used() -> None:
    audio = AlsaAudio.from_options("horn", {"device": "plughw:CARD=NoSuchCard,DEV=0"})
    with pytest.raises(DeviceUnavailableError, match=r"NoSuchCard.*cards found"):
        async with audio.open():
            raise AssertionError("opened a card that does not exist")


@pytest.mark.parametrize(
    "device", ["hw:0", "plughw:1,0", "hw:CARD=1", "default", "sysdefault", "null", "dmix"]
)
def test_a_card_must_be_named_by_what_stays(device: str) -> None:
    with pytest.raises(DriverSetupError, match="plughw:CARD=Device,DEV=0"):
        AlsaAudio.from_options("horn", {"device": device})
    AlsaAudio.from_options("horn", {"device": device, "alsa_config": "/etc/village.conf"})


@pytest.mark.parametrize(
    "device",
    ["plughw:CARD=Device,DEV=0", "hw:CARD=Headphones", "plughw:Device_1,0", "dmix:CARD=Device,DEV=0"],
)
def test_a_card_by_name_is_accepted(device: str) -> None:
    AlsaAudio.from_options("horn", {"device": device, "card_name": "USB Audio"})


def test_options_are_checked() -> None:
    with pytest.raises(DriverSetupError, match="device"):
        AlsaAudio.from_options("horn", {})
    with pytest.raises(DriverSetupError, match="volume"):
        AlsaAudio.from_options("horn", {"device": "hw:CARD=Device", "volume": 3})
    with pytest.raises(DriverSetupError, match="dir"):
        SimulatedAudio.from_options("horn", {})
    with pytest.raises(DriverSetupError, match="keep_minutes"):
        SimulatedAudio.from_options("horn", {"dir": "/tmp/x", "keep_minutes": 0})
    with pytest.raises(DriverSetupError, match="ppm"):
        SimulatedAudio.from_options("horn", {"dir": "/tmp/x", "ppm": 3000})
