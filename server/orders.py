"""Every order a person gives: checked, numbered, signed, kept, pushed, and offered until it is over.

One request is one batch; it becomes one signed order for each scope it names. The id of a batch is that
of its first order. Nothing is kept of a request that is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from agent.model.bulletin import LiveSource, SourceLevel
from agent.wire.device_api import LIVE
from agent.wire.orders import EmergencyEvent
from agent.wire.ulid import new_ulid
from server.batches import Batches, Slice
from server.board_drafts import TakeoverDraft
from server.clock import utc_now
from server.issuing import TOLERANCE, Issuer
from server.order_book import OrderAnswerRow
from server.order_drafts import (
    AskedDraft,
    AudienceDraft,
    BulletinDraft,
    CancelDraft,
    EmergencyDraft,
    GrantDraft,
    JobDraft,
)
from server.parts import bulletin_parts, emergency_parts, one_part
from server.problems import Problem, RefusedError, StoreFailedError
from server.pushing import Pusher
from server.store import orders
from server.store.database import Database
from server.store.orders import BatchRow

logger = logging.getLogger(__name__)

CANCELLABLE = ("emergency", "bulletin", "grant", "takeover")
CANCEL_HOLDS = timedelta(minutes=10)
"""A cancel outlives what it ends, because a box may hear of that one later."""

BULLETIN_HOLDS = timedelta(hours=12)
KEPT_BULLETIN_HOLDS = timedelta(days=400)
FURTHEST_START = timedelta(days=30)
_RANK = {level: rank for rank, level in enumerate(SourceLevel)}


Say = Callable[[sqlite3.Connection, str], dict[str, Any]]
"""What the orders of a batch say, given its id; media as `MediaRef`, to be found below any key."""


class Orders:
    """Gives orders and answers for them."""

    def __init__(self, database: Database, issuer: Issuer, pusher: Pusher) -> None:
        self._database = database
        self._issuer = issuer
        self._pusher = pusher
        self._batches = Batches(issuer)

    async def emergency(self, draft: EmergencyDraft, author: str) -> OrderAnswerRow:
        """Sound at once.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        _check_level(draft.level)
        expires = utc_now() + timedelta(minutes=draft.minutes)

        def say(conn: sqlite3.Connection, _: str) -> dict[str, Any]:
            return {
                "event": draft.event.value,
                "level": draft.level.value,
                "parts": emergency_parts(conn, draft.event, draft.parts, "parts"),
                "zones": draft.zones,
                "repeats": draft.repeats,
                "repeat_every_s": draft.repeat_every_s,
                "max_minutes": draft.minutes,
                "attention_s": draft.attention_s,
            }

        return await self._give("emergency", draft, author, expires, say)

    async def bulletin(self, draft: BulletinDraft, author: str) -> OrderAnswerRow:
        """Air once beside the schedule; a normal one is only kept unless `send` asks for more.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        _check_level(draft.level)
        send = draft.bulletin_class == "priority" if draft.send is None else draft.send
        expires = _bulletin_end(draft) if send else utc_now() + KEPT_BULLETIN_HOLDS

        def say(conn: sqlite3.Connection, _: str) -> dict[str, Any]:
            return {
                "class": draft.bulletin_class,
                "level": draft.level.value,
                "parts": bulletin_parts(conn, draft.parts, "parts"),
                "zones": draft.zones,
                "start": draft.start,
                "max_minutes": draft.max_minutes,
                "author": draft.author,
                "approver": draft.approver,
            }

        return await self._give("bulletin", draft, author, expires, say, send=send)

    async def grant(self, draft: GrantDraft, author: str) -> OrderAnswerRow:
        """Open a live session; without address its sound comes from this server under the batch's id.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        _check_level(draft.level)
        expires = utc_now() + timedelta(minutes=draft.minutes)
        through_us = draft.source is LiveSource.STREAM and not draft.address

        def say(_: sqlite3.Connection, batch: str) -> dict[str, Any]:
            return {
                "speaker": draft.speaker,
                "level": draft.level.value,
                "source": draft.source.value,
                "address": LIVE + batch if through_us else draft.address,
                "stream_key": draft.stream_key,
                "zones": draft.zones,
                "max_minutes": draft.minutes,
                "chime": draft.chime,
                "silence_limit_s": draft.silence_limit_s,
                "stall_limit_s": draft.stall_limit_s,
            }

        return await self._give("grant", draft, author, expires, say)

    async def takeover(self, draft: TakeoverDraft, author: str) -> OrderAnswerRow:
        """Let commercial boards show the commune's programme until a moment.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        if not utc_now() < draft.until <= utc_now() + FURTHEST_START:
            raise RefusedError(Problem.TIME_UNUSABLE, "until")
        said: dict[str, Any] = {"boards": draft.boards, "reason": draft.reason}
        return await self._give("takeover", draft, author, draft.until, lambda _, __: said)

    async def job(self, draft: JobDraft, author: str) -> OrderAnswerRow:
        """Ask for one action.

        Raises:
            RefusedError: naming the field; nothing is kept.
        """
        expires = utc_now() + timedelta(seconds=draft.deadline_s)
        said: dict[str, Any] = {"action": draft.action.value, "arguments": draft.arguments}
        return await self._give("job", draft, author, expires, lambda _, __: said)

    async def end_grant(self, order_id: str, author: str) -> OrderAnswerRow:
        """Close a live session."""
        return await self.cancel(order_id, CancelDraft(), author, kinds=("grant",))

    async def cancel(
        self, order_id: str, draft: CancelDraft, author: str, kinds: Iterable[str] = CANCELLABLE
    ) -> OrderAnswerRow:
        """End what was ordered; ending it again answers with the first end.

        Args:
            order_id: id of the batch, or of one of its orders: all of the batch end together.
            draft: with an optional message that all is well again.
            author: who ends it.
            kinds: what may be ended in this way.

        Raises:
            RefusedError: no such order, or a wrong field; nothing is changed.
        """
        allowed = set(kinds) & set(CANCELLABLE)

        def begin(conn: sqlite3.Connection) -> Slice:
            meant = orders.find_batch(conn, order_id)
            if meant is None or meant.kind not in allowed:
                raise RefusedError(Problem.NOT_FOUND)
            if meant.ended_by is not None:
                return self._batches.go_on(conn, meant.ended_by)
            return self._cancel(conn, meant, draft, author)

        row = await self._keep_and_send(begin, first=True)
        logger.info("%s: cancelled by %s", order_id, row.batch.author)
        return row

    async def _give(
        self,
        kind: str,
        draft: AudienceDraft,
        author: str,
        expires: datetime,
        say: Say,
        *,
        send: bool = True,
    ) -> OrderAnswerRow:
        def begin(conn: sqlite3.Connection) -> Slice:
            former = _asked_before(conn, kind, draft)
            if former is not None:
                return self._batches.go_on(conn, former.id)
            targets = self._issuer.targets(conn, draft)
            now = utc_now()
            batch = new_ulid(now)
            row = BatchRow(
                batch,
                kind,
                now,
                expires,
                _who(draft, author),
                draft.request_id,
                _digest(draft),
                _json(say(conn, batch)),
                _json({"devices": draft.devices, "groups": draft.groups, "all": draft.all}),
            )
            return self._batches.begin(conn, row, [one.scope for one in targets] if send else [])

        row = await self._keep_and_send(begin, first=kind != "bulletin")
        logger.info("%s %s: %d orders, given by %s", kind, row.id, len(row.orders), row.batch.author)
        return row

    def _cancel(self, conn: sqlite3.Connection, meant: BatchRow, draft: CancelDraft, author: str) -> Slice:
        now = utc_now()
        said: dict[str, Any] = {}
        if draft.all_clear is not None:
            said["all_clear"] = one_part(conn, EmergencyEvent.ALL_CLEAR, draft.all_clear, "all_clear")
        row = BatchRow(
            new_ulid(now),
            "cancel",
            now,
            max(meant.expires, now) + CANCEL_HOLDS,
            _who(draft, author),
            None,  # what is cancelled is cancelled once, whatever the request is called
            _digest(draft),
            _json(said),
            meant.targets,
            meant.id,
        )
        return self._batches.begin(conn, row, [one.scope for one in orders.orders_of(conn, meant.id)])

    async def _keep_and_send(
        self, begin: Callable[[sqlite3.Connection], Slice], *, first: bool
    ) -> OrderAnswerRow:
        """Keep slice after slice, and push each while the next one is signed."""
        one = await self._database.write(begin, first=first)
        go_on = partial(self._batches.go_on, key=one.batch)
        pushing: list[asyncio.Task[set[str]]] = []
        failed: RefusedError | StoreFailedError | None = None
        async with asyncio.TaskGroup() as group:
            while True:
                if one.outgoing:
                    pushing.append(
                        group.create_task(self._pusher.send(one.outgoing), name=f"push {one.batch}")
                    )
                if one.row is not None:
                    break
                try:
                    one = await self._database.write(go_on, urgent=True, first=first)
                except (
                    RefusedError,
                    StoreFailedError,
                ) as error:  # what is kept already is pushed all the same
                    failed = error
                    break
        if failed is not None or one.row is None:
            raise failed or RefusedError(Problem.INTERNAL)
        pushed, now = {name for task in pushing for name in task.result()}, utc_now()
        return replace(
            one.row,
            orders=tuple(
                replace(row, document=replace(row.document, pushed=now)) if row.document.id in pushed else row
                for row in one.row.orders
            ),
        )


def _asked_before(conn: sqlite3.Connection, kind: str, draft: AudienceDraft) -> BatchRow | None:
    if draft.request_id is None:
        return None
    former = orders.find_request(conn, kind, draft.request_id)
    if former is not None and former.digest != _digest(draft):
        raise RefusedError(Problem.REQUEST_REUSED, "request_id")
    return former


def _check_level(level: SourceLevel) -> None:
    """Boxes refuse an order whose issuer speaks for a higher level than its own."""
    if _RANK[level] < _RANK[SourceLevel.COMMUNE]:
        raise RefusedError(Problem.LEVEL_TOO_HIGH, "level")


def _bulletin_end(draft: BulletinDraft) -> datetime:
    now = utc_now()
    start = draft.start or now
    if not now - TOLERANCE <= start <= now + FURTHEST_START:
        raise RefusedError(Problem.TIME_UNUSABLE, "start")
    until = draft.until or start + BULLETIN_HOLDS
    if not max(start, now) < until <= start + FURTHEST_START:
        raise RefusedError(Problem.TIME_UNUSABLE, "until")
    return until


def _who(draft: AskedDraft, author: str) -> str:
    return f"{draft.author} ({author})" if draft.author else author


def _digest(draft: AskedDraft) -> str:
    return hashlib.sha256(draft.model_dump_json(by_alias=True).encode()).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in an order")
