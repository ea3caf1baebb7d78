"""What the plan needs to know about this box, kept in one place and handed out as a value."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.latest import Latest
from agent.model.bulletin import AiringId, ZoneId
from agent.model.schedule import airing_start
from agent.model.timetable import Timetable
from agent.playout.plan import AiringInZone, Reason, StationState

KEEP = timedelta(hours=72)
"""How long settled airings are remembered; longer than the plan looks back."""


class Station:
    """The changing facts behind `StationState`; what may change the plan wakes those who follow `changed`.

    Attributes:
        order_id: the order that put the schedule in force.
        planned_until: every airing that started before this moment is accounted for.
        waited: why airings that are due did not sound so far.
    """

    def __init__(
        self,
        zones: tuple[ZoneId, ...],
        clock: Clock,
        *,
        begun: set[AiringInZone],
        finished: set[AiringInZone],
        planned_until: datetime | None,
        held: Container[str],
    ) -> None:
        """Start from what earlier runs left.

        Args:
            zones: zones of this box.
            clock: time.
            begun: airings with an open record.
            finished: airings recorded as final in the last 72 hours or longer.
            planned_until: as an earlier run left it, None on a new box.
            held: media on disk with the right hash, by SHA-256.
        """
        self.changed: Latest[int] = Latest(0)
        self.order_id = ""
        self.planned_until = planned_until
        self.waited: Mapping[AiringInZone, Reason] = {}
        self._clock = clock
        self._started_s = clock.monotonic()
        self._begun = set(begun)
        self._finished = set(finished)
        self._audio_ok = dict.fromkeys(zones, True)
        self._state: StationState | None = None
        self._facts = StationState(zones=zones, held=held)

    @property
    def state(self) -> StationState:
        """The facts as they stand."""
        if self._state is None:
            self._state = replace(
                self._facts,
                begun=frozenset(self._begun),
                finished=frozenset(self._finished),
                audio_ok=dict(self._audio_ok),
            )
        return replace(
            self._state,
            running_since=self._clock.now() - timedelta(seconds=self.uptime_s),
            planned_until=self.planned_until,
            waited=self.waited,
        )

    @property
    def uptime_s(self) -> float:
        """Seconds since this run began."""
        return self._clock.monotonic() - self._started_s

    @property
    def zones(self) -> tuple[ZoneId, ...]:
        """Zones of this box."""
        return self._facts.zones

    @property
    def schedule_version(self) -> int:
        """Version of the schedule in force, 0 without one."""
        return self._facts.schedule_version

    def set_schedule(
        self, timetable: Timetable | None, version: int, order_id: str, since: datetime | None
    ) -> None:
        """A schedule came into force, or none is any more."""
        self.order_id = order_id
        self._facts = replace(
            self._facts, timetable=timetable, schedule_version=version, in_force_since=since
        )
        self.touch()

    def set_audio(self, zone: ZoneId, *, ok: bool) -> None:
        """Whether a zone can sound at all."""
        if self._audio_ok[zone] != ok:
            self._audio_ok[zone] = ok
            self.touch()

    def audio_ok(self, zone: ZoneId) -> bool:
        """Whether a zone can sound, as last seen."""
        return self._audio_ok[zone]

    def begin(self, airing: AiringId, zone: ZoneId) -> None:
        """An airing has an open record."""
        self._begun.add((airing, zone))
        self._state = None

    def finish(self, airing: AiringId, zone: ZoneId) -> None:
        """An airing has its final record; it will not sound (again) in this zone."""
        self._begun.discard((airing, zone))
        self._finished.add((airing, zone))
        self._state = None

    def forget_old(self) -> None:
        """Drop settled airings so old that no plan names them any more."""
        oldest = self._clock.now() - KEEP
        self._finished = {key for key in self._finished if airing_start(key[0]) >= oldest}
        self._state = None

    def touch(self) -> None:
        """Something the plan depends on changed (a file arrived, the clock was set)."""
        self._state = None
        self.changed.set(self.changed.value + 1)
