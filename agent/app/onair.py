"""Joins the orders that stand beside the schedule to the store, the media and the live sources."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import cast

from agent.app.controls import TellEvent
from agent.clock import Clock
from agent.content.keeper import Wanted
from agent.errors import StoreError
from agent.field.controls import Controls
from agent.latest import Latest
from agent.live.api import WantedLive
from agent.live.feeds import LiveFeeds
from agent.model.bulletin import Media, SourceLevel, ZoneId
from agent.model.hours import Hours, Window
from agent.model.issue import Fault
from agent.model.live import LiveState, LiveStatus
from agent.playout.amplifier import Issues
from agent.playout.ladder import zones_of
from agent.playout.orders import StandingOrders
from agent.playout.station import Station
from agent.speech.library import MessageLibrary
from agent.store.orders import OrderStatus
from agent.store.state import Json
from agent.store.store import Store
from agent.wire.orders import Desired
from agent.wire.reports import EventType
from agent.wire.root import Root
from agent.wire.schedule import media_of
from drivers.api import ButtonDriver, DriverError

logger = logging.getLogger(__name__)

PREROLL = timedelta(seconds=15)
"""How long before a relay is due its source is connected."""

HELD_PRESS_S = 3.0
"""A press of the safety button that lasts so long ends the safety stop."""

BUTTON_MINUTES = 30
_REOPEN_S = 10.0
_LOOK_S = 1.0


class OrderRecord:
    """Progress of orders, kept in the store."""

    _KEY = "standing_orders"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        try:
            found = await self._store.get_state(self._KEY)
        except StoreError as error:
            logger.warning("progress of orders not read: %s", error)
            return {}
        return cast("dict[str, dict[str, object]]", found) if isinstance(found, dict) else {}

    async def save(self, progress: Mapping[str, Mapping[str, object]]) -> None:
        await self._store.put_state({self._KEY: cast("Json", dict(progress))})

    async def close(self, order_id: str, *, cancelled: bool) -> None:
        await self._store.close_order(order_id, OrderStatus.CANCELLED if cancelled else OrderStatus.ENDED)


def live_news(
    before: Mapping[str, LiveStatus], now: Mapping[str, LiveStatus]
) -> Iterator[tuple[EventType, str, str]]:
    """What is worth telling of live sources: that sound came, or was lost; event, id, detail."""
    for live_id, status in now.items():
        was = before[live_id].state if live_id in before else None
        if status.state is LiveState.READY and was is not LiveState.READY:
            yield EventType.LIVE_BEGUN, live_id, status.detail
        elif status.state is LiveState.LOST and was is LiveState.READY:
            yield EventType.LIVE_LOST, live_id, status.detail


class LiveWatch:
    """Service: connects the live sources that are due or granted, and lets go of all others."""

    name = "live watch"

    def __init__(
        self, orders: StandingOrders, station: Station, feeds: LiveFeeds, clock: Clock, tell: TellEvent
    ) -> None:
        self._orders = orders
        self._station = station
        self._feeds = feeds
        self._clock = clock
        self._tell = tell

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(), name="live states")
            while True:
                self._feeds.want(self._wanted())
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._station.changed.changed()
                except TimeoutError:
                    continue

    async def _pass_on(self) -> None:
        before: Mapping[str, LiveStatus] = {}
        async for _ in self._feeds.changed.follow():
            self._station.touch()
            now = dict(self._feeds.status)
            for event, live_id, detail in live_news(before, now):
                self._tell(event, live_id, "", detail)
            before = now

    def _wanted(self) -> tuple[WantedLive, ...]:
        found = {
            live_id: WantedLive(live_id, live, zones, final=True)
            for live_id, live, zones in self._orders.live_inputs()
        }
        timetable, now = self._station.state.timetable, self._clock.now()
        if timetable is None:
            return tuple(found.values())
        for airing in (*timetable.active(now), *timetable.between(now, now + PREROLL)):
            zones = zones_of(airing, self._station.zones)
            for item in airing.programme.items:
                if item.live is not None and item.media.live_id is not None and zones:
                    found.setdefault(
                        item.media.live_id, WantedLive(item.media.live_id, item.live, zones, final=False)
                    )
        return tuple(found.values())


class OrderMedia:
    """Which files orders and stored messages need, as the content keeper asks."""

    def __init__(
        self,
        orders: StandingOrders,
        library: MessageLibrary,
        pinned: Callable[[], frozenset[str]],
        clock: Clock,
        pages: Callable[[], tuple[Media, ...]] = tuple,
    ) -> None:
        self._orders = orders
        self._library = library
        self._pinned = pinned
        self._clock = clock
        self._pages = pages

    @property
    def changed(self) -> Latest[int]:
        """Counts up when the answer changes."""
        return self._orders.changed

    def needed(self) -> tuple[Wanted, ...]:
        """Files and when they are needed; those of emergencies before all else."""
        now = self._clock.now()
        found = {
            media.sha256: Wanted(media, now if urgent else None) for media, urgent in self._orders.media()
        }
        for media in self._library.wanted():
            found.setdefault(media.sha256, Wanted(media, None))
        for media in self._pages():
            found.setdefault(media.sha256, Wanted(media, None))
        return tuple(found.values())

    def pinned(self) -> frozenset[str]:
        """Files that must not be evicted although no schedule needs them."""
        return self._pinned() | self._library.pinned()


class DesiredSettings:
    """Takes over what a signed `desired` says of the station: hours, messages, languages."""

    def __init__(
        self,
        station: Station,
        orders: StandingOrders,
        library: MessageLibrary,
        timezone: str,
        languages: tuple[str, ...],
    ) -> None:
        self._station = station
        self._orders = orders
        self._library = library
        self._timezone = timezone
        self._languages = languages

    def take(self, order: Desired) -> None:
        """Put it in force."""
        self._station.set_hours(hours_of(order, self._timezone))
        languages = order.languages or self._languages
        self._orders.languages = languages
        self._library.set_languages(languages)
        self._library.set_recordings(
            tuple((one.event.value, one.language, media_of(one.media)) for one in order.messages)
        )
        self._orders.changed.set(self._orders.changed.value + 1)


def hours_of(order: Desired, timezone: str) -> Hours | None:
    """The signed hours as values; None without any."""
    if not order.hours:
        return None
    windows = tuple(
        Window(
            frozenset(one.weekdays),
            _second(one.start),
            _second(one.end),
            one.max_minutes,
            one.max_dbfs,
        )
        for one in order.hours
    )
    return Hours(order.hours_version, timezone, windows)


def _second(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 3600 + int(minute) * 60


def level_of(root: Root | None, issuer: str) -> SourceLevel | None:
    """Level of an issuer in the trust root."""
    found = root.issuer(issuer) if root is not None else None
    return found.level if found is not None else None


class SafetyButton:
    """Service: a press on the box stops the zones, a long one releases them."""

    name = "safety button"

    def __init__(
        self,
        driver: ButtonDriver,
        clock: Clock,
        controls: Controls,
        by: str,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._controls = controls
        self._by = by

    async def run(self) -> None:
        lost = False
        while True:
            try:
                async with self._driver.open() as button:
                    lost = False
                    async for held_s in button.presses():
                        if held_s >= HELD_PRESS_S:
                            await self._controls.safety_release((), self._by)
                        else:
                            await self._controls.safety_stop((), BUTTON_MINUTES, self._by)
            except DriverError as error:
                if not lost:
                    logger.warning("safety button does not answer: %s", error)
                lost = True
            await self._clock.sleep(_REOPEN_S)


class SafetyWatch:
    """Service: shows an open safety stop as an issue, and tells when it ended by itself.

    What is left of it is written down every half minute, so that a power cut prolongs it by no more.
    """

    name = "safety watch"
    KEEP_EVERY_S = 30.0

    def __init__(
        self,
        station: Station,
        issues: Issues,
        clock: Clock,
        *,
        on_end: Callable[[ZoneId], None],
        keep: Callable[[], Awaitable[None]],
    ) -> None:
        self._station = station
        self._issues = issues
        self._clock = clock
        self._on_end = on_end
        self._keep = keep

    async def run(self) -> None:
        stopped: set[ZoneId] = set()
        kept_s = self._clock.monotonic()
        while True:
            before = set(stopped)
            for zone in self._station.zones:
                if self._station.safety_left_s(zone) > 0:
                    self._issues.raise_(Fault.SAFETY_STOPPED, zone)
                    stopped.add(zone)
                elif zone in stopped:
                    stopped.discard(zone)
                    self._issues.clear(Fault.SAFETY_STOPPED, zone)
                    self._station.touch()
                    self._on_end(zone)
            if stopped != before or (stopped and self._clock.monotonic() - kept_s >= self.KEEP_EVERY_S):
                kept_s = self._clock.monotonic()
                await self._keep()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._station.changed.changed()
            except TimeoutError:
                continue
