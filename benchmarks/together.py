"""How far apart two boxes are that play the same airing, at its start and after half an hour.

The half hour is accelerated: the sound cards' crystals are wrong by `FASTER` times as much as real ones
(`REAL_PPM`) for a time that is as many times shorter; uncorrected they would drift apart by as much. Position
is told by the edges of short tones, so it does not depend on pitch, which the wrong crystals change.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from benchmarks.entry import Entry, lower, percentile
from benchmarks.rig import MS, CrystalBox, S, Say, main, note, onset, run, spread
from tests.support.onair import RATE, OnAir, sleep_until, soon, tone
from tools.listen import Recording

REAL_PPM, FASTER = 50, 30
LONG_S = 30 * 60 // FASTER
SHORT_S, SHORT_EVERY_S, SHORT = 2, 3, 8
BEEP_S, EVERY_S = 0.2, 0.5


def measure(say: Say) -> list[Entry]:
    """All entries of this benchmark; about a minute and a half."""
    return run(_measure, say)


async def _measure(folder: Path, say: Say) -> list[Entry]:
    ppm = REAL_PPM * FASTER
    note(
        f"two boxes with crystals wrong by +{ppm} and -{ppm} ppm play for {LONG_S} s, in place of "
        f"{REAL_PPM} ppm and 30 min: {2 * REAL_PPM * 1.8:.0f} ms apart at the end if nobody corrected it"
    )
    boxes = [CrystalBox(folder / "fast", ppm), CrystalBox(folder / "slow", -ppm)]
    async with AsyncExitStack() as stack:
        for box in boxes:
            await box.start()
            stack.push_async_callback(box.stop)
        begin = soon(3)
        starts = [begin + n * SHORT_EVERY_S * S for n in range(SHORT)]
        long_start = begin + SHORT * SHORT_EVERY_S * S
        for box in boxes:
            await _schedule(box, starts, long_start)
        for n, start in enumerate(starts):
            await sleep_until(start)
            say(f"start together {n + 1}/{SHORT}")
        await sleep_until(long_start)
        say(f"stay together for {LONG_S} s")
        await sleep_until(long_start + (LONG_S + 1) * S)
        one, other = (box.heard(last_s=LONG_S + SHORT * SHORT_EVERY_S + 20) for box in boxes)
    at_start = [_apart_ms(one, other, start) for start in (*starts, long_start)]
    beeps = [long_start + n * EVERY_S * S for n in range(1, round(LONG_S / EVERY_S))]
    going_on = [_apart_ms(one, other, moment) for moment in beeps]
    last = going_on[-20:]
    note(f"ms apart at the start: {spread(at_start)}")
    note(f"ms apart at tones all along the long airing: {spread(going_on)}; of the last 10 s: {spread(last)}")
    return [
        lower("two_box_start_skew_ms_p99", percentile(at_start, 0.99), "ms", "limit", 20),
        lower("two_box_skew_ms_p99", percentile(last, 0.99), "ms", "limit", 20),
        lower("two_box_skew_ms_worst", max(at_start + going_on), "ms", "limit", 20),
    ]


async def _schedule(box: OnAir, starts: Sequence[datetime], long_start: datetime) -> None:
    beep = tone(500, BEEP_S)
    second = round(1 / EVERY_S) * (beep + array("h", bytes(2 * (round(EVERY_S * RATE) - len(beep)))))
    short, long = await box.file(second * SHORT_S, SHORT_S), await box.file(second * LONG_S, LONG_S)
    for n, start in enumerate(starts):
        box.programme(f"short-{n}", start, short)
    box.programme("long", long_start, long)


def _apart_ms(one: Recording, other: Recording, moment: datetime) -> float:
    """Time between the two boxes' sounding of the tone that is due at a moment."""
    early = moment - 0.25 * S  # the tone before it ended 50 ms earlier
    begun = onset(one, early), onset(other, early)
    if begun[0] is None or begun[1] is None or max(begun[0], begun[1]) > moment + 0.25 * S:
        raise RuntimeError(f"the tone at {moment:%H:%M:%S.%f} was not heard")
    return abs((begun[0] - begun[1]) / MS)


if __name__ == "__main__":
    main(measure)
