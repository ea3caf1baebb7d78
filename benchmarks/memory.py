"""Whether a box grows with every airing, and how soon one that is switched on sounds.

The box that is weighed is this process with the workers of its two zones; airings of 0.3 s follow each
other in both as fast as they can, and one airing in one zone counts as one. This process drops its garbage
before each weighing, the workers are left as they are. Weighed is what belongs to the box alone: its share of
the pages of programs and libraries moves with whoever else runs Python on the machine.

The box that is switched on is `loa run`, with an emergency that was waiting in its inbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.model.bulletin import BulletinClass, Item, ItemKind, Media, SourceLevel
from agent.model.schedule import Programme, Recurrence, Schedule
from agent.model.timetable import Timetable
from agent.store.store import Store
from benchmarks.entry import Entry, lower, percentile
from benchmarks.rig import S, Say, main, note, now, onset, run
from tests.support.onair import OnAir, on_air, soon
from tools.listen import processes
from tools.rig import BIN

ZONES = ("main", "market")
AIRINGS, WARM_UP, A_SECOND = 560, 50, 3
AIRING_S = 0.3
ENOUGH = 500
EVERY = 5
COLD_STARTS = 3
EN_60849_S = 10
"""Ready to broadcast after power is applied: clause 4.1 c (`peers.md`)."""


def measure(say: Say) -> list[Entry]:
    """All entries of this benchmark; about three minutes."""
    return [*run(_cold_starts, say), *run(_slope, say)]


# --- growing ---------------------------------------------------------------------------------------------


async def _slope(folder: Path, say: Say) -> list[Entry]:
    async with on_air(folder / "box", zones=ZONES) as box:
        media = await box.tone(400, AIRING_S)
        schedule = _many(media, soon(2))
        box.box.station.set_schedule(Timetable(schedule), 1, "", now())
        weighed = await _weigh(box, say)
    points = [(airing, kb) for airing, kb in weighed if airing >= WARM_UP]
    slope = _least_squares(points)
    note(
        "own memory in kB by airings: "
        + ", ".join(f"{airing}: {kb:.0f}" for airing, kb in weighed[:: len(weighed) // 8])
    )
    return [lower("rss_slope_kb_per_airing", max(0.0, slope), "kB", "limit", 5)]


def _many(media: Media, first: datetime) -> Schedule:
    """Three programmes begin in each second; the second and third wait for their turn."""
    item = Item("i", "bench", ItemKind.SPEECH, media)
    programmes = tuple(
        Programme(
            f"p{n:03}",
            f"bench {n}",
            BulletinClass.NORMAL,
            SourceLevel.COMMUNE,
            (item,),
            (Recurrence((first + n // A_SECOND * S).astimezone(UTC).replace(tzinfo=None)),),
        )
        for n in range(AIRINGS // len(ZONES))
    )
    return Schedule("bench", 1, "Bench", "UTC", programmes)


async def _weigh(box: OnAir, say: Say) -> list[tuple[int, float]]:
    """The box's own memory in kB at every few airings, by how many were finished."""
    found: list[tuple[int, float]] = []
    end = asyncio.get_running_loop().time() + AIRINGS / A_SECOND + 30
    while asyncio.get_running_loop().time() < end:
        done = len(box.box.station.state.finished)
        if not found or done >= found[-1][0] + EVERY:
            gc.collect()
            found.append((done, _own_kb(os.getpid())))
            say(f"airing {done}/{AIRINGS}")
        if done >= AIRINGS:
            break
        await asyncio.sleep(0.05)
    if found[-1][0] < ENOUGH:
        raise RuntimeError(f"only {found[-1][0]} airings sounded in time")
    return found


def _own_kb(root: int) -> float:
    """Proportional set size of a process tree without file pages."""
    total = 0
    for process in processes(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
                total += int(line.split()[1]) if line.startswith(("Pss_Anon:", "Pss_Shmem:")) else 0
    return total


def _least_squares(points: Sequence[tuple[int, float]]) -> float:
    """Slope of the straight line through points."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum(
        (x - middle_x) ** 2 for x, _ in points
    )


# --- switching on ----------------------------------------------------------------------------------------


async def _cold_starts(folder: Path, say: Say) -> list[Entry]:
    took_s = []
    for n in range(COLD_STARTS):
        say(f"cold start {n + 1}/{COLD_STARTS}")
        took_s.append(await _cold_start(folder / f"cold-{n}"))
    note("cold start to first sound: " + " ".join(f"{one:.2f}" for one in took_s) + " s")
    return [lower("cold_start_to_armed_s", percentile(took_s, 0.5), "s", "EN 60849, 4.1 c", EN_60849_S)]


async def _cold_start(folder: Path) -> float:
    """Seconds from the start of the process to the first sound of an emergency that was waiting for it."""
    box = OnAir(folder)
    await box.start()
    part = await box.recording(600, 1.0)
    await box.stop()
    config = folder / "config.toml"
    config.write_text(box.toml(), encoding="utf-8")
    async with Store.open(folder / "data" / "loa.db") as box.store:
        await box.emergency(parts=(part,))
    began = now()
    agent = await asyncio.create_subprocess_exec(
        BIN / "loa",
        "run",
        "--config",
        config,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while (sound := onset(box.heard(last_s=120), began)) is None:
                if agent.returncode is not None:
                    raise RuntimeError(f"loa run ended with status {agent.returncode}")
                await asyncio.sleep(0.5)
    finally:
        agent.send_signal(signal.SIGTERM)
        await agent.wait()
    return (sound - began).total_seconds()


if __name__ == "__main__":
    main(measure)
