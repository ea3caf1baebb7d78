"""Explains in plain words what each zone plays now, or why it plays nothing."""

from __future__ import annotations

from typing import Any

from agent.cli.words import Words, shorten, wrap

Answer = dict[str, Any]


def why_lines(answer: Answer, words: Words) -> list[str]:
    """What `loa why` prints."""
    words = words.in_zone(answer.get("timezone"))
    lines: list[str] = []
    for zone in answer.get("zones") or []:
        lines += ["", *_zone(zone, answer.get("now"), words)]
    return lines[1:] or [words.say("status.no_zones")]


def _zone(zone: Answer, now: object, words: Words) -> list[str]:
    name = f" · {zone['name']}" if zone.get("name") else ""
    lines = [shorten(words.say("zone.heading", zone=zone.get("zone"), name=name), words.width)]
    told = [_doing(zone, now, words), *_stopped(zone, words)]
    cut = [
        one for one in zone.get("waiting") or [] if zone.get("on_air") and one.get("reason") == "preempted"
    ]
    others = [one for one in zone.get("waiting") or [] if one not in cut]
    told += [words.say("why.cutting", title=one.get("title"), rung=_rung(one, words)) for one in cut]
    told += [
        words.say(
            "why.waiting",
            title=one.get("title"),
            rung=_rung(one, words),
            reason=words.term("reason", one.get("reason")),
        )
        for one in others
    ]
    told += [_hours(zone.get("hours"), words), _next(zone, words)]
    for one in told:
        lines += wrap(one, words.width, "  ", "    ")
    return lines


def _rung(one: Answer, words: Words) -> str:
    return words.term("rung", one.get("rung"))


def _doing(zone: Answer, now: object, words: Words) -> str:
    air = zone.get("on_air")
    if air is None:
        return words.say("why.silent", reason=words.term("reason", zone.get("reason")))
    text = words.say("why.on_air", title=air.get("title"), rung=words.term("rung", zone.get("rung")))
    since, at = words.local(zone.get("since")), words.local(now)
    if since is not None and at is not None:
        length = words.length(max(0.0, (at - since).total_seconds()))
        text += words.say("why.since", time=since.strftime("%H:%M:%S"), length=length)
    return f"{text} · {words.flag(zone.get('sounding'), 'why.sounding', 'why.not_sounding')}"


def _stopped(zone: Answer, words: Words) -> list[str]:
    told = []
    if zone.get("safety_until"):
        told.append(words.say("why.safety", time=words.moment(zone["safety_until"], "%H:%M %d/%m")))
    if zone.get("paused_until"):
        told.append(words.say("why.paused", time=words.moment(zone["paused_until"], "%H:%M %d/%m")))
    return told


def _hours(hours: Answer | None, words: Words) -> str:
    if hours is None:
        return words.say("why.no_hours")
    text = words.say("why.hours_open" if hours.get("allowed") else "why.hours_closed")
    if hours.get("until"):
        text += words.say("why.hours_until", time=words.moment(hours["until"], "%H:%M %d/%m"))
    if hours.get("allowed") and hours.get("minutes_left") is not None:
        text += words.say("why.minutes_left", minutes=hours["minutes_left"])
    if hours.get("allowed") and hours.get("cap_dbfs") is not None:
        text += words.say("why.cap", level=words.level(hours["cap_dbfs"]))
    return text


def _next(zone: Answer, words: Words) -> str:
    if not zone.get("next_start"):
        return words.say("why.no_next")
    when = f"{words.moment(zone['next_start'], '%H:%M')} {words.day(zone['next_start'])}"
    text = words.say("why.next", time=when, title=zone.get("next_title"))
    if not zone.get("next_blocked"):
        return text + words.say("why.next_ready")
    return text + words.say("why.next_blocked", reason=words.term("reason", zone["next_blocked"]))
