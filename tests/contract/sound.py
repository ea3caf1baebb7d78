"""Makes test sounds, and listens to what a driver gave out."""

from __future__ import annotations

import array
import asyncio
import json
import math
import subprocess
import time
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from drivers.api import Audio, AudioEvent, CueEnded, CueItem, CueStarted, DeviceUnavailableError

RATE = 48_000
MS = 1_000_000
T = TypeVar("T")
C = TypeVar("C", CueStarted, CueEnded)


def tone(frequency: float, ms: float, level: float = 0.5) -> list[int]:
    """Sine of whole-number amplitude that begins on a loud sample, so that its first frame can be found."""
    frames = round(ms * RATE / 1000)
    return [round(32767 * level * math.cos(2 * math.pi * frequency * n / RATE)) for n in range(frames)]


def staircase(ms: int) -> list[int]:
    """Each sample tells its own place: a sawtooth of 9973 steps, distinct within 200 ms."""
    return [(n % 9973) * 3 - 14000 for n in range(ms * RATE // 1000)]


def write_wav(path: Path, samples: Sequence[int]) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(array.array("h", samples).tobytes())
    return path


def write_flac(path: Path, samples: Sequence[int]) -> Path:
    source = write_wav(path.with_suffix(".source.wav"), samples)
    convert(source, path)
    source.unlink()
    return path


def convert(source: Path, target: Path, *options: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(target)], check=True)
    return target


@dataclass
class Recording:
    """Samples that came out of a simulated loudspeaker, and when."""

    samples: array.array[int]
    first_ns: int

    def index(self, ns: int) -> int:
        return round((ns - self.first_ns) * RATE / 1e9)

    def ns(self, index: int) -> int:
        return self.first_ns + round(index * 1e9 / RATE)

    def first_sound(self, after_ns: int, level: int = 1) -> int:
        """Moment of the first sample of at least `level` after a moment."""
        start = max(0, self.index(after_ns))
        for n in range(start, len(self.samples)):
            if abs(self.samples[n]) >= level:
                return self.ns(n)
        raise AssertionError("nothing was heard")

    def last_sound(self, level: int = 1) -> int:
        for n in range(len(self.samples) - 1, -1, -1):
            if abs(self.samples[n]) >= level:
                return self.ns(n)
        raise AssertionError("nothing was heard")

    def part(self, begin_ns: int, ms: float) -> array.array[int]:
        start = self.index(begin_ns)
        return self.samples[start : start + round(ms * RATE / 1000)]


def listen(directory: Path, stem: str = "speaker") -> Recording:
    side = json.loads((directory / f"{stem}.json").read_text())
    with wave.open(str(directory / f"{stem}.wav"), "rb") as source:
        assert (source.getnchannels(), source.getsampwidth(), source.getframerate()) == (1, 2, RATE)
        data = source.readframes(source.getnframes())
        assert len(data) == source.getnframes() * 2
    return Recording(array.array("h", data), int(side["first_sample_monotonic_ns"]))


def rms(samples: Sequence[int]) -> float:
    return math.sqrt(sum(s * s for s in samples) / len(samples)) if samples else 0.0


@dataclass
class Ear:
    """Collects the events of an open driver."""

    events: list[AudioEvent] = field(default_factory=list)
    lost: DeviceUnavailableError | None = None
    lost_at: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, audio: Audio) -> None:
        try:
            async for event in audio.events():
                self.events.append(event)
                self._news.set()
        except DeviceUnavailableError as error:
            self.lost, self.lost_at = error, time.monotonic()
            self._news.set()

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], object], limit_s: float = 5.0) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _first(self, kind: type[C], cue: int, limit_s: float) -> C:
        """The first event of a kind for a cue; fails with the reason when the worker is lost before."""
        found: list[C] = []

        def look() -> bool:
            found[:] = [event for event in self.of(kind) if event.cue == cue]
            return bool(found or self.lost)

        await self.until(look, limit_s)
        if not found:
            raise AssertionError(f"lost while waiting for {kind.__name__}: {self.lost}")
        return found[0]

    async def ended(self, cue: int, limit_s: float = 8.0) -> CueEnded:
        return await self._first(CueEnded, cue, limit_s)

    async def started(self, cue: int, limit_s: float = 5.0) -> CueStarted:
        return await self._first(CueStarted, cue, limit_s)


@asynccontextmanager
async def hearing(audio: Audio) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(ear.follow(audio))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task])


def soon(ms: float = 400) -> int:
    return time.monotonic_ns() + round(ms * MS)


def item(path: Path, *, start_ms: int = 0, duration_ms: int = 0, gain_db: float = 0.0) -> CueItem:
    return CueItem(path, start_ms=start_ms, duration_ms=duration_ms, gain_db=gain_db)
