"""Commands that change what the box does: safety, volume, stop, next, pause, resume, priority, amplifier."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.arguments import Commands, between, within
from agent.cli.client import ask, find_socket, send
from agent.cli.output import OK, tell
from agent.cli.words import Words, shorten, table, wrap

MAX_MINUTES = 240
VOLUME_DB = (-40.0, 6.0)

Answer = dict[str, Any]


def add_to(commands: Commands) -> None:
    """Add the commands."""
    words = commands.words
    minutes = within(int, 0, MAX_MINUTES, words)
    safety = commands.add("safety", _safety, asks=True)
    safety.add_argument("action", choices=("stop", "release", "status"), help=words.say("help.safety_action"))
    safety.add_argument(
        "--minutes", type=minutes, default=30, metavar="N", help=words.say("help.safety_minutes")
    )
    commands.add_zone(safety)
    volume = commands.add("volume", _volume, asks=True)
    volume.add_argument("zone", metavar=words.say("help.ZONE"), help=words.say("help.zone_of"))
    volume.add_argument("db", type=between(*VOLUME_DB, words), metavar="DB", help=words.say("help.db"))
    for name in ("stop", "next", "pause", "resume", "reset-amplifier"):
        one = commands.add(name, _control, asks=True)
        one.set_defaults(action=name.replace("-", "_"))
        commands.add_zone(one)
        if name == "pause":
            text = words.say("help.pause_minutes")
            one.add_argument("--minutes", type=minutes, default=30, metavar="N", help=text)
    priority = commands.add("priority", _priority, asks=True)
    priority.add_argument("ids", nargs="*", metavar="ID", help=words.say("help.ids"))


def _safety(arguments: argparse.Namespace, words: Words) -> int:
    path = find_socket(arguments.socket, arguments.config)
    if arguments.action == "status":
        answer = ask(path, "/why")
        zones = [one for one in answer.get("zones") or [] if arguments.zone in ("", one.get("zone"))]
        tell(answer | {"zones": zones}, _safety_status, arguments, words)
        return OK
    body: Answer = {"action": arguments.action, "zones": [arguments.zone] if arguments.zone else []}
    if arguments.action == "stop":
        body["minutes"] = arguments.minutes
    tell(send(path, "POST", "/safety", body), _safety_done, arguments, words)
    return OK


def _safety_done(answer: Answer, words: Words) -> list[str]:
    zones = ", ".join(str(zone) for zone in answer.get("zones") or [])
    if answer.get("action") == "release":
        return wrap(words.say("safety.released", zones=zones), words.width)
    until = words.in_zone(answer.get("timezone")).moment(answer.get("until"), "%H:%M %d/%m")
    lines = wrap(words.say("safety.stopped", zones=zones, until=until), words.width)
    return [*lines, *wrap(words.say("safety.stopped_do"), words.width)]


def _safety_status(answer: Answer, words: Words) -> list[str]:
    here = words.in_zone(answer.get("timezone"))
    lines = []
    for zone in answer.get("zones") or []:
        name = f"{zone.get('zone')}{' · ' + zone['name'] if zone.get('name') else ''}"
        if zone.get("safety_until"):
            text = words.say("safety.on", zone=name, until=here.moment(zone["safety_until"], "%H:%M %d/%m"))
        else:
            text = words.say("safety.off", zone=name)
        lines += wrap(text, words.width)
    return lines or [words.say("status.no_zones")]


def _volume(arguments: argparse.Namespace, words: Words) -> int:
    body = {"action": "volume", "zone": arguments.zone, "volume_db": arguments.db}
    answer = send(find_socket(arguments.socket, arguments.config), "POST", "/control", body)
    db = words.number(arguments.db, 1, signed=True)

    def done(_answer: Answer, words: Words) -> list[str]:
        return wrap(words.say("control.volume", zone=arguments.zone, db=db), words.width)

    tell(answer, done, arguments, words)
    return OK


def _control(arguments: argparse.Namespace, words: Words) -> int:
    body: Answer = {"action": arguments.action, "zone": arguments.zone}
    if arguments.action == "pause":
        body["minutes"] = arguments.minutes
    answer = send(find_socket(arguments.socket, arguments.config), "POST", "/control", body)

    def done(answer: Answer, words: Words) -> list[str]:
        lines = []
        for zone, title in (answer.get("zones") or {}).items():
            key = f"control.{arguments.action}"
            if arguments.action in ("stop", "next") and not title:
                key += "_nothing"
            minutes = getattr(arguments, "minutes", "")
            lines += wrap(words.say(key, zone=zone, title=title, minutes=minutes), words.width)
        return lines or [words.say("status.no_zones")]

    tell(answer, done, arguments, words)
    return OK


def _priority(arguments: argparse.Namespace, words: Words) -> int:
    path = find_socket(arguments.socket, arguments.config)
    if arguments.ids:
        answer = send(path, "PUT", "/priorities", {"ids": arguments.ids})
    else:
        answer = ask(path, "/priorities")
    tell(answer, _priority_lines, arguments, words)
    return OK


def _priority_lines(answer: Answer, words: Words) -> list[str]:
    here = words.in_zone(answer.get("timezone"))
    entries = answer.get("priorities") or []
    if not entries:
        return wrap(words.say("priority.none"), words.width)
    heads = [words.say(f"priority.{name}") for name in ("place", "id", "start", "level", "title")]
    rows = [
        (
            f"{number}{'*' if one.get('position') is not None else ''}",
            shorten(str(one.get("id")), 30),
            f"{here.day(one['start'])} {here.moment(one['start'], '%H:%M')}" if one.get("start") else "—",
            words.term("level", one.get("level")),
            str(one.get("title")),
        )
        for number, one in enumerate(entries, 1)
    ]
    lines = table(heads, rows, words.width, grow=4, indent="")
    return [*lines, *wrap(words.say("priority.hint"), words.width)]
