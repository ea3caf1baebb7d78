"""What boxes report: checked, stored once, handed on; nonsense is named in the log and dropped."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime

from agent.wire.base import Document
from agent.wire.device_api import HeartbeatRequest
from agent.wire.errors import WireError
from agent.wire.reports import (
    AsRunReport,
    Birth,
    Event,
    Health,
    JobReport,
    Online,
    Reported,
    ScreenReport,
    State,
)
from agent.wire.topics import parse_up
from server.broker.link import Message
from server.clock import utc_now
from server.hub import Hub, News
from server.store import devices, reports
from server.store.database import Database
from server.store.reports import Latest, Report

logger = logging.getLogger(__name__)

KINDS: dict[str, type[Document]] = {
    "birth": Birth,
    "state": State,
    "health": Health,
    "event": Event,
    "asrun": AsRunReport,
    "screen": ScreenReport,
    "reported": Reported,
    "job": JobReport,
}

Store = Callable[[sqlite3.Connection, str, datetime], bool]
"""Writes one report of a device; False if it changed nothing."""


class Intake:
    """Stores reports and tells the watchers."""

    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def keep(self, batch: list[Message]) -> None:
        """Store a batch in one transaction; it is on disk when this returns."""
        read = [found for message in batch if (found := _read(message)) is not None]
        if not read:
            return
        now = utc_now()

        def store(conn: sqlite3.Connection) -> list[News]:
            known = {one.id for one in devices.all_devices(conn)}
            return [
                News(device, kind, document.encode().decode())
                for device, kind, document in read
                if device in known and _store(conn, device, kind, document, now)
            ]

        for news in await self._database.write(store, urgent=True):
            self._hub.tell(news)

    async def heartbeat(self, device: str, request: HeartbeatRequest) -> tuple[str, ...]:
        """Store health that came by HTTP; answers which awaited reports are kept."""
        now = utc_now()

        def store(conn: sqlite3.Connection) -> tuple[str, ...]:
            _store(conn, device, "health", request.health, now)
            return reports.received(conn, device, request.awaiting_receipt)

        kept = await self._database.write(store)
        self._hub.tell(News(device, "health", request.health.encode().decode()))
        return kept


def _read(message: Message) -> tuple[str, str, Document] | None:
    found = parse_up(message.topic)
    if found is None:
        logger.warning("report on unknown topic %.100r dropped", message.topic)
        return None
    device, kind = found[0], found[1].partition("/")[0]
    model = KINDS.get(kind)
    if model is None or not message.payload:
        return None
    try:
        return device, kind, model.read(message.payload)
    except WireError as error:
        logger.warning("box %s: %s report dropped: %.300s", device, kind, error)
        return None


def _store(conn: sqlite3.Connection, device: str, kind: str, document: Document, now: datetime) -> bool:
    came = Report(device, now, document.encode().decode())
    match document:
        case AsRunReport():
            fresh = reports.insert_report(conn, document.id, kind, document.planned_start, came)
            if fresh:
                reports.set_airing(conn, document.airing, document.zone, document.planned_start, came)
            return fresh
        case ScreenReport():
            return reports.insert_report(conn, document.id, kind, document.first_shown, came)
        case Event() | JobReport():
            return reports.insert_report(conn, document.id, kind, document.at, came)
        case State() if document.state is Online.OFFLINE and _of_former_boot(conn, device, document):
            return False
        case _:
            reports.set_latest(conn, Latest(device, kind, now, came.body))
            return True


def _of_former_boot(conn: sqlite3.Connection, device: str, state: State) -> bool:
    """Whether a last will came late, after the box was born again."""
    births = [one for one in reports.get_latest(conn, device) if one.kind == "birth"]
    return bool(births) and Birth.read(births[0].body).boot_id != state.boot_id
