"""What is heard of a zone: the worker's events and the sensors behind the amplifier, taken into the records.

Silence where sound is due is acted on here; everything else is left to the plan, which is woken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from agent.clock import Clock, monotonic_to_wall
from agent.model.bulletin import AiringId, ItemKind, Signal, ZoneId
from agent.model.issue import Fault
from agent.model.report import CutReason
from agent.model.schedule import Airing, Resume
from agent.playout.amplifier import AmplifierSwitch
from agent.playout.audio_keeper import AudioKeeper
from agent.playout.book import ZoneBook
from agent.playout.contracts import Issues, LiveRoom
from agent.playout.ladder import Rung
from agent.playout.senses import Sense
from agent.playout.station import Station
from agent.playout.stretch import KEPT, MS, Stretch
from drivers.api import (
    Audio,
    AudioEvent,
    CueEnded,
    CueStarted,
    EndReason,
    ItemFailed,
    ItemStarted,
    Level,
    LineReading,
    LineSense,
)

logger = logging.getLogger(__name__)

AUDIBLE_DBFS = -60.0

OpenSense = Callable[[], AbstractAsyncContextManager[LineSense]]


class Hearing:
    """Stretches of sound in one zone, and what was measured of them.

    Attributes:
        stretches: cues in the worker by number.
        keeper: the audio worker.
        senses: what listens behind the amplifier: `line`, `microphone`.
        wake: set when the plan should be asked again.
    """

    def __init__(
        self,
        zone: ZoneId,
        *,
        station: Station,
        book: ZoneBook,
        open_audio: Callable[[], AbstractAsyncContextManager[Audio]],
        senses: dict[str, OpenSense | None],
        amplifier: AmplifierSwitch,
        live: LiveRoom,
        clock: Clock,
        issues: Issues,
        silent_after_s: float,
        progress: Callable[[], None],
    ) -> None:
        """Wire it; arguments as in `ZonePlayer`."""
        self.stretches: dict[int, Stretch] = {}
        self.wake = asyncio.Event()
        self._zone = zone
        self._station = station
        self._book = book
        self._amplifier = amplifier
        self._live = live
        self._clock = clock
        self._issues = issues
        self._silent_after_s = silent_after_s
        self._progress = progress
        self._sounding = asyncio.Event()
        self._announce: list[tuple[Airing, bool]] = []
        self._suspects: set[str] = set()
        self._silences: dict[AiringId, int] = {}
        self._floor_dbfs: float | None = None
        self.keeper = AudioKeeper(
            zone,
            open_audio,
            clock,
            issues,
            take=self._take,
            lost=self._lose_audio,
            possible=self._sound_possible,
            busy=lambda: bool(self.stretches),
        )
        takers = {"line": self._take_line, "microphone": self._take_microphone}
        self.senses = {
            name: Sense(
                f"zone {zone} {name}",
                opener,
                clock,
                wanted=self._sounding,
                take=takers[name],
                idle=self._learn_floor if name == "microphone" else None,
            )
            for name, opener in senses.items()
            if opener is not None
        }

    # --- what others may see -------------------------------------------------------------------------

    def sounding(self) -> Stretch | None:
        """What is heard: the newest, where an older one goes on softly underneath."""
        started = [one for one in self.stretches.values() if one.started_ns is not None]
        return max(started, key=lambda one: one.cue, default=None)

    def has(self, airing: AiringId) -> bool:
        """Whether an airing is in the worker."""
        return any(one.airing.id == airing for one in self.stretches.values())

    def reading(self, name: str) -> LineReading | None:
        """The newest reading of a sensor while something sounds."""
        found = self.senses.get(name)
        return found.reading if found is not None else None

    def sensed(self, name: str) -> bool | None:
        """Whether a sensor hears sound; None while nothing measures it."""
        reading = self.reading(name)
        return reading.active if reading is not None else None

    def news(self) -> tuple[list[tuple[Airing, bool]], set[str]]:
        """Take what began (True) and ended (False) to be heard, and files that could not be decoded."""
        told, self._announce = self._announce, []
        suspects, self._suspects = self._suspects, set()
        return told, suspects

    def forget(self, stretch: Stretch) -> None:
        """A stretch is over, or will never be heard."""
        self.stretches.pop(stretch.cue, None)
        self._amplifier.release(stretch.cue)
        for live_id in stretch.live:
            self._live.release(live_id, self._zone)
        self._note_running()

    # --- what the audio worker says ------------------------------------------------------------------

    def _sound_possible(self, ok: bool) -> None:
        self._station.set_audio(self._zone, ok=ok)
        self.wake.set()

    def _lose_audio(self, stopping: bool) -> None:
        now = self._clock.now()
        for stretch in list(self.stretches.values()):
            self._end(stretch, now, stretch.played_ms, CutReason.RESTART if stopping else CutReason.AUDIO)
        self._sound_possible(ok=False)

    def _take(self, event: AudioEvent) -> None:
        stretch = self.stretches.get(event.cue)
        if stretch is None:
            return
        match event:
            case CueStarted(at_ns=at_ns):
                for below in self.stretches.values():
                    below.covered(at_ns)
                stretch.started_ns = at_ns
                stretch.level_s = stretch.heard_s = stretch.sensed_s = self._clock.monotonic()
                stretch.log.begin(monotonic_to_wall(self._clock, at_ns), stretch.from_ms)
                if self._floor_dbfs is not None:
                    stretch.log.microphone_floor(self._floor_dbfs)
                error_ms = (at_ns - stretch.at_ns) / MS
                logger.info("zone %s: airing %s on air, %+.1f ms", self._zone, stretch.airing.id, error_ms)
                self._announce.append((stretch.airing, True))
                self._note_running()
                self.wake.set()
            case ItemStarted(index=index):
                stretch.item = stretch.first_item + index
                self._note_running()
            case Level():
                self._take_level(stretch, event)
            case ItemFailed(index=index, code=code, detail=detail):
                self._take_failure(stretch, stretch.first_item + index, code, detail)
            case CueEnded():
                self._take_end(stretch, event)

    def _take_failure(self, stretch: Stretch, index: int, code: str, detail: str) -> None:
        item = stretch.airing.programme.items[index]
        stretch.log.item_failed(item.id, code)
        if item.media.live_id is not None:
            starved_ms = item.live.stall_limit_s * 1000 + 1 if item.live is not None else 0
            self._live.heard(item.media.live_id, silent_ms=0, starved_ms=starved_ms)
        else:
            self._issues.raise_(Fault.MEDIA_UNREADABLE, item.title, f"{code}: {detail}")
            self._suspects.add(item.media.sha256)
        self.wake.set()

    def _take_level(self, stretch: Stretch, event: Level) -> None:
        now_s = self._clock.monotonic()
        period_ms = max(0, event.played_ms - stretch.played_ms)
        stretch.played_ms, stretch.rms_dbfs, stretch.level_s = event.played_ms, event.rms_dbfs, now_s
        at_ns = self._clock.monotonic_ns()
        stretch.log.level(event.rms_dbfs, event.peak_dbfs, period_ms, at_ns)
        stretch.log.amplifier(on=self._amplifier.sounding, fault=self._amplifier.fault)
        self._amplifier.heard_level(event.rms_dbfs, at_ns)
        meter = self._amplifier.latest
        if meter is not None and meter.amps is not None:
            stretch.log.supply(meter.amps, self._amplifier.drawing, at_ns)
        if event.rms_dbfs > AUDIBLE_DBFS:
            stretch.heard_s = now_s
            self._silences.pop(stretch.airing.id, None)
            self._issues.clear(Fault.OUTPUT_SILENT, self._zone)
            self._count(stretch, period_ms)
        self._watch_silence(stretch, event, now_s)
        self._progress()

    def _count(self, stretch: Stretch, period_ms: int) -> None:
        """Sound below an emergency counts in the session of the hours in which it is made."""
        hours = self._station.hours
        if hours is None or stretch.rung >= Rung.EMERGENCY:
            return
        session = hours.session(self._clock.now())
        if session is not None:
            self._station.add_used(self._zone, session.key, period_ms)

    def _watch_silence(self, stretch: Stretch, event: Level, now_s: float) -> None:
        """Act on silence where sound is due: a fresh worker first, then the next item, then the next source.

        What the agent is left with after that is the plan's: the next airing, or an emergency's next round.
        """
        item, silent_s = stretch.sounding_item, now_s - stretch.heard_s
        if item.media.live_id is not None:
            self._live.heard(
                item.media.live_id, silent_ms=round(silent_s * 1000), starved_ms=event.starved_ms
            )
            return
        if item.media.signal is Signal.SILENCE or item.kind is ItemKind.SIGNAL:
            stretch.heard_s = now_s if item.media.signal is Signal.SILENCE else stretch.heard_s
            return
        if silent_s <= self._silent_after_s:
            return
        self._issues.raise_(Fault.OUTPUT_SILENT, self._zone, stretch.airing.programme.title)
        step = self._silences.get(stretch.airing.id, 0)
        self._silences[stretch.airing.id] = step + 1
        stretch.heard_s = now_s  # the next step has its own three seconds
        if step == 0:
            logger.warning("zone %s: silent for %.1f s, worker replaced", self._zone, silent_s)
            self.keeper.restart()
            return
        items, following = stretch.airing.programme.items, stretch.item + 1
        if stretch.cut is CutReason.STOPPED:
            return
        stretch.cut = CutReason.AUDIO
        if following < len(items):
            position_ms = sum(one.media.duration_ms for one in items[:following])
            logger.warning("zone %s: still silent, item %s left out", self._zone, item.id)
            stretch.jump_ms = position_ms
        else:
            logger.warning("zone %s: still silent, airing %s given up", self._zone, stretch.airing.id)
            self._book.complete.add(stretch.airing.id)
        self.keeper.restart()

    def _take_end(self, stretch: Stretch, event: CueEnded) -> None:
        if event.reason is EndReason.DEVICE_LOST:
            cut = CutReason.AUDIO
            self.keeper.card_lost(event.detail)
        elif event.reason is EndReason.FINISHED or event.played_ms >= stretch.left_ms - 60:
            cut = CutReason.NONE
            self._book.complete.add(stretch.airing.id)
            for item in stretch.airing.programme.items:
                if not stretch.log.failed(item.id):
                    self._issues.clear(Fault.MEDIA_UNREADABLE, item.title)
        else:
            cut = stretch.cut
        logger.info("zone %s: airing %s off air (%s)", self._zone, stretch.airing.id, event.reason)
        self._end(stretch, monotonic_to_wall(self._clock, event.at_ns), event.played_ms, cut)

    def _end(self, stretch: Stretch, at: datetime, played_ms: int, cut: CutReason) -> None:
        """A stretch is over: to the record with it, and what is cut waits where it stopped."""
        stretch.played_ms = played_ms
        stretch.log.end(at, played_ms, cut)
        self.forget(stretch)
        airing = stretch.airing
        if cut in KEPT and airing.programme.resume is Resume.DROP:
            self._book.complete.add(airing.id)
        if airing.id not in self._book.complete and cut is not CutReason.NONE:
            position_ms = stretch.goes_on_at(cut)
            if position_ms is not None:
                self._station.hold(airing, self._zone, position_ms)
        if stretch.started_ns is not None:
            self._announce.append((airing, False))
        self.wake.set()

    def _note_running(self) -> None:
        stretch = self.sounding()
        if stretch is None:
            self._sounding.clear()
            self._station.set_running(self._zone, None)
        else:
            self._sounding.set()
            self._station.set_running(self._zone, stretch.airing.id, *stretch.item_times_ms())

    # --- what listens behind the amplifier -----------------------------------------------------------

    def _take_line(self, reading: LineReading) -> None:
        stretch = self.sounding()
        if stretch is None:
            return
        now_s = self._clock.monotonic()
        stretch.log.sense(reading.active, reading.level_dbfs, reading.at_ns)
        sent_sound = now_s - stretch.heard_s < 1.0
        if reading.active or not sent_sound:
            stretch.sensed_s = now_s
            if reading.active:
                self._issues.clear(Fault.LINE_SILENT, self._zone)
        elif now_s - stretch.sensed_s > self._silent_after_s:
            self._issues.raise_(Fault.LINE_SILENT, self._zone, stretch.airing.programme.title)

    def _learn_floor(self, reading: LineReading) -> None:
        """What the microphone hears of the place itself, slowly learnt."""
        if reading.level_dbfs is not None:
            known = self._floor_dbfs if self._floor_dbfs is not None else reading.level_dbfs
            self._floor_dbfs = known + 0.2 * (reading.level_dbfs - known)

    def _take_microphone(self, reading: LineReading) -> None:
        stretch = self.sounding()
        if stretch is not None:
            stretch.log.microphone(reading.active, reading.level_dbfs, reading.at_ns)
            hears = stretch.log.microphone_hears
            if hears is False:
                self._issues.raise_(Fault.MICROPHONE_DEAF, self._zone, stretch.airing.programme.title)
            elif hears:
                self._issues.clear(Fault.MICROPHONE_DEAF, self._zone)
