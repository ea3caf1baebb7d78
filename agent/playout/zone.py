"""Makes one zone sound what the plan says: the right airing, from disk, on the right millisecond.

The plan is asked again at every change and at every moment it names. Shortly before something begins
it is cued in the audio worker for its exact instant, with the amplifier ready in time. What the worker
and the line sensor measure goes into the airing's record; status follows it, never the intention.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.clock import Clock, monotonic_to_wall, wall_to_monotonic_ns
from agent.model.bulletin import AiringId, ZoneId
from agent.model.issue import Fault
from agent.model.report import AsRun, CutReason
from agent.model.schedule import Airing
from agent.playout.airing_log import AiringLog, blank_record
from agent.playout.amplifier import MS, AmplifierSwitch, Issues
from agent.playout.contracts import AiringShelf, Media, PlayoutSettings, ZoneView
from agent.playout.plan import Plan, Reason, StationState, plan
from agent.playout.station import Station
from drivers.api import (
    Audio,
    AudioEvent,
    CueEnded,
    CueItem,
    CueStarted,
    DriverError,
    EndReason,
    ItemFailed,
    ItemStarted,
    Level,
    LineSense,
)

logger = logging.getLogger(__name__)

AUDIBLE_DBFS = -60.0
CUE_LEAD_NS = 300 * MS
"""How far ahead the worker wants to be told, for an exact start."""

END_GRACE = timedelta(seconds=2)
"""How long after its planned end a stretch may still drain before it is stopped."""

STEP_TOLERANCE_NS = 20 * MS
"""A wall clock that moved by more against the monotonic one was stepped, not slewed."""

DRIFT_TOLERANCE_MS = 1000
"""A stretch that is off its wall-clock position by more, after a clock step, is begun anew."""

SAVE_EVERY_S = 5.0
LOOK_AT_LEAST_EVERY_S = 10.0


@dataclass(slots=True)
class _Stretch:
    """One cue in the worker: an airing from some position on."""

    cue: int
    airing: Airing
    at_ns: int
    from_ms: int
    first_item: int
    log: AiringLog
    clock_offset_ns: int
    item: int = 0
    started_ns: int | None = None
    played_ms: int = 0
    cut: CutReason = CutReason.PREEMPTED
    rms_dbfs: float | None = None
    level_s: float = 0.0
    heard_s: float = 0.0
    sensed_s: float = 0.0
    saved_s: float = 0.0


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
        """
        self.name = f"zone {zone}"
        self.zone = zone
        self.amplifier = amplifier
        self._station = station
        self._open_audio = open_audio
        self._open_line = open_line
        self._media = media
        self._shelf = shelf
        self._clock = clock
        self._issues = issues
        self._settings = settings
        self._on_air = on_air
        self._progress = progress
        self._audio: Audio | None = None
        self._wake = asyncio.Event()
        self._cue = 0
        self._stretches: dict[int, _Stretch] = {}
        self._logs: dict[AiringId, AiringLog] = {}
        self._complete: set[AiringId] = set()
        self._announce: list[tuple[Airing, bool]] = []
        self._suspects: set[str] = set()
        self._line_active: bool | None = None
        self._plan: Plan | None = None

    # --- what others may see -------------------------------------------------------------------------

    @property
    def view(self) -> ZoneView:
        """What the zone does now; it counts as sounding only while the card consumes audible samples."""
        if self._plan is None:
            return ZoneView(Reason.NOTHING_DUE)
        wanted = self._plan.zones[self.zone]
        stretch = self._sounding_stretch()
        fresh = stretch is not None and self._clock.monotonic() - stretch.level_s < 1.0
        on_air = stretch.airing if stretch is not None else None
        position = on_air.position(self._clock.now()) if on_air is not None else None
        return ZoneView(
            reason=wanted.reason,
            on_air=on_air,
            item=position[0] if position else 0,
            position_ms=position[1] if position else 0,
            sounding=fresh and stretch is not None and (stretch.rms_dbfs or -120.0) > AUDIBLE_DBFS,
            output_rms_dbfs=stretch.rms_dbfs if fresh and stretch is not None else None,
            line_active=self._line_active if stretch is not None else None,
            next=wanted.next,
        )

    @property
    def quiet_until(self) -> datetime | None:
        """When the next airing begins, None if none is known; for those who must not disturb one."""
        if self._plan is None:
            return None
        upcoming = self._plan.zones[self.zone].next
        return upcoming.start if upcoming is not None else None

    # --- tasks ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.amplifier.run(), name=self.amplifier.name)
            group.create_task(self._keep_audio(), name=f"{self.name} audio")
            group.create_task(self._probe_audio(), name=f"{self.name} audio probe")
            group.create_task(self._follow_station(), name=f"{self.name} station")
            if self._open_line is not None:
                group.create_task(self._watch_line(self._open_line), name=f"{self.name} line")
            group.create_task(self._direct(), name=f"{self.name} director")

    async def _follow_station(self) -> None:
        async for _ in self._station.changed.follow():
            self._wake.set()

    async def _direct(self) -> None:
        for record in await self._shelf.open_records(self.zone):
            self._logs[record.airing] = AiringLog.resume(record)
            self._station.begin(record.airing, self.zone)
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
        await self._finish_over(now)
        due = current.zones[self.zone].on_air
        upcoming = self._upcoming(state, current, now)
        if self._audio is not None:
            await self._drop_stepped()
            await self._stop_edited(due.airing if due else None, upcoming[1] if upcoming else None)
            if due is not None and not self._has(due.airing):
                await self._start(due.airing, now)
            # The worker holds one cue that has not begun; what is due now goes before what comes next.
            beginning = any(one.started_ns is None for one in self._stretches.values())
            if upcoming is not None and not beginning and not self._has(upcoming[1]):
                await self._start(upcoming[1], upcoming[0])
            await self._stop_unwanted(due.airing if due else None, upcoming[1] if upcoming else None, now)
        await self._save_progress()
        preroll_at = current.look_again - self._settings.preroll
        return preroll_at if preroll_at > now else current.look_again

    def _upcoming(self, state: StationState, current: Plan, now: datetime) -> tuple[datetime, Airing] | None:
        """What takes over within the pre-roll time, and when."""
        on_air = current.zones[self.zone].on_air
        moment = current.look_again
        while moment <= now + self._settings.preroll:
            then = plan(state, moment, self._clock.trust)
            due = then.zones[self.zone].on_air
            if due is not None and (on_air is None or due.airing.id != on_air.airing.id):
                return moment, due.airing
            if then.look_again <= moment:
                break
            moment = then.look_again
        return None

    def _has(self, airing: Airing) -> bool:
        return airing.id in self._complete or any(
            one.airing.id == airing.id for one in self._stretches.values()
        )

    def _blank(self, airing: Airing) -> AsRun:
        return blank_record(airing, self.zone, self._station.schedule_version, self._station.order_id)

    async def _start(self, airing: Airing, moment: datetime) -> None:
        """Cue an airing for `moment`, or as soon after as worker and amplifier can be ready."""
        hashes = {item.media.sha256 for item in airing.programme.items}
        files = {sha256: await self._media.checked(sha256) for sha256 in hashes}
        now_ns = self._clock.monotonic_ns()
        ready_ns = now_ns + max(CUE_LEAD_NS, self.amplifier.lead_ns() + 50 * MS)
        at_ns = max(wall_to_monotonic_ns(self._clock, moment), ready_ns)
        position = airing.position(max(monotonic_to_wall(self._clock, at_ns), airing.start))
        if position is None:
            return
        index, offset_ms = position
        items = airing.programme.items
        cued = tuple(
            CueItem(
                path=files[item.media.sha256],
                start_ms=offset_ms if n == 0 else 0,
                duration_ms=item.media.duration_ms,
                gain_db=item.media.gain_db,
            )
            for n, item in enumerate(items[index:])
        )
        log = self._logs.get(airing.id)
        if log is None:
            log = AiringLog(self._blank(airing))
            if not await self._shelf.begin(log.record()):  # durable before it sounds: nothing airs twice
                self._station.finish(airing.id, self.zone)
                return
            self._station.begin(airing.id, self.zone)
            self._logs[airing.id] = log
        log.promise(self._blank(airing))
        audio = self._audio
        if audio is None:
            return  # lost while the files were checked; whoever opens the next one comes here again
        self._cue += 1
        stretch = _Stretch(
            cue=self._cue,
            airing=airing,
            at_ns=at_ns,
            from_ms=sum(item.media.duration_ms for item in items[:index]) + offset_ms,
            first_item=index,
            log=log,
            clock_offset_ns=self._clock_offset_ns(),
            item=index,
            saved_s=self._clock.monotonic(),
        )
        self._stretches[stretch.cue] = stretch
        self.amplifier.need(stretch.cue, at_ns)
        latency_ns = int(self._settings.output_latency_ms * MS)
        try:
            await audio.cue(stretch.cue, cued, at_ns - latency_ns, max_dbfs=self._settings.max_dbfs)
        except DriverError as error:
            logger.warning("zone %s: airing %s could not be cued: %s", self.zone, airing.id, error)
            self._forget(stretch)

    async def _stop_edited(self, *wanted: Airing | None) -> None:
        """End what a newer schedule has given other items; it begins anew with those."""
        for stretch in list(self._stretches.values()):
            for airing in wanted:
                if (
                    airing is not None
                    and stretch.airing.id == airing.id
                    and stretch.airing.programme.items != airing.programme.items
                    and stretch.cut is not CutReason.SCHEDULE_CHANGED
                ):
                    await self._stop(stretch, CutReason.SCHEDULE_CHANGED)

    async def _stop_unwanted(self, due: Airing | None, upcoming: Airing | None, now: datetime) -> None:
        wanted = {airing.id for airing in (due, upcoming) if airing is not None}
        newest = max((one.cue for one in self._stretches.values() if one.airing.id in wanted), default=0)
        known = self._station.state.timetable
        for stretch in list(self._stretches.values()):
            if stretch.airing.id in wanted:
                continue
            if stretch.started_ns is not None and stretch.cue < newest:
                continue  # the worker itself replaces it at the newer one's exact start
            if stretch.airing.end <= now < stretch.airing.end + END_GRACE:
                continue  # its last samples are draining
            promised = known is not None and any(one.id == stretch.airing.id for one in known.active(now))
            await self._stop(stretch, CutReason.PREEMPTED if promised else CutReason.SCHEDULE_CHANGED)

    async def _drop_stepped(self) -> None:
        """After a clock step, begin anew whatever is no longer where the wall clock says."""
        offset_ns = self._clock_offset_ns()
        for stretch in list(self._stretches.values()):
            moved_ns = abs(offset_ns - stretch.clock_offset_ns)
            limit = STEP_TOLERANCE_NS if stretch.started_ns is None else DRIFT_TOLERANCE_MS * MS
            if moved_ns > limit:
                logger.warning("zone %s: clock stepped by %.3f s", self.zone, moved_ns / 1e9)
                await self._stop(stretch, CutReason.CLOCK_STEP)

    async def _stop(self, stretch: _Stretch, cut: CutReason) -> None:
        stretch.cut = cut
        if self._audio is None:
            return
        try:
            await self._audio.stop(stretch.cue)
        except DriverError as error:
            logger.warning("zone %s: could not stop: %s", self.zone, error)
        if stretch.started_ns is None:
            self._forget(stretch)  # it was never heard, so no end will be told

    def _forget(self, stretch: _Stretch) -> None:
        self._stretches.pop(stretch.cue, None)
        self.amplifier.release(stretch.cue)

    def _clock_offset_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9) - self._clock.monotonic_ns()

    # --- records -------------------------------------------------------------------------------------

    async def _finish_over(self, now: datetime) -> None:
        """Give every airing that is over its final record, once."""
        for airing, log in list(self._logs.items()):
            if any(one.airing.id == airing for one in self._stretches.values()):
                continue
            record = log.record()
            over = record.planned_start + timedelta(milliseconds=record.planned_ms) <= now
            if airing not in self._complete and not over:
                continue
            final = log.final()
            await self._shelf.finish(final)
            self._station.finish(airing, self.zone)
            del self._logs[airing]
            self._complete.discard(airing)
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
            if begins and log is not None:
                await self._shelf.update(log.record())

    # --- the audio worker ----------------------------------------------------------------------------

    async def _keep_audio(self) -> None:
        failures = 0
        while True:
            opened = False
            try:
                async with self._open_audio() as audio:
                    self._audio, opened, failures = audio, True, 0
                    self._issues.clear(Fault.AUDIO_HUNG, self.zone)
                    self._sound_possible(ok=True)
                    async for event in audio.events():
                        self._take(event)
            except DriverError as error:
                failures += 1
                fault = Fault.AUDIO_HUNG if opened else Fault.AUDIO_CARD_MISSING
                self._issues.raise_(fault, self.zone, str(error))
            finally:
                task = asyncio.current_task()
                stopping = task is not None and task.cancelling() > 0
                self._lose_audio(CutReason.RESTART if stopping else CutReason.AUDIO)
            # A worker that was lost is replaced at once; one that cannot start is tried ever more rarely.
            await self._clock.sleep(0.0 if opened else min(10.0, 0.25 * 2 ** min(failures, 6)))

    def _sound_possible(self, *, ok: bool) -> None:
        if ok:
            self._issues.clear(Fault.AUDIO_CARD_MISSING, self.zone)
        self._station.set_audio(self.zone, ok=ok)
        self._wake.set()

    def _lose_audio(self, cut: CutReason) -> None:
        self._audio = None
        now = self._clock.now()
        for stretch in list(self._stretches.values()):
            stretch.log.end(now, stretch.played_ms, cut)
            if stretch.started_ns is not None:
                self._announce.append((stretch.airing, False))
            self._forget(stretch)
        self._station.set_audio(self.zone, ok=False)
        self._wake.set()

    async def _probe_audio(self) -> None:
        """See a missing card before something is due, and see it come back."""
        while True:
            await self._clock.sleep(10.0 if self._station.audio_ok(self.zone) else 2.0)
            audio = self._audio
            if audio is None or self._stretches:
                continue
            try:
                await audio.probe()
            except DriverError as error:
                await self._clock.sleep(0.2)
                if self._audio is audio:  # the worker lives, so it is the card that is missing
                    self._issues.raise_(Fault.AUDIO_CARD_MISSING, self.zone, str(error))
                    self._station.set_audio(self.zone, ok=False)
            else:
                if not self._station.audio_ok(self.zone):
                    self._sound_possible(ok=True)

    def _take(self, event: AudioEvent) -> None:
        stretch = self._stretches.get(event.cue)
        if stretch is None:
            return
        match event:
            case CueStarted(at_ns=at_ns):
                stretch.started_ns = at_ns
                stretch.level_s = stretch.heard_s = stretch.sensed_s = self._clock.monotonic()
                stretch.log.begin(monotonic_to_wall(self._clock, at_ns), stretch.from_ms)
                error_ms = (at_ns - stretch.at_ns) / MS
                logger.info("zone %s: airing %s on air, %+.1f ms", self.zone, stretch.airing.id, error_ms)
                self._announce.append((stretch.airing, True))
                self._wake.set()
            case ItemStarted(index=index):
                stretch.item = stretch.first_item + index
            case Level():
                self._take_level(stretch, event)
            case ItemFailed(index=index, code=code, detail=detail):
                item = stretch.airing.programme.items[stretch.first_item + index]
                stretch.log.item_failed(item.id, code)
                self._issues.raise_(Fault.MEDIA_UNREADABLE, item.title, f"{code}: {detail}")
                self._suspects.add(item.media.sha256)
                self._wake.set()
            case CueEnded():
                self._take_end(stretch, event)

    def _take_level(self, stretch: _Stretch, event: Level) -> None:
        now_s = self._clock.monotonic()
        period_ms = max(0, event.played_ms - stretch.played_ms)
        stretch.played_ms, stretch.rms_dbfs, stretch.level_s = event.played_ms, event.rms_dbfs, now_s
        stretch.log.level(event.rms_dbfs, event.peak_dbfs, period_ms, self._clock.monotonic_ns())
        stretch.log.amplifier(on=self.amplifier.sounding, fault=self.amplifier.fault)
        if event.rms_dbfs > AUDIBLE_DBFS:
            stretch.heard_s = now_s
            self._issues.clear(Fault.OUTPUT_SILENT, self.zone)
        elif now_s - stretch.heard_s > self._settings.silent_after_s:
            self._issues.raise_(Fault.OUTPUT_SILENT, self.zone, stretch.airing.programme.title)
        self._progress()

    def _take_end(self, stretch: _Stretch, event: CueEnded) -> None:
        left_ms = sum(item.media.duration_ms for item in stretch.airing.programme.items) - stretch.from_ms
        if event.reason is EndReason.DEVICE_LOST:
            cut = CutReason.AUDIO
            self._issues.raise_(Fault.AUDIO_CARD_MISSING, self.zone, event.detail)
            self._station.set_audio(self.zone, ok=False)
        elif event.reason is EndReason.FINISHED or event.played_ms >= left_ms - 60:
            cut = CutReason.NONE
            self._complete.add(stretch.airing.id)
            for item in stretch.airing.programme.items:
                if not stretch.log.failed(item.id):
                    self._issues.clear(Fault.MEDIA_UNREADABLE, item.title)
        else:
            cut = stretch.cut
        stretch.log.end(monotonic_to_wall(self._clock, event.at_ns), event.played_ms, cut)
        logger.info("zone %s: airing %s off air (%s)", self.zone, stretch.airing.id, event.reason)
        self._forget(stretch)
        if stretch.started_ns is not None:
            self._announce.append((stretch.airing, False))
        self._wake.set()

    # --- the line ------------------------------------------------------------------------------------

    def _sounding_stretch(self) -> _Stretch | None:
        return next((one for one in self._stretches.values() if one.started_ns is not None), None)

    async def _watch_line(self, open_line: Callable[[], AbstractAsyncContextManager[LineSense]]) -> None:
        lost = False
        while True:
            try:
                async with open_line() as line:
                    if lost:
                        logger.info("zone %s: line sensor is back", self.zone)
                    lost = False
                    while True:
                        await self._read_line(line)
            except (DriverError, TimeoutError) as error:
                if not lost:
                    logger.warning("zone %s: line sensor does not answer: %s", self.zone, error)
                lost = True
            finally:
                self._line_active = None
            await self._clock.sleep(5.0)

    async def _read_line(self, line: LineSense) -> None:
        stretch = self._sounding_stretch()
        if stretch is None:
            self._line_active = None
            await self._clock.sleep(0.25)
            return
        async with asyncio.timeout(1.0):
            reading = await line.read()
        now_s = self._clock.monotonic()
        self._line_active = reading.active
        stretch.log.sense(reading.active, reading.level_dbfs, reading.at_ns)
        sent_sound = now_s - stretch.heard_s < 1.0
        if reading.active or not sent_sound:
            stretch.sensed_s = now_s
            if reading.active:
                self._issues.clear(Fault.LINE_SILENT, self.zone)
        elif now_s - stretch.sensed_s > self._settings.silent_after_s:
            self._issues.raise_(Fault.LINE_SILENT, self.zone, stretch.airing.programme.title)
        await self._clock.sleep(0.1)
