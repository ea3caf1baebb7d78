"""One stretch of sound: a cue in the worker, from some position of an airing on, and how it is told to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.model.bulletin import Item, ItemKind, ZoneId
from agent.model.report import CutReason
from agent.model.schedule import Airing, Resume
from agent.playout.airing_log import AiringLog
from agent.playout.contracts import LiveRoom
from agent.playout.ladder import Reason, Rung
from drivers.api import CueItem, Signal

MS = 1_000_000
LONGEST_DUCK_MS = 3_000


@dataclass(slots=True)
class Stretch:
    """A cue in the worker.

    Attributes:
        at_ns: planned first sound, CLOCK_MONOTONIC.
        from_ms: position in the programme at which it begins.
        floating: it keeps its own time, so a clock step does not move it.
        clock_offset_ns: wall minus monotonic clock when it was cued.
        live: live sessions it listens to.
        jump_ms: position somebody wants it to go on from, None for where it stopped.
        covered_ms: position from which something else sounded above it, None if nothing did.
        cut: what its end will be called if it ends early.
        level_s, heard_s, sensed_s, saved_s: monotonic moments of the last level, the last audible sound sent,
            the last sound sensed behind the amplifier, and the last save.
    """

    cue: int
    airing: Airing
    rung: Rung
    at_ns: int
    from_ms: int
    first_item: int
    floating: bool
    log: AiringLog
    clock_offset_ns: int
    live: tuple[str, ...]
    max_dbfs: float
    volume_db: float
    item: int = 0
    started_ns: int | None = None
    played_ms: int = 0
    covered_ms: int | None = None
    jump_ms: int | None = None
    cut: CutReason = CutReason.PREEMPTED
    rms_dbfs: float | None = None
    level_s: float = 0.0
    heard_s: float = 0.0
    sensed_s: float = 0.0
    saved_s: float = 0.0

    @property
    def position_ms(self) -> int:
        """Position in the programme up to which it was heard."""
        return self.from_ms + self.played_ms

    @property
    def left_ms(self) -> int:
        """Length from its beginning to the end of the programme."""
        return self.airing.programme.duration_ms - self.from_ms

    @property
    def sounding_item(self) -> Item:
        """The item that is heard."""
        return self.airing.programme.items[self.item]

    def covered(self, at_ns: int) -> None:
        """Something else began to sound above it; nobody understands what it says from there on."""
        if self.started_ns is not None and self.covered_ms is None:
            self.covered_ms = self.from_ms + max(0, at_ns - self.started_ns) // MS

    def item_times_ms(self) -> tuple[int, int]:
        """How long the item that is heard has lasted, and how much of it is left."""
        items = self.airing.programme.items
        begun_ms = sum(item.media.duration_ms for item in items[: self.item])
        gone_ms = max(0, self.position_ms - begun_ms)
        return gone_ms, max(0, self.sounding_item.media.duration_ms - gone_ms)

    def goes_on_at(self, cut: CutReason) -> int | None:
        """Where the airing goes on after this cut by its own time; None where the wall clock says.

        Whether it goes on at all is for its programme and the plan to say.
        """
        if self.jump_ms is not None:
            return self.jump_ms
        if self.rung >= Rung.LIVE or self.rung is Rung.TEST:
            lost = cut is CutReason.AUDIO and self.rung is Rung.EMERGENCY
            return self.position_ms if lost else 0
        stopped_ms = self.position_ms if self.covered_ms is None else min(self.covered_ms, self.position_ms)
        kept = cut in KEPT and self.airing.programme.resume is Resume.STOPPED
        return stopped_ms if kept or self.floating else None


def cut_of(reason: Reason) -> CutReason:
    """What a cut is called when the plan gives this reason for waiting."""
    return _CUTS.get(reason, CutReason.AUDIO)


def cue_items(
    items: tuple[Item, ...], offset_ms: int, files: Mapping[str, Path], live: LiveRoom, zone: ZoneId
) -> tuple[CueItem, ...]:
    """Items as the worker wants them, the first from `offset_ms` on.

    Raises:
        AgentError: a live source is not there any more.
    """
    return tuple(
        _cue_item(item, offset_ms if number == 0 else 0, files, live, zone)
        for number, item in enumerate(items)
    )


def duck_ms(rung: Rung, first: Item) -> int:
    """How long what sounded before goes on softly underneath: as long as a chime calls for attention."""
    called = first.kind is ItemKind.CHIME and rung in (Rung.LIVE, Rung.PRIORITY)
    return min(first.media.duration_ms, LONGEST_DUCK_MS) if called else 0


def _cue_item(item: Item, start_ms: int, files: Mapping[str, Path], live: LiveRoom, zone: ZoneId) -> CueItem:
    media = item.media
    if media.signal is not None:
        signal = Signal(media.signal.value)
        return CueItem(start_ms=start_ms, duration_ms=media.duration_ms, gain_db=media.gain_db, signal=signal)
    if media.live_id is not None:
        feed = live.feed(media.live_id, zone)
        return CueItem(duration_ms=media.duration_ms - start_ms, gain_db=media.gain_db, feed=feed)
    return CueItem(
        path=files[media.sha256],
        start_ms=start_ms,
        duration_ms=media.duration_ms,
        gain_db=media.gain_db,
    )


KEPT = frozenset({CutReason.PREEMPTED, CutReason.PAUSED, CutReason.SAFETY_STOP})
"""Cuts after which a programme comes back as it says itself."""

_CUTS = {
    Reason.PREEMPTED: CutReason.PREEMPTED,
    Reason.LIVE_BOUNDARY: CutReason.PREEMPTED,
    Reason.SAFETY_STOP: CutReason.SAFETY_STOP,
    Reason.OUTSIDE_HOURS: CutReason.HOURS,
    Reason.PAUSED: CutReason.PAUSED,
    Reason.LIVE_WAITING: CutReason.LIVE_LOST,
    Reason.CLOCK_NOT_TRUSTED: CutReason.CLOCK_STEP,
}
