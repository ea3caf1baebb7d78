"""May this order be obeyed here and now? Pure rules: bytes in, an accepted order or a named refusal out.

Two steps. `authenticate` needs nothing but the bytes and the trust root, and reads no byte of the
payload before a signature over it held. `admit` weighs the genuine order against this box: its place,
what it has seen, and the time. `judge` is both.

Sequences rise per issuer, scope and kind, so that a `desired` does not block a `bulletin`. Emergencies
and cancels are never refused for coming late (`OUT_OF_ORDER`): two of them may overtake each other on
two transports, and each must be heard. Against replay they are guarded, like all orders, by their id,
which a box never forgets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.model.bulletin import BulletinClass, ClockTrust, SourceLevel
from agent.model.issue import Refusal
from agent.wire.envelope import MAX_ENVELOPE_BYTES, Envelope, parse_envelope, valid_signers
from agent.wire.errors import WireError
from agent.wire.orders import (
    MAX_VALIDITY,
    ORDER_KINDS,
    AnyOrder,
    Bulletin,
    Emergency,
    Grant,
    Scope,
    ScopeKind,
    Takeover,
)
from agent.wire.root import Issuer, Root

EARLY = timedelta(minutes=5)
"""How far the clocks of issuer and box may differ."""

UNORDERED = frozenset({"emergency", "cancel"})
"""Kinds that are obeyed even after a later one of their sequence."""

PROVINCE_SIGNATURES = 2
"""Least signatures under an emergency or its cancel for a whole province."""

_RANK = {level: rank for rank, level in enumerate(SourceLevel)}

SequenceKey = tuple[str, str, str, str]
"""Issuer, scope kind, scope id, order kind."""


@dataclass(frozen=True, slots=True)
class BoxPlace:
    """Where this box stands; scopes are matched against it."""

    device: str
    station: str
    province: str
    groups: frozenset[str] = frozenset()

    def holds(self, scope: Scope) -> bool:
        """Whether this box is one of those a scope names."""
        match scope.kind:
            case ScopeKind.DEVICE:
                return scope.id == self.device
            case ScopeKind.GROUP:
                return scope.id in self.groups
            case ScopeKind.STATION:
                return scope.id == self.station
            case ScopeKind.PROVINCE:
                return scope.id == self.province


@dataclass(frozen=True, slots=True)
class Genuine:
    """An order that its issuer really signed; whether it may be obeyed here is not said."""

    order: AnyOrder
    envelope: Envelope
    issuer: Issuer

    @property
    def payload_sha256(self) -> str:
        """Hex SHA-256 of what was signed."""
        return hashlib.sha256(self.envelope.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order to be carried out."""

    order: AnyOrder
    envelope: Envelope
    issuer: Issuer
    payload_sha256: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An order that is not obeyed.

    Attributes:
        detail: for the log and for operators, English; may quote what the sender wrote.
        order_id: id of the order, None unless its issuer really signed it.
        kind: document type it claims, None if it claims none of ours.
        duplicate: the same order came again; nothing to report.
    """

    refusal: Refusal
    detail: str
    order_id: str | None = None
    kind: str | None = None
    duplicate: bool = False


def judge(
    data: bytes,
    *,
    root: Root,
    place: BoxPlace,
    sequences: Mapping[SequenceKey, int],
    seen: Callable[[str], str | None],
    now: datetime,
    clock_trust: ClockTrust,
    floor: datetime | None,
    supported: frozenset[str],
) -> Accepted | Refused:
    """Decide about the bytes of an envelope; never raises, whatever they are.

    Args:
        data: as they came in.
        root: keys and issuers that are believed.
        place: this box.
        sequences: highest number accepted in each sequence.
        seen: hex SHA-256 of the payload once accepted under an id, None if none was.
        now: wall clock, aware.
        clock_trust: how far `now` may be believed. Below RTC nothing is too early, and only `floor`
            tells what has expired.
        floor: newest moment ever known, None if there is none.
        supported: kinds this build carries out.
    """
    genuine = authenticate(data, root)
    if isinstance(genuine, Refused):
        return genuine
    return admit(
        genuine,
        place=place,
        sequences=sequences,
        seen=seen(genuine.order.id),
        now=now,
        clock_trust=clock_trust,
        floor=floor,
        supported=supported,
    )


def authenticate(data: bytes, root: Root) -> Genuine | Refused:
    """Who says this? Signatures first, then the payload, then whether its issuer may say such a thing."""
    if len(data) > MAX_ENVELOPE_BYTES:
        return Refused(Refusal.TOO_LARGE, f"more than {MAX_ENVELOPE_BYTES} bytes")
    try:
        envelope = parse_envelope(data)
    except WireError as error:
        return Refused(Refusal.MALFORMED, str(error))
    kind = envelope.kind
    shape = ORDER_KINDS.get(kind)
    if shape is None:
        return Refused(Refusal.UNKNOWN_TYPE, f"payload type {envelope.payload_type!r}")
    signers = valid_signers(envelope, {keyid: bytes.fromhex(key.public) for keyid, key in root.keys.items()})
    if not signers:
        if any(one.keyid in root.keys for one in envelope.signatures):
            return Refused(Refusal.BAD_SIGNATURE, "no signature holds", kind=kind)
        return Refused(Refusal.UNKNOWN_KEY, "no signature is by a key of the trust root", kind=kind)
    try:
        order = shape.read(envelope.payload)
    except WireError as error:
        return Refused(Refusal.MALFORMED, str(error), kind=kind)
    issuer = root.issuer(order.issuer)
    if issuer is None:
        return Refused(Refusal.UNKNOWN_ISSUER, f"no issuer {order.issuer!r}", kind=kind)
    needed = _signatures_needed(order, issuer)
    signed = len(signers.intersection(issuer.keys))
    if signed < needed:
        return Refused(
            Refusal.BAD_SIGNATURE, f"{signed} of the {needed} signatures of {issuer.name} needed", kind=kind
        )
    return _overstepped(order, issuer) or Genuine(order, envelope, issuer)


def admit(
    genuine: Genuine,
    *,
    place: BoxPlace,
    sequences: Mapping[SequenceKey, int],
    seen: str | None,
    now: datetime,
    clock_trust: ClockTrust,
    floor: datetime | None,
    supported: frozenset[str],
) -> Accepted | Refused:
    """Is it for this box, new, timely, and something this build does?

    The arguments are those of `judge`; only `seen` is the digest itself, since the id is known here.
    """
    order = genuine.order

    def refused(refusal: Refusal, detail: str, *, duplicate: bool = False) -> Refused:
        return Refused(refusal, detail, order.id, order.kind, duplicate)

    scope = order.scope
    if not _covers(genuine.issuer, scope, place):
        return refused(Refusal.WRONG_SCOPE, f"{order.issuer} does not speak for {scope.kind} {scope.id}")
    if not place.holds(scope):
        return refused(Refusal.WRONG_SCOPE, f"meant for {scope.kind} {scope.id}, which this box is not in")
    if seen is not None:
        same = seen == genuine.payload_sha256
        return refused(
            Refusal.REPLAYED,
            "accepted before" if same else "another order was accepted under this id",
            duplicate=same,
        )
    highest = sequences.get(sequence_key(order), 0)
    if order.seq <= highest and order.kind not in UNORDERED:
        return refused(Refusal.OUT_OF_ORDER, f"number {order.seq} after {highest}")
    untimely = _untimely(order, now=now, clock_trust=clock_trust, floor=floor)
    if untimely is not None:
        return refused(*untimely)
    if order.kind not in supported:
        return refused(Refusal.UNSUPPORTED, f"this software does not carry out {order.kind!r}")
    return Accepted(order, genuine.envelope, genuine.issuer, genuine.payload_sha256)


def sequence_key(order: AnyOrder) -> SequenceKey:
    """The sequence an order belongs to."""
    return order.issuer, order.scope.kind.value, order.scope.id, order.kind


def _signatures_needed(order: AnyOrder, issuer: Issuer) -> int:
    if order.kind in UNORDERED and order.scope.kind is ScopeKind.PROVINCE:
        return max(issuer.threshold, PROVINCE_SIGNATURES)
    return issuer.threshold


def _overstepped(order: AnyOrder, issuer: Issuer) -> Refused | None:
    """The refusal of an order that its issuer may not give to anybody."""

    def refused(refusal: Refusal, detail: str) -> Refused:
        return Refused(refusal, detail, order.id, order.kind)

    if order.kind not in issuer.kinds:
        return refused(Refusal.WRONG_ROLE, f"{issuer.name} may not give a {order.kind!r}")
    if isinstance(order, Bulletin | Emergency | Grant) and _RANK[order.level] < _RANK[issuer.level]:
        return refused(
            Refusal.WRONG_ROLE, f"{issuer.name} speaks for level {issuer.level}, not {order.level}"
        )
    if isinstance(order, Takeover) and _RANK[issuer.level] > _RANK[SourceLevel.COMMUNE]:
        return refused(Refusal.WRONG_ROLE, f"{issuer.name}: level {issuer.level} may not take a board over")
    if isinstance(order, Bulletin | Emergency):
        spoken = order.bulletin_class if isinstance(order, Bulletin) else BulletinClass.EMERGENCY
        if isinstance(order, Bulletin) and spoken is BulletinClass.EMERGENCY:
            # It would pass by the rules for emergencies: two signatures, repetition, cancel.
            return refused(Refusal.MALFORMED, "class: an emergency is ordered by an 'emergency' document")
        if spoken not in issuer.classes:
            return refused(Refusal.WRONG_ROLE, f"{issuer.name} may not use class {spoken}")
    return None


def _covers(issuer: Issuer, scope: Scope, place: BoxPlace) -> bool:
    """Whether an issuer speaks for a scope, as far as this box can know.

    Exactly the scopes it lists; and one that speaks for this box's station also speaks for this box and
    for the groups it is in. A province does not speak for its stations unless they are listed.
    """
    listed = {(one.kind, one.id) for one in issuer.scopes}
    if (scope.kind, scope.id) in listed:
        return True
    if (ScopeKind.STATION, place.station) not in listed:
        return False
    return scope.kind in (ScopeKind.DEVICE, ScopeKind.GROUP) and place.holds(scope)


def _untimely(
    order: AnyOrder, *, now: datetime, clock_trust: ClockTrust, floor: datetime | None
) -> tuple[Refusal, str] | None:
    if order.expires - order.not_before > MAX_VALIDITY:
        return Refusal.TOO_LONG_VALID, f"holds for more than {MAX_VALIDITY.days} days"
    trusted = clock_trust >= ClockTrust.RTC
    # A clock that is not trusted may run ahead, and would silence orders that still hold.
    known = [floor, now] if trusted else [floor]
    at_least = max((one for one in known if one is not None), default=None)
    if at_least is not None and order.expires <= at_least:
        return Refusal.EXPIRED, f"expired {_stamp(order.expires)}; it is at least {_stamp(at_least)}"
    if trusted and order.not_before > now + EARLY:
        return Refusal.NOT_YET_VALID, f"holds from {_stamp(order.not_before)}; it is {_stamp(now)}"
    return None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
