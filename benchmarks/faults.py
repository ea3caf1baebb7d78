"""How soon a box notices that nothing is heard, and how soon sound is back when its decoder hangs.

Two boxes at once, which sleep most of the time: one whose decoder hangs and whose horn line is cut, and one
that is given files of silence. The simulated devices read `faults.toml` every 150 ms; that time is part of
the figures.
"""

from __future__ import annotations

import asyncio
from array import array
from datetime import datetime, timedelta
from pathlib import Path

from agent.model.bulletin import ZoneId
from benchmarks.entry import Entry, lower, percentile
from benchmarks.rig import S, Say, main, note, now, run
from tests.support.onair import RATE, OnAir, on_air, sleep_until, soon, tone

TIMES = 10
HANG_EVERY_S = 4.0
CUT_EVERY_S = 5.0
SILENT_S, AUDIBLE_S, SILENT_EVERY_S = 4, 1, 6
EN_60849_S = 100
"""Within which EN 60849 wants a fault of a critical path to be shown."""


def measure(say: Say) -> list[Entry]:
    """All entries of this benchmark; about two minutes."""
    return run(_measure, say)


async def _measure(folder: Path, say: Say) -> list[Entry]:
    async with on_air(folder / "broken") as broken, on_air(folder / "silent") as silent:
        async with asyncio.TaskGroup() as group:
            hung = group.create_task(_broken(broken, say))
            quiet = group.create_task(_silent_files(silent))
        pauses_ms, cuts_s = hung.result()
    silences_s = quiet.result()
    for what, values in (
        ("line cut, seconds until told", cuts_s),
        ("silent file, seconds until told", silences_s),
        ("hung decoder, ms without sound", pauses_ms),
    ):
        note(f"{what}: {' '.join(f'{value:.4g}' for value in values)}")
    told_s = percentile(cuts_s + silences_s, 0.99)
    return [
        lower("worker_hang_to_sound_ms_p99", percentile(pauses_ms, 0.99), "ms", "limit", 2000),
        lower("silent_output_detect_s_p99", told_s, "s", "limit", 4),
        lower("silent_output_detect_s_p99_vs_en60849", told_s, "s", "EN 60849", EN_60849_S),
    ]


async def _broken(box: OnAir, say: Say) -> tuple[list[float], list[float]]:
    """Milliseconds without sound of each hang, and seconds until each cut line was told."""
    seconds = TIMES * (HANG_EVERY_S + CUT_EVERY_S) + 10
    media = await box.file(tone(400, 1) * round(seconds), round(seconds))
    start = box.programme("bench", soon(2), media)
    await sleep_until(start + 1.5 * S)
    pauses_ms = []
    for n in range(TIMES):
        say(f"decoder hangs {n + 1}/{TIMES}")
        pauses_ms.append(await _hang(box))
    cuts_s = []
    for n in range(TIMES):
        say(f"line cut {n + 1}/{TIMES}")
        cuts_s.append(await _cut_line(box))
    return pauses_ms, cuts_s


async def _hang(box: OnAir) -> float:
    """Hang the decoder until its worker is given up; returns the time without sound."""
    begun = now()
    player = box.box.players[ZoneId("main")]
    await box.sounding("bench")
    box.break_(decoder_hang=True)
    await box.until("worker given up", lambda: not player.view.sounding and "TL-502" in box.issues, 10)
    box.break_()
    await box.until("sound again", lambda: player.view.sounding, 10)
    await sleep_until(begun + HANG_EVERY_S * S)
    heard = box.heard(last_s=HANG_EVERY_S + 2)
    return heard.longest_pause_ms(begun, now() - timedelta(seconds=0.3))


async def _cut_line(box: OnAir) -> float:
    """Cut the line to the horn until that is told; returns the seconds it took."""
    begun = now()
    box.break_(horn_open=True)
    told = await _told(box, "TL-513")
    box.break_()
    await box.until("line whole again", lambda: "TL-513" not in box.issues, 10)
    await sleep_until(begun + CUT_EVERY_S * S)
    return (told - begun).total_seconds()


async def _silent_files(box: OnAir) -> list[float]:
    """Seconds from the start of each silent file until it was told."""
    silence = await box.file(array("h", bytes(2 * RATE * SILENT_S)), SILENT_S)
    sound = await box.file(tone(400, AUDIBLE_S), AUDIBLE_S)
    starts = [soon(3) + n * SILENT_EVERY_S * S for n in range(TIMES)]
    for n, start in enumerate(starts):
        box.programme(f"silent-{n}", start, silence, sound)
    took_s = []
    for start in starts:
        await sleep_until(start)
        took_s.append((await _told(box, "TL-503") - start).total_seconds())
        await box.until("heard again", lambda: "TL-503" not in box.issues, 10)
    return took_s


async def _told(box: OnAir, number: str) -> datetime:
    await box.until(number, lambda: number in box.issues, 10)
    return now()


if __name__ == "__main__":
    main(measure)
