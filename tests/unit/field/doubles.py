"""A box that can be controlled and tested, and remembers what was asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agent.field.controls import Busy, ClockReading, PriorityEntry, Sample
from agent.model.bulletin import (
    AiringId,
    BulletinClass,
    ClockTrust,
    Item,
    ItemKind,
    Signal,
    SourceLevel,
    ZoneId,
    signal_media,
)
from agent.model.report import AsRun, CutReason, Evidence, MissedReason, Segment, Verdict

if TYPE_CHECKING:
    from agent.field.controls import Bench, Controls

NOW = datetime(2026, 11, 22, 22, 5, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=30)

QUIET = Sample(
    line_active=False, microphone_active=False, microphone_dbfs=-70.0, volts=24.0, amps=0.25,
    temperature_c=41.0, powered=True, muted=False, fault=False,
)  # fmt: skip
LOUD = replace(
    QUIET, output_rms_dbfs=-15.0, line_active=True, line_dbfs=-20.0, microphone_active=True,
    microphone_dbfs=-40.0, amps=0.5,
)  # fmt: skip
BARE = Sample()
BARE_LOUD = Sample(output_rms_dbfs=-15.0)


def a_test_record(
    verdict: Verdict = Verdict.HEARD,
    evidence: Evidence | None = None,
    cut: CutReason = CutReason.NONE,
    missed: MissedReason | None = None,
) -> AsRun:
    """The record of three seconds of tone."""
    proof = evidence or Evidence(-15.0, -12.0, 3_000, 2_900, -20.0, amplifier_on=True, amplifier_fault=False)
    segments = (Segment(NOW, NOW + timedelta(seconds=3), 0, 3_000, cut),) if missed is None else ()
    return AsRun(
        AiringId("test:tone@20261122T220500Z"), ZoneId("main"), "test:tone", "Thử loa",
        BulletinClass.NORMAL, SourceLevel.COMMUNE, 0, "", NOW, 3_000, segments, proof, verdict, missed, True,
    )  # fmt: skip


class FakeControls:
    """Does nothing but remember."""

    def __init__(self, zones: tuple[str, ...] = ("main",)) -> None:
        self.zones = zones
        self.done: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.title = "Bản tin sáng"
        self.hang = False
        self.entries: tuple[PriorityEntry, ...] = (
            PriorityEntry("p1", "Tiêm chủng", SourceLevel.PROVINCE, NOW, None),
            PriorityEntry("p2", "Họp thôn", SourceLevel.COMMUNE, None, 1),
        )

    async def _did(self, *what: object) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.done.append(what)

    async def safety_stop(self, zones: tuple[str, ...], minutes: int, by: str) -> datetime:
        await self._did("safety_stop", zones, minutes, by)
        return UNTIL

    async def safety_release(self, zones: tuple[str, ...], by: str) -> None:
        await self._did("safety_release", zones, by)

    async def set_volume(self, zone: str, volume_db: float, by: str) -> None:
        await self._did("set_volume", zone, volume_db, by)

    async def stop(self, zone: str, by: str) -> str:
        await self._did("stop", zone, by)
        return self.title

    async def next(self, zone: str, by: str) -> str:
        await self._did("next", zone, by)
        return self.title

    async def pause(self, zone: str, minutes: int, by: str) -> None:
        await self._did("pause", zone, minutes, by)

    async def resume(self, zone: str, by: str) -> None:
        await self._did("resume", zone, by)

    async def restart_worker(self, zone: str, by: str) -> None:
        await self._did("restart_worker", zone, by)

    async def reboot(self, by: str) -> None:
        await self._did("reboot", by)

    def priorities(self) -> tuple[PriorityEntry, ...]:
        return self.entries

    async def set_priority_order(self, ids: tuple[str, ...], by: str) -> None:
        await self._did("priority", ids, by)
        self.entries = tuple(sorted(self.entries, key=lambda one: ids.index(one.id) if one.id in ids else 99))

    async def reset_amplifier(self, zone: str, by: str) -> None:
        await self._did("reset_amplifier", zone, by)


class FakeBench:
    """A zone that is quiet until it plays, then answers with what the test put there."""

    def __init__(self) -> None:
        self.why_busy: Busy | None = None
        self.record = a_test_record()
        self.quiet, self.loud = QUIET, LOUD
        self.after: Sample | None = None
        self.spoken: list[str] = []
        self.speech: Item | None = Item("s", "s", ItemKind.SPEECH, signal_media(Signal.TONE, 200))
        self.played: list[tuple[str, tuple[Item, ...], str]] = []
        self.error: Exception | None = None
        self.cancelled = False
        self.length_s = 0.03
        self.reading = ClockReading(NOW, ClockTrust.SYNCHRONISED, 4.0, NOW)
        self._playing = False
        self._ended = False

    def busy(self, zone: str) -> Busy | None:
        return self.why_busy

    async def play(self, zone: str, items: tuple[Item, ...], title: str) -> AsRun:
        self.played.append((zone, items, title))
        if self.error is not None:
            raise self.error
        self._playing = True
        try:
            await asyncio.sleep(self.length_s)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self._playing, self._ended = False, True
        return self.record

    async def sample(self, zone: str) -> Sample:
        if self._ended and self.after is not None:
            return self.after
        return self.loud if self._playing else self.quiet

    async def render_speech(self, text: str, language: str) -> Item | None:
        self.spoken.append(text)
        return self.speech

    def clock(self) -> ClockReading:
        return self.reading


if TYPE_CHECKING:
    _controls: type[Controls] = FakeControls
    _bench: type[Bench] = FakeBench
