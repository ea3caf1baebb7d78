"""Live sound: what real encoders write into a FIFO, and a captured input, as they come out of a box."""

from __future__ import annotations

import array
import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.api import (
    Audio,
    CueItem,
    CueStarted,
    EndReason,
    FeedKind,
    ItemFailed,
    ItemStarted,
    Level,
    LiveFeed,
    Signal,
)
from drivers.audio.driver import SimulatedAudio
from tests.contract.sound import MS, RATE, Ear, hearing, listen, rms, soon, tone, write_wav

pytestmark = pytest.mark.slow  # sound takes its time

FORMS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"),
    "mp2": ("-c:a", "mp2", "-b:a", "128k", "-f", "mp2"),
    "aac": ("-c:a", "aac", "-b:a", "96k", "-f", "adts"),
    "ts": ("-c:a", "aac", "-b:a", "96k", "-f", "mpegts"),
    "opus": ("-c:a", "libopus", "-b:a", "64k", "-page_duration", "100000", "-f", "ogg"),
    "flac": ("-f", "flac"),
    "wav": ("-f", "wav"),
}


def encode(samples: list[int], *options: str) -> bytes:
    raw = array.array("h", samples).tobytes()
    command = ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "-", *options, "-"]
    return subprocess.run(command, input=raw, capture_output=True, check=True).stdout


class Writer:
    """Writes encoded sound into a FIFO at the pace at which it was spoken, as a live source does."""

    def __init__(
        self, fifo: Path, data: bytes, seconds: float, *, pause: tuple[float, float] = (1e9, 0)
    ) -> None:
        self.began_ns = 0
        self._fifo, self._data, self._seconds, self._pause = fifo, data, seconds, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join(3)

    def _open(self) -> int:
        """The FIFO, once somebody reads from it; -1 when it is over before."""
        while not self._over.wait(0.01):
            try:
                descriptor = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                continue
            os.set_blocking(descriptor, True)
            return descriptor
        return -1

    def _run(self) -> None:
        descriptor = self._open()
        if descriptor < 0:
            return
        self.began_ns = time.monotonic_ns()
        sent, total = 0, len(self._data)
        try:
            while sent < total and not self._over.wait(0.01):
                passed = (time.monotonic_ns() - self.began_ns) / 1e9
                if self._pause[0] < passed < sum(self._pause):
                    continue
                if passed >= sum(self._pause):
                    passed -= self._pause[1]
                wanted = min(total, int((passed + 0.01) / self._seconds * total))
                if wanted > sent:
                    sent += os.write(descriptor, self._data[sent:wanted])
        except BrokenPipeError:
            pass
        finally:
            os.close(descriptor)


def driver(box: Path) -> SimulatedAudio:
    return SimulatedAudio.from_options("horn", {"dir": str(box)})


def pipe(fifo: Path, buffer_ms: int = 300, duration_ms: int = 0, gain_db: float = 0.0) -> CueItem:
    feed = LiveFeed(FeedKind.PIPE, str(fifo), buffer_ms)
    return CueItem(feed=feed, duration_ms=duration_ms, gain_db=gain_db)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "live"
    os.mkfifo(path)
    return path


def with_mark(seconds: int, mark_s: float) -> list[int]:
    """A quiet hum with one loud mark."""
    samples = tone(440, seconds * 1000, 0.05)
    loud = tone(1000, 60, 0.8)
    begin = round(mark_s * RATE)
    samples[begin : begin + len(loud)] = loud
    return samples


async def test_an_mp3_stream_is_heard_within_600_ms(tmp_path: Path, fifo: Path) -> None:
    data = encode(with_mark(5, 3.0), *FORMS["mp3"])
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        with Writer(fifo, data, 5).writing() as writer:
            await audio.cue(1, (pipe(fifo),), soon(80))
            await ear.until(lambda: ear.of(ItemFailed), 8)
            await asyncio.sleep(0.2)
            await audio.stop(1)
            await ear.ended(1)
    heard = listen(box)
    first_ns = heard.first_sound(0, level=200)
    delay_ms = (heard.first_sound(first_ns, level=12_000) - writer.began_ns) / MS - 3000
    assert 200 < delay_ms < 700  # 460 measured on a quiet machine
    assert [(one.index, one.code) for one in ear.of(ItemFailed)] == [(0, "input_lost")]
    assert [started.index for started in ear.of(ItemStarted)] == [0]


@pytest.mark.parametrize("form", ["aac", "ts", "opus", "flac", "wav"])
async def test_every_live_format_is_heard(tmp_path: Path, fifo: Path, form: str) -> None:
    import random

    noise = random.Random(3)
    samples = [round(value + noise.gauss(0, 700)) for value in with_mark(4, 2.8)]
    data = encode(samples, *FORMS[form])
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        with Writer(fifo, data, 4).writing() as writer:
            await audio.cue(1, (pipe(fifo, 500),), soon(80))
            await asyncio.sleep(4.2)
            await audio.stop(1)
            await ear.ended(1)
    heard = listen(box)
    delay_ms = (heard.first_sound(0, level=14_000) - writer.began_ns) / MS - 2800
    assert 0 < delay_ms < 1100
    assert not [one for one in ear.of(ItemFailed) if one.code == "unreadable"]


async def test_no_writer_is_silence_that_is_told_and_no_hang(tmp_path: Path, fifo: Path) -> None:
    async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:
        at_ns = soon(80)
        await audio.cue(1, (pipe(fifo, duration_ms=2500),), at_ns)
        ended = await ear.ended(1)
        await audio.probe()
    assert (ended.reason, ended.played_ms) == (EndReason.FINISHED, 2500)
    assert abs(ended.at_ns - at_ns - 2500 * MS) < 3 * MS
    levels = ear.of(Level)
    assert levels[-1].starved_ms == pytest.approx(2500, abs=300)
    assert [one.starved_ms for one in levels] == sorted(one.starved_ms for one in levels)
    assert max(one.peak_dbfs for one in levels) == -120.0
    assert not ear.of(ItemFailed)


async def test_a_source_that_pauses_starves_and_comes_back(tmp_path: Path, fifo: Path) -> None:
    data = encode(tone(440, 5000, 0.3), *FORMS["mp3"])
    async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:
        with Writer(fifo, data, 5, pause=(1.5, 2.0)).writing():
            await audio.cue(1, (pipe(fifo),), soon(80))

            def flowing(after_starving: bool) -> bool:
                starved = [n for n, one in enumerate(ear.of(Level)) if one.starved_ms > 700]
                rest = ear.of(Level)[starved[-1] + 1 :] if after_starving and starved else []
                if not after_starving:
                    rest = ear.of(Level)
                return any(one.starved_ms == 0 and one.rms_dbfs > -20 for one in rest)

            await ear.until(lambda: flowing(False), 5)
            await ear.until(lambda: flowing(True), 8)
            await audio.stop(1)
            await ear.ended(1)
    assert ear.lost is None
    assert not ear.of(ItemFailed)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 400, "unreadable"),
        (bytes((n * 7919 + n // 251) % 251 for n in range(60_000)), "unreadable"),
        (b"OggS" + bytes(200_000), "unreadable"),
        (b"", "input_lost"),
    ],
    ids=["page", "noise", "fake-ogg", "nothing"],
)
async def test_what_is_no_sound_is_told_and_the_cue_goes_on(
    tmp_path: Path, fifo: Path, data: bytes, code: str
) -> None:
    box = tmp_path / "box"
    after = CueItem(signal=Signal.TONE, duration_ms=300)
    async with driver(box).open() as audio, hearing(audio) as ear:
        with Writer(fifo, data, 0.5).writing():
            at_ns = soon(80)
            await audio.cue(1, (pipe(fifo, duration_ms=3000), after), at_ns)
            ended = await ear.ended(1)
    assert [(one.index, one.code) for one in ear.of(ItemFailed)] == [(0, code)]
    assert (ended.reason, ended.played_ms) == (EndReason.FINISHED, 3300)
    assert abs(listen(box).first_sound(0, level=100) - at_ns - 3000 * MS) < 5 * MS


async def test_a_missing_fifo_is_told(tmp_path: Path) -> None:
    async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:
        await audio.cue(1, (pipe(tmp_path / "none", duration_ms=500),), soon(80))
        await ear.ended(1)
    assert [one.code for one in ear.of(ItemFailed)] == ["unreadable"]
    assert "cannot be opened" in ear.of(ItemFailed)[0].detail


async def test_another_format_in_the_middle_and_a_blast_stay_below_the_limit(
    tmp_path: Path, fifo: Path
) -> None:
    import random

    noise = random.Random(5)
    blast = [noise.randint(-32768, 32767) for _ in range(RATE)]
    quiet = encode(tone(440, 2000, 0.1), "-ar", "44100", "-ac", "2", "-b:a", "128k", "-f", "mp3")
    loud = encode(blast, "-ar", "24000", "-ac", "1", "-b:a", "64k", "-f", "mp3")
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        with Writer(fifo, quiet + loud + quiet, 5).writing():
            await audio.cue(1, (pipe(fifo, gain_db=20.0),), soon(80), max_dbfs=-6.0, volume_db=6.0)
            await asyncio.sleep(5.5)
            await audio.stop(1)
            await ear.ended(1)
    samples = listen(box).samples
    assert ear.lost is None
    assert 10_000 < max(abs(sample) for sample in samples) <= 32768 * 10 ** (-6 / 20)


async def test_live_after_a_signal_and_stopped_at_once(tmp_path: Path, fifo: Path) -> None:
    data = encode(tone(440, 5000, 0.3), *FORMS["mp3"])
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        with Writer(fifo, data, 5).writing():
            at_ns = soon(80)
            await audio.cue(1, (CueItem(signal=Signal.ATTENTION, duration_ms=1000), pipe(fifo)), at_ns)
            await asyncio.sleep(2.0)
            stopped_ns = time.monotonic_ns()
            await audio.stop(1)
            ended = await ear.ended(1)
    assert ended.at_ns - stopped_ns < 200 * MS
    assert [started.index for started in ear.of(ItemStarted)] == [0, 1]
    assert abs(ear.of(ItemStarted)[1].at_ns - at_ns - 1000 * MS) < 2 * MS
    heard = listen(box)
    assert rms(heard.part(at_ns + 1200 * MS, 500)) == pytest.approx(0.3 * 32767 / 2**0.5, rel=0.2)


def threads(audio: Audio) -> int:
    pid = audio.pid  # type: ignore[attr-defined]
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def memory_mb(audio: Audio) -> float:
    pid = audio.pid  # type: ignore[attr-defined]
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def test_live_cues_leave_no_threads_files_or_memory_behind(tmp_path: Path, fifo: Path) -> None:
    data = encode(tone(440, 3000, 0.3), *FORMS["mp3"])
    async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:

        async def turn(number: int) -> None:
            with Writer(fifo, data, 3).writing():
                await audio.cue(number, (pipe(fifo, 100),), soon(80))
                await asyncio.sleep(0.5)
                await audio.stop(number, fade_ms=5)
                await ear.ended(number)

        async def rest() -> tuple[int, int, float]:
            await asyncio.sleep(1.0)
            fds = len(list(Path(f"/proc/{audio.pid}/fd").iterdir()))  # type: ignore[attr-defined]
            return threads(audio), fds, memory_mb(audio)

        for number in range(1, 6):
            await turn(number)
        before = await rest()
        for number in range(10, 25):
            await turn(number)
        after = await rest()
    assert after[:2] <= before[:2]
    assert after[2] < before[2] + 2
    assert after[2] < 45


async def captured(box: Path, source: Path, ear_of: list[Ear], during: object = None) -> None:
    async with driver(box).open() as audio, hearing(audio) as ear:
        ear_of.append(ear)
        feed = LiveFeed(FeedKind.CAPTURE, f"simulated:{source}", 100)
        await audio.cue(1, (CueItem(feed=feed, duration_ms=2500),), soon(80))
        await asyncio.sleep(1.6)
        if during == "unplug":
            source.unlink()
        await ear.ended(1)


async def test_a_captured_input_is_heard_over_and_over(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "input.wav", tone(480, 500, 0.3))
    ears: list[Ear] = []
    await captured(tmp_path / "box", source, ears)
    heard = listen(tmp_path / "box")
    begin = ears[0].of(CueStarted)[0].at_ns
    first_ns = heard.first_sound(0, level=300)
    assert 50 * MS < first_ns - begin < 400 * MS
    part = heard.part(first_ns + 50 * MS, 1800)
    assert rms(part) == pytest.approx(0.3 * 32767 / 2**0.5, rel=0.1)
    assert not ears[0].of(ItemFailed)


async def test_an_unplugged_input_is_told_and_the_cue_goes_on_in_silence(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "input.wav", tone(480, 500, 0.3))
    ears: list[Ear] = []
    await captured(tmp_path / "box", source, ears, "unplug")
    assert [(one.index, one.code) for one in ears[0].of(ItemFailed)] == [(0, "input_lost")]
    assert ears[0].of(Level)[-1].starved_ms > 300
    assert (await ears[0].ended(1)).played_ms == 2500


async def test_an_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    for place in ("plughw:CARD=NoSuchCard,DEV=0", f"simulated:{tmp_path}/none.wav"):
        async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:
            feed = LiveFeed(FeedKind.CAPTURE, place, 100)
            await audio.cue(1, (CueItem(feed=feed, duration_ms=300),), soon(80))
            await ear.ended(1)
        assert [one.code for one in ear.of(ItemFailed)] == ["input_lost"]
