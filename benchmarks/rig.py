"""What the measurements of a box on air share: a box of this process, and ears for its `speaker.wav`."""

from __future__ import annotations

import array
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.entry import Entry, percentile
from tests.support.onair import OnAir
from tools.listen import AUDIBLE, Recording

S = timedelta(seconds=1)
MS = timedelta(milliseconds=1)
SOFT = 0.04
"""Peak of a programme that an emergency, four times as loud, stands out of."""

LOUD = 3000
"""Samples above this (of 32,768) belong to the emergency and not to a programme of `SOFT` peak."""

Say = Callable[[str], None]


class CrystalBox(OnAir):
    """A box whose sound card's crystal is too fast by some millionths."""

    def __init__(self, folder: Path, ppm: int = 0) -> None:
        super().__init__(folder)
        self._ppm = ppm

    def toml(self) -> str:
        """The box's configuration."""
        plain = 'audio = { kind = "simulated", options = { '
        return super().toml().replace(plain, f"{plain}ppm = {self._ppm}, ")


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for boxes, gone afterwards; what they log of faults made on purpose is not shown."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="tieng-lang-bench-") as folder:
            yield Path(folder)
    finally:
        logging.disable(before)


def run(job: Callable[[Path, Say], Awaitable[list[Entry]]], say: Say) -> list[Entry]:
    """Run one group of measurements in a folder of its own."""

    async def go() -> list[Entry]:
        with workshop() as folder:
            return await job(folder, say)

    return asyncio.run(go())


def main(measure: Callable[[Say], list[Entry]]) -> None:
    """Run one group by itself and print its entries."""
    for entry in measure(lambda text: print(text, file=sys.stderr, flush=True)):
        print(json.dumps(entry))


def note(text: str) -> None:
    """Print what the table does not say: what was done, and how the values lie."""
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{clear}  {text}", file=sys.stderr, flush=True)


def spread(values: Sequence[float]) -> str:
    return f"p50 {percentile(values, 0.5):.3g}, worst {max(values):.3g} of {len(values)}"


def now() -> datetime:
    return datetime.now(UTC)


def index(heard: Recording, moment: datetime) -> int:
    """Number of the sample at a moment; may lie outside the recording."""
    return round((moment - heard.began).total_seconds() * heard.rate)


def onset(heard: Recording, after: datetime, level: int = AUDIBLE) -> datetime | None:
    """When the first sample above `level` at or after a moment was heard."""
    for n in range(max(0, index(heard, after)), len(heard.samples)):
        if abs(heard.samples[n]) > level:
            return heard.at(n)
    return None


def last_above(heard: Recording, begin: datetime, end: datetime, level: int = AUDIBLE) -> datetime | None:
    """When the last sample above `level` between two moments was heard."""
    for n in range(min(len(heard.samples), index(heard, end)) - 1, max(0, index(heard, begin)) - 1, -1):
        if abs(heard.samples[n]) > level:
            return heard.at(n)
    return None


def hertz(heard: Recording, middle: datetime, width_s: float = 0.02) -> float | None:
    """Frequency around a moment from the exact places of rising zero crossings; None where it is unclear."""
    centre, half = index(heard, middle), round(width_s * heard.rate / 2)
    part: array.array[int] = heard.samples[max(0, centre - half) : centre + half]
    if len(part) < 2 * half or max(map(abs, part)) < AUDIBLE:
        return None
    crossings = [
        n - 1 + part[n - 1] / (part[n - 1] - part[n])
        for n in range(1, len(part))
        if part[n - 1] < 0 <= part[n]
    ]
    if len(crossings) < 3:
        return None
    return (len(crossings) - 1) * heard.rate / (crossings[-1] - crossings[0])
