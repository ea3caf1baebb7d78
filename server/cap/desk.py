"""Where CAP documents arrive: parsed, judged, carried out as signed orders, kept with what became of them.

One document at a time. Everything can be sent again after a power cut: an emergency is issued once for each
sender, identifier and time of sending, and what a message ends stays ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.model.text import Language
from agent.wire.orders import EmergencyEvent
from server.cap.alert import Alert, Reference, Status
from server.cap.decision import Decision, Known, Outcome
from server.cap.document import parse
from server.cap.filter import judge
from server.cap.rules import FilterDraft
from server.cap.xml import CapError
from server.clock import utc_now
from server.order_drafts import CancelDraft
from server.orders import Orders
from server.problems import Problem, RefusedError
from server.reasons import Phrase
from server.store import cap
from server.store.cap import CapRow, FilterRow
from server.store.database import Database
from server.store.orders import find_request, list_batches

logger = logging.getLogger(__name__)

MOST_PER_HOUR = 30
"""Emergencies that one feed may issue; a feed gone wild must not take the horns for a day."""

MOST_COUNTED = 500
MAX_KEPT_BODY = 64 * 1024
"""Bytes of a compressed document; larger ones are kept by their hash alone."""

LONGEST_EVENT = 300
_LANGUAGES: tuple[Language, ...] = ("vi", "en")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says before a document is judged."""

    filter_version: int
    rules: FilterDraft | None
    messages: Mapping[Reference, Known]
    issued_lately: int


class CapDesk:
    """Takes documents in and answers for them."""

    def __init__(self, database: Database, orders: Orders) -> None:
        self._database = database
        self._orders = orders
        self._turn = asyncio.Lock()

    async def receive(self, feed: str, data: bytes) -> CapRow:
        """Do what a document says.

        Args:
            feed: by which way it came; whoever calls has proved that it may.
            data: the whole document.

        Returns:
            What became of it: an order, or a reason why there is none.

        Raises:
            RefusedError: it is no CAP 1.2 alert, may not come by this way, holds no longer, or its order
                cannot be given; naming the field. It is kept with that reason.
        """
        async with self._turn:
            now = utc_now()
            row = CapRow(
                0,
                feed,
                now,
                hashlib.sha256(data).hexdigest(),
                len(data),
                Outcome.REFUSED.value,
                "not_alert",
                "",
                {},
                0,
                body=_packed(data),
            )
            try:
                alert = await asyncio.to_thread(parse, data)
            except CapError as error:
                raise await self._refuse(
                    row, RefusedError(Problem.CAP_REFUSED, error.field, detail=error.why)
                ) from error
            known = await self._database.read(lambda conn: _look_up(conn, alert, feed, now), first=True)
            row = _described(row, alert, known.filter_version)
            decision = await asyncio.to_thread(judge, alert, feed, known.rules, known.messages, now)
            if decision.draft is not None and known.issued_lately >= MOST_PER_HOUR:
                refused = RefusedError(Problem.TOO_MANY, retry_after_s=600)
                raise await self._refuse(replace(row, reason=Problem.TOO_MANY.value), refused)
            return await self._carry_out(row, alert, decision)

    async def recent(self, limit: int) -> tuple[CapRow, ...]:
        """What came last, newest first."""
        return await self._database.read(lambda conn: cap.list_documents(conn, limit))

    async def document(self, number: int) -> bytes:
        """A document as it came.

        Raises:
            RefusedError: it is not kept, or no longer.
        """
        row = await self._database.read(lambda conn: cap.find_document(conn, number))
        if row is None or row.body is None:
            raise RefusedError(Problem.NOT_FOUND)
        return zlib.decompress(row.body)

    async def rules(self) -> FilterRow | None:
        """The filter in force."""
        return await self._database.read(cap.get_filter)

    async def set_rules(self, draft: FilterDraft, author: str) -> FilterRow:
        """Replace the filter; it holds for what comes from now on."""
        value = draft.model_dump_json()
        row = await self._database.write(lambda conn: cap.put_filter(conn, value, author, utc_now()))
        logger.info("CAP filter version %d set by %s", row.version, author)
        return row

    async def _carry_out(self, row: CapRow, alert: Alert, decision: Decision) -> CapRow:
        row = replace(row, outcome=decision.outcome.value, reason=decision.reason.value, field=decision.field)
        why = Phrase(f"cap.reason.{decision.reason}", {"field": decision.field})
        if decision.outcome is Outcome.REFUSED:
            raise await self._refuse(row, RefusedError(Problem.CAP_REFUSED, decision.field, detail=why))
        author = f"cap:{row.feed}"
        emergency = decision.order
        try:
            if decision.draft is not None:
                draft = decision.draft.model_copy(update={"request_id": _request_id(alert.reference)})
                emergency = (await self._orders.emergency(draft, author)).id
            # The new one first: should it be refused, the former goes on.
            for n, batch in enumerate(decision.cancels):
                end = (decision.end if n == 0 else None) or CancelDraft()  # one all-clear is enough
                await self._orders.cancel(batch, end, author, ("emergency",))
        except RefusedError as error:
            if error.problem is Problem.BUSY:
                raise
            raise await self._refuse(replace(row, reason="order"), error) from error
        message = {str(language): why.text(language) for language in _LANGUAGES}
        row = replace(row, message=message, emergency=emergency, cancelled=decision.cancels)
        keys = [_key(one) for one in decision.ends]
        actual = alert.status is Status.ACTUAL

        def keep(conn: sqlite3.Connection) -> CapRow:
            if keys:
                cap.insert_ended(conn, keys, actual=actual, now=row.received)
            return cap.insert_document(conn, row)

        kept = await self._database.write(keep, urgent=True)
        logger.info("CAP %s by %s: %s, %s", alert.identifier, row.feed, kept.outcome, kept.reason)
        return kept

    async def _refuse(self, row: CapRow, error: RefusedError) -> RefusedError:
        """Keep a document with the refusal, which is given back to be raised."""
        row = replace(row, outcome=Outcome.REFUSED.value, field=error.field, message=error.message)
        await self._database.write(lambda conn: cap.insert_document(conn, row), urgent=True)
        logger.warning("CAP document by %s refused: %s", row.feed, error)
        return error


def _look_up(conn: sqlite3.Connection, alert: Alert, feed: str, now: datetime) -> _Known:
    kept = cap.get_filter(conn)
    messages: dict[Reference, Known] = {}
    for reference in (alert.reference, *alert.references):
        batch = find_request(conn, "emergency", _request_id(reference))
        actual = alert.status is Status.ACTUAL
        ended = cap.was_ended(conn, _key(reference), actual=actual)
        if batch is not None:
            actual = EmergencyEvent.TEST.value != _event_of(batch.body)
            standing = batch.ended_by is None and batch.expires > now
            messages[reference] = Known(batch.id, actual, ended, standing)
        elif ended:
            messages[reference] = Known(None, actual, ended)
    since, author = now - timedelta(hours=1), f"cap:{feed}"
    lately = [
        one
        for one in list_batches(conn, ("emergency",), MOST_COUNTED)
        if one.created > since and one.author == author
    ]
    rules = FilterDraft.model_validate_json(kept.value) if kept is not None else None
    return _Known(kept.version if kept else 0, rules, messages, len(lately))


def _described(row: CapRow, alert: Alert, filter_version: int) -> CapRow:
    return replace(
        row,
        filter_version=filter_version,
        identifier=alert.identifier,
        sender=alert.sender,
        sent=alert.sent.isoformat(),
        status=alert.status.value,
        msg_type=alert.msg_type.value,
        event=alert.infos[0].event[:LONGEST_EVENT] if alert.infos else "",
        signed=alert.signed,
    )


def _event_of(body: str) -> str:
    return str(json.loads(body).get("event", ""))


def _key(reference: Reference) -> str:
    said = f"{reference.sender}\0{reference.identifier}\0{reference.sent.isoformat()}"
    return hashlib.sha256(said.encode()).hexdigest()


def _request_id(reference: Reference) -> str:
    """Under which an emergency is ordered, so that the same message never becomes two."""
    return f"cap-{_key(reference)[:48]}"


def _packed(data: bytes) -> bytes | None:
    packed = zlib.compress(data)
    return packed if len(packed) <= MAX_KEPT_BODY else None
