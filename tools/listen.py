"""Listens to a simulated speaker: when sound began, where it paused, how loud it was."""

from __future__ import annotations

import json
import math
import sys
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

AUDIBLE = 300
"""Samples above this (of 32,768) count as sound: -41 dBFS."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A stretch of what a simulated speaker played.

    Attributes:
        began: wall clock of the first sample, UTC.
        rate: samples per second.
        samples: 16-bit mono.
    """

    began: datetime
    rate: int
    samples: array[int]

    def at(self, sample: int) -> datetime:
        """Wall clock of a sample."""
        return self.began + timedelta(seconds=sample / self.rate)

    def first_sound(self, after: datetime) -> datetime | None:
        """When the first audible sample at or after a moment was heard."""
        start = max(0, round((after - self.began).total_seconds() * self.rate))
        for n in range(start, len(self.samples)):
            if abs(self.samples[n]) > AUDIBLE:
                return self.at(n)
        return None

    def longest_pause_ms(self, start: datetime, end: datetime) -> float:
        """Longest run without an audible sample between two moments."""
        longest = run = 0
        for n in self._range(start, end):
            run = 0 if abs(self.samples[n]) > AUDIBLE else run + 1
            longest = max(longest, run)
        return longest * 1000 / self.rate

    def rms_dbfs(self, start: datetime, end: datetime) -> float:
        """Level between two moments; -120 for digital silence."""
        part = [self.samples[n] for n in self._range(start, end)]
        power = sum(one * one for one in part) / max(1, len(part))
        return 20 * math.log10(max(1e-6, math.sqrt(power) / 32768))

    def sounding_ms(self, start: datetime, end: datetime) -> float:
        """Time in which 10 ms blocks held an audible sample."""
        block = self.rate // 100
        chosen = self._range(start, end)
        return sum(
            10.0
            for first in range(chosen.start, chosen.stop, block)
            if any(abs(one) > AUDIBLE for one in self.samples[first : first + block])
        )

    def _range(self, start: datetime, end: datetime) -> range:
        first = max(0, round((start - self.began).total_seconds() * self.rate))
        last = min(len(self.samples), round((end - self.began).total_seconds() * self.rate))
        return range(first, max(first, last))


def recording(folder: Path, zone: str = "main", last_s: float = 3600.0) -> Recording:
    """Read the last seconds of `speaker.wav` in the folder of a simulated box."""
    suffix = "" if zone == "main" else f"-{zone}"
    about = json.loads((folder / f"speaker{suffix}.json").read_text(encoding="utf-8"))
    with wave.open(str(folder / f"speaker{suffix}.wav")) as file:
        rate, frames = file.getframerate(), file.getnframes()
        skip = max(0, frames - int(last_s * rate))
        file.setpos(skip)
        samples = array("h", file.readframes(frames - skip))
    if sys.byteorder == "big":
        samples.byteswap()
    first_ns = int(about["first_sample_wall_ns"]) + skip * 1_000_000_000 // rate
    began = datetime.fromtimestamp(first_ns // 1_000_000_000, UTC) + timedelta(
        microseconds=first_ns % 1_000_000_000 / 1000
    )
    return Recording(began, rate, samples)


def processes(root: int) -> Iterator[int]:
    """A process and all its descendants that live now."""
    yield root
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text(encoding="ascii").split()
    except OSError:
        return
    for child in children:
        yield from processes(int(child))


def memory_mb(root: int) -> float:
    """Proportional set size of a process tree in megabytes (10^6), from smaps_rollup."""
    total_kb = 0
    for process in processes(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb * 1024 / 1e6


def cpu_s(root: int) -> float:
    """Processor time used so far by a process tree, in seconds."""
    ticks = 0
    for process in processes(root):
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100
