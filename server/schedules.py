"""Schedules: drafts become numbered documents, documents become signed orders for boxes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NaiveDatetime, ValidationError

from agent.model import bulletin as model
from agent.model.schedule import Schedule
from agent.model.timetable import ScheduleError, Timetable
from agent.wire.base import Document, Line, Moment, Name, Text
from agent.wire.device_api import MEDIA, SCHEDULES
from agent.wire.errors import WireError
from agent.wire.orders import Desired, ScheduleRef, Scope, ScopeKind
from agent.wire.schedule import MAX_SCHEDULE_BYTES, read_schedule
from agent.wire.topics import down
from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.problems import Problem, RefusedError
from server.reasons import broken_rule, mistake
from server.signing import Signer
from server.store import content, devices
from server.store.content import DocumentRow, ScheduleRow
from server.store.database import Database
from server.store.devices import Device

logger = logging.getLogger(__name__)

VALIDITY = timedelta(days=30)
RENEW_BEFORE = timedelta(days=20)
TOLERANCE = timedelta(minutes=10)
"""How far a box's clock may be behind ours when it reads a fresh order."""

KEEP_GIVEN = timedelta(days=2)
PUSH_LIMIT_S = 15.0


class Draft(Document):
    """Base of what an officer sends: a misspelt field is an error, not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DraftItem(Draft):
    """One bulletin, chime or piece of music; `media` is the id or SHA-256 of a kept file."""

    media: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|[0-7][0-9A-HJKMNP-TV-Z]{25})$")]
    id: Name | None = None
    title: Line = ""
    kind: model.ItemKind = model.ItemKind.SPEECH
    text: Text = ""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "vi"
    author: Line = ""
    approver: Line = ""


class DraftRecurrence(Draft):
    """When a programme starts: civil times of the schedule's zone, RFC 5545 rules."""

    start: NaiveDatetime
    rrule: Annotated[str, Field(min_length=6, max_length=500)] | None = None
    exdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)
    rdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)


class DraftProgramme(Draft):
    """Items that air together at each start."""

    id: Name
    title: Line
    bulletin_class: Literal["normal", "priority"] = Field(alias="class", default="normal")
    level: model.SourceLevel = model.SourceLevel.COMMUNE
    zones: tuple[Name, ...] = ()
    items: tuple[DraftItem, ...] = Field(min_length=1, max_length=500)
    recurrences: tuple[DraftRecurrence, ...] = Field(min_length=1, max_length=500)
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    clock_needed: Literal["unknown", "restored", "rtc", "synchronised"] = "rtc"


class ScheduleDraft(Draft):
    """A whole schedule as an officer made it; replaces the former of the same id as a new version."""

    id: Name
    station: Line = ""
    timezone: Annotated[str, Field(max_length=64)] = "Asia/Ho_Chi_Minh"
    programmes: tuple[DraftProgramme, ...] = Field(default=(), max_length=100_000)


@dataclass(frozen=True, slots=True)
class Targets:
    """For whom a schedule is; groups and single boxes add up."""

    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    """One signed order, and whether the broker has it."""

    device: str
    document: DocumentRow
    pushed: bool


Push = Callable[[str, bytes], Awaitable[bool]]


class Schedules:
    """Keeps versions and gives them out."""

    def __init__(self, database: Database, signer: Signer, push: Push) -> None:
        self._database = database
        self._signer = signer
        self._push = push
        self._one_at_a_time: dict[str, asyncio.Lock] = {}

    async def add(self, draft: ScheduleDraft) -> ScheduleRow:
        """Check a draft and keep it as the next version.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        programmes = await self._database.read(lambda conn: _resolve(conn, draft))

        def keep(conn: sqlite3.Connection) -> ScheduleRow:
            version = content.next_version(conn, draft.id)
            row = _row(draft, programmes, version, draft.station or self._signer.station.title)
            content.insert_schedule(conn, row)
            return row

        # Checked before the transaction, because a long rule takes longer than a writer may.
        trial = _row(draft, programmes, 1, draft.station or self._signer.station.title)
        await asyncio.to_thread(_check, trial.document)
        row = await self._database.write(keep)
        logger.info("schedule %s: version %d kept, %d programmes", row.id, row.version, len(programmes))
        return row

    async def get(self, schedule: str, version: int | None = None) -> ScheduleRow:
        """One version, the newest if None.

        Raises:
            RefusedError: there is none.
        """
        row = await self._database.read(lambda conn: content.find_schedule(conn, schedule, version))
        if row is None:
            raise RefusedError(Problem.NOT_FOUND)
        return row

    async def publish(self, schedule: str, version: int | None, targets: Targets) -> list[Issued]:
        """Sign the schedule for each box, keep the orders, push them.

        Raises:
            RefusedError: no such schedule, or no box is meant.
        """
        row = await self.get(schedule, version)
        media = await asyncio.to_thread(_media_of, row)

        def issue(conn: sqlite3.Connection) -> list[DocumentRow]:
            return [self._issue(conn, device, row, media) for device in _meant(conn, targets)]

        documents = await self._database.write(issue)
        logger.info("schedule %s version %d: signed for %d boxes", row.id, row.version, len(documents))
        pushed = await self._push_all(documents)
        return [Issued(one.device, one, one.id in pushed) for one in documents]

    async def push_waiting(self) -> None:
        """Push the orders that the broker has not confirmed; heartbeats bring them to the boxes meanwhile."""
        current = await self._database.read(content.all_current_desired, urgent=True)
        await self._push_all([one for one in current if one.pushed is None])

    async def renew(self) -> None:
        """Sign again what expires soon, so that a schedule nobody touches stays in force."""
        soon = utc_now() + RENEW_BEFORE

        def issue(conn: sqlite3.Connection) -> list[DocumentRow]:
            renewed = []
            for old in content.all_current_desired(conn):
                device = devices.find_device(conn, old.device)
                if old.expires < soon and device is not None and old.schedule_id is not None:
                    row = content.find_schedule(conn, old.schedule_id, old.schedule_version)
                    if row is not None:
                        renewed.append(self._issue(conn, device, row, _media_of(row)))
            return renewed

        documents = await self._database.write(issue, urgent=True)
        for one in documents:
            logger.info("box %s: order for schedule %s renewed", one.device, one.schedule_id)
        await self._push_all(documents)

    def _issue(
        self, conn: sqlite3.Connection, device: Device, row: ScheduleRow, media: frozenset[str]
    ) -> DocumentRow:
        now = utc_now()
        seq = content.next_seq(conn, self._signer.issuer, f"device/{device.id}")
        order = Desired(
            id=new_ulid(now),
            issuer=self._signer.issuer,
            seq=seq,
            scope=Scope(kind=ScopeKind.DEVICE, id=device.id),
            not_before=now - TOLERANCE,
            expires=now + VALIDITY,
            schedule=ScheduleRef(
                id=row.id,
                version=row.version,
                sha256=row.sha256,
                size_bytes=row.size_bytes,
                url=SCHEDULES + row.sha256,
            ),
            groups=device.groups,
        )
        document = DocumentRow(
            order.id,
            order.kind,
            device.id,
            order.issuer,
            seq,
            row.id,
            row.version,
            row.sha256,
            self._signer.sign(order),
            now,
            order.expires,
        )
        content.insert_document(conn, document)
        until = order.expires + KEEP_GIVEN
        content.give(conn, device.id, "schedule", (row.sha256,), until)
        content.give(conn, device.id, "media", media, until)
        return document

    async def _push_all(self, documents: Sequence[DocumentRow]) -> set[str]:
        """Push to all at once; ids of those the broker confirmed in time."""
        pushed: set[str] = set()

        async def push(document: DocumentRow) -> None:
            if await self._push_one(document):
                pushed.add(document.id)

        try:
            async with asyncio.timeout(PUSH_LIMIT_S), asyncio.TaskGroup() as group:
                for one in documents:
                    group.create_task(push(one), name=f"push-{one.device}")
        except TimeoutError:
            logger.warning("broker confirmed %d of %d orders in time", len(pushed), len(documents))
        if pushed:
            now = utc_now()
            done = frozenset(pushed)
            await self._database.write(lambda conn: content.mark_pushed(conn, done, now), urgent=True)
        return pushed

    async def _push_one(self, document: DocumentRow) -> bool:
        """Push an order unless a newer one is there: the broker retains what came last, not the newest."""
        async with self._one_at_a_time.setdefault(document.device, asyncio.Lock()):
            newest = await self._database.read(
                lambda conn: content.current_desired(conn, document.device), urgent=True
            )
            if newest is None or newest.id != document.id:
                return False
            return await self._push(down(document.device, document.kind), document.envelope)


def _media_of(row: ScheduleRow) -> frozenset[str]:
    return frozenset(read_schedule(row.document).media)


def _resolve(conn: sqlite3.Connection, draft: ScheduleDraft) -> list[dict[str, object]]:
    """Programmes as the document has them: every item with hash, size and length of its file."""
    return [
        {
            **programme.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"items"}),
            "items": [
                _resolve_item(conn, item, f"programmes[{n}].items[{m}]", m)
                for m, item in enumerate(programme.items)
            ],
        }
        for n, programme in enumerate(draft.programmes)
    ]


def _resolve_item(conn: sqlite3.Connection, item: DraftItem, field: str, number: int) -> dict[str, object]:
    media = content.find_media(conn, item.media)
    if media is None:
        raise RefusedError(Problem.MEDIA_UNKNOWN, f"{field}.media", detail=item.media)
    return {
        **item.model_dump(mode="json", exclude_none=True, exclude={"media"}),
        "id": item.id or f"item-{number + 1}",
        "title": item.title or media.title,
        "media": {
            "sha256": media.sha256,
            "size_bytes": media.size_bytes,
            "duration_ms": media.duration_ms,
            "gain_db": 0.0,
            "url": MEDIA + media.sha256,
        },
    }


def _row(
    draft: ScheduleDraft, programmes: list[dict[str, object]], version: int, station: str
) -> ScheduleRow:
    document = json.dumps(
        {
            "id": draft.id,
            "version": version,
            "station": station,
            "timezone": draft.timezone,
            "programmes": programmes,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    if len(document) > MAX_SCHEDULE_BYTES:
        raise RefusedError(Problem.SCHEDULE_TOO_LARGE, detail=f"{MAX_SCHEDULE_BYTES // 1024**2} MB")
    sha256 = hashlib.sha256(document).hexdigest()
    return ScheduleRow(draft.id, version, sha256, len(document), document, utc_now())


def _check(document: bytes) -> None:
    """Refuse what a box would refuse, by the box's own rules."""
    try:
        _check_rules(read_schedule(document))
    except WireError as error:
        field, why = error.field, broken_rule(error.field, error.problem)
        if isinstance(error.__cause__, ValidationError):
            field, why = mistake(error.__cause__)
        raise RefusedError(Problem.SCHEDULE_INVALID, field, detail=why) from error


def _check_rules(schedule: Schedule) -> None:
    try:
        Timetable(schedule)
    except ScheduleError as error:
        why = broken_rule(error.field, error.problem)
        raise RefusedError(Problem.SCHEDULE_INVALID, error.field, detail=why) from error


def _meant(conn: sqlite3.Connection, targets: Targets) -> Iterable[Device]:
    known = devices.all_devices(conn)
    unknown = set(targets.devices) - {one.id for one in known}
    if unknown:
        raise RefusedError(Problem.NO_TARGET, "devices", detail=", ".join(sorted(unknown)))
    meant = [
        one
        for one in known
        if targets.everyone or one.id in targets.devices or set(one.groups) & set(targets.groups)
    ]
    if not meant:
        field = "groups" if targets.groups else "all"
        raise RefusedError(Problem.NO_TARGET, field, detail=", ".join(targets.groups))
    return meant
