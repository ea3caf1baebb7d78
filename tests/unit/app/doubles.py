"""Parts of a box for the tests of what joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from agent.app.controls import BoxControls
from agent.errors import StoreError
from agent.model.bulletin import ZoneId
from agent.playout.contracts import ZoneView
from agent.playout.ladder import Reason, Standing
from agent.playout.orders import StandingOrders
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from agent.store.state import Json
from agent.store.store import Store
from tests.support.clock import FakeClock

NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
MAIN, EAST = ZoneId("main"), ZoneId("east")


class State:
    """The store's named values, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Json] = {}
        self.broken = False
        self.closed: list[tuple[str, str]] = []

    async def get_state(self, key: str) -> Json:
        if self.broken:
            raise StoreError("card is failing")
        return self.kept.get(key)

    async def put_state(self, values: Mapping[str, Json]) -> None:
        if self.broken:
            raise StoreError("card is failing")
        self.kept.update(values)

    async def close_order(self, order_id: str, status: str) -> bool:
        self.closed.append((order_id, status))
        return True


@dataclass
class Amplifier:
    cuts: int = 0
    resets: int = 0
    latest: object = None
    powered: bool | None = True
    sounding: bool = False
    fault: bool | None = None

    async def measure(self) -> object:
        return self.latest

    async def cut(self) -> None:
        self.cuts += 1

    def reset_latch(self) -> None:
        self.resets += 1


@dataclass
class Player:
    """A zone's player that does what it is told and notes it."""

    zone: ZoneId
    view: ZoneView = field(default_factory=lambda: ZoneView(Reason.NOTHING_DUE))
    wanted: object = None
    title: str = "Bản tin"
    amplifier: Amplifier = field(default_factory=Amplifier)
    did: list[str] = field(default_factory=list)
    readings: dict[str, object] = field(default_factory=dict)

    async def stop_airing(self) -> str:
        self.did.append("stop")
        return self.title

    async def next_item(self) -> str:
        self.did.append("next")
        return self.title

    def restart_worker(self) -> None:
        self.did.append("restart")

    def sense(self, name: str) -> object:
        return self.readings.get(name)


class Box:
    """Controls and everything they touch; a second box on the same state is the first after a power cut."""

    def __init__(self, state: State | None = None) -> None:
        self.clock = FakeClock(NOON)
        self.station = Station(
            (MAIN, EAST), self.clock, begun=set(), finished=set(), planned_until=None, held=frozenset()
        )
        self.players = {zone: Player(zone) for zone in (MAIN, EAST)}
        self.state = state or State()
        self.told: list[tuple[str, str, str, str]] = []
        self.standings: tuple[Standing, ...] = ()
        self.orders = SimpleNamespace(emergency=False, standings=lambda: self.standings)
        self.controls = BoxControls(
            station=self.station,
            players=cast("Mapping[ZoneId, ZonePlayer]", self.players),
            orders=cast("StandingOrders", self.orders),
            store=cast("Store", self.state),
            clock=self.clock,
            tell=lambda event, subject, code, detail: self.told.append((event.value, subject, code, detail)),
        )
