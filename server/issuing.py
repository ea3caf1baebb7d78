"""Numbers, signs and keeps orders, each inside one transaction, so that no number is lost or used twice."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from agent.wire.device_api import SCHEDULES
from agent.wire.envelope import MAX_ENVELOPE_BYTES
from agent.wire.orders import ORDER_KINDS, AnyOrder, ScheduleRef, Scope, ScopeKind
from agent.wire.topics import down, group_down
from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.order_drafts import AudienceDraft
from server.problems import Problem, RefusedError
from server.reasons import mistake
from server.signing import Signer
from server.station import StationState
from server.store import content, devices, orders
from server.store.content import DocumentRow, ScheduleRow
from server.store.devices import Device

VALIDITY = timedelta(days=30)
TOLERANCE = timedelta(minutes=10)
"""How far a box's clock may be behind ours when it reads a fresh order."""

KEEP_GIVEN = timedelta(days=2)

SIGNED_AT_ONCE = 25
"""Orders in one transaction: about 0.1 s, so that nothing urgent waits long for its turn to be written."""


@dataclass(frozen=True, slots=True)
class Target:
    """One scope, the boxes in it, and the topics on which they hear of it."""

    scope: Scope
    devices: tuple[str, ...]

    def topics(self, kind: str) -> tuple[str, ...]:
        """Where an order of this kind is pushed; a station has no topic of its own."""
        if self.scope.kind is ScopeKind.GROUP:
            return (group_down(self.scope.id, kind),)
        return tuple(down(device, kind) for device in self.devices)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A kept order on its way to the broker."""

    document: DocumentRow
    scope: Scope
    topics: tuple[str, ...]


class Issuer:
    """Makes orders of this station."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.station = signer.station

    def targets(self, conn: sqlite3.Connection, audience: AudienceDraft) -> list[Target]:
        """The scopes of an audience, each box in one of them at most.

        A group that shares a box with another named group is told box by box: with an order for each group,
        that box would play everything twice.

        Raises:
            RefusedError: a box that is not known, a group without boxes, or a station without any.
        """
        known = devices.all_devices(conn)
        unknown = set(audience.devices) - {one.id for one in known}
        if unknown:
            raise RefusedError(Problem.NO_TARGET, "devices", detail=", ".join(sorted(unknown)))
        if audience.all:
            if not known:
                raise RefusedError(Problem.NO_TARGET, "all")
            station = Scope(kind=ScopeKind.STATION, id=self.station.name)
            return [Target(station, tuple(one.id for one in known))]
        members: dict[str, tuple[str, ...]] = {}
        for group in dict.fromkeys(audience.groups):
            members[group] = tuple(one.id for one in known if group in one.groups)
            if not members[group]:
                raise RefusedError(Problem.NO_TARGET, "groups", detail=group)
        times = Counter(one for some in members.values() for one in some)
        found = [
            Target(Scope(kind=ScopeKind.GROUP, id=group), some)
            for group, some in members.items()
            if all(times[one] == 1 for one in some)
        ]
        reached = {one for target in found for one in target.devices}
        alone = [one for one in dict.fromkeys((*times, *audience.devices)) if one not in reached]
        found += [Target(Scope(kind=ScopeKind.DEVICE, id=one), (one,)) for one in alone]
        return found

    def target_of(self, conn: sqlite3.Connection, scope: Scope) -> Target:
        """The boxes that are in a scope now."""
        return self.targets_of(conn, (scope,))[0]

    def targets_of(self, conn: sqlite3.Connection, scopes: Sequence[Scope]) -> list[Target]:
        """The boxes that are in each scope now."""
        if all(one.kind is ScopeKind.DEVICE for one in scopes):
            return [
                Target(one, (one.id,) if devices.find_device(conn, one.id) is not None else ())
                for one in scopes
            ]
        known = [(one.id, orders.scopes_of(one)) for one in devices.all_devices(conn)]
        return [Target(one, tuple(name for name, held in known if one in held)) for one in scopes]

    def issue(
        self,
        conn: sqlite3.Connection,
        kind: str,
        target: Target,
        *,
        order_id: str,
        batch: str,
        author: str,
        expires: datetime,
        body: dict[str, object],
        media: Iterable[str] = (),
        device: str = "",
    ) -> Outgoing:
        """Number, sign and keep one order; `device` stands for the scope if nobody is in it any more.

        Raises:
            RefusedError: what it says cannot be said, or not in one message.
        """
        now = utc_now()
        order = self._order(
            conn,
            kind,
            target.scope,
            {"id": order_id, "not_before": now - TOLERANCE, "expires": expires, **body},
        )
        document = self._keep(conn, order, target.devices[0] if target.devices else device, now, None)
        orders.insert_order(conn, order_id, batch, target.scope, author=author, media=media)
        return Outgoing(document, target.scope, target.topics(kind))

    def issue_desired(
        self,
        conn: sqlite3.Connection,
        device: Device,
        *,
        state: StationState,
        schedule: ScheduleRow | None,
        media: Iterable[str],
        author: str,
    ) -> DocumentRow:
        """Sign what one box should hold, keep it, and let the box fetch what it names."""
        now = utc_now()
        scope = Scope(kind=ScopeKind.DEVICE, id=device.id)
        body: dict[str, object] = {
            "id": new_ulid(now),
            "not_before": now - TOLERANCE,
            "expires": now + VALIDITY,
            "schedule": schedule_ref(schedule),
            "groups": device.groups,
            "hours": state.hours,
            "hours_version": state.hours_version,
            "priority_order": state.priority_order,
            "messages": state.messages,
            "languages": state.languages,
            "pages": state.pages,
        }
        order = self._order(conn, "desired", scope, body)
        document = self._keep(conn, order, device.id, now, schedule)
        orders.insert_order(conn, order.id, order.id, scope, author=author, revision=state.revision)
        until = order.expires + KEEP_GIVEN
        if schedule is not None:
            content.give(conn, device.id, "schedule", (schedule.sha256,), until)
        files = {*media, *(one.media.sha256 for one in state.messages), *state.page_files}
        content.give(conn, device.id, "media", sorted(files), until)
        return document

    def _order(self, conn: sqlite3.Connection, kind: str, scope: Scope, body: dict[str, object]) -> AnyOrder:
        seq = content.next_seq(conn, self._signer.issuer, f"{scope.kind.value}/{scope.id}")
        try:
            return ORDER_KINDS[kind].model_validate(
                {"issuer": self._signer.issuer, "seq": seq, "scope": scope, **body}
            )
        except ValidationError as error:
            field, why = mistake(error)
            raise RefusedError(Problem.INVALID, field, detail=why) from error

    def _keep(
        self,
        conn: sqlite3.Connection,
        order: AnyOrder,
        device: str,
        now: datetime,
        schedule: ScheduleRow | None,
    ) -> DocumentRow:
        envelope = self._signer.sign(order)
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise RefusedError(Problem.TOO_LARGE, detail=f"{MAX_ENVELOPE_BYTES // 1024} kB")
        document = DocumentRow(
            order.id,
            order.kind,
            device,
            order.issuer,
            order.seq,
            schedule.id if schedule else None,
            schedule.version if schedule else None,
            schedule.sha256 if schedule else None,
            envelope,
            now,
            order.expires,
        )
        content.insert_document(conn, document)
        return document


def desired_document(row: DocumentRow) -> Outgoing:
    """A kept `desired` on its way."""
    return Outgoing(row, Scope(kind=ScopeKind.DEVICE, id=row.device), (down(row.device, row.kind),))


def schedule_ref(row: ScheduleRow | None) -> ScheduleRef | None:
    """A schedule as a `desired` names it."""
    if row is None:
        return None
    return ScheduleRef(
        id=row.id,
        version=row.version,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        url=SCHEDULES + row.sha256,
    )
