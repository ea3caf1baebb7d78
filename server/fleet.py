"""How the boxes are: what each was told, confirmed and measured; read from reports, nothing guessed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agent.wire.reports import AsRunReport, Birth, Event, Health, Online, Reported, State
from server.clock import utc_now
from server.problems import Problem, RefusedError
from server.store import content, devices, reports
from server.store.content import DocumentRow
from server.store.database import Database
from server.store.devices import Device

SILENT_AFTER = timedelta(minutes=5)
"""A box that is connected but has sent no health for this long is not counted as online."""

SCHEDULES_REMEMBERED = 32

HTTP_LIVES = timedelta(seconds=150)
"""How long a heartbeat by HTTP proves a box that has lost the broker."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box as known now.

    Attributes:
        contact: newest moment anything was heard of it, None if nothing ever was.
        wanted: the newest order it was given.
        titles: what people call the programmes of the wanted schedule, by id.
        health_at: when the newest health arrived here.
    """

    device: Device
    online: bool
    contact: datetime | None
    birth: Birth | None = None
    health: Health | None = None
    health_at: datetime | None = None
    reported: Reported | None = None
    wanted: DocumentRow | None = None
    last_airing: AsRunReport | None = None
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def confirmed(self) -> bool:
        """The box itself said that exactly the wanted schedule is in force."""
        return (
            self.wanted is not None
            and self.reported is not None
            and self.reported.schedule_sha256 is not None
            and self.reported.schedule_sha256 == self.wanted.schedule_sha256
        )


@dataclass(frozen=True, slots=True)
class _Known:
    states: dict[str, tuple[State, datetime]] = field(default_factory=dict)
    births: dict[str, tuple[Birth, datetime]] = field(default_factory=dict)
    healths: dict[str, tuple[Health, datetime]] = field(default_factory=dict)
    reported: dict[str, tuple[Reported, datetime]] = field(default_factory=dict)


class Fleet:
    """Questions about boxes and airings."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._titles: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    async def boxes(self) -> list[Box]:
        """Every enrolled box, by name."""
        now = utc_now()

        def read(conn: sqlite3.Connection) -> list[Box]:
            known = _known(conn, None)
            wanted = {one.device: one for one in content.all_current_desired(conn)}
            return [_box(conn, one, known, wanted.get(one.id), now) for one in devices.all_devices(conn)]

        return [await self._with_titles(box) for box in await self._database.read(read)]

    async def box(self, device: str) -> Box:
        """One box.

        Raises:
            RefusedError: no such box.
        """
        now = utc_now()

        def read(conn: sqlite3.Connection) -> Box | None:
            found = devices.find_device(conn, device)
            if found is None:
                return None
            return _box(conn, found, _known(conn, device), content.current_desired(conn, device), now)

        box = await self._database.read(read)
        if box is None:
            raise RefusedError(Problem.NOT_FOUND)
        return await self._with_titles(box)

    async def events(self, device: str, limit: int) -> list[Event]:
        """Newest first."""
        await self.box(device)
        rows = await self._database.read(lambda conn: reports.list_events(conn, device, limit))
        return [Event.read(row.body) for row in rows]

    async def airings(self, device: str | None, limit: int) -> list[tuple[str, AsRunReport]]:
        """Box and proof, newest planned start first."""
        if device is not None:
            await self.box(device)
        rows = await self._database.read(lambda conn: reports.list_airings(conn, device, limit))
        return [(row.device, AsRunReport.read(row.body)) for row in rows]

    async def _with_titles(self, box: Box) -> Box:
        sha256 = box.wanted.schedule_sha256 if box.wanted is not None else None
        if sha256 is None:
            return box
        titles = self._titles.get(sha256)
        if titles is None:
            row = await self._database.read(lambda conn: content.schedule_by_hash(conn, sha256))
            titles = self._titles[sha256] = await asyncio.to_thread(_titles, row.document) if row else {}
            while len(self._titles) > SCHEDULES_REMEMBERED:
                self._titles.popitem(last=False)
        return replace(box, titles=titles)


def _titles(document: bytes) -> Mapping[str, str]:
    return {one["id"]: one["title"] for one in json.loads(document)["programmes"]}


def _known(conn: sqlite3.Connection, device: str | None) -> _Known:
    known = _Known()
    for one in reports.get_latest(conn, device):
        match one.kind:
            case "state":
                known.states[one.device] = State.read(one.body), one.received
            case "birth":
                known.births[one.device] = Birth.read(one.body), one.received
            case "health":
                known.healths[one.device] = Health.read(one.body), one.received
            case "reported":
                known.reported[one.device] = Reported.read(one.body), one.received
            case _:
                continue
    return known


def _box(
    conn: sqlite3.Connection, device: Device, known: _Known, wanted: DocumentRow | None, now: datetime
) -> Box:
    state, birth = known.states.get(device.id), known.births.get(device.id)
    health, reported = known.healths.get(device.id), known.reported.get(device.id)
    heard = [one[1] for one in (state, birth, health, reported) if one is not None]
    contact = max(heard, default=None)
    last = reports.list_airings(conn, device.id, 1)
    return Box(
        device=device,
        online=is_online(state, health[1] if health else None, contact, now),
        contact=contact,
        birth=birth[0] if birth else None,
        health=health[0] if health else None,
        health_at=health[1] if health else None,
        reported=reported[0] if reported else None,
        wanted=wanted,
        last_airing=AsRunReport.read(last[0].body) if last else None,
    )


def is_online(
    state: tuple[State, datetime] | None, health_at: datetime | None, contact: datetime | None, now: datetime
) -> bool:
    """Whether a box is reachable, by its newest sign of life.

    Args:
        state: connection state and when it arrived.
        health_at: when the newest health arrived.
        contact: when anything arrived.
        now: the moment asked about.
    """
    if state is not None and state[0].state is Online.ONLINE:
        return contact is not None and now - contact < SILENT_AFTER
    if health_at is None or (state is not None and health_at <= state[1]):
        return False
    return now - health_at < HTTP_LIVES
