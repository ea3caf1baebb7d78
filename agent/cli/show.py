"""Draws the answers of the agent for a terminal: lines of text, no input or output of its own."""

from __future__ import annotations

from math import ceil
from typing import Any

from agent.cli.words import Words, shorten, table, wrap

Answer = dict[str, Any]
_LABEL = 20


def status_lines(box: Answer, words: Words) -> list[str]:
    """What `loa status` prints."""
    words = words.in_zone(box.get("timezone"))
    lines = [_heading(box, words), ""]
    for label, value in _facts(box, words):
        lines += wrap(value, words.width, f"{words.say(label) + ':':<{_LABEL}}", " " * _LABEL)
    lines += ["", words.say("status.zones")]
    for zone in box.get("zones") or []:
        lines += _zone(zone, words)
    if not box.get("zones"):
        lines.append("  " + words.say("status.no_zones"))
    if box.get("boards"):
        lines += ["", words.say("status.boards")]
    for board in box.get("boards") or []:
        shown = board.get("shown")
        text = words.say("status.board_absent") if shown is None else " / ".join(str(shown).split("\n"))
        lines += wrap(
            f"{board.get('board')}: {text or words.say('status.board_dark')}", words.width, "  ", "    "
        )
    return [*lines, "", *_issues(box.get("issues") or [], words)]


def plan_lines(plan: Answer, words: Words) -> list[str]:
    """What `loa plan` prints."""
    words = words.in_zone(plan.get("timezone"))
    lines = [
        words.say(
            "plan.heading", hours=words.number(plan.get("hours", 0)), time=words.moment(plan.get("now"))
        )
    ]
    for zone in plan.get("zones") or []:
        lines += ["", *_zone_heading(zone, words), *_doing(zone, words)]
        lines += _upcoming(zone.get("upcoming") or [], words)
        lines += _missed(zone.get("missed") or [], words)
    if not plan.get("zones"):
        lines.append(words.say("status.no_zones"))
    return lines


def play_log_lines(log: Answer, words: Words) -> list[str]:
    """What `loa play-log` prints."""
    words = words.in_zone(log.get("timezone"))
    entries = log.get("entries") or []
    if not entries:
        return [words.say("log.empty")]
    heads = [words.say(f"log.{name}") for name in ("planned", "offset", "zone", "title", "played", "verdict")]
    drawn = table(heads, [_log_row(entry, words) for entry in entries], words.width, grow=3, indent="")
    lines = [drawn[0]]
    for row, entry in zip(drawn[1:], entries, strict=True):
        lines.append(row)
        for note in _log_notes(entry, words):
            lines += wrap(note, words.width, "    ")
    return lines


def _heading(box: Answer, words: Words) -> str:
    device = box.get("device") or words.say("status.no_device")
    name = box.get("name") or words.say("status.no_name")
    return shorten(
        words.say("status.heading", name=name, device=device, version=box.get("version")), words.width
    )


def _facts(box: Answer, words: Words) -> list[tuple[str, str]]:
    clock, media = box.get("clock") or {}, box.get("media") or {}
    now = words.say(
        "status.clock", time=words.moment(clock.get("now")), trust=words.term("clock", clock.get("trust"))
    )
    if clock.get("error_ms") is not None:  # rounded up: the sentence says "at most"
        now += words.say("status.clock_error", error=words.number(max(1, ceil(clock["error_ms"]))))
    held = words.say("status.media", held=media.get("held"), wanted=media.get("wanted"))
    if media.get("held_bytes"):
        held += f" ({words.size(media['held_bytes'])})"
    facts = [
        ("status.label.clock", now),
        ("status.label.server", _server(box.get("source") or {}, words)),
        ("status.label.schedule", _schedule(box.get("schedule"), words)),
        ("status.label.media", held),
        ("status.label.storage", _storage(box.get("storage"), words)),
        ("status.label.outbox", _outbox(box.get("outbox") or {}, words)),
        ("status.label.mains", words.flag(box.get("mains"), "status.mains_on", "status.mains_lost")),
        ("status.label.network", _network(box, words)),
        ("status.label.uptime", words.length(box.get("uptime_s") or 0)),
    ]
    if box.get("temperature_c") is not None:
        facts.append(("status.label.temperature", f"{words.number(box['temperature_c'], 0)} °C"))
    return facts


def _server(source: Answer, words: Words) -> str:
    text = words.term("source", source.get("state"))
    if source.get("since"):
        text += words.say("status.since", time=words.moment(source["since"], "%H:%M %d/%m"))
    if source.get("code"):
        text += f": {words.term('link', source['code'])}"
    if source.get("url"):
        text += f" ({source['url']})"
    if source.get("last_answer"):
        text += words.say("status.last_answer", time=words.moment(source["last_answer"], "%H:%M:%S"))
    return text


def _schedule(schedule: Answer | None, words: Words) -> str:
    if schedule is None:
        return words.say("status.no_schedule")
    text = words.say("status.schedule", id=schedule.get("id"), version=schedule.get("version"))
    if schedule.get("since"):
        text += words.say("status.since", time=words.moment(schedule["since"], "%H:%M %d/%m"))
    return text


def _storage(storage: Answer | None, words: Words) -> str:
    if storage is None:
        return words.say("not_measured")
    return words.say(
        "status.storage", free=words.size(storage["free_bytes"]), total=words.size(storage["total_bytes"])
    )


def _outbox(outbox: Answer, words: Words) -> str:
    text = words.say("status.outbox", waiting=outbox.get("waiting", 0))
    if outbox.get("dropped"):
        text += words.say("status.outbox_dropped", dropped=outbox["dropped"])
    return text


def _network(box: Answer, words: Words) -> str:
    bearer = box.get("bearer")
    if bearer is None:
        return words.say("not_measured")
    signal = box.get("signal_dbm")
    return words.term("bearer", bearer) + ("" if signal is None else f", {words.number(signal)} dBm")


def _zone_heading(zone: Answer, words: Words) -> list[str]:
    name = f" · {zone['name']}" if zone.get("name") else ""
    return [shorten(words.say("zone.heading", zone=zone.get("zone"), name=name), words.width)]


def _doing(zone: Answer, words: Words) -> list[str]:
    air = zone.get("on_air")
    if air is None:
        return wrap(
            words.say("zone.idle", reason=words.term("reason", zone.get("reason"))), words.width, "  ", "    "
        )
    item = "" if air.get("item") in ("", None, air.get("title")) else f" — {air['item']}"
    text = words.say(
        "zone.on_air",
        title=f"{air.get('title')}{item}",
        position=words.position(air.get("position_ms") or 0),
        rung=words.term("rung", air.get("rung")),
    )
    return wrap(text, words.width, "  ", "    ")


def _zone(zone: Answer, words: Words) -> list[str]:
    amplifier = zone.get("amplifier")
    if amplifier is None:
        amplifier_text = words.say("not_measured")
    else:
        amplifier_text = words.say("zone.amplifier_on" if amplifier.get("powered") else "zone.amplifier_off")
        if amplifier.get("powered") and amplifier.get("muted"):
            amplifier_text += words.say("zone.amplifier_muted")
        if amplifier.get("fault"):
            amplifier_text += words.say("zone.amplifier_fault")
    sound = words.flag(zone.get("sounding"), "zone.sound", "zone.silence")
    if zone.get("sounding") and zone.get("output_rms_dbfs") is not None:
        sound += f" ({words.level(zone['output_rms_dbfs'])})"
    line = words.flag(zone.get("line_active"), "zone.sound", "zone.silence")
    measured = words.say("zone.measured", sound=sound, amplifier=amplifier_text, line=line)
    lines = [*("  " + one for one in _zone_heading(zone, words))]
    lines += ["  " + one for one in _doing(zone, words)]
    lines += wrap(measured, words.width, "    ", "      ")
    if zone.get("next_start"):
        when = f"{words.moment(zone['next_start'], '%H:%M')} {words.day(zone['next_start'])}"
        lines += wrap(
            words.say("zone.next", time=when, title=zone.get("next_title")), words.width, "    ", "      "
        )
    return lines


def _issues(issues: list[Answer], words: Words) -> list[str]:
    if not issues:
        return [words.say("status.no_issues")]
    lines = [words.say("status.issues", count=len(issues))]
    for issue in issues:
        code = issue.get("code")
        subject = f" · {issue['subject']}" if issue.get("subject") else ""
        since = words.say("status.since", time=words.moment(issue.get("since"), "%H:%M %d/%m"))
        lines.append(shorten(f"  {code}{subject}{since}", words.width))
        lines += wrap(words.term("fault", f"{code}.what"), words.width, "    ")
        lines += wrap(words.say("status.do", do=words.term("fault", f"{code}.do")), words.width, "    ")
        if issue.get("detail"):
            detail = words.say("status.detail", detail=_detail(issue["detail"], words))
            lines += wrap(detail, words.width, "    ", "      ")
    return lines


def _detail(detail: str, words: Words) -> str:
    """The detail of an issue; a refusal or link code at its head is put into words."""
    code, colon, rest = detail.partition(":")
    for table_name in ("refusal", "link"):
        word = words.term(table_name, code)
        if word != code:
            return word + colon + rest
    return detail


def _upcoming(airings: list[Answer], words: Words) -> list[str]:
    if not airings:
        return ["  " + words.say("plan.nothing")]
    heads = [words.say(f"plan.{name}") for name in ("start", "title", "class", "media")]
    rows = [
        (
            _span(one, words),
            str(one.get("title")),
            words.term("class", one.get("bulletin_class")),
            words.say("plan.media_ready" if one.get("media_ready", True) else "plan.media_missing"),
        )
        for one in airings
    ]
    return table(heads, rows, words.width, grow=1)


def _span(one: Answer, words: Words) -> str:
    start, end = words.moment(one.get("start"), "%H:%M:%S"), words.moment(one.get("end"), "%H:%M")
    return f"{words.day(one.get('start'))} {start}–{end}"


def _missed(missed: list[Answer], words: Words) -> list[str]:
    if not missed:
        return []
    lines = ["  " + words.say("plan.missed")]
    for one in missed:
        when = f"{words.day(one.get('start'))} {words.moment(one.get('start'), '%H:%M')}"
        why = words.term("missed", one.get("reason"))
        lines += wrap(f"{when}  {one.get('title')}: {why}", words.width, "    ", "      ")
    return lines


def _log_row(entry: Answer, words: Words) -> tuple[str, ...]:
    planned, first = words.local(entry.get("planned_start")), words.local(entry.get("first_sound"))
    offset = "—"
    if planned is not None and first is not None:
        offset = words.say(
            "log.seconds", seconds=words.number((first - planned).total_seconds(), 2, signed=True)
        )
    verdict = words.term("verdict", entry.get("verdict")) if entry.get("final") else words.say("log.running")
    return (
        words.moment(entry.get("planned_start"), "%d/%m %H:%M:%S"),
        offset,
        shorten(str(entry.get("zone")), 10),
        str(entry.get("title")),
        f"{words.position(entry.get('played_ms') or 0)}/{words.position(entry.get('planned_ms') or 0)}",
        verdict,
    )


def _log_notes(entry: Answer, words: Words) -> list[str]:
    notes = []
    if entry.get("missed"):
        notes.append(words.say("log.why", reason=words.term("missed", entry["missed"])))
    notes += [words.term("cut", cut) for cut in dict.fromkeys(entry.get("cuts") or [])]
    notes += [words.say("log.failed_item", item=item) for item in entry.get("failed_items") or []]
    if entry.get("output_rms_dbfs") is not None:
        measured = words.say("log.level", level=words.level(entry["output_rms_dbfs"]))
        sensed = entry.get("sensed_ms")
        if sensed is None:
            measured += words.say("log.no_sensor")
        else:
            measured += words.say(
                "log.sensed",
                sensed=words.position(sensed),
                sounding=words.position(entry.get("sounding_ms") or 0),
            )
        notes.append(measured)
    return notes
