"""Brings the schedule that a signed `desired` order names onto the box and puts it in force as a whole.

A schedule is believed because its hash stands in the signed order. It is fetched with retries, checked
completely (document, every recurrence rule), made durable, and only then replaces the former one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.clock import Clock
from agent.errors import AgentError, MediaCorruptError
from agent.latest import Latest
from agent.lifecycle import Backoff
from agent.model.bulletin import ZoneId
from agent.model.schedule import Schedule
from agent.model.timetable import ScheduleError, Timetable
from agent.wire.errors import WireError
from agent.wire.orders import Desired, ScheduleRef
from agent.wire.schedule import read_schedule

logger = logging.getLogger(__name__)


class ScheduleShelf(Protocol):
    """Where the schedule in force survives a power cut."""

    async def put_schedule(self, document: bytes, sha256: str, order_id: str, since: datetime) -> None: ...

    async def drop_schedule(self) -> None: ...

    async def get_schedule(self) -> tuple[bytes, str, str, datetime] | None: ...


@dataclass(frozen=True, slots=True)
class InForce:
    """The schedule a box acts by."""

    schedule: Schedule
    timetable: Timetable
    sha256: str
    order_id: str
    since: datetime


class ScheduleKeeper:
    """Service: follows the wanted schedule reference and puts each new one in force."""

    name = "schedule keeper"

    def __init__(
        self,
        shelf: ScheduleShelf,
        fetch: Callable[[str, int], Awaitable[bytes]],
        clock: Clock,
        *,
        zones: tuple[ZoneId, ...],
        before_change: Callable[[], Awaitable[None]],
        on_refused: Callable[[Desired, str], Awaitable[None]],
        on_in_force: Callable[[InForce], Awaitable[None]],
    ) -> None:
        """Build the service.

        Args:
            shelf: durable place of the schedule in force.
            fetch: `(relative url, size limit in bytes) -> bytes`; raises AgentError.
            clock: for the moment of coming into force, and waits.
            zones: zones of this box; what airs elsewhere only is checked and left out of the index.
            before_change: settles what the former schedule promised, before another takes its place.
            on_refused: told when a document cannot be used, with `field: problem`.
            on_in_force: told after a new schedule is durable and in force.
        """
        self.in_force: Latest[InForce | None] = Latest(None)
        self.wanted: Latest[Desired | None] = Latest(None)
        self._shelf = shelf
        self._fetch = fetch
        self._clock = clock
        self._zones = zones
        self._before_change = before_change
        self._on_refused = on_refused
        self._on_in_force = on_in_force

    async def restore(self) -> None:
        """Put the stored schedule in force again at start; a damaged one is dropped and fetched anew."""
        held = await self._shelf.get_schedule()
        if held is None:
            return
        document, sha256, order_id, since = held
        try:
            self.in_force.set(await self._build(document, sha256, order_id, since))
        except (WireError, ScheduleError) as error:
            logger.error("stored schedule cannot be used, waiting for a fresh one: %s", error)  # noqa: TRY400

    async def run(self) -> None:
        async for order in self.wanted.follow():
            now = self.in_force.value
            if order is None:
                continue
            if order.schedule is None:
                if now is not None:
                    await self._before_change()
                    await self._shelf.drop_schedule()
                    self.in_force.set(None)
                    logger.info("order %s: no schedule wanted any more", order.id)
                continue
            if now is not None and now.sha256 == order.schedule.sha256:
                continue
            await self._adopt(order, order.schedule)

    async def _adopt(self, order: Desired, ref: ScheduleRef) -> None:
        document = await self._obtain(order, ref)
        if document is None:
            return
        try:
            fresh = await self._build(
                document, ref.sha256, order.id, self._clock.now(), (ref.id, ref.version)
            )
        except (WireError, ScheduleError) as error:
            logger.warning("schedule %s version %d refused: %s", ref.id, ref.version, error)
            await self._on_refused(order, str(error))
            return
        await self._before_change()
        await self._shelf.put_schedule(document, ref.sha256, order.id, fresh.since)
        self.in_force.set(fresh)
        logger.info(
            "schedule %s version %d in force: %d programmes",
            ref.id,
            ref.version,
            len(fresh.schedule.programmes),
        )
        await self._on_in_force(fresh)

    async def _obtain(self, order: Desired, ref: ScheduleRef) -> bytes | None:
        """The document with the right hash; None as soon as another one is wanted."""
        failures = 0
        while self.wanted.value is order:
            try:
                document = await self._fetch(ref.url, ref.size_bytes)
                if len(document) == ref.size_bytes and hashlib.sha256(document).hexdigest() == ref.sha256:
                    return document
                raise MediaCorruptError(f"schedule {ref.id}: bytes do not match the signed hash")
            except AgentError as error:
                failures += 1
                level = logging.WARNING if failures == 1 else logging.DEBUG
                logger.log(level, "schedule %s version %d not obtained: %s", ref.id, ref.version, error)
            wait_s = Backoff(first_s=0.3, ceiling_s=30).delay_s(failures)
            changed = asyncio.ensure_future(self.wanted.changed())
            try:
                await asyncio.wait({changed}, timeout=wait_s)
            finally:
                changed.cancel()
        return None

    async def _build(
        self,
        document: bytes,
        sha256: str,
        order_id: str,
        since: datetime,
        expected: tuple[str, int] | None = None,
    ) -> InForce:
        """Check everything about a schedule document.

        Raises:
            WireError: wrong hash, document, id or version.
            ScheduleError: a recurrence rule that cannot be carried out.
        """
        now = self._clock.now()

        def build() -> InForce:
            if hashlib.sha256(document).hexdigest() != sha256:
                raise WireError("schedule", "stored bytes do not match their hash")
            schedule = read_schedule(document)
            if expected is not None and (schedule.id, schedule.version) != expected:
                raise WireError("version", f"{schedule.id} {schedule.version} is not what the order names")
            timetable = Timetable(schedule, checked_at=now, zones=self._zones)
            return InForce(schedule, timetable, sha256, order_id, since)

        # Ten thousand programmes take seconds to index; the loop must go on meanwhile.
        return await asyncio.to_thread(build)
