"""Puts the box together: drivers, rooms and services, handed to each other as what each one asks for."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.app.bench import BoxBench
from agent.app.boards import Boards
from agent.app.bridges import (
    AiringRecords,
    CheckedMedia,
    HeldMedia,
    JobRecord,
    ScheduleRecord,
    SourceShelf,
)
from agent.app.controls import BoxControls
from agent.app.events import EventWriter
from agent.app.jobs import JobDesk
from agent.app.onair import (
    DesiredSettings,
    LiveWatch,
    OrderMedia,
    OrderRecord,
    SafetyButton,
    SafetyWatch,
    level_of,
)
from agent.app.parts import Following, clock_trust, optional, test_limits
from agent.app.reports import Reports, boot_id
from agent.app.tasks import (
    LAST_SEEN_KEY,
    PLANNED_UNTIL_KEY,
    USED_KEY,
    Bookkeeper,
    IdentityWatch,
    LinkFaults,
    MediaArrivals,
    MediaCheck,
    PairedDesk,
    UplinkWatch,
    WantedMedia,
    used_of,
)
from agent.app.view import BoxView
from agent.app.weekly import WeeklySilentTest
from agent.app.zones import build_zone, input_place, opener
from agent.clock import ClockStepWatcher, SystemClock
from agent.config import Config
from agent.content.keeper import ContentKeeper, Room, Wanted
from agent.content.schedule_keeper import InForce, ScheduleKeeper
from agent.content.store import MediaStore
from agent.content.threads import in_thread
from agent.errors import AgentError, ConfigError, ContentError
from agent.field.selftest import SelfTest
from agent.field.server import FieldServer
from agent.health.issues import IssueBook
from agent.health.service import HealthService, Sensors
from agent.latest import Latest
from agent.lifecycle import Progress, Service, Tier
from agent.live.feeds import LiveFeeds
from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.issue import Fault
from agent.model.schedule import Airing
from agent.playout.accounts import MissedKeeper
from agent.playout.orders import StandingOrders
from agent.playout.rounds import may_cancel
from agent.playout.station import Station
from agent.source.api import Transfer
from agent.source.identity import Identity, load_identity
from agent.source.native import NativeSource, NativeTimes
from agent.speech.engine import engine_of
from agent.speech.library import MessageLibrary
from agent.speech.service import Speech
from agent.store.store import Store
from agent.systemd import Notifier, WatchdogFeeder
from agent.trust.desk import TIME_FLOOR_KEY, OrderDesk
from agent.trust.root import load_root
from agent.trust.verify import BoxPlace
from agent.wire.errors import WireError
from agent.wire.orders import ORDER_KINDS, AnyOrder, Cancel, Desired, EmergencyEvent, Job
from agent.wire.reports import EventType
from agent.wire.root import Root
from drivers import registry
from drivers.api import DriverError

logger = logging.getLogger(__name__)

MB = 1_000_000
SUPPORTED = frozenset(ORDER_KINDS)
"""Kinds of order this build carries out; the others are refused by name."""

LOOK_BACK = timedelta(hours=72)
ZONE_STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier runs of the agent left in the store."""

    floor: datetime | None
    seen: datetime | None
    planned_until: datetime | None
    begun: set[tuple[AiringId, ZoneId]]
    finished: set[tuple[AiringId, ZoneId]]
    used: dict[tuple[ZoneId, str], timedelta]


class Box:
    """A built box; opens no device and no connection before its services run."""

    def __init__(
        self, config: Config, store: Store, notifier: Notifier, identity: Identity | None, known: Known
    ) -> None:
        """Build every room.

        Args:
            config: what the box was told.
            store: its opened database.
            notifier: the service manager.
            identity: who it is, None until paired.
            known: what earlier runs left.
        """
        self._config = config
        self._store = store
        self._notifier = notifier
        self._known = known
        self._identity: Latest[Identity | None] = Latest(identity)
        self._root: Latest[Root | None] = Latest(None)
        self._groups: Latest[tuple[str, ...]] = Latest(())
        self._wanted: Latest[tuple[Wanted, ...] | None] = Latest(None)

        clock_sensor = registry.clock_sensor(config.sensors.clock.kind).from_options(
            "clock", config.sensors.clock.options
        )
        self.clock = SystemClock(lambda: clock_trust(clock_sensor), known.floor, known.seen)
        self.progress = Progress(self.clock)
        self.events = EventWriter(store, self.clock)
        self.issues = IssueBook(self.clock, self.events.issue)
        self.sensors = Sensors(
            uplink=registry.uplink_sensor(config.sensors.uplink.kind).from_options(
                "uplink", config.sensors.uplink.options
            ),
            storage=registry.storage_sensor(config.sensors.storage.kind).from_options(
                "storage", config.sensors.storage.options
            ),
            clock=clock_sensor,
            power=optional(config.sensors.power, registry.power_sensor, "power"),
        )
        self.health = HealthService(
            book=self.issues,
            clock=self.clock,
            sensors=self.sensors,
            data_dir=config.box.data_dir,
            keep_free_bytes=config.content.keep_free_mb * MB,
        )
        self.media = MediaStore(config.box.data_dir)
        self.station = Station(
            tuple(ZoneId(zone.id) for zone in config.zones),
            self.clock,
            begun=known.begun,
            finished=known.finished,
            planned_until=known.planned_until,
            held=HeldMedia(self.media),
        )
        self.records = AiringRecords(store, self.clock, self.issues)
        self.missed = MissedKeeper(self.station, self.records, self.clock)
        self.schedules = ScheduleKeeper(
            ScheduleRecord(store),
            lambda url, limit: self.source.fetch(url, limit),  # noqa: PLW0108 - source is built later
            self.clock,
            zones=self.station.zones,
            before_change=self.missed.account,
            on_refused=self._schedule_refused,
            on_in_force=self._schedule_in_force,
        )
        self.boards = Boards(
            config,
            clock=self.clock,
            issues=self.issues,
            store=store,
            station=self.station,
            desired=self.schedules.wanted,
            link=lambda: self.source.status.value,
            files=CheckedMedia(self.media, config.box.data_dir / "absent"),
            held=self.media.has,
            tell=self.events.put,
            may_cancel=lambda one, other: may_cancel(one, other, self._level_of),
            title_of=self._title_of,
            proved=lambda: self.clock.at_least,
        )
        self.speech = Speech(
            engine=engine_of(config.speech),
            adopt=self.media.take_in,
            held=self.media.has,
            folder=config.box.data_dir / "speech",
            clock=self.clock,
            issues=self.issues,
        )
        self.library = MessageLibrary(
            speech=self.speech, held=self.media.has, events=tuple(EmergencyEvent), clock=self.clock
        )
        self.library.set_languages(config.box.languages)
        self.orders = StandingOrders(
            self.station.zones,
            self.clock,
            library=self.library,
            speech=self.speech,
            held=HeldMedia(self.media),
            shelf=OrderRecord(store),
            level_of=self._level_of,
            tell=lambda event, subject, code="", detail="": self.events.put(
                EventType(event), subject, code, detail
            ),
            wake=self.station.touch,
            is_begun=self.station.is_begun,
            is_finished=self.station.is_finished,
            proved=lambda: self.clock.at_least,
            live=lambda: self.feeds.status,
            languages=config.box.languages,
            on_board=self.boards.sight.shows,
        )
        self.boards.sight.orders = self.orders
        self.settings = DesiredSettings(
            self.station, self.orders, self.library, config.box.timezone, config.box.languages
        )
        self.feeds = LiveFeeds(
            fetch=lambda path: self.source.fetch_live(path),  # noqa: PLW0108 - source is built later
            inputs={one.id: input_place(one) for one in config.inputs},
            open_tuner=opener(registry.tuner_driver(config.tuner.kind), "tuner", config.tuner.options)
            if config.tuner
            else None,
            tuner_input=config.tuner.input if config.tuner else "",
            folder=config.box.runtime_dir / "live",
            clock=self.clock,
            issues=self.issues,
        )
        self.station.orders = self.orders.standings
        self.station.was_cancelled = self.orders.was_cancelled
        self.station.live = lambda: self.feeds.status
        self.station.used.update(known.used)
        self.order_media = OrderMedia(
            self.orders, self.library, self.speech.pinned, self.clock, self.boards.sight.needed
        )
        self.content = self._content_keeper()
        self.players = {
            ZoneId(zone.id): build_zone(
                zone,
                config,
                station=self.station,
                media=CheckedMedia(self.media, config.box.data_dir / "absent"),
                records=self.records,
                live=self.feeds,
                clock=self.clock,
                issues=self.issues,
                on_air=self._on_air,
                on_final=self.orders.final,
                progress=self.progress.watch(f"zone {zone.id}", ZONE_STALL_S),
            )
            for zone in config.zones
        }
        self.boards.sight.players = self.players
        self.controls = BoxControls(
            station=self.station,
            players=self.players,
            orders=self.orders,
            store=store,
            clock=self.clock,
            tell=self.events.put,
        )
        self.self_test = SelfTest(
            BoxBench(
                station=self.station,
                players=self.players,
                orders=self.orders,
                speech=self.speech,
                clock=self.clock,
                sensor=clock_sensor,
            ),
            limits=test_limits(config),
            names={zone.id: zone.name for zone in config.zones if zone.name},
            place=config.box.name,
            language=config.box.language,
        )
        self.reports = Reports(
            store=store,
            station=self.station,
            clock=self.clock,
            box_name=config.box.name,
            players=self.players,
            schedules=self.schedules,
            progress=self.content.progress,
            issues=self.issues,
            health=self.health,
            run_id=str(uuid.uuid4()),
            dropped_events=lambda: self.events.dropped,
            boards=self.boards.health,
        )
        self.desk = OrderDesk(
            store,
            self.clock,
            root=self._trust_root,
            place=self._place,
            on_accepted=self._carry_out,
            supported=SUPPORTED,
        )
        self.shelf = SourceShelf(store, self.clock, self.desk.rescue)
        self.source = self._native_source()
        self.books = Bookkeeper(store, self.station, self.clock)
        self.jobs = JobDesk(
            self.controls,
            store.report,
            self.self_test.as_job,
            JobRecord(store),
            self.clock,
            boot_id=boot_id(),
            emergency_on_air=lambda: self.orders.emergency,
            language=config.box.language,
            boards=self.boards,
        )

    # --- running -------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Put in force again what was in force when the box went down."""
        try:
            await self._believe(self._identity.value)
        except WireError as error:
            self.issues.raise_(Fault.NOT_ENROLLED, "", str(error))
        try:
            await in_thread(self.media.scan)
        except ContentError as error:
            self.issues.raise_(Fault.STORE_FAILED, "", str(error))
        await self.schedules.restore()
        await self._adopt(self.schedules.in_force.value)
        if (wanted := self.schedules.wanted.value) is not None:
            self._settle(wanted)
        await self.controls.restore()
        await self.orders.restore()
        await self.boards.restore()
        if self._root.value is not None:
            await self.desk.hand_over_again()

    def services(self) -> tuple[tuple[Service, Tier], ...]:
        """What must run; playout and the watchdog are vital."""
        vital: tuple[Service, ...] = (
            WatchdogFeeder(self._notifier, self.progress, self.clock, self.status_line),
            *self.players.values(),
        )
        supporting: tuple[Service, ...] = (
            self.events,
            ClockStepWatcher(self.station.touch),
            IdentityWatch(self._config.box.data_dir / "identity.json", self._identity, self.clock),
            Following("identity", self._identity, self._believe),
            PairedDesk(self._identity, self.desk),
            self.source,
            self.schedules,
            Following("schedule in force", self.schedules.in_force, self._adopt),
            WantedMedia(
                self.schedules.in_force, self._wanted, self.station.zones, self.clock, self.order_media
            ),
            MediaCheck(self.schedules.in_force, self.media, self.clock),
            self.content,
            MediaArrivals(
                self.content.progress, self.station, self.reports.holdings_changed, self.events.put
            ),
            LinkFaults(self.source.status, self.issues, self.clock),
            UplinkWatch(self.sensors.uplink.read, self._network_changed, self.clock),
            self.reports,
            self.health,
            self.books,
            self.missed,
            self.records,
            self.library,
            self.orders,
            self.feeds,
            LiveWatch(self.orders, self.station, self.feeds, self.clock, self.events.put),
            SafetyWatch(
                self.station,
                self.issues,
                self.clock,
                on_end=self._safety_over,
                keep=self.controls.keep,
            ),
            self.jobs,
            WeeklySilentTest(self.players, self._store, self.clock, self.events.put),
            FieldServer(
                BoxView(self, self.source, self.reports, self._config, self._store),
                self._config.box.runtime_dir,
                self.controls,
                self.self_test,
                self.boards,
            ),
            *self._button(),
            *self.boards.services(),
        )
        return (
            *((service, Tier.VITAL) for service in vital),
            *((service, Tier.SUPPORTING) for service in supporting),
        )

    def service_failed(self, name: str, error: Exception) -> None:
        """A supporting service failed and will be restarted."""
        if not hasattr(error, "retry"):
            self.issues.raise_(Fault.SERVICE_FAILED, name, f"{type(error).__name__}: {error}")

    def status_line(self) -> str:
        """One line for `systemctl status`."""
        titles = [
            f"{zone}: {airing.programme.title}"
            for zone, player in self.players.items()
            if (airing := player.view.on_air) is not None
        ]
        doing = f"on air, {'; '.join(titles)}" if titles else "idle"
        return f"{doing} ({len(self.issues.open)} open issues)"

    async def close(self) -> None:
        """Write down what the next run must know, and what was shown to the end."""
        await self.books.note()
        await self.boards.close()

    @property
    def identity(self) -> Identity | None:
        """Who the box is, None until paired."""
        return self._identity.value

    # --- parts ---------------------------------------------------------------------------------------

    def _content_keeper(self) -> ContentKeeper:
        content = self._config.content
        return ContentKeeper(
            self.media,
            self,
            self._wanted,
            room=Room(content.quota_mb * MB, content.keep_free_mb * MB, self._free_bytes),
            issues=self.issues,
            clock=self.clock,
            parallel=content.parallel_downloads,
            pinned=self.order_media.pinned,
        )

    def fetch_range(self, url: str, offset: int) -> AbstractAsyncContextManager[Transfer]:
        """Get a file from the source system, from `offset` on."""
        return self.source.fetch_range(url, offset)

    def _free_bytes(self) -> int | None:
        try:
            return self.sensors.storage.read(self._config.box.data_dir).free_bytes
        except DriverError:
            return None

    def _button(self) -> tuple[Service, ...]:
        section = self._config.safety_button
        if section is None:
            return ()
        driver = registry.button_driver(section.kind).from_options("safety button", section.options)
        return (SafetyButton(driver, self.clock, self.controls, "button"),)

    def _safety_over(self, zone: ZoneId) -> None:
        if not self.controls.was_released(zone):
            self.events.put(EventType.SAFETY_RELEASED, zone, "", "its time is over")

    def _native_source(self) -> NativeSource:
        return NativeSource(
            identity=self._identity,
            url=self._config.source.url,
            inbox=self.shelf,
            outbox=self.shelf,
            groups=self._groups,
            birth=self.reports.birth,
            health=self.reports.health,
            issues=self.issues,
            tell_event=self.events.tell,
            clock=self.clock,
            times=NativeTimes.from_config(self._config.source),
            uplink_allows=lambda: self.sensors.uplink.read().data is not False,
        )

    # --- what happens between the rooms --------------------------------------------------------------

    def _trust_root(self) -> Root:
        root = self._root.value
        if root is None:
            raise AgentError("the box is not paired: it has no trust root")
        return root

    def _level_of(self, issuer: str) -> SourceLevel | None:
        return level_of(self._root.value, issuer)

    def _title_of(self, issuer: str) -> str:
        """Name of an issuer for people."""
        known = self._root.value.issuer(issuer) if self._root.value is not None else None
        return (known.title if known is not None else "") or issuer

    def _place(self) -> BoxPlace:
        identity = self._identity.value
        if identity is None:
            raise AgentError("the box is not paired: it has no place")
        place = identity.place
        return BoxPlace(identity.device, place.station, place.province, frozenset(self._groups.value))

    async def _believe(self, identity: Identity | None) -> None:
        """Take over the trust root and the groups that came with the pairing."""
        if identity is None:
            self.issues.raise_(Fault.NOT_ENROLLED)
            return
        self.issues.clear(Fault.NOT_ENROLLED)
        self._root.set(load_root(identity.root.encode()))
        wanted = self.schedules.wanted.value
        self._groups.set(wanted.groups if wanted and wanted.groups else identity.place.groups)

    async def _carry_out(self, order: AnyOrder) -> None:
        if isinstance(order, Desired):
            self.schedules.wanted.set(order)
            if order.groups:
                self._groups.set(order.groups)
            self._settle(order)
            self.boards.touch()
            self.reports.holdings_changed()
        elif isinstance(order, Job):
            await self.jobs.take(order)
        else:
            ended = self.orders.notice(order.cancels) if isinstance(order, Cancel) else None
            await self.orders.accept(order)
            await self.boards.take(order, ended)

    def _settle(self, order: Desired) -> None:
        """Take over what the station's order says beside the schedule."""
        self.settings.take(order)
        self.controls.server_order(order.priority_order)

    async def _schedule_refused(self, order: Desired, problem: str) -> None:
        name = order.schedule.id if order.schedule else ""
        self.issues.raise_(Fault.SCHEDULE_REFUSED, name, problem)
        self.events.put(EventType.SCHEDULE_REFUSED, order.id, "schedule_invalid", problem)

    async def _schedule_in_force(self, in_force: InForce) -> None:
        self.issues.clear(Fault.SCHEDULE_REFUSED, in_force.schedule.id)
        self.events.put(
            EventType.SCHEDULE_IN_FORCE,
            in_force.order_id,
            detail=f"{in_force.schedule.id} {in_force.schedule.version}",
        )

    async def _adopt(self, in_force: InForce | None) -> None:
        """Hand a schedule that came into force to the plan, the boards and the reports."""
        if in_force is None:
            self.station.set_schedule(None, 0, "", None)
        else:
            self.station.set_schedule(
                in_force.timetable, in_force.schedule.version, in_force.order_id, in_force.since
            )
            self.boards.sight.station_name = in_force.schedule.station
            self.boards.touch()
        self.reports.holdings_changed()

    def _network_changed(self) -> None:
        self.source.network_changed()
        self.content.network_changed()

    async def _on_air(self, zone: ZoneId, airing: Airing, begins: bool) -> None:
        self.boards.touch()
        kind = EventType.ON_AIR if begins else EventType.OFF_AIR
        self.events.put(kind, airing.id, zone, airing.programme.title)
        if begins:
            self._tell_override(zone, airing)
            return
        for item in airing.programme.items:
            if item.media.is_file:
                await self.media.used(item.media.sha256)
        await self.books.note_used()

    def _tell_override(self, zone: ZoneId, airing: Airing) -> None:
        """An emergency sounds although the commune's hours say otherwise: that is always told."""
        wanted = self.players[zone].wanted
        if airing.programme.bulletin_class is not BulletinClass.EMERGENCY or wanted is None:
            return
        hours = wanted.hours
        if hours is not None and (not hours.allowed or hours.cap_dbfs is not None):
            version = self.station.hours.version if self.station.hours is not None else 0
            title = airing.programme.title
            self.events.put(
                EventType.HOURS_OVERRIDDEN, airing.order_id, zone, f"hours version {version}: {title}"
            )


async def build_box(config: Config, store: Store, notifier: Notifier, mistake: ConfigError | None) -> Box:
    """Build the box and restore what was in force.

    Args:
        config: what the box was told.
        store: its opened database.
        notifier: the service manager.
        mistake: why the configuration asked for was not used, None if it was.

    Raises:
        DriverSetupError: a driver that is not installed or cannot work with its options.
    """
    identity, damage = None, ""
    try:
        identity = await asyncio.to_thread(load_identity, config.box.data_dir / "identity.json")
    except AgentError as error:
        damage = str(error)
    now = datetime.now(UTC)
    known = Known(
        floor=await _moment(store, TIME_FLOOR_KEY),
        seen=await _moment(store, LAST_SEEN_KEY),
        planned_until=await _moment(store, PLANNED_UNTIL_KEY),
        begun={(record.airing, record.zone) for record in await store.open_airings()},
        finished=await store.finished_airings(now - LOOK_BACK),
        used=used_of(await store.get_state(USED_KEY)),
    )
    box = Box(config, store, notifier, identity, known)
    if mistake is not None:
        box.issues.raise_(Fault.CONFIG_FELL_BACK, mistake.path, "; ".join(mistake.problems))
    if store.recovered:
        box.issues.raise_(Fault.STORE_FAILED, "", store.recovered)
    if damage:
        box.issues.raise_(Fault.NOT_ENROLLED, "", damage)
    await box.restore()
    return box


async def _moment(store: Store, key: str) -> datetime | None:
    value = await store.get_state(key)
    return datetime.fromisoformat(value) if isinstance(value, str) else None
