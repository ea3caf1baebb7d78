"""Live announcements: who speaks to which boxes, under which signed grant, and how many hear it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.live.limits import Limits
from server.live.session import EndReason, LiveSession
from server.problems import Problem, RefusedError, StoreFailedError
from server.store.devices import Device

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
TOLD_LIMIT_S = 5.0
WITHDRAW_TRIES = 5
WITHDRAW_AFTER_S = 1.0
"""Boxes play this much behind; a grant withdrawn at once would cut the last word."""


@dataclass(frozen=True, slots=True)
class LiveDraft:
    """What an officer asks for; groups and single boxes add up.

    Attributes:
        speaker: name and office, kept in the record of each box.
        max_minutes: length of the lease.
    """

    speaker: str
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    everyone: bool = False
    max_minutes: int = 10

    def is_for(self, device: Device) -> bool:
        """Whether a box is meant."""
        return self.everyone or device.id in self.devices or bool(set(device.groups) & set(self.groups))


@dataclass(slots=True)
class Announcement:
    """One live announcement under way.

    Attributes:
        id: ULID, for people; boxes know it by its grant.
        owner: whose microphone it is, as `owner_of` of the API says.
        author: who answers for it, for the record.
        expires: hard end of the lease.
        grant: id of the signed order, None until the first words have been encoded.
        told: set when the grant has been given, or never will be.
    """

    id: str
    draft: LiveDraft
    owner: str
    author: str
    expires: datetime
    session: LiveSession
    grant: str | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Audience:
    """How many boxes are meant, fetch the sound, and measured themselves that it sounds."""

    boxes: int
    listening: int
    sounding: int


class Boxes(Protocol):
    """What is known of the boxes."""

    async def all(self) -> tuple[Device, ...]:
        """Every enrolled box."""
        ...

    async def sounding_live(self, since: datetime) -> frozenset[str]:
        """Boxes whose own measurement, made after `since`, says that a live announcement sounds."""
        ...


class Grants(Protocol):
    """Signs and withdraws live grants."""

    async def give(self, announcement: Announcement) -> str:
        """Sign the grant, push it; its id, under which boxes fetch the sound.

        Raises:
            RefusedError: it may not be given.
            StoreFailedError: it could not be kept.
        """
        ...

    async def withdraw(self, order: str, author: str) -> None:
        """End a grant.

        Raises:
            StoreFailedError: it could not be kept.
        """
        ...


class Announcements:
    """Keeps the announcements under way; `run` holds their tasks."""

    def __init__(
        self, boxes: Boxes, grants: Grants, limits: Limits | None = None, tail_s: float = WITHDRAW_AFTER_S
    ) -> None:
        self._boxes = boxes
        self._grants = grants
        self._limits = limits
        self._tail_s = tail_s
        self._under_way: dict[str, Announcement] = {}
        self._start: Callable[[Announcement], None] | None = None

    async def run(self) -> None:
        """Go on until cancelled; without it nothing can be started."""
        async with asyncio.TaskGroup() as group:

            def start(one: Announcement) -> None:
                group.create_task(self._live(one), name=f"live-{one.id}")

            self._start = start
            try:
                await asyncio.Event().wait()
            finally:
                self.close()

    def close(self) -> None:
        """End everything; boxes are left with the hard end of the lease."""
        self._start = None
        for one in self._under_way.values():
            one.session.end(EndReason.SERVER)

    async def start(self, draft: LiveDraft, owner: str, author: str) -> Announcement:
        """Open a session; boxes are told when the first words have been encoded.

        Raises:
            RefusedError: no box is meant, or too many speak already.
        """
        known = await self._boxes.all()
        unknown = set(draft.devices) - {one.id for one in known}
        if unknown:
            raise RefusedError(Problem.NO_TARGET, "devices", detail=", ".join(sorted(unknown)))
        if not any(draft.is_for(one) for one in known):
            field_name = "groups" if draft.groups else "all"
            raise RefusedError(Problem.NO_TARGET, field_name, detail=", ".join(draft.groups))
        if self._start is None or len(self._under_way) >= MOST_AT_ONCE:
            raise RefusedError(Problem.BUSY, retry_after_s=10)
        now, lease = utc_now(), timedelta(minutes=draft.max_minutes)
        name = new_ulid(now)
        session = LiveSession(name, lease.total_seconds(), self._limits)
        one = Announcement(name, draft, owner, author, now + lease, session)
        self._under_way[name] = one
        self._start(one)
        logger.info("live %s: opened by %s for %s", name, author, draft.speaker)
        return one

    def get(self, name: str) -> Announcement:
        """One that is under way.

        Raises:
            RefusedError: there is none.
        """
        one = self._under_way.get(name)
        if one is None:
            raise RefusedError(Problem.NOT_FOUND)
        return one

    async def for_box(self, name: str, device: Device) -> LiveSession:
        """The sound of an announcement, by its id or its grant's, if it is for this box.

        Raises:
            RefusedError: there is none; one that is not for this box does not exist for it.
        """
        one = self._find(name)
        if one is None:  # boxes are quicker than the answer that tells us the id of the grant
            await self._all_told()
            one = self._find(name)
        if one is None or not one.draft.is_for(device):
            raise RefusedError(Problem.NOT_FOUND)
        return one.session

    def listing(self) -> tuple[Announcement, ...]:
        """All that are under way, oldest first."""
        return tuple(self._under_way.values())

    async def audience(self, one: Announcement) -> Audience:
        """Who hears it now."""
        meant = {box.id for box in await self._boxes.all() if one.draft.is_for(box)}
        listening = one.session.listening & meant
        began = one.expires - timedelta(minutes=one.draft.max_minutes)
        sounding = await self._boxes.sounding_live(began) & meant if one.grant else frozenset[str]()
        return Audience(len(meant), len(listening), len(sounding))

    async def _live(self, one: Announcement) -> None:
        try:
            await self._to_its_end(one)
            if one.grant is not None:
                await asyncio.sleep(self._tail_s if one.session.reason is EndReason.STOPPED else 0)
                await self._withdraw(one.grant, one.author)
        except Exception:  # a bug ends one announcement, not the server
            logger.exception("live %s: failed", one.id)

    async def _to_its_end(self, one: Announcement) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(one.session.run(), name=f"live-watch-{one.id}")
                await one.session.begun.wait()
                if one.session.reason is None:
                    await self._give(one)
        finally:
            one.session.end(EndReason.SERVER)
            one.told.set()
            del self._under_way[one.id]

    async def _give(self, one: Announcement) -> None:
        try:
            one.grant = await self._grants.give(one)
        except (RefusedError, StoreFailedError) as error:
            logger.error("live %s: no grant: %s", one.id, error)  # noqa: TRY400 - expected, no traceback wanted
            one.session.end(EndReason.REFUSED)
        finally:
            one.told.set()

    async def _withdraw(self, order: str, author: str) -> None:
        for attempt in range(1, WITHDRAW_TRIES + 1):
            try:
                await self._grants.withdraw(order, author)
            except (RefusedError, StoreFailedError) as error:
                logger.warning("grant %s: not withdrawn, try %d: %s", order, attempt, error)
                await asyncio.sleep(attempt)
            else:
                return
        logger.error("grant %s: left to its lease", order)

    def _find(self, name: str) -> Announcement | None:
        found = (one for one in self._under_way.values() if name in (one.id, one.grant))
        return next(found, None)

    async def _all_told(self) -> None:
        """Until every grant being given now has its id, for a bounded time."""
        giving = [one for one in self._under_way.values() if one.session.begun.is_set()]
        try:
            async with asyncio.timeout(TOLD_LIMIT_S):
                for one in giving:
                    await one.told.wait()
        except TimeoutError:
            logger.warning("a grant has been on its way for %.0f s", TOLD_LIMIT_S)
