"""What is to be done about an alert: sound it, replace or end what sounds, or nothing; pure.

Only what is certain leads to an order. What an alert ends is only what the same filter issued before for a
message that the alert names and whose sender may speak through the same feed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta

from agent.wire.orders import EmergencyEvent
from server.cap.alert import (
    Alert,
    AlertScope,
    Area,
    Certainty,
    Info,
    MsgType,
    Reference,
    Response,
    Severity,
    Status,
    Urgency,
)
from server.cap.area import touches
from server.cap.decision import Decision, Known, Outcome, Reason
from server.cap.rules import EventDraft, FilterDraft
from server.cap.wording import language_of, parts_of
from server.order_drafts import CancelDraft, EmergencyDraft

TOLERANCE = timedelta(minutes=10)
"""How far a sender's clock may be ahead of ours."""

MAX_AGE = timedelta(days=7)
MAX_AGE_WITHOUT_END = timedelta(hours=24)
MAX_PARTS = 16
_SEVERITY, _URGENCY, _CERTAINTY = list(Severity), list(Urgency), list(Certainty)


def judge(
    alert: Alert, feed: str, rules: FilterDraft | None, known: Mapping[Reference, Known], now: datetime
) -> Decision:
    """Decide about a document that was parsed.

    Args:
        alert: what it says.
        feed: by which way it came.
        rules: the filter in force, None if none was ever set.
        known: what was done about this message and about those it refers to.
        now: aware.
    """
    if rules is None:
        return _ignored(Reason.NO_FILTER)
    refused = _refusal(alert, feed, rules, now)
    if refused is not None:
        return refused
    if alert.msg_type in (MsgType.ACK, MsgType.ERROR):
        return _ignored(Reason.RECEIPT, "msgType")
    if alert.scope is not AlertScope.PUBLIC:
        return _ignored(Reason.NOT_PUBLIC, "scope")
    drill = alert.status in (Status.EXERCISE, Status.TEST)
    if alert.status is not Status.ACTUAL and not (drill and rules.allow_tests):
        return _ignored(Reason.NOT_ACTUAL, "status")
    before = known.get(alert.reference)
    if before is not None and before.actual is not drill:
        if before.order is not None:
            return _again(alert, feed, rules, known, before)
        if before.ended:
            return _ignored(Reason.SUPERSEDED, "identifier")
    return _act(alert, feed, rules, known, now)


def _refusal(alert: Alert, feed: str, rules: FilterDraft, now: datetime) -> Decision | None:
    way = rules.feed(feed)
    if way is None:
        return _refused(Reason.FEED, "feed")
    if alert.sender not in way.senders:
        return _refused(Reason.SENDER, "sender")
    if alert.sent > now + TOLERANCE:
        return _refused(Reason.FUTURE, "sent")
    if alert.sent < now - MAX_AGE:
        return _refused(Reason.TOO_OLD, "sent")
    return None


def _again(
    alert: Alert, feed: str, rules: FilterDraft, known: Mapping[Reference, Known], before: Known
) -> Decision:
    """It was issued; what it took the place of may have been left standing by a power cut."""
    ends = _named(alert, feed, rules) if alert.msg_type is MsgType.UPDATE else ()
    cancels = _standing(alert, ends, known)
    return Decision(
        Outcome.IGNORED, Reason.DUPLICATE, "identifier", cancels=cancels, ends=ends, order=before.order
    )


def _act(
    alert: Alert, feed: str, rules: FilterDraft, known: Mapping[Reference, Known], now: datetime
) -> Decision:
    named = _named(alert, feed, rules)
    cancels = _standing(alert, named, known)
    if alert.msg_type is MsgType.CANCEL:
        return _cancel(cancels, named, [one for one in alert.infos if _is_clear(one)])
    here = [info for info in alert.infos if _is_here(info, rules)]
    if here and all(_is_clear(one) for one in here):
        clear = [one for one in here if not _over(one, alert, now)]
        return _cancel(cancels, named, clear) if clear else _refused(Reason.EXPIRED, "info[0].expires")
    ends, cancels = (named, cancels) if alert.msg_type is MsgType.UPDATE else ((), ())
    chosen = _choose(alert, rules, here, now)
    if isinstance(chosen, Decision):
        if cancels and _is_gone(alert, rules, here, chosen.reason):
            return Decision(Outcome.CANCEL, Reason.NO_LONGER, chosen.field, cancels=cancels, ends=ends)
        return chosen
    event, infos = chosen
    draft = _draft(rules, event if alert.status is Status.ACTUAL else EmergencyEvent.TEST, infos, now)
    outcome, reason = (Outcome.UPDATE, Reason.UPDATED) if cancels else (Outcome.EMERGENCY, Reason.ISSUED)
    return Decision(outcome, reason, draft=draft, cancels=cancels, ends=ends)


def _named(alert: Alert, feed: str, rules: FilterDraft) -> tuple[Reference, ...]:
    """Messages this one may take back or take the place of; never itself."""
    way = rules.feed(feed)
    senders = way.senders if way is not None else ()
    return tuple(
        dict.fromkeys(one for one in alert.references if one.sender in senders and one != alert.reference)
    )


def _standing(
    alert: Alert, named: tuple[Reference, ...], known: Mapping[Reference, Known]
) -> tuple[str, ...]:
    """Emergencies of these messages that still sound; a drill ends drills only."""
    actual = alert.status is Status.ACTUAL
    found = (known[one] for one in named if one in known)
    return tuple(
        dict.fromkeys(one.order for one in found if one.order and one.standing and one.actual is actual)
    )


def _is_clear(info: Info) -> bool:
    return Response.ALL_CLEAR in info.responses


def _cancel(cancels: tuple[str, ...], ends: tuple[Reference, ...], clear: list[Info]) -> Decision:
    parts = parts_of(clear)
    if not cancels:  # `ends` is kept, because what it takes back may still come
        return Decision(Outcome.IGNORED, Reason.NOTHING_TO_END, "references", ends=ends)
    end = CancelDraft(all_clear=parts[0]) if parts else None
    reason = Reason.ALL_CLEAR if parts else Reason.CANCELLED
    return Decision(Outcome.CANCEL, reason, cancels=cancels, end=end, ends=ends)


def _choose(
    alert: Alert, rules: FilterDraft, here: list[Info], now: datetime
) -> Decision | tuple[EmergencyEvent, list[Info]]:
    """What happened and the infos that say so, one of each language, or why nothing follows."""
    if not alert.infos:
        return (
            _refused(Reason.NO_INFO, "info") if alert.msg_type is MsgType.ALERT else _ignored(Reason.NO_INFO)
        )
    if not here:
        return _ignored(Reason.ELSEWHERE, "info[0].area")
    running = [one for one in here if not _over(one, alert, now)]
    if not running:
        return _refused(Reason.EXPIRED, "info[0].expires")
    started = [one for one in running if one.effective is None or one.effective <= now + TOLERANCE]
    if not started:
        return _refused(Reason.NOT_YET, "info[0].effective")
    strong = [one for one in started if not _is_clear(one) and _strong(one, rules)]
    if not strong:
        return _ignored(Reason.TOO_WEAK, "info[0].severity")
    meant = [(rule.event, one) for one in strong if (rule := _rule(one, rules)) is not None]
    if not meant:
        return _ignored(Reason.NO_EVENT, "info[0].event")
    meant.sort(key=lambda pair: _rank(pair[1]))
    event = meant[0][0]
    infos: dict[str, Info] = {}
    for its, info in meant:
        if its is event:
            infos.setdefault(language_of(info), info)
    return event, list(infos.values())[:MAX_PARTS]


def _over(info: Info, alert: Alert, now: datetime) -> bool:
    return (info.expires or alert.sent + MAX_AGE_WITHOUT_END) <= now


def _is_here(info: Info, rules: FilterDraft) -> bool:
    wanted = {(one.name, one.value) for one in rules.geocodes}
    place = rules.place
    return any(
        not wanted.isdisjoint(area.geocodes)
        or (place is not None and touches(area, (place.latitude, place.longitude), place.radius_km))
        for area in info.areas
    )


def _is_gone(alert: Alert, rules: FilterDraft, here: list[Info], reason: Reason) -> bool:
    """Whether an update certainly concerns this place no more; in doubt the former emergency goes on."""
    if reason is Reason.ELSEWHERE:
        areas = [area for info in alert.infos for area in info.areas]
        return bool(areas) and all(_can_be_placed(area, rules) for area in areas)
    return reason is Reason.TOO_WEAK and all(_is_weak(one, rules) for one in here)


def _can_be_placed(area: Area, rules: FilterDraft) -> bool:
    """Whether it says where it is in a way that the filter understands."""
    schemes = {one.name for one in rules.geocodes}
    by_code = any(name in schemes for name, _ in area.geocodes)
    return by_code or (rules.place is not None and bool(area.polygons or area.circles))


def _is_weak(info: Info, rules: FilterDraft) -> bool:
    """Whether something known about it is below the filter."""
    return (
        _SEVERITY.index(rules.min_severity)
        < _SEVERITY.index(info.severity)
        < _SEVERITY.index(Severity.UNKNOWN)
        or _URGENCY.index(rules.min_urgency) < _URGENCY.index(info.urgency) < _URGENCY.index(Urgency.UNKNOWN)
        or _CERTAINTY.index(rules.min_certainty)
        < _CERTAINTY.index(info.certainty)
        < _CERTAINTY.index(Certainty.UNKNOWN)
    )


def _strong(info: Info, rules: FilterDraft) -> bool:
    return (
        _SEVERITY.index(info.severity) <= _SEVERITY.index(rules.min_severity)
        and _URGENCY.index(info.urgency) <= _URGENCY.index(rules.min_urgency)
        and _CERTAINTY.index(info.certainty) <= _CERTAINTY.index(rules.min_certainty)
    )


def _rank(info: Info) -> tuple[int, int, int]:
    return (
        _SEVERITY.index(info.severity),
        _URGENCY.index(info.urgency),
        _CERTAINTY.index(info.certainty),
    )


def _rule(info: Info, rules: FilterDraft) -> EventDraft | None:
    return next((one for one in rules.events if _holds(one, info)), None)


def _holds(rule: EventDraft, info: Info) -> bool:
    codes = {(one.name, one.value) for one in rule.codes}
    return (
        (not rule.texts or _folded(info.event) in {_folded(one) for one in rule.texts})
        and (not codes or not codes.isdisjoint(info.event_codes))
        and (not rule.categories or not set(rule.categories).isdisjoint(info.categories))
    )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _draft(rules: FilterDraft, event: EmergencyEvent, infos: list[Info], now: datetime) -> EmergencyDraft:
    audience = rules.audience
    ends = [one.expires for one in infos if one.expires is not None]
    minutes = rules.max_minutes
    if ends:
        minutes = min(minutes, -((now - max(ends)) // timedelta(minutes=1)))
    return EmergencyDraft(
        event=event,
        level=rules.level,
        parts=tuple(parts_of(infos)),
        zones=audience.zones,
        repeats=rules.repeats,
        repeat_every_s=rules.repeat_every_s,
        minutes=max(1, minutes),
        devices=audience.devices,
        groups=audience.groups,
        all=not (audience.devices or audience.groups),
    )


def _ignored(reason: Reason, field: str = "") -> Decision:
    return Decision(Outcome.IGNORED, reason, field)


def _refused(reason: Reason, field: str) -> Decision:
    return Decision(Outcome.REFUSED, reason, field)
