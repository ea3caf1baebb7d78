"""What the box shows to a person beside it, gathered from every room."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from agent.app.boards import Boards
from agent.app.reports import boot_id
from agent.clock import SystemClock
from agent.config import Config
from agent.content.keeper import ContentKeeper
from agent.content.schedule_keeper import ScheduleKeeper
from agent.content.store import MediaStore
from agent.field import views
from agent.health.issues import IssueBook
from agent.health.service import HealthService
from agent.latest import Latest
from agent.model.bulletin import ZoneId
from agent.model.report import Verdict
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from agent.source.api import SourceStatus
from agent.source.identity import Identity
from agent.store.store import Store
from agent.version import VERSION

_MAX_UPCOMING = 50
_LOG_LOOK_BACK = 200


class _Source(Protocol):
    @property
    def status(self) -> Latest[SourceStatus]: ...


class _Uptime(Protocol):
    @property
    def uptime_s(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def dropped(self) -> int: ...


class Rooms(Protocol):
    """The parts of a built box that are shown."""

    clock: SystemClock
    issues: IssueBook
    health: HealthService
    media: MediaStore
    content: ContentKeeper
    schedules: ScheduleKeeper
    players: dict[ZoneId, ZonePlayer]
    boards: Boards
    station: Station

    @property
    def identity(self) -> Identity | None: ...


class BoxView:
    """Answers the local socket."""

    def __init__(self, rooms: Rooms, source: _Source, uptime: _Uptime, config: Config, store: Store) -> None:
        self._rooms = rooms
        self._source = source
        self._uptime = uptime
        self._config = config
        self._store = store
        self._boot_id = boot_id()
        self._names = {zone.id: zone.name for zone in config.zones}

    def status(self) -> views.BoxStatus:
        """Everything at a glance."""
        rooms = self._rooms
        seen, progress, in_force = (
            rooms.health.observations,
            rooms.content.progress.value,
            rooms.schedules.in_force.value,
        )
        return views.BoxStatus(
            version=VERSION,
            name=self._config.box.name,
            boot_id=self._boot_id,
            uptime_s=self._uptime.uptime_s,
            timezone=self._config.box.timezone,
            clock=views.ClockView(
                rooms.clock.now(), rooms.clock.trust, seen.clock.error_ms if seen.clock else None
            ),
            source=self._source_view(),
            device=rooms.identity.device if rooms.identity else None,
            enrolled=rooms.identity is not None,
            zones=tuple(self._zone(zone, player) for zone, player in rooms.players.items()),
            boards=rooms.boards.info(),
            schedule=views.ScheduleView(
                in_force.schedule.id, in_force.schedule.version, in_force.schedule.station, in_force.since
            )
            if in_force
            else None,
            media=views.MediaView(progress.held, progress.wanted, rooms.media.used_bytes),
            storage=views.StorageView(seen.storage.free_bytes, seen.storage.total_bytes)
            if seen.storage
            else None,
            outbox=views.OutboxView(self._uptime.waiting, self._uptime.dropped),
            issues=tuple(views.issue_view(issue) for issue in rooms.issues.open),
            mains=seen.power.mains if seen.power else None,
            bearer=seen.uplink.bearer.value if seen.uplink else None,
            signal_dbm=seen.uplink.signal_dbm if seen.uplink else None,
            temperature_c=seen.temperature_c,
        )

    async def plan(self, hours: float) -> views.PlanView:
        """What is on air, what comes, and what was missed lately, per zone."""
        rooms = self._rooms
        now = rooms.clock.now()
        in_force = rooms.schedules.in_force.value
        coming = (
            tuple(in_force.timetable.between(now, now + timedelta(hours=hours), _MAX_UPCOMING))
            if in_force
            else ()
        )
        log = await self._store.play_log(_LOG_LOOK_BACK)
        zones = []
        for zone, player in rooms.players.items():
            status = self._zone(zone, player)
            zones.append(
                views.ZonePlan(
                    zone=zone,
                    name=self._names[zone],
                    reason=status.reason,
                    on_air=status.on_air,
                    upcoming=tuple(
                        views.AiringView(
                            airing.id,
                            airing.programme.title,
                            airing.start,
                            airing.end,
                            airing.programme.bulletin_class,
                            all(
                                not item.media.is_file or rooms.media.has(item.media.sha256)
                                for item in airing.programme.items
                            ),
                        )
                        for airing in coming
                        if not airing.programme.zones or zone in airing.programme.zones
                    ),
                    missed=tuple(
                        views.MissedView(one.airing, one.title, one.planned_start, one.missed)
                        for one in log
                        if one.zone == zone
                        and one.verdict is Verdict.MISSED
                        and one.missed is not None
                        and now - one.planned_start < timedelta(hours=24)
                    ),
                )
            )
        return views.PlanView(now, self._config.box.timezone, hours, tuple(zones))

    def why(self) -> views.WhyView:
        """Why each zone sounds, or does not, as the plan last said."""
        rooms = self._rooms
        zones = tuple(self._why(zone, player) for zone, player in rooms.players.items())
        return views.WhyView(rooms.clock.now(), self._config.box.timezone, zones)

    def _why(self, zone: ZoneId, player: ZonePlayer) -> views.ZoneWhy:
        status, view, wanted = self._zone(zone, player), player.view, player.wanted
        state = self._rooms.station.state
        hours = wanted.hours if wanted is not None and state.hours is not None else None
        return views.ZoneWhy(
            zone=zone,
            name=status.name,
            reason=status.reason,
            on_air=status.on_air,
            rung=status.on_air.rung if status.on_air is not None else "",
            since=view.since,
            sounding=status.sounding,
            waiting=tuple(
                views.WaitingView(one.airing.programme.title, one.rung.name.lower(), one.reason.value)
                for one in (wanted.waiting if wanted is not None else ())
            ),
            hours=views.HoursView(
                hours.allowed,
                hours.until,
                hours.cap_dbfs,
                hours.left // timedelta(minutes=1) if hours.left is not None else None,
            )
            if hours is not None
            else None,
            safety_until=state.safety.get(zone),
            paused_until=state.pauses.get(zone),
            next_title=status.next_title,
            next_start=status.next_start,
            next_blocked=wanted.next_blocked.value
            if wanted is not None and wanted.next_blocked is not None
            else None,
        )

    async def play_log(self, limit: int) -> tuple[views.PlayLogEntry, ...]:
        """The newest as-run records."""
        return tuple(views.play_log_entry(record) for record in await self._store.play_log(limit))

    def _zone(self, zone: ZoneId, player: ZonePlayer) -> views.ZoneStatus:
        view = player.view
        on_air = None
        if view.on_air is not None:
            on_air = views.OnAirView(
                airing=view.on_air.id,
                title=view.on_air.programme.title,
                item=view.on_air.programme.items[view.item].title,
                position_ms=view.position_ms,
                rung=view.rung.name.lower() if view.rung is not None else "",
            )
        amplifier = player.amplifier
        return views.ZoneStatus(
            zone=zone,
            name=self._names[zone],
            reason=view.reason.value,
            on_air=on_air,
            sounding=view.sounding,
            output_rms_dbfs=view.output_rms_dbfs,
            line_active=view.line_active,
            amplifier=views.AmplifierView(amplifier.powered, not amplifier.sounding, amplifier.fault),
            next_title=view.next.programme.title if view.next else None,
            next_start=view.next.start if view.next else None,
        )

    def _source_view(self) -> views.SourceView:
        status = self._source.status.value
        error, identity = status.mqtt_error or status.http_error, self._rooms.identity
        return views.SourceView(
            state=status.mqtt.value,
            code=error.code if error else "",
            since=status.mqtt_since,
            last_error=error.detail if error else "",
            url=self._config.source.url or (identity.url if identity else ""),
            last_answer=status.http_ok_at,
        )
