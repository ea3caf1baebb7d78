"""What live announcements need to know of the boxes."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from agent.wire.reports import Health
from server.store import devices, reports
from server.store.database import Database
from server.store.devices import Device

LIVE_RUNG = "live"
"""What `ZoneHealth.rung` says while a live announcement is on air."""


class KnownBoxes:
    """Boxes and their measurements, from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Device, ...]:
        """Every enrolled box."""
        return await self._database.read(devices.all_devices)

    async def sounding_live(self, since: datetime) -> frozenset[str]:
        """Boxes whose own measurement, arrived after `since`, says that a live announcement sounds."""

        def read(conn: sqlite3.Connection) -> frozenset[str]:
            return frozenset(
                one.device
                for one in reports.get_latest(conn, None)
                if one.kind == "health" and one.received >= since and sounds_live(Health.read(one.body))
            )

        return await self._database.read(read)


def sounds_live(health: Health) -> bool:
    """Whether some zone measures sound while a live announcement is on air."""
    return any(zone.rung == LIVE_RUNG and zone.sounding for zone in health.zones)
