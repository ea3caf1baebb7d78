"""Makes one zone sound what the plan says: the right airing, from disk, on the right millisecond.

The plan is asked again at every change and at every moment it names. Shortly before something begins
it is cued in the audio worker for its exact instant, with the amplifier ready in time. What the worker
and the sensors measure goes into the airing's record; status follows it, never the intention.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from agent.clock import Clock, monotonic_to_wall, wall_to_monotonic_ns
from agent.errors import AgentError
from agent.model.bulletin import AiringId, ItemKind, Signal, ZoneId
from agent.model.issue import Fault
from agent.model.report import AsRun, CutReason
from agent.model.schedule import Airing, Resume
from agent.playout.airing_log import AiringLog, blank_record, kept_position
from agent.playout.amplifier import AmplifierSwitch
from agent.playout.audio_keeper import AudioKeeper
from agent.playout.contracts import AiringShelf, Issues, LiveRoom, Media, NoLive, PlayoutSettings, ZoneView
from agent.playout.ladder import Reason, Rung, StationState
from agent.playout.plan import Due, Plan, ZonePlan, plan
from agent.playout.senses import Sense
from agent.playout.station import Station
from agent.playout.stretch import MS, Stretch, cue_items, cut_of, duck_ms
from drivers.api import (
    Audio,
    AudioEvent,
    CueEnded,
    CueStarted,
    DriverError,
    EndReason,
    ItemFailed,
    ItemStarted,
    Level,
    LineReading,
    LineSense,
)

logger = logging.getLogger(__name__)

AUDIBLE_DBFS = -60.0
CUE_LEAD_NS = 300 * MS
"""How far ahead the worker wants to be told of a file, for an exact start."""

SIGNAL_LEAD_NS = 80 * MS
"""The same for a signal, which needs no decoder: an emergency sounds this much earlier."""

END_GRACE = timedelta(seconds=2)
"""How long after its planned end a stretch may still drain before it is stopped."""

STEP_TOLERANCE_NS = 20 * MS
"""A wall clock that moved by more against the monotonic one was stepped, not slewed."""

DRIFT_TOLERANCE_MS = 1000
"""A stretch that is off its wall-clock position by more, after a clock step, is begun anew."""

SAVE_EVERY_S = 5.0
LOOK_AT_LEAST_EVERY_S = 10.0
SAFETY_FADE_MS = 20


class ZonePlayer:
    """Service (vital): plays one zone until cancelled."""

    def __init__(
        self,
        zone: ZoneId,
        *,
        station: Station,
        open_audio: Callable[[], AbstractAsyncContextManager[Audio]],
        open_line: Callable[[], AbstractAsyncContextManager[LineSense]] | None,
        amplifier: AmplifierSwitch,
        media: Media,
        shelf: AiringShelf,
        clock: Clock,
        issues: Issues,
        settings: PlayoutSettings,
        on_air: Callable[[ZoneId, Airing, bool], Awaitable[None]],
        progress: Callable[[], None],
        live: LiveRoom | None = None,
        open_microphone: Callable[[], AbstractAsyncContextManager[LineSense]] | None = None,
        on_final: Callable[[AsRun], None] = lambda _record: None,
    ) -> None:
        """Wire a zone.

        Args:
            zone: its id.
            station: facts for the plan.
            open_audio: opens a fresh audio worker.
            open_line: opens the line sensor; None if the zone has none.
            amplifier: switch of the zone's amplifier.
            media: files on disk.
            shelf: durable records.
            clock: time.
            issues: where faults are told.
            settings: levels and times.
            on_air: told when an airing begins (True) or stops (False) to be heard.
            progress: called whenever the zone has shown life.
            live: live sources; None if the box has none.
            open_microphone: opens the microphone that listens to the horns; None if there is none.
            on_final: told each final record.
        """
        self.name = f"zone {zone}"
        self.zone = zone
        self.amplifier = amplifier
        self._station = station
        self._media = media
        self._shelf = shelf
        self._clock = clock
        self._issues = issues
        self._settings = settings
        self._on_air = on_air
        self._progress = progress
        self._live: LiveRoom = live or NoLive()
        self._on_final = on_final
        self._wake = asyncio.Event()
        self._sounding = asyncio.Event()
        self._cue = 0
        self._stretches: dict[int, Stretch] = {}
        self._logs: dict[AiringId, AiringLog] = {}
        self._complete: set[AiringId] = set()
        self._announce: list[tuple[Airing, bool]] = []
        self._suspects: set[str] = set()
        self._silences: dict[AiringId, int] = {}
        self._plan: Plan | None = None
        self._keeper = AudioKeeper(
            zone,
            open_audio,
            clock,
            issues,
            take=self._take,
            lost=self._lose_audio,
            possible=self._sound_possible,
            busy=lambda: bool(self._stretches),
        )
        senses = (
            ("line", open_line, self._take_line),
            ("microphone", open_microphone, self._take_microphone),
        )
        self._senses = {
            name: Sense(f"{self.name} {name}", opener, clock, wanted=self._sounding, take=take)
            for name, opener, take in senses
            if opener is not None
        }

    # --- what others may see -------------------------------------------------------------------------

    @property
    def view(self) -> ZoneView:
        """What the zone does now; it counts as sounding only while the card consumes audible samples."""
        if self._plan is None:
            return ZoneView(Reason.NOTHING_DUE)
        wanted = self._plan.zones[self.zone]
        stretch = self._sounding_stretch()
        if stretch is None:
            return ZoneView(reason=wanted.reason, next=wanted.next)
        fresh = self._clock.monotonic() - stretch.level_s < 1.0
        begun_ns = stretch.started_ns or stretch.at_ns
        return ZoneView(
            reason=wanted.reason,
            on_air=stretch.airing,
            item=stretch.item,
            position_ms=stretch.item_times_ms()[0],
            sounding=fresh and (stretch.rms_dbfs or -120.0) > AUDIBLE_DBFS,
            output_rms_dbfs=stretch.rms_dbfs if fresh else None,
            line_active=self._sensed("line"),
            microphone_active=self._sensed("microphone"),
            next=wanted.next,
            rung=stretch.rung,
            since=monotonic_to_wall(self._clock, begun_ns),
        )

    @property
    def wanted(self) -> ZonePlan | None:
        """What the plan said of this zone when it was last asked, None before the first time."""
        return self._plan.zones[self.zone] if self._plan is not None else None

    @property
    def quiet_until(self) -> datetime | None:
        """When the next airing begins, None if none is known; for those who must not disturb one."""
        if self._plan is None:
            return None
        upcoming = self._plan.zones[self.zone].next
        return upcoming.start if upcoming is not None else None

    def sense(self, name: str) -> LineReading | None:
        """The newest reading of the `line` sensor or the `microphone` while something sounds."""
        found = self._senses.get(name)
        return found.reading if found is not None else None

    # --- orders of people ----------------------------------------------------------------------------

    def restart_worker(self) -> None:
        """Replace the audio worker; what was on air goes on."""
        self._keeper.restart()

    async def stop_airing(self) -> str:
        """End what is on air for good, unless it is an emergency; returns its title, "" if there was none."""
        stretch = self._sounding_stretch()
        if stretch is None or stretch.rung >= Rung.EMERGENCY:
            return ""
        self._complete.add(stretch.airing.id)
        await self._stop(stretch, CutReason.STOPPED)
        return stretch.airing.programme.title

    async def next_item(self) -> str:
        """Go on with the next item of what is on air; returns its title, "" if the airing is over with it."""
        stretch = self._sounding_stretch()
        if stretch is None or stretch.rung >= Rung.LIVE:
            return ""
        items = stretch.airing.programme.items
        following = stretch.item + 1
        if following >= len(items):
            await self.stop_airing()
            return ""
        position_ms = sum(item.media.duration_ms for item in items[:following])
        await self._stop(stretch, CutReason.STOPPED)
        self._station.hold(stretch.airing, self.zone, position_ms)
        return items[following].title

    # --- tasks ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.amplifier.run(), name=self.amplifier.name)
            group.create_task(self._keeper.run(), name=f"{self.name} audio")
            group.create_task(self._keeper.probe(), name=f"{self.name} audio probe")
            group.create_task(self._follow_station(), name=f"{self.name} station")
            for sense in self._senses.values():
                group.create_task(sense.run(), name=sense.name)
            group.create_task(self._direct(), name=f"{self.name} director")

    async def _follow_station(self) -> None:
        async for _ in self._station.changed.follow():
            self._wake.set()

    async def _direct(self) -> None:
        for record in await self._shelf.open_records(self.zone):
            self._logs[record.airing] = AiringLog.resume(record)
            self._station.begin(record.airing, self.zone)
            position_ms = kept_position(record)
            if position_ms is not None:
                self._station.hold_again(record.airing, self.zone, position_ms)
        try:
            while True:
                self._wake.clear()
                look_again = await self._decide()
                await self._tell()
                self._progress()
                wait_s = (look_again - self._clock.now()).total_seconds()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(max(wait_s, 0.0), LOOK_AT_LEAST_EVERY_S)):
                        await self._wake.wait()
        finally:
            await self._save_on_stop()

    async def _save_on_stop(self) -> None:
        """Make durable what was heard, so that the next run goes on from the truth."""
        now = self._clock.now()
        for stretch in self._stretches.values():
            stretch.log.end(now, stretch.played_ms, CutReason.RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                for log in self._logs.values():
                    await self._shelf.update(log.record())

    # --- deciding ------------------------------------------------------------------------------------

    async def _decide(self) -> datetime:
        """Bring the worker in line with the plan; returns when to look again."""
        now = self._clock.now()
        state = self._station.state
        current = self._plan = plan(state, now, self._clock.trust)
        wanted = current.zones[self.zone]
        self.amplifier.set_hold_off(on=wanted.reason is Reason.SAFETY_STOP)
        await self._finish_over(now)
        for held in wanted.holds:
            if not self._sounds(held.airing.id):
                self._station.hold(held.airing, self.zone, held.position_ms)
        due = wanted.on_air
        upcoming = self._upcoming(state, current, now)
        if self._keeper.audio is not None:
            await self._drop_stepped()
            await self._stop_edited(due, upcoming[1] if upcoming else None)
            if wanted.reason is Reason.SAFETY_STOP:  # before all else: somebody works at the horn
                await self._stop_unwanted(None, None, now, wanted)
            if due is not None and not self._has(due.airing):
                await self._start(due, now, wanted)
            # The worker holds one cue that has not begun; what is due now goes before what comes next.
            beginning = any(one.started_ns is None for one in self._stretches.values())
            if upcoming is not None and not beginning and not self._has(upcoming[1].airing):
                await self._start(upcoming[1], upcoming[0], wanted)
            await self._stop_unwanted(due, upcoming[1] if upcoming else None, now, wanted)
            await self._set_levels(due)
        await self._save_progress()
        preroll_at = current.look_again - self._settings.preroll
        return preroll_at if preroll_at > now else current.look_again

    def _upcoming(self, state: StationState, current: Plan, now: datetime) -> tuple[datetime, Due] | None:
        """What takes over within the pre-roll time, and when."""
        on_air = current.zones[self.zone].on_air
        moment = current.look_again
        while moment <= now + self._settings.preroll:
            then = plan(state, moment, self._clock.trust)
            due = then.zones[self.zone].on_air
            if due is not None and (on_air is None or due.airing.id != on_air.airing.id):
                return moment, due
            if then.look_again <= moment:
                break
            moment = then.look_again
        return None

    def _sounds(self, airing: AiringId) -> bool:
        return any(one.airing.id == airing for one in self._stretches.values())

    def _has(self, airing: Airing) -> bool:
        return airing.id in self._complete or self._sounds(airing.id)

    def _blank(self, airing: Airing) -> AsRun:
        if airing.key:
            return blank_record(airing, self.zone, 0, airing.order_id)
        return blank_record(airing, self.zone, self._station.schedule_version, self._station.order_id)

    async def _start(self, due: Due, moment: datetime, wanted: ZonePlan) -> None:
        """Cue an airing for `moment`, or as soon after as worker and amplifier can be ready."""
        airing = due.airing
        programme = airing.programme
        hashes = {item.media.sha256 for item in programme.items if item.media.is_file}
        files = {sha256: await self._media.checked(sha256) for sha256 in hashes}
        first = programme.items[due.item_index]
        lead_ns = SIGNAL_LEAD_NS if first.media.signal is not None else CUE_LEAD_NS
        ready_ns = self._clock.monotonic_ns() + max(lead_ns, self.amplifier.lead_ns() + 50 * MS)
        delay = timedelta(0) if due.floating else self._settings.delay
        at_ns = max(wall_to_monotonic_ns(self._clock, moment + delay), ready_ns)
        position: tuple[int, int] | None = due.item_index, due.offset_ms
        if not due.floating:
            position = airing.position(max(monotonic_to_wall(self._clock, at_ns) - delay, airing.start))
        if position is None:
            return
        index, offset_ms = position
        log = await self._open_log(airing)
        audio = self._keeper.audio
        if log is None or audio is None:
            return  # aired before; or lost while the files were checked, and its successor comes here again
        log.promise(self._blank(airing))
        items = programme.items[index:]
        try:
            cued = cue_items(items, offset_ms, files, self._live, self.zone)
        except AgentError as error:
            logger.warning("zone %s: airing %s: %s", self.zone, airing.id, error)
            return
        max_dbfs, volume_db = self._levels(due)
        self._cue += 1
        stretch = Stretch(
            cue=self._cue,
            airing=airing,
            rung=due.rung,
            at_ns=at_ns,
            from_ms=sum(item.media.duration_ms for item in programme.items[:index]) + offset_ms,
            first_item=index,
            floating=due.floating,
            log=log,
            clock_offset_ns=self._clock_offset_ns(),
            session=_session(due, wanted),
            live=tuple(item.media.live_id for item in items if item.media.live_id is not None),
            max_dbfs=max_dbfs,
            volume_db=volume_db,
            item=index,
            saved_s=self._clock.monotonic(),
        )
        self._stretches[stretch.cue] = stretch
        self.amplifier.need(stretch.cue, at_ns)
        latency_ns = int(self._settings.output_latency_ms * MS)
        try:
            await audio.cue(
                stretch.cue,
                cued,
                at_ns - latency_ns,
                max_dbfs=max_dbfs,
                volume_db=volume_db,
                duck_ms=duck_ms(due.rung, first) if offset_ms == 0 else 0,
            )
        except DriverError as error:
            logger.warning("zone %s: airing %s could not be cued: %s", self.zone, airing.id, error)
            self._forget(stretch)

    async def _open_log(self, airing: Airing) -> AiringLog | None:
        """The record of an airing, durable before it sounds; None if it has its final one already."""
        log = self._logs.get(airing.id)
        if log is None:
            log = AiringLog(self._blank(airing))
            if not await self._shelf.begin(log.record()):
                self._station.finish(airing.id, self.zone)
                return None
            self._station.begin(airing.id, self.zone)
            self._logs[airing.id] = log
        return log

    def _levels(self, due: Due) -> tuple[float, float]:
        """Limit and gain of what is due; an emergency is never softer than the box can be."""
        volume_db = self._station.volume_db.get(self.zone, 0.0)
        if due.rung >= Rung.EMERGENCY:
            return self._settings.max_dbfs, max(0.0, volume_db)
        cap = self._settings.max_dbfs if due.cap_dbfs is None else due.cap_dbfs
        return min(self._settings.max_dbfs, cap), volume_db

    async def _set_levels(self, due: Due | None) -> None:
        """Follow a change of volume or of the hours' level cap while something sounds."""
        audio = self._keeper.audio
        for stretch in list(self._stretches.values()):
            if due is None or audio is None or stretch.airing.id != due.airing.id:
                continue
            max_dbfs, volume_db = self._levels(due)
            if (max_dbfs, volume_db) != (stretch.max_dbfs, stretch.volume_db):
                stretch.max_dbfs, stretch.volume_db = max_dbfs, volume_db
                with contextlib.suppress(DriverError):
                    await audio.adjust(stretch.cue, volume_db=volume_db, max_dbfs=max_dbfs)

    async def _stop_edited(self, *wanted: Due | None) -> None:
        """End what a newer schedule has given other items; it begins anew with those."""
        for stretch in list(self._stretches.values()):
            for due in wanted:
                if (
                    due is not None
                    and stretch.airing.id == due.airing.id
                    and stretch.airing.programme.items != due.airing.programme.items
                    and stretch.cut is not CutReason.SCHEDULE_CHANGED
                ):
                    await self._stop(stretch, CutReason.SCHEDULE_CHANGED)

    async def _stop_unwanted(
        self, due: Due | None, upcoming: Due | None, now: datetime, plan_now: ZonePlan
    ) -> None:
        wanted = {one.airing.id for one in (due, upcoming) if one is not None}
        newest = max((one.cue for one in self._stretches.values() if one.airing.id in wanted), default=0)
        reasons = {one.airing.id: cut_of(one.reason) for one in plan_now.waiting}
        for stretch in list(self._stretches.values()):
            airing = stretch.airing
            if airing.id in wanted or stretch.cut is CutReason.STOPPED:
                continue
            if stretch.started_ns is not None and stretch.cue < newest:
                continue  # the worker itself replaces it at the newer one's exact start
            end = airing.end + self._settings.delay
            drains = not stretch.floating and end <= now < end + END_GRACE
            if drains and plan_now.reason is not Reason.SAFETY_STOP:
                continue  # its last samples are sounding
            await self._stop(stretch, reasons.get(airing.id) or self._why_gone(airing, now))

    def _why_gone(self, airing: Airing, now: datetime) -> CutReason:
        """Why nothing wants an airing any more."""
        if airing.key:
            return CutReason.CANCELLED if self._station.was_cancelled(airing.order_id) else CutReason.EXPIRED
        known = self._station.state.timetable
        promised = known is not None and any(one.id == airing.id for one in known.active(now))
        return CutReason.PREEMPTED if promised else CutReason.SCHEDULE_CHANGED

    async def _drop_stepped(self) -> None:
        """After a clock step, begin anew whatever is no longer where the wall clock says."""
        offset_ns = self._clock_offset_ns()
        for stretch in list(self._stretches.values()):
            moved_ns = abs(offset_ns - stretch.clock_offset_ns)
            limit = STEP_TOLERANCE_NS if stretch.started_ns is None else DRIFT_TOLERANCE_MS * MS
            if moved_ns > limit and not stretch.floating:
                logger.warning("zone %s: clock stepped by %.3f s", self.zone, moved_ns / 1e9)
                await self._stop(stretch, CutReason.CLOCK_STEP)

    async def _stop(self, stretch: Stretch, cut: CutReason) -> None:
        stretch.cut = cut
        audio = self._keeper.audio
        if audio is None:
            return
        try:
            if cut is CutReason.SAFETY_STOP:
                await audio.stop(stretch.cue, fade_ms=SAFETY_FADE_MS)
            else:
                await audio.stop(stretch.cue)
        except DriverError as error:
            logger.warning("zone %s: could not stop: %s", self.zone, error)
        if stretch.started_ns is None:
            self._forget(stretch)  # it was never heard, so no end will be told

    def _forget(self, stretch: Stretch) -> None:
        self._stretches.pop(stretch.cue, None)
        self.amplifier.release(stretch.cue)
        for live_id in stretch.live:
            self._live.release(live_id, self.zone)
        self._note_running()

    def _clock_offset_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9) - self._clock.monotonic_ns()

    # --- records -------------------------------------------------------------------------------------

    async def _finish_over(self, now: datetime) -> None:
        """Give every airing that is over its final record, once."""
        for airing, log in list(self._logs.items()):
            if self._sounds(airing):
                continue
            record = log.record()
            if airing not in self._complete:
                asked_for = record.order_id == record.programme  # by an order of its own, not by the schedule
                over = record.planned_start + timedelta(milliseconds=record.planned_ms) <= now
                if self._station.is_open(airing, self.zone, now) or not (over or asked_for):
                    continue
            final = log.final()
            await self._shelf.finish(final)
            self._station.finish(airing, self.zone)
            del self._logs[airing]
            self._complete.discard(airing)
            self._silences.pop(airing, None)
            self._on_final(final)
            self._station.touch()
            logger.info("zone %s: airing %s %s", self.zone, airing, final.verdict)

    async def _save_progress(self) -> None:
        for stretch in list(self._stretches.values()):
            if stretch.cue not in self._stretches:
                continue  # it ended while another was being saved, and its record with it
            if stretch.started_ns is not None and self._clock.monotonic() - stretch.saved_s >= SAVE_EVERY_S:
                stretch.saved_s = self._clock.monotonic()
                await self._shelf.update(stretch.log.record())

    async def _tell(self) -> None:
        while self._suspects:
            await self._media.recheck(self._suspects.pop())
        told, self._announce = self._announce, []
        for airing, begins in told:
            await self._on_air(self.zone, airing, begins)
            log = self._logs.get(airing.id)
            if log is not None:
                await self._shelf.update(log.record())

    # --- what the audio worker says ------------------------------------------------------------------

    def _sound_possible(self, ok: bool) -> None:
        self._station.set_audio(self.zone, ok=ok)
        self._wake.set()

    def _lose_audio(self, stopping: bool) -> None:
        now = self._clock.now()
        for stretch in list(self._stretches.values()):
            self._end(stretch, now, stretch.played_ms, CutReason.RESTART if stopping else CutReason.AUDIO)
        self._sound_possible(ok=False)

    def _take(self, event: AudioEvent) -> None:
        stretch = self._stretches.get(event.cue)
        if stretch is None:
            return
        match event:
            case CueStarted(at_ns=at_ns):
                for below in self._stretches.values():
                    below.covered(at_ns)
                stretch.started_ns = at_ns
                stretch.level_s = stretch.heard_s = stretch.sensed_s = self._clock.monotonic()
                stretch.log.begin(monotonic_to_wall(self._clock, at_ns), stretch.from_ms)
                error_ms = (at_ns - stretch.at_ns) / MS
                logger.info("zone %s: airing %s on air, %+.1f ms", self.zone, stretch.airing.id, error_ms)
                self._announce.append((stretch.airing, True))
                self._note_running()
                self._wake.set()
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
            self._live.heard(item.media.live_id, silent_ms=0, starved_ms=item.live.stall_limit_s * 1000 + 1
                             if item.live else 0)  # fmt: skip
        else:
            self._issues.raise_(Fault.MEDIA_UNREADABLE, item.title, f"{code}: {detail}")
            self._suspects.add(item.media.sha256)
        self._wake.set()

    def _take_level(self, stretch: Stretch, event: Level) -> None:
        now_s = self._clock.monotonic()
        period_ms = max(0, event.played_ms - stretch.played_ms)
        stretch.played_ms, stretch.rms_dbfs, stretch.level_s = event.played_ms, event.rms_dbfs, now_s
        at_ns = self._clock.monotonic_ns()
        stretch.log.level(event.rms_dbfs, event.peak_dbfs, period_ms, at_ns)
        stretch.log.amplifier(on=self.amplifier.sounding, fault=self.amplifier.fault)
        self.amplifier.heard_level(event.rms_dbfs, at_ns)
        meter = self.amplifier.latest
        if meter is not None and meter.amps is not None:
            stretch.log.supply(meter.amps, self.amplifier.drawing, at_ns)
        if event.rms_dbfs > AUDIBLE_DBFS:
            stretch.heard_s = now_s
            self._silences.pop(stretch.airing.id, None)
            self._issues.clear(Fault.OUTPUT_SILENT, self.zone)
            if stretch.session is not None:
                self._station.add_used(self.zone, stretch.session, period_ms)
        self._watch_silence(stretch, event, now_s)
        self._progress()

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
        if silent_s <= self._settings.silent_after_s:
            return
        self._issues.raise_(Fault.OUTPUT_SILENT, self.zone, stretch.airing.programme.title)
        step = self._silences.get(stretch.airing.id, 0)
        self._silences[stretch.airing.id] = step + 1
        stretch.heard_s = now_s  # the next step has its own three seconds
        if step == 0:
            logger.warning("zone %s: silent for %.1f s, worker replaced", self.zone, silent_s)
            self._keeper.restart()
            return
        items, following = stretch.airing.programme.items, stretch.item + 1
        if stretch.cut is CutReason.STOPPED:
            return
        stretch.cut = CutReason.AUDIO
        if following < len(items):
            position_ms = sum(one.media.duration_ms for one in items[:following])
            logger.warning("zone %s: still silent, item %s left out", self.zone, item.id)
            self._station.hold(stretch.airing, self.zone, position_ms)
            stretch.from_ms = position_ms - stretch.played_ms  # where its end says that it goes on
        else:
            logger.warning("zone %s: still silent, airing %s given up", self.zone, stretch.airing.id)
            self._complete.add(stretch.airing.id)
        self._keeper.restart()

    def _take_end(self, stretch: Stretch, event: CueEnded) -> None:
        if event.reason is EndReason.DEVICE_LOST:
            cut = CutReason.AUDIO
            self._keeper.card_lost(event.detail)
        elif event.reason is EndReason.FINISHED or event.played_ms >= stretch.left_ms - 60:
            cut = CutReason.NONE
            self._complete.add(stretch.airing.id)
            for item in stretch.airing.programme.items:
                if not stretch.log.failed(item.id):
                    self._issues.clear(Fault.MEDIA_UNREADABLE, item.title)
        else:
            cut = stretch.cut
        logger.info("zone %s: airing %s off air (%s)", self.zone, stretch.airing.id, event.reason)
        self._end(stretch, monotonic_to_wall(self._clock, event.at_ns), event.played_ms, cut)

    def _end(self, stretch: Stretch, at: datetime, played_ms: int, cut: CutReason) -> None:
        """A stretch is over: to the record with it, and what is cut waits where it stopped."""
        stretch.played_ms = played_ms
        stretch.log.end(at, played_ms, cut)
        self._forget(stretch)
        airing = stretch.airing
        if airing.id not in self._complete and cut is not CutReason.NONE:
            position_ms = stretch.goes_on_at(cut)
            if position_ms is not None:
                self._station.hold(airing, self.zone, position_ms)
            elif cut is CutReason.PREEMPTED and airing.programme.resume is Resume.DROP:
                self._complete.add(airing.id)
        if stretch.started_ns is not None:
            self._announce.append((airing, False))
        self._wake.set()

    def _note_running(self) -> None:
        stretch = self._sounding_stretch()
        if stretch is None:
            self._sounding.clear()
            self._station.set_running(self.zone, None)
        else:
            self._sounding.set()
            self._station.set_running(self.zone, stretch.airing.id, *stretch.item_times_ms())

    # --- what listens behind the amplifier -----------------------------------------------------------

    def _sounding_stretch(self) -> Stretch | None:
        """What is heard: the newest, where an older one goes on softly underneath."""
        started = [one for one in self._stretches.values() if one.started_ns is not None]
        return max(started, key=lambda one: one.cue, default=None)

    def _sensed(self, name: str) -> bool | None:
        reading = self.sense(name)
        return reading.active if reading is not None else None

    def _take_line(self, reading: LineReading) -> None:
        stretch = self._sounding_stretch()
        if stretch is None:
            return
        now_s = self._clock.monotonic()
        stretch.log.sense(reading.active, reading.level_dbfs, reading.at_ns)
        sent_sound = now_s - stretch.heard_s < 1.0
        if reading.active or not sent_sound:
            stretch.sensed_s = now_s
            if reading.active:
                self._issues.clear(Fault.LINE_SILENT, self.zone)
        elif now_s - stretch.sensed_s > self._settings.silent_after_s:
            self._issues.raise_(Fault.LINE_SILENT, self.zone, stretch.airing.programme.title)

    def _take_microphone(self, reading: LineReading) -> None:
        stretch = self._sounding_stretch()
        if stretch is not None:
            stretch.log.microphone(reading.active, reading.level_dbfs, reading.at_ns)
            hears = stretch.log.microphone_hears
            if hears is False:
                self._issues.raise_(Fault.MICROPHONE_DEAF, self.zone, stretch.airing.programme.title)
            elif hears:
                self._issues.clear(Fault.MICROPHONE_DEAF, self.zone)


def _session(due: Due, wanted: ZonePlan) -> str | None:
    """The session of the hours in which an airing counts."""
    if due.rung >= Rung.EMERGENCY or wanted.hours is None or wanted.hours.session is None:
        return None
    return wanted.hours.session.key
