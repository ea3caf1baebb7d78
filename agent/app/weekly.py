"""The weekly silent test of every zone's amplifier, at a time when nobody is disturbed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from agent.app.controls import TellEvent
from agent.clock import Clock
from agent.errors import StoreError
from agent.model.bulletin import ZoneId
from agent.playout.silent_test import RefusedNowError, SilentTest
from agent.playout.supervision import silent_test_due
from agent.playout.zone import ZonePlayer
from agent.store.state import Json
from agent.store.store import Store
from agent.wire.reports import EventType

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0
_KEY = "silent_tests"


class WeeklySilentTest:
    """Service: looks every ten minutes whether a zone is due for its test, and runs it."""

    name = "weekly silent test"

    def __init__(
        self, players: Mapping[ZoneId, ZonePlayer], store: Store, clock: Clock, tell: TellEvent
    ) -> None:
        self._players = players
        self._store = store
        self._clock = clock
        self._tell = tell

    async def run(self) -> None:
        last = await self._last()
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            for zone, player in self._players.items():
                await self._look(zone, player, last)

    async def _look(self, zone: ZoneId, player: ZonePlayer, last: dict[ZoneId, datetime]) -> None:
        now = self._clock.now()
        if player.view.on_air is not None:
            return
        quiet_for = player.quiet_until - now if player.quiet_until is not None else None
        if not silent_test_due(last.get(zone), now, self._clock.trust, quiet_for):
            return
        test = SilentTest(player.amplifier, self._clock, quiet=lambda: player.view.on_air is None)
        try:
            found = await test.run_once()
        except RefusedNowError as error:
            logger.info("zone %s: silent test put off: %s", zone, error)
            return
        last[zone] = self._clock.now()
        logger.info("zone %s: silent test: %s", zone, found.kind)
        self._tell(EventType.CONTROL, zone, "silent_test", found.kind.value)
        await self._keep(last)

    async def _last(self) -> dict[ZoneId, datetime]:
        try:
            kept = await self._store.get_state(_KEY)
        except StoreError:
            return {}
        found = kept if isinstance(kept, dict) else {}
        return {ZoneId(zone): datetime.fromisoformat(str(text)) for zone, text in found.items()}

    async def _keep(self, last: Mapping[ZoneId, datetime]) -> None:
        try:
            values = {str(zone): moment.isoformat() for zone, moment in last.items()}
            await self._store.put_state({_KEY: cast("Json", values)})
        except StoreError as error:
            logger.warning("silent test not kept: %s", error)
