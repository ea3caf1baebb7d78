"""Schedules: drafts become numbered documents, documents become signed orders for boxes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from pydantic import ValidationError

from agent.model import bulletin as model
from agent.model.schedule import Schedule
from agent.model.timetable import ScheduleError, Timetable
from agent.wire.errors import WireError
from agent.wire.schedule import MAX_SCHEDULE_BYTES, read_schedule
from server.clock import utc_now
from server.drafts import DraftItem, ScheduleDraft
from server.issuing import SIGNED_AT_ONCE, Issuer, desired_document
from server.problems import Problem, RefusedError
from server.pushing import Pusher
from server.reasons import broken_rule, mistake
from server.station import state_of
from server.store import content, devices, orders
from server.store.content import DocumentRow, ScheduleRow, media_ref
from server.store.database import Database
from server.store.devices import Device

logger = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(days=20)
RENEWED = "server"
"""Author of what the server signs again by itself."""


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


class Schedules:
    """Keeps versions and gives them out, with what the station set for all its boxes."""

    def __init__(self, database: Database, issuer: Issuer, pusher: Pusher) -> None:
        self._database = database
        self._issuer = issuer
        self._pusher = pusher

    async def add(self, draft: ScheduleDraft) -> ScheduleRow:
        """Check a draft and keep it as the next version.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        programmes = await self._database.read(lambda conn: _resolve(conn, draft))

        def keep(conn: sqlite3.Connection) -> ScheduleRow:
            version = content.next_version(conn, draft.id)
            row = _row(draft, programmes, version, draft.station or self._issuer.station.title)
            content.insert_schedule(conn, row)
            return row

        # Checked before the transaction, because a long rule takes longer than a writer may.
        trial = _row(draft, programmes, 1, draft.station or self._issuer.station.title)
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

    async def publish(
        self, schedule: str, version: int | None, targets: Targets, author: str = ""
    ) -> list[Issued]:
        """Sign the schedule for each box, keep the orders, push them; in slices, as `renew` does.

        Raises:
            RefusedError: no such schedule, or no box is meant.
        """
        row = await self.get(schedule, version)
        media = await asyncio.to_thread(_media_of, row)

        def issue(names: list[str], conn: sqlite3.Connection) -> list[DocumentRow]:
            state = state_of(conn)
            return [
                self._issuer.issue_desired(
                    conn, device, state=state, schedule=row, media=media, author=author
                )
                for device in (devices.find_device(conn, name) for name in names)
                if device is not None
            ]

        meant = await self._database.read(lambda conn: [one.id for one in _meant(conn, targets)])
        documents: list[DocumentRow] = []
        for n in range(0, len(meant), SIGNED_AT_ONCE):
            documents += await self._database.write(partial(issue, meant[n : n + SIGNED_AT_ONCE]))
        logger.info("schedule %s version %d: signed for %d boxes", row.id, row.version, len(documents))
        pushed = await self._pusher.send([desired_document(one) for one in documents])
        return [Issued(one.device, one, one.id in pushed) for one in documents]

    async def renew(self) -> None:
        """Sign again what expires soon, and what does not carry the station's newest settings.

        In slices, so that nothing urgent waits long for its turn to be written.
        """
        soon = utc_now() + RENEW_BEFORE

        def outdated(conn: sqlite3.Connection) -> list[str]:
            revision = state_of(conn).revision
            current = {one.device: one for one in content.all_current_desired(conn)}
            known = devices.all_devices(conn)
            return [one.id for one in known if _outdated(conn, current.get(one.id), revision, soon)]

        todo = await self._database.read(outdated, urgent=True)
        if not todo:
            return
        logger.info("orders of %d boxes renewed", len(todo))
        media: dict[str, frozenset[str]] = {}
        done: list[DocumentRow] = []
        for n in range(0, len(todo), SIGNED_AT_ONCE):
            some = partial(self._renew_some, todo[n : n + SIGNED_AT_ONCE], soon, media)
            done += await self._database.write(some, urgent=True)
        await self._pusher.send([desired_document(one) for one in done])

    def _renew_some(
        self, names: list[str], soon: datetime, media: dict[str, frozenset[str]], conn: sqlite3.Connection
    ) -> list[DocumentRow]:
        state = state_of(conn)
        renewed: list[DocumentRow] = []
        for name in names:
            device, old = devices.find_device(conn, name), content.current_desired(conn, name)
            if device is None or not _outdated(conn, old, state.revision, soon):  # done by somebody meanwhile
                continue
            row = None
            if old is not None and old.schedule_id is not None:
                row = content.find_schedule(conn, old.schedule_id, old.schedule_version)
            if row is not None and row.sha256 not in media:
                media[row.sha256] = _media_of(row)
            files = media[row.sha256] if row is not None else frozenset()
            try:
                document = self._issuer.issue_desired(
                    conn, device, state=state, schedule=row, media=files, author=RENEWED
                )
            except RefusedError as error:  # nothing of it is kept, and the others still get theirs
                logger.error("box %s: order not renewed: %s", name, error)  # noqa: TRY400 - expected
                continue
            renewed.append(document)
        return renewed


def _outdated(conn: sqlite3.Connection, old: DocumentRow | None, revision: int, soon: datetime) -> bool:
    if old is None:
        return revision > 0
    return old.expires < soon or max(0, orders.revision_of(conn, old.id)) < revision


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
    said = {
        **item.model_dump(mode="json", exclude_none=True, exclude={"media"}),
        "id": item.id or f"item-{number + 1}",
    }
    if item.media is None:
        return {**said, "kind": model.ItemKind.LIVE.value}
    media = content.find_media(conn, item.media)
    if media is None:
        raise RefusedError(Problem.MEDIA_UNKNOWN, f"{field}.media", detail=item.media)
    return {**said, "title": item.title or media.title, "media": media_ref(media).model_dump(mode="json")}


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
