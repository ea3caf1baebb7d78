"""One request becomes one batch of signed orders, kept in slices so that nothing urgent waits long.

Which scopes a batch is for is kept with it from the start: a request that was interrupted goes on where it
stopped when it is asked again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from agent.wire.orders import Scope, ScopeKind
from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.issuing import SIGNED_AT_ONCE, Issuer, Outgoing
from server.order_book import OrderAnswerRow, answer_row
from server.store import orders
from server.store.orders import BatchRow


@dataclass(frozen=True, slots=True)
class Slice:
    """What one transaction kept.

    Attributes:
        batch: its id.
        row: the batch with all its orders; None while there is more to sign.
    """

    batch: str
    outgoing: list[Outgoing]
    row: OrderAnswerRow | None


class Batches:
    """Keeps batches and signs their orders, inside transactions of the caller."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def begin(self, conn: sqlite3.Connection, batch: BatchRow, scopes: Iterable[Scope]) -> Slice:
        """Keep a batch and its first orders.

        Raises:
            RefusedError: what it says cannot be said, or not in one message.
        """
        said = {**json.loads(batch.targets), "scopes": [[one.kind.value, one.id] for one in scopes]}
        orders.insert_batch(conn, replace(batch, targets=json.dumps(said, ensure_ascii=False)))
        if batch.cancels is not None:
            orders.end_batch(conn, batch.cancels, batch.id)
        return self.go_on(conn, batch.id)

    def go_on(self, conn: sqlite3.Connection, key: str) -> Slice:
        """Keep the next orders of a batch that is there, unless it has been ended or is over.

        Raises:
            RefusedError: as `begin`.
        """
        batch = orders.find_batch(conn, key)
        if batch is None:
            raise LookupError(f"batch {key} was kept and is gone")
        if batch.ended_by is not None or batch.expires <= utc_now():
            return Slice(batch.id, [], answer_row(conn, batch.id))
        given = orders.scopes_given(conn, batch.id)
        wanted = [(kind, name) for kind, name in json.loads(batch.targets).get("scopes", ())]
        rest = [one for one in wanted if one not in given]
        scopes = [Scope(kind=ScopeKind(kind), id=name) for kind, name in rest[:SIGNED_AT_ONCE]]
        outgoing = self._issue(conn, batch, scopes, first=not given)
        return Slice(batch.id, outgoing, None if len(rest) > SIGNED_AT_ONCE else answer_row(conn, batch.id))

    def _issue(
        self, conn: sqlite3.Connection, batch: BatchRow, scopes: list[Scope], *, first: bool
    ) -> list[Outgoing]:
        body: dict[str, Any] = json.loads(batch.body)
        media, now = _files(body), utc_now()
        ended = {one.scope: one.document for one in orders.orders_of(conn, batch.cancels or "")}
        outgoing = []
        for n, target in enumerate(self._issuer.targets_of(conn, scopes)):
            former = ended.get(target.scope)
            one = self._issuer.issue(
                conn,
                batch.kind,
                target,
                order_id=batch.id if first and n == 0 else new_ulid(now),
                batch=batch.id,
                author=batch.author,
                expires=batch.expires,
                body={**body, "cancels": former.id} if former else body,
                media=media,
                device=former.device if former else "",
            )
            outgoing.append(one)
        return outgoing


def _files(body: dict[str, Any]) -> list[str]:
    """Files that an order names."""
    parts = [*body.get("parts", ()), *([body["all_clear"]] if body.get("all_clear") else [])]
    return [part[name]["sha256"] for part in parts for name in ("media", "picture") if part.get(name)]
