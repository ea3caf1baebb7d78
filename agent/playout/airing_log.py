"""Writes the record of one airing in one zone while it happens: stretches of sound and their evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from agent.model.bulletin import ZoneId
from agent.model.report import AsRun, CutReason, MissedReason, Segment, Verdict
from agent.model.schedule import Airing
from agent.playout.proof import Gatherer, join, rounded, verdict

LATE = timedelta(seconds=6)
"""A stretch that began so much after its place on the wall clock had been held back; no delay is longer."""


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


def kept_position(record: AsRun) -> int | None:
    """Where an airing goes on that an earlier run left open; None where the wall clock says.

    It does so if something higher had cut it, or if it had gone on later than planned after such a cut.
    """
    if not record.segments:
        return None
    last = record.segments[-1]
    stopped_ms = last.from_ms + last.played_ms
    if last.cut in (CutReason.PREEMPTED, CutReason.PAUSED, CutReason.SAFETY_STOP):
        return stopped_ms
    late = last.started - record.planned_start - timedelta(milliseconds=last.from_ms)
    return stopped_ms if late > LATE else None


class AiringLog:
    """Collects what is known of one airing, over restarts and cuts."""

    def __init__(self, record: AsRun) -> None:
        """Go on from `record`; a stretch left open by a crash is closed as cut by the restart."""
        self._base = record
        self._resumed = False
        self._blind = any(one.ended is None for one in record.segments)
        self._segments = [
            one if one.ended is not None else _closed(one, CutReason.RESTART) for one in record.segments
        ]
        self._gather = Gatherer()
        self._open: Segment | None = None

    @classmethod
    def resume(cls, record: AsRun) -> AiringLog:
        """Go on from what an earlier run wrote."""
        log = cls(record)
        log._resumed = True
        return log

    def promise(self, blank: AsRun) -> None:
        """Take over what the schedule promises now; it may have been edited since."""
        self._base = replace(
            self._base,
            title=blank.title,
            planned_ms=blank.planned_ms,
            schedule_version=blank.schedule_version,
            order_id=blank.order_id,
        )

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

    def microphone(self, active: bool, level_dbfs: float | None, at_ns: int) -> None:
        """The microphone was read."""
        self._gather.add_microphone(active, level_dbfs, at_ns)

    def microphone_floor(self, dbfs: float) -> None:
        """Level of the microphone while nothing was sent."""
        self._gather.microphone_floor(dbfs)

    @property
    def microphone_hears(self) -> bool | None:
        """Whether the microphone lately heard what was sent; None while nothing can be told."""
        return self._gather.microphone_hears

    def supply(self, amps: float | None, drawing: bool | None, at_ns: int) -> None:
        """The supply of the amplifier was read; `drawing`: it draws what the sound needs."""
        self._gather.add_supply(amps, drawing, at_ns)

    def item_failed(self, item_id: str, code: str) -> None:
        """An item could not be decoded."""
        self._gather.add_failed(item_id, code)

    def failed(self, item_id: str) -> bool:
        """Whether an item could not be decoded, as far as it was tried."""
        return any(one.startswith(f"{item_id}: ") for one in self._gather.evidence().failed_items)

    def end(self, ended: datetime, played_ms: int, cut: CutReason) -> None:
        """The stretch is over after `played_ms` of sound."""
        if self._open is not None:
            self._segments.append(replace(self._open, ended=ended, played_ms=played_ms, cut=cut))
            self._open = None

    def record(self) -> AsRun:
        """The record as it stands, without a verdict."""
        segments = (*self._segments, self._open) if self._open is not None else tuple(self._segments)
        evidence = rounded(join(self._base.evidence, self._gather.evidence()))
        return replace(self._base, segments=segments, evidence=evidence)

    def final(self) -> AsRun:
        """The record of an airing that is over."""
        record = replace(self.record(), final=True)
        if not record.segments:  # nothing ever told that it sounded, so nobody may say it was silent
            return missed_record(record, MissedReason.BOX_OFF if self._resumed else MissedReason.AUDIO)
        judged = verdict(record.planned_ms, record.played_ms, record.evidence)
        if judged is Verdict.SILENT and self._blind:
            judged = Verdict.UNKNOWN  # it did begin to sound; what followed was lost with the crash
        return replace(record, verdict=judged)


def _closed(segment: Segment, cut: CutReason) -> Segment:
    ended = segment.started + timedelta(milliseconds=segment.played_ms)
    return replace(segment, ended=ended, cut=cut)
