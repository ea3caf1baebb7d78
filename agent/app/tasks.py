"""Small services that belong to no single room: they keep one room's facts flowing into another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from agent.clock import Clock, SystemClock
from agent.content.keeper import ContentProgress, Wanted
from agent.content.schedule_keeper import InForce
from agent.content.store import MediaStore
from agent.errors import AgentError, ContentError, StoreError
from agent.health.issues import IssueBook
from agent.latest import Latest
from agent.model.bulletin import ClockTrust, Media, ZoneId
from agent.model.issue import Fault
from agent.model.schedule import Programme
from agent.playout.station import Station
from agent.source.api import LinkState, SourceStatus
from agent.source.identity import Identity, load_identity
from agent.store.state import Json
from agent.store.store import Store
from agent.trust.desk import OrderDesk
from agent.wire.reports import EventType
from drivers.api import Bearer, DriverError, UplinkState

logger = logging.getLogger(__name__)

T = TypeVar("T")

PLANNED_UNTIL_KEY = "planned_until"
LAST_SEEN_KEY = "last_seen"
USED_KEY = "hours_used"


class MoreMedia(Protocol):
    """Files needed beside the schedule."""

    @property
    def changed(self) -> Latest[int]: ...

    def needed(self) -> tuple[Wanted, ...]: ...


class IdentityWatch:
    """Notices that the box was paired (or paired anew) while the agent runs."""

    name = "identity watch"

    def __init__(self, path: Path, identity: Latest[Identity | None], clock: Clock) -> None:
        self._path = path
        self._identity = identity
        self._clock = clock

    async def run(self) -> None:
        seen = _stamp(self._path)
        while True:
            await self._clock.sleep(1.0 if self._identity.value is None else 5.0)
            stamp = _stamp(self._path)
            if stamp == seen:
                continue
            seen = stamp
            try:
                fresh = await asyncio.to_thread(load_identity, self._path)
            except AgentError as error:
                logger.warning("identity not read: %s", error)
                continue
            if fresh is not None:
                logger.info("paired as %s", fresh.device)
                self._identity.set(fresh)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


class PairedDesk:
    """Runs the order desk once there is a trust root to judge by."""

    name = OrderDesk.name

    def __init__(self, identity: Latest[Identity | None], desk: OrderDesk) -> None:
        self._identity = identity
        self._desk = desk

    async def run(self) -> None:
        async for identity in self._identity.follow():
            if identity is not None:
                break
        await self._desk.run()


class WantedMedia:
    """Tells the content keeper which files the schedule needs, and when each is needed next."""

    name = "wanted media"
    HORIZON = timedelta(days=7)
    REFRESH_S = 900.0

    def __init__(
        self,
        in_force: Latest[InForce | None],
        wanted: Latest[tuple[Wanted, ...] | None],
        zones: tuple[ZoneId, ...],
        clock: Clock,
        more: MoreMedia,
    ) -> None:
        self._in_force = in_force
        self._wanted = wanted
        self._zones = zones
        self._clock = clock
        self._more = more

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            news = asyncio.Event()
            group.create_task(_ring(self._in_force, news), name="schedule news")
            group.create_task(_ring(self._more.changed, news), name="order news")
            while True:
                news.clear()
                now = self._in_force.value
                scheduled = () if now is None else await asyncio.to_thread(self._needs, now)
                wanted = {one.media.sha256: one for one in scheduled}
                for one in self._more.needed():  # what an order needs at once goes before its schedule
                    if one.media.sha256 not in wanted or one.next_need is not None:
                        wanted[one.media.sha256] = one
                self._wanted.set(tuple(wanted.values()))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.REFRESH_S):
                        await news.wait()

    def _needs(self, now: InForce) -> tuple[Wanted, ...]:
        moment = self._clock.now()
        needed: dict[str, datetime] = {}
        for airing in now.timetable.between(moment - timedelta(hours=2), moment + self.HORIZON, 5000):
            if airing.end <= moment:
                continue
            for file in files_of(airing.programme, sound=bool(self._zones)):
                needed.setdefault(file.sha256, airing.start)
        media = {
            one.sha256: one
            for programme in now.schedule.programmes
            if not programme.zones or not self._zones or set(programme.zones) & set(self._zones)
            for one in files_of(programme, sound=bool(self._zones))
        }
        return tuple(Wanted(media[sha256], needed.get(sha256)) for sha256 in sorted(media))


def files_of(programme: Programme, *, sound: bool = True) -> Iterator[Media]:
    """Files a programme needs; a box without a horn needs only its pictures."""
    for item in programme.items:
        if item.media.is_file and sound:
            yield item.media
        if item.picture is not None:
            yield item.picture


async def _ring(latest: Latest[T], bell: asyncio.Event) -> None:
    async for _ in latest.follow():
        bell.set()


class MediaCheck:
    """Checks files against their hashes well before they are needed, so that a bad one can be fetched anew.

    Each file is read once a run; what was downloaded in this run was checked then.
    """

    name = "media check"
    AHEAD = timedelta(minutes=30)
    EVERY_S = 60.0

    def __init__(self, in_force: Latest[InForce | None], media: MediaStore, clock: Clock) -> None:
        self._in_force = in_force
        self._media = media
        self._clock = clock

    async def run(self) -> None:
        while True:
            now = self._in_force.value
            if now is not None:
                await self._check(now)
            if self._in_force.value is not now:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.EVERY_S):
                    await self._in_force.changed()

    async def _check(self, now: InForce) -> None:
        moment = self._clock.now()
        for airing in (
            *now.timetable.active(moment),
            *now.timetable.between(moment, moment + self.AHEAD, 200),
        ):
            for item in airing.programme.items:
                if item.media.is_file and self._media.has(item.media.sha256):
                    with contextlib.suppress(ContentError):  # an unreadable disk is reported by the keeper
                        await self._media.verify(item.media.sha256)


class Bookkeeper:
    """Remembers, now and then and at the end, up to when airings are accounted for and how late it is.

    Every ten minutes: a card wears out by small writes, and what is lost at a power cut is only how
    long ago the box was alive.
    """

    name = "bookkeeper"
    EVERY_S = 600.0

    def __init__(self, store: Store, station: Station, clock: SystemClock) -> None:
        self._store = store
        self._station = station
        self._clock = clock

    async def run(self) -> None:
        while True:
            await self.note()
            await self._clock.sleep(self.EVERY_S)

    async def note(self) -> None:
        """Write both down."""
        values: dict[str, Json] = {}
        if self._clock.trust is ClockTrust.SYNCHRONISED:
            values[LAST_SEEN_KEY] = self._clock.now().isoformat()
        if self._station.planned_until is not None:
            values[PLANNED_UNTIL_KEY] = self._station.planned_until.isoformat()
        self._station.forget_old()
        await self._put(values | self._used())

    async def note_used(self) -> None:
        """Write down what has sounded in the session of the hours."""
        if self._station.hours is not None:
            await self._put(self._used())

    def _used(self) -> dict[str, Json]:
        used: dict[str, Json] = {
            f"{zone}|{session}": sounded // timedelta(milliseconds=1)
            for (zone, session), sounded in self._station.used.items()
        }
        return {USED_KEY: used}

    async def _put(self, values: Mapping[str, Json]) -> None:
        try:
            await self._store.put_state(values)
        except StoreError as error:
            logger.warning("state not kept: %s", error)


def used_of(value: Json) -> dict[tuple[ZoneId, str], timedelta]:
    """What has sounded in sessions of the hours, as `Bookkeeper` kept it."""
    found: dict[tuple[ZoneId, str], timedelta] = {}
    for key, sounded_ms in value.items() if isinstance(value, dict) else ():
        zone, _, session = key.partition("|")
        if isinstance(sounded_ms, int):
            found[ZoneId(zone), session] = timedelta(milliseconds=sounded_ms)
    return found


class MediaArrivals:
    """Lets the zones plan again, and tells upstream, when files have arrived, failed or been evicted."""

    name = "media arrivals"

    def __init__(
        self,
        progress: Latest[ContentProgress],
        station: Station,
        on_change: Callable[[], None],
        tell: Callable[[EventType, str, str, str], None],
    ) -> None:
        self._progress = progress
        self._station = station
        self._on_change = on_change
        self._tell = tell

    async def run(self) -> None:
        before = ContentProgress()
        async for now in self._progress.follow():
            if (now.held, now.wanted) != (before.held, before.wanted):
                self._station.touch()
                self._on_change()
                if now.held == now.wanted > 0:
                    self._tell(EventType.MEDIA_READY, "", "", f"{now.held} files")
            for sha256, code, detail in set(now.failures) - set(before.failures):
                if code != "link":  # a lost link is told once, by the source
                    self._tell(EventType.MEDIA_FAILED, sha256, code, detail)
            before = now


class LinkFaults:
    """Turns the state of the link into the faults a person can act on."""

    name = "link faults"
    PATIENCE_S = 60.0

    def __init__(self, status: Latest[SourceStatus], issues: IssueBook, clock: Clock) -> None:
        self._status = status
        self._issues = issues
        self._clock = clock

    async def run(self) -> None:
        lost_s: float | None = None
        while True:
            now = self._status.value
            error = now.mqtt_error or now.http_error
            detail = f"{error.code}: {error.detail}" if error else ""
            paired = now.mqtt is not LinkState.NOT_ENROLLED
            if now.reachable or not paired:
                lost_s = None
            elif lost_s is None:
                lost_s = self._clock.monotonic()
            lost = lost_s is not None and self._clock.monotonic() - lost_s >= self.PATIENCE_S
            refused = now.mqtt is LinkState.REFUSED
            self._issues.put(Fault.SERVER_UNREACHABLE, lost and not refused, detail=detail)
            self._issues.put(Fault.SERVER_REFUSED, refused, "login", detail)
            if self._status.value == now:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(10.0 if lost_s is not None and not lost else 3600.0):
                        await self._status.changed()


class UplinkWatch:
    """Notices another bearer or data coming back, so that nobody waits out a pause for nothing."""

    name = "uplink watch"
    EVERY_S = 2.0

    def __init__(self, read: Callable[[], UplinkState], changed: Callable[[], None], clock: Clock) -> None:
        self._read = read
        self._changed = changed
        self._clock = clock

    async def run(self) -> None:
        before: tuple[Bearer, bool | None] | None = None
        while True:
            try:
                seen = self._read()
            except DriverError:
                seen = UplinkState(Bearer.NONE, None, None)
            now = (seen.bearer, seen.data)
            if before is not None and now != before and now[0] is not Bearer.NONE:
                self._changed()
            before = now
            await self._clock.sleep(self.EVERY_S)
