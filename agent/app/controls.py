"""What people and signed jobs do to the box: carried out, kept, and told upstream with who asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.errors import StoreError
from agent.field.controls import ControlRefusedError, PriorityEntry
from agent.model.bulletin import ZoneId
from agent.playout.ladder import Candidate, Rung, order, rung_of
from agent.playout.orders import StandingOrders
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from agent.store.state import Json
from agent.store.store import Store
from agent.wire.reports import EventType

logger = logging.getLogger(__name__)

HANDS_KEY = "hands"
"""State key of what people set: volume, safety stops, the order of priority items."""

REMOTE = "order:"
"""How the author of a verb begins if it came by a signed order."""

_HORIZON = timedelta(days=7)
_REBOOT_LIMIT_S = 10.0

TellEvent = Callable[[EventType, str, str, str], None]


class BoxControls:
    """Every verb leaves an event with its author; what people set outlives a power cut."""

    def __init__(
        self,
        *,
        station: Station,
        players: Mapping[ZoneId, ZonePlayer],
        orders: StandingOrders,
        store: Store,
        clock: Clock,
        tell: TellEvent,
    ) -> None:
        self._station = station
        self._players = players
        self._orders = orders
        self._store = store
        self._clock = clock
        self._tell = tell
        self._local_order: tuple[str, ...] | None = None
        self._signed_order: tuple[str, ...] = ()
        self._stopped_at_the_horn: set[ZoneId] = set()
        self._released: set[ZoneId] = set()

    @property
    def zones(self) -> tuple[str, ...]:
        return self._station.zones

    # --- what outlives a power cut -------------------------------------------------------------------

    async def restore(self) -> None:
        """Put in force again what people had set."""
        try:
            kept = await self._store.get_state(HANDS_KEY)
        except StoreError as error:
            logger.warning("what people had set is not known: %s", error)
            return
        if not isinstance(kept, dict):
            return
        volume, safety = kept.get("volume_db"), kept.get("safety")
        for zone in self._station.zones:
            if isinstance(volume, dict) and isinstance(found := volume.get(zone), int | float):
                self._station.volume_db[zone] = float(found)
            if isinstance(safety, dict) and isinstance(seconds := safety.get(zone), int | float):
                # How long the box was off is not believed: somebody may still stand at the horn.
                self._station.safety_stop((zone,), float(seconds))
        at_horn = kept.get("at_horn")
        self._stopped_at_the_horn = {
            zone for zone in self._station.zones if isinstance(at_horn, list) and zone in at_horn
        }
        listed, signed = kept.get("priority_order"), kept.get("signed_order")
        if isinstance(listed, list):
            self._local_order = tuple(str(one) for one in listed)
            self._signed_order = tuple(str(one) for one in signed) if isinstance(signed, list) else ()
            self._station.set_preference(self._local_order)

    def server_order(self, ids: tuple[str, ...]) -> None:
        """The order that came signed; what somebody set at the box since stands until another one comes."""
        if self._local_order is not None and ids == self._signed_order:
            self._station.set_preference(self._local_order)
            return
        self._local_order, self._signed_order = None, ids
        self._station.set_preference(ids)

    async def keep(self) -> None:
        """Write down what people set, and how long each safety stop still lasts."""
        safety: dict[str, Json] = {
            zone: left for zone in self._station.zones if (left := self._station.safety_left_s(zone)) > 0
        }
        self._stopped_at_the_horn &= {ZoneId(zone) for zone in safety}
        kept: dict[str, Json] = {
            "volume_db": dict(self._station.volume_db.items()),
            "safety": safety,
            "at_horn": [str(zone) for zone in sorted(self._stopped_at_the_horn)],
            "priority_order": list(self._local_order) if self._local_order is not None else None,
            "signed_order": list(self._signed_order),
        }
        try:
            await self._store.put_state({HANDS_KEY: kept})
        except StoreError as error:
            logger.warning("not kept over a power cut: %s", error)

    # --- verbs ---------------------------------------------------------------------------------------

    async def safety_stop(self, zones: tuple[str, ...], minutes: int, by: str) -> datetime:
        return await self.stop_now(zones, minutes, by)

    async def stop_now(self, zones: tuple[str, ...], minutes: int, by: str) -> datetime:
        """Silence first, then everything else."""
        chosen = tuple(self._zone(zone) for zone in zones) or self._station.zones
        self._station.safety_stop(chosen, minutes * 60)
        if not by.startswith(REMOTE):
            self._stopped_at_the_horn.update(chosen)
        async with asyncio.TaskGroup() as group:
            for zone in chosen:
                group.create_task(self._players[zone].amplifier.cut(), name=f"cut {zone}")
        for zone in chosen:
            self._tell(EventType.SAFETY_STOPPED, zone, by, f"{minutes} minutes")
        await self.keep()
        return self._clock.now() + timedelta(minutes=minutes)

    async def safety_release(self, zones: tuple[str, ...], by: str) -> None:
        chosen = tuple(self._zone(zone) for zone in zones) or self._station.zones
        at_work = {zone for zone in self._stopped_at_the_horn if self._station.safety_left_s(zone) > 0}
        if by.startswith(REMOTE) and at_work & set(chosen):
            raise ControlRefusedError("safety_local", "somebody at the horn set it")
        self._stopped_at_the_horn.difference_update(chosen)
        self._released.update(zone for zone in chosen if self._station.safety_left_s(zone) > 0)
        self._station.safety_release(chosen)
        for zone in chosen:
            self._tell(EventType.SAFETY_RELEASED, zone, by, "")
        await self.keep()

    def was_released(self, zone: ZoneId) -> bool:
        """Whether somebody released the stop that has just ended; otherwise its time was over."""
        released = zone in self._released
        self._released.discard(zone)
        return released

    async def set_volume(self, zone: str, volume_db: float, by: str) -> None:
        self._station.set_volume(self._zone(zone), volume_db)
        self._tell(EventType.CONTROL, zone, by, f"volume {volume_db:+.1f} dB")
        await self.keep()

    async def stop(self, zone: str, by: str) -> str:
        player = self._players[self._zone(zone)]
        if player.view.rung is Rung.EMERGENCY:
            raise ControlRefusedError(
                "emergency_on_air", "only its cancel or a safety stop ends an emergency"
            )
        title = await player.stop_airing()
        if title:
            self._tell(EventType.CONTROL, zone, by, f"stopped {title}")
        return title

    async def next(self, zone: str, by: str) -> str:
        title = await self._players[self._zone(zone)].next_item()
        self._tell(EventType.CONTROL, zone, by, f"next {title}")
        return title

    async def pause(self, zone: str, minutes: int, by: str) -> None:
        self._station.pause(self._zone(zone), minutes * 60)
        self._tell(EventType.CONTROL, zone, by, f"paused for {minutes} minutes")

    async def resume(self, zone: str, by: str) -> None:
        self._station.pause(self._zone(zone), 0)
        self._tell(EventType.CONTROL, zone, by, "resumed")

    async def restart_worker(self, zone: str, by: str) -> None:
        self._players[self._zone(zone)].restart_worker()
        self._tell(EventType.CONTROL, zone, by, "audio worker replaced")

    async def reset_amplifier(self, zone: str, by: str) -> None:
        self._players[self._zone(zone)].amplifier.reset_latch()
        self._tell(EventType.CONTROL, zone, by, "amplifier is tried again")

    async def reboot(self, by: str) -> None:
        self._tell(EventType.CONTROL, "", by, "reboot")
        try:
            async with asyncio.timeout(_REBOOT_LIMIT_S):
                child = await asyncio.create_subprocess_exec(
                    "systemctl",
                    "reboot",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                )
                _, said = await child.communicate()
        except (OSError, TimeoutError) as error:
            raise ControlRefusedError("reboot_failed", str(error)) from error
        if child.returncode != 0:
            raise ControlRefusedError("reboot_failed", said.decode("utf-8", "replace")[:200])

    # --- the order of priority items -----------------------------------------------------------------

    def priorities(self) -> tuple[PriorityEntry, ...]:
        now, preference = self._clock.now(), self._station.preference
        timetable = self._station.state.timetable
        wishes: dict[str, Candidate] = {}
        for standing in self._orders.standings():
            if standing.rung is Rung.PRIORITY:
                name = standing.airing.programme.id
                wishes.setdefault(name, Candidate(standing.airing, standing.rung, 0))
        if timetable is not None:
            for airing in (*timetable.active(now), *timetable.between(now, now + _HORIZON, 5000)):
                if rung_of(airing) is Rung.PRIORITY:
                    wishes.setdefault(airing.programme.id, Candidate(airing, Rung.PRIORITY, 0))
        return tuple(
            PriorityEntry(
                name,
                one.airing.programme.title,
                one.airing.programme.level,
                one.airing.start,
                preference.index(name) + 1 if name in preference else None,
            )
            for name, one in sorted(wishes.items(), key=lambda pair: order(pair[1], preference))
        )

    async def set_priority_order(self, ids: tuple[str, ...], by: str) -> None:
        self._local_order = ids
        self._station.set_preference(ids)
        self._tell(EventType.CONTROL, "", by, f"priority order: {', '.join(ids)[:250]}")
        await self.keep()

    def _zone(self, name: str) -> ZoneId:
        zone = ZoneId(name)
        if zone not in self._players:
            raise ControlRefusedError("unknown_zone", f"there is no zone {name!r}")
        return zone
