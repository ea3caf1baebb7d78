"""What the box says of itself upstream: birth, health, and what it holds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.clock import SystemClock
from agent.content.keeper import ContentProgress
from agent.content.schedule_keeper import InForce, ScheduleKeeper
from agent.errors import StoreError
from agent.health.issues import IssueBook
from agent.health.service import HealthService
from agent.latest import Latest
from agent.model.bulletin import ZoneId
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from agent.store.store import Store
from agent.version import VERSION
from agent.wire.orders import Desired
from agent.wire.reports import Birth, BoardHealth, Health, IssueReport, Reported, ZoneHealth

logger = logging.getLogger(__name__)

_ISSUES = 50
LOOK_EVERY_S = 30.0


def boot_id() -> str:
    """The kernel's id of this boot; a process id where there is no procfs."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown-boot"


class Reports:
    """Builds reports from measured state; also a service that tells what the box holds when that changes."""

    name = "reports"

    def __init__(
        self,
        *,
        store: Store,
        station: Station,
        clock: SystemClock,
        box_name: str,
        players: Mapping[ZoneId, ZonePlayer],
        schedules: ScheduleKeeper,
        progress: Latest[ContentProgress],
        issues: IssueBook,
        health: HealthService,
        run_id: str,
        dropped_events: Callable[[], int],
        boards: Callable[[], tuple[BoardHealth, ...]] = tuple,
    ) -> None:
        self._store = store
        self._station = station
        self._clock = clock
        self._box_name = box_name
        self._players = players
        self._schedules = schedules
        self._progress = progress
        self._issues = issues
        self._health = health
        self._started_s = clock.monotonic()
        self._run_id = run_id
        self._dropped_events = dropped_events
        self._boards = boards
        self._changed: Latest[int] = Latest(0)
        self.waiting = 0
        self.dropped = 0

    @property
    def run_id(self) -> str:
        """Id of this run of the agent on this boot; birth and last will carry the same."""
        return self._run_id

    @property
    def uptime_s(self) -> int:
        """Seconds since the agent started."""
        return int(self._clock.monotonic() - self._started_s)

    def birth(self) -> Birth:
        """Everything about the box, said at each connection."""
        desired, in_force = self._schedules.wanted.value, self._schedules.in_force.value
        return Birth(
            boot_id=self._run_id,
            at=self._clock.now(),
            name=self._box_name,
            version=VERSION,
            zones=tuple(self._players),
            capabilities=(
                *(("audio",) if self._players else ()),
                *(("board",) if self._boards() else ()),
                "schedule",
            ),
            desired_seq=desired.seq if desired else 0,
            schedule_version=in_force.schedule.version if in_force else 0,
        )

    def health(self) -> Health:
        """What is measured now; an absent sensor is an absent value."""
        seen = self._health.observations
        progress = self._progress.value
        uplink = seen.uplink
        return Health(
            boot_id=self._run_id,
            at=self._clock.now(),
            uptime_s=self.uptime_s,
            clock=_clock_word(self._clock),
            clock_error_ms=seen.clock.error_ms if seen.clock else None,
            zones=tuple(_zone(zone, player, self._station) for zone, player in self._players.items()),
            boards=self._boards(),
            issues=tuple(
                IssueReport(code=one.fault.value, subject=one.subject[:300], since=one.since)
                for one in self._issues.open[:_ISSUES]
            ),
            media_held=progress.held,
            media_wanted=progress.wanted,
            storage_free_bytes=seen.storage.free_bytes if seen.storage else None,
            mains=seen.power.mains if seen.power else None,
            bearer=uplink.bearer.value if uplink else None,
            signal_dbm=uplink.signal_dbm if uplink else None,
            temperature_c=seen.temperature_c,
            outbox_waiting=self.waiting,
            outbox_dropped=self.dropped + self._dropped_events(),
        )

    def reported(self) -> Reported:
        """What the box holds."""
        desired: Desired | None = self._schedules.wanted.value
        in_force: InForce | None = self._schedules.in_force.value
        progress = self._progress.value
        return Reported(
            boot_id=self._run_id,
            at=self._clock.now(),
            desired_id=desired.id if desired else "",
            desired_seq=desired.seq if desired else 0,
            schedule_id=in_force.schedule.id if in_force else "",
            schedule_version=in_force.schedule.version if in_force else 0,
            schedule_sha256=in_force.sha256 if in_force else None,
            media_held=progress.held,
            media_wanted=progress.wanted,
        )

    def holdings_changed(self) -> None:
        """Something of what is reported changed."""
        self._changed.set(self._changed.value + 1)

    async def run(self) -> None:
        said: Reported | None = None
        while True:
            seen = self._changed.value
            fresh = self.reported()
            try:
                if said is None or fresh.model_copy(update={"at": said.at}) != said:
                    await self._store.report(fresh)
                    said = fresh
                counts = await self._store.outbox_counts()
                self.waiting, self.dropped = counts.waiting + counts.awaiting, counts.dropped
            except StoreError as error:
                logger.warning("holdings not reported: %s", error)
            if self._changed.value != seen:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.changed()


def _clock_word(clock: SystemClock) -> str:
    return clock.trust.name.lower()


def _zone(zone: ZoneId, player: ZonePlayer, station: Station) -> ZoneHealth:
    view, meter = player.view, player.amplifier.latest
    return ZoneHealth(
        zone=zone,
        on_air=view.on_air.id[:100] if view.on_air else None,
        title=view.on_air.programme.title if view.on_air else None,
        sounding=view.sounding,
        output_rms_dbfs=view.output_rms_dbfs,
        line_active=view.line_active,
        amplifier_on=player.amplifier.sounding,
        next_airing=view.next.id[:100] if view.next else None,
        next_start=view.next.start if view.next else None,
        reason=view.reason.value,
        rung=view.rung.name.lower() if view.rung is not None else None,
        volume_db=station.volume_db.get(zone),
        safety_until=station.state.safety.get(zone),
        supply_amps=meter.amps if meter is not None else None,
        supply_volts=meter.volts if meter is not None else None,
        amplifier_temperature_c=meter.temperature_c if meter is not None else None,
    )
