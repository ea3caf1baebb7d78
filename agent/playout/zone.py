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
from pathlib import Path

from agent.clock import Clock, monotonic_to_wall, wall_to_monotonic_ns
from agent.errors import AgentError
from agent.model.bulletin import ZoneId
from agent.model.report import AsRun, CutReason
from agent.model.schedule import Airing
from agent.playout.amplifier import AmplifierSwitch
from agent.playout.book import ZoneBook
from agent.playout.contracts import AiringShelf, Issues, LiveRoom, Media, NoLive, PlayoutSettings, ZoneView
from agent.playout.hearing import AUDIBLE_DBFS, Hearing
from agent.playout.ladder import Reason, Rung, StationState
from agent.playout.plan import Due, Plan, ZonePlan, plan
from agent.playout.station import Station
from agent.playout.stretch import MS, Stretch, cue_items, cut_of, duck_ms
from drivers.api import (
    Audio,
    DriverError,
    LineReading,
    LineSense,
)

logger = logging.getLogger(__name__)

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
        self._clock = clock
        self._settings = settings
        self._on_air = on_air
        self._progress = progress
        self._live: LiveRoom = live or NoLive()
        self._cue = 0
        self._group: asyncio.TaskGroup | None = None
        self._checks: dict[str, asyncio.Task[Path]] = {}
        self._plan: Plan | None = None
        self._book = ZoneBook(zone, station, shelf, clock, on_final)
        self._hearing = Hearing(
            zone,
            station=station,
            book=self._book,
            open_audio=open_audio,
            senses={"line": open_line, "microphone": open_microphone},
            amplifier=amplifier,
            live=self._live,
            clock=clock,
            issues=issues,
            silent_after_s=settings.silent_after_s,
            progress=progress,
        )

    # --- what others may see -------------------------------------------------------------------------

    @property
    def view(self) -> ZoneView:
        """What the zone does now; it counts as sounding only while the card consumes audible samples."""
        if self._plan is None:
            return ZoneView(Reason.NOTHING_DUE)
        wanted = self._plan.zones[self.zone]
        stretch = self._hearing.sounding()
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
            line_active=self._hearing.sensed("line"),
            microphone_active=self._hearing.sensed("microphone"),
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
        return self._hearing.reading(name)

    @property
    def armed(self) -> bool:
        """Whether an audio worker is ready to sound."""
        return self._hearing.keeper.audio is not None

    # --- orders of people ----------------------------------------------------------------------------

    def restart_worker(self) -> None:
        """Replace the audio worker; what was on air goes on."""
        self._hearing.keeper.restart()

    async def stop_airing(self) -> str:
        """End what is on air for good, unless it is an emergency; returns its title, "" if there was none."""
        stretch = self._hearing.sounding()
        if stretch is None or stretch.rung >= Rung.EMERGENCY:
            return ""
        self._book.complete.add(stretch.airing.id)
        await self._stop(stretch, CutReason.STOPPED)
        return stretch.airing.programme.title

    async def next_item(self) -> str:
        """Go on with the next item of what is on air; returns its title, "" if the airing is over with it."""
        stretch = self._hearing.sounding()
        if stretch is None or stretch.rung >= Rung.LIVE:
            return ""
        items = stretch.airing.programme.items
        following = stretch.item + 1
        if following >= len(items):
            await self.stop_airing()
            return ""
        position_ms = sum(item.media.duration_ms for item in items[:following])
        stretch.jump_ms = position_ms
        await self._stop(stretch, CutReason.STOPPED)
        return items[following].title

    # --- tasks ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.amplifier.run(), name=self.amplifier.name)
            group.create_task(self._hearing.keeper.run(), name=f"{self.name} audio")
            group.create_task(self._hearing.keeper.probe(), name=f"{self.name} audio probe")
            group.create_task(self._follow_station(), name=f"{self.name} station")
            for sense in self._hearing.senses.values():
                group.create_task(sense.run(), name=sense.name)
            group.create_task(self._direct(), name=f"{self.name} director")

    async def _follow_station(self) -> None:
        async for _ in self._station.changed.follow():
            self._hearing.wake.set()

    async def _direct(self) -> None:
        await self._book.restore()
        try:
            while True:
                self._hearing.wake.clear()
                look_again = await self._decide()
                await self._tell()
                self._progress()
                wait_s = (look_again - self._clock.now()).total_seconds()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(max(wait_s, 0.0), LOOK_AT_LEAST_EVERY_S)):
                        await self._hearing.wake.wait()
        finally:
            await self._book.save_on_stop(self._hearing.stretches.values())

    # --- deciding ------------------------------------------------------------------------------------

    async def _decide(self) -> datetime:
        """Bring the worker in line with the plan; returns when to look again."""
        now = self._clock.now()
        state = self._station.state
        current = self._plan = plan(state, now, self._clock.trust)
        wanted = current.zones[self.zone]
        self.amplifier.set_hold_off(on=wanted.reason is Reason.SAFETY_STOP)
        await self._book.finish_over(now, self._hearing.has)
        for held in wanted.holds:
            if not self._hearing.has(held.airing.id):
                self._station.hold(held.airing, self.zone, held.position_ms)
        due = wanted.on_air
        stopped = wanted.reason is Reason.SAFETY_STOP
        upcoming = None if stopped else self._upcoming(state, current, now)
        if self._hearing.keeper.audio is not None:
            await self._drop_stepped()
            await self._stop_edited(due, upcoming[1] if upcoming else None)
            if stopped:  # before all else: somebody works at the horn
                await self._stop_unwanted(None, None, now, wanted)
            if due is not None and not self._has(due.airing):
                await self._start(due, now)
            # The worker holds one cue that has not begun; what is due now goes before what comes next.
            beginning = any(one.started_ns is None for one in self._hearing.stretches.values())
            if upcoming is not None and not beginning and not self._has(upcoming[1].airing):
                await self._start(upcoming[1], upcoming[0])
            await self._stop_unwanted(due, upcoming[1] if upcoming else None, now, wanted)
            await self._set_levels(due)
        await self._book.save_progress(self._hearing.stretches)
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

    def _has(self, airing: Airing) -> bool:
        return airing.id in self._book.complete or self._hearing.has(airing.id)

    async def _start(self, due: Due, moment: datetime) -> None:
        """Cue an airing for `moment`, or as soon after as worker and amplifier can be ready."""
        airing = due.airing
        programme = airing.programme
        files = self._files({item.media.sha256 for item in programme.items if item.media.is_file})
        if files is None:
            return  # being checked; the plan is asked again when that is done
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
        log = await self._book.open_log(airing)
        audio = self._hearing.keeper.audio
        if log is None or audio is None:
            return  # aired before; or lost while the files were checked, and its successor comes here again
        log.promise(self._book.blank(airing))
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
            live=tuple(item.media.live_id for item in items if item.media.live_id is not None),
            max_dbfs=max_dbfs,
            volume_db=volume_db,
            item=index,
            saved_s=self._clock.monotonic(),
        )
        self._hearing.stretches[stretch.cue] = stretch
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
            self._hearing.forget(stretch)

    def _files(self, hashes: set[str]) -> dict[str, Path] | None:
        """Where files lie, once all are checked; None until then.

        Checking reads whole files. It goes on beside the director, so that an emergency that comes meanwhile
        does not wait for it.
        """
        for sha256 in hashes - self._checks.keys():
            if self._group is not None:
                task = self._group.create_task(self._media.checked(sha256), name=f"check {sha256[:12]}")
                task.add_done_callback(lambda _: self._hearing.wake.set())
                self._checks[sha256] = task
        if not all(self._checks[sha256].done() for sha256 in hashes):
            return None
        files = {sha256: self._checks[sha256].result() for sha256 in hashes}
        self._checks = {
            sha256: task for sha256, task in self._checks.items() if sha256 not in hashes and not task.done()
        }
        return files

    def _levels(self, due: Due) -> tuple[float, float]:
        """Limit and gain of what is due; an emergency is never softer than the box can be."""
        volume_db = self._station.volume_db.get(self.zone, 0.0)
        if due.rung >= Rung.EMERGENCY:
            return self._settings.max_dbfs, max(0.0, volume_db)
        cap = self._settings.max_dbfs if due.cap_dbfs is None else due.cap_dbfs
        return min(self._settings.max_dbfs, cap), volume_db

    async def _set_levels(self, due: Due | None) -> None:
        """Follow a change of volume or of the hours' level cap while something sounds."""
        audio = self._hearing.keeper.audio
        for stretch in list(self._hearing.stretches.values()):
            if due is None or audio is None or stretch.airing.id != due.airing.id:
                continue
            max_dbfs, volume_db = self._levels(due)
            if (max_dbfs, volume_db) != (stretch.max_dbfs, stretch.volume_db):
                stretch.max_dbfs, stretch.volume_db = max_dbfs, volume_db
                with contextlib.suppress(DriverError):
                    await audio.adjust(stretch.cue, volume_db=volume_db, max_dbfs=max_dbfs)

    async def _stop_edited(self, *wanted: Due | None) -> None:
        """End what a newer schedule has given other items; it begins anew with those."""
        for stretch in list(self._hearing.stretches.values()):
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
        stretches = list(self._hearing.stretches.values())
        newest = max((one.cue for one in stretches if one.airing.id in wanted), default=0)
        reasons = {one.airing.id: cut_of(one.reason) for one in plan_now.waiting}
        not_ready = due is not None and not self._has(due.airing)
        for stretch in stretches:
            airing = stretch.airing
            if not_ready and reasons.get(airing.id) is CutReason.PREEMPTED:
                continue  # it sounds until what comes above it is ready
            if airing.id in wanted or stretch.cut is CutReason.STOPPED:
                continue
            if stretch.started_ns is not None and stretch.cue < newest:
                if stretch.cut is CutReason.PREEMPTED:
                    stretch.cut = reasons.get(airing.id, CutReason.PREEMPTED)
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
        for stretch in list(self._hearing.stretches.values()):
            moved_ns = abs(offset_ns - stretch.clock_offset_ns)
            limit = STEP_TOLERANCE_NS if stretch.started_ns is None else DRIFT_TOLERANCE_MS * MS
            if moved_ns > limit and not stretch.floating:
                logger.warning("zone %s: clock stepped by %.3f s", self.zone, moved_ns / 1e9)
                await self._stop(stretch, CutReason.CLOCK_STEP)

    async def _stop(self, stretch: Stretch, cut: CutReason) -> None:
        stretch.cut = cut
        audio = self._hearing.keeper.audio
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
            self._hearing.forget(stretch)  # it was never heard, so no end will be told

    def _clock_offset_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9) - self._clock.monotonic_ns()

    async def _tell(self) -> None:
        told, suspects = self._hearing.news()
        for sha256 in suspects:
            if self._group is not None:
                self._group.create_task(self._media.recheck(sha256), name=f"recheck {sha256[:12]}")
        for airing, begins in told:
            await self._on_air(self.zone, airing, begins)
            await self._book.save(airing.id)
