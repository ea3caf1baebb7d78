"""Writes the record of one airing in one zone while it happens: stretches of sound and their evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from agent.model.bulletin import ZoneId
from agent.model.report import AsRun, CutReason, MissedReason, Segment, Verdict
from agent.model.schedule import Airing
from agent.playout.proof import Gatherer, join, rounded, verdict


def blank_record(airing: Airing, zone: ZoneId, schedule_version: int, order_id: str) -> AsRun:
    """The record of an airing of which nothing has happened yet."""
    programme = airing.programme
    return AsRun(
        airing=airing.id,
        zone=zone,
        programme=programme.id,
        title=programme.title,
        bulletin_class=programme.bulletin_class,
        level=programme.level,
        schedule_version=schedule_version,
        order_id=order_id,
        planned_start=airing.start,
        planned_ms=sum(item.media.duration_ms for item in programme.items),
    )


def missed_record(record: AsRun, reason: MissedReason) -> AsRun:
    """The final record of an airing that did not sound."""
    return replace(record, verdict=Verdict.MISSED, missed=reason, final=True)


class AiringLog:
    """Collects what is known of one airing, over restarts and cuts."""

    def __init__(self, record: AsRun) -> None:
        """Go on from `record`; a stretch left open by a crash is closed as cut by the restart."""
        self._base = record
        self._blind = any(one.ended is None for one in record.segments)
        self._segments = [
            one if one.ended is not None else _closed(one, CutReason.RESTART) for one in record.segments
        ]
        self._gather = Gatherer()
        self._open: Segment | None = None

    def begin(self, started: datetime, from_ms: int) -> None:
        """The first sound of a stretch left the sound card."""
        self._open = Segment(started=started, ended=None, from_ms=from_ms, played_ms=0)

    def level(self, rms_dbfs: float, peak_dbfs: float, period_ms: int, at_ns: int) -> None:
        """The sound card consumed `period_ms` of samples at this level, ending at `at_ns` (monotonic)."""
        self._gather.add_level(rms_dbfs, peak_dbfs, period_ms, at_ns)
        if self._open is not None:
            self._open = replace(self._open, played_ms=self._open.played_ms + period_ms)

    def amplifier(self, *, on: bool, fault: bool | None) -> None:
        """State of the amplifier while sound is due."""
        self._gather.add_amplifier(on=on, fault=fault)

    def sense(self, active: bool, level_dbfs: float | None, at_ns: int) -> None:
        """The line sensor was read."""
        self._gather.add_sense(active, level_dbfs, at_ns)

    def item_failed(self, item_id: str, code: str) -> None:
        """An item could not be decoded."""
        self._gather.add_failed(item_id, code)

    def end(self, ended: datetime, played_ms: int, cut: CutReason) -> None:
        """The stretch is over after `played_ms` of sound."""
        if self._open is not None:
            self._segments.append(replace(self._open, ended=ended, played_ms=played_ms, cut=cut))
            self._open = None

    def record(self, *, final: bool = False) -> AsRun:
        """The record as it stands; with a verdict once `final`."""
        segments = (*self._segments, self._open) if self._open is not None else tuple(self._segments)
        evidence = rounded(join(self._base.evidence, self._gather.evidence()))
        record = replace(self._base, segments=segments, evidence=evidence, final=final)
        if final:
            judged = verdict(record.planned_ms, record.played_ms, evidence)
            if judged is Verdict.SILENT and self._blind:
                judged = Verdict.UNKNOWN  # it did begin to sound; what followed was lost with the crash
            record = replace(record, verdict=judged)
        return record


def _closed(segment: Segment, cut: CutReason) -> Segment:
    ended = segment.started + timedelta(milliseconds=segment.played_ms)
    return replace(segment, ended=ended, cut=cut)
