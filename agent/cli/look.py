"""Commands that only look: status, plan, play-log, why, version."""

from __future__ import annotations

import argparse

from agent.cli.arguments import Commands, within
from agent.cli.client import ask, find_socket
from agent.cli.output import OK, USAGE, complain, print_json, print_lines, show, tell
from agent.cli.words import Words

MAX_HOURS = 336.0
MAX_ENTRIES = 500


def add_to(commands: Commands) -> None:
    """Add the commands."""
    words = commands.words
    commands.add("status", _status, asks=True)
    plan = commands.add("plan", _plan, asks=True)
    hours = within(float, 0, MAX_HOURS, words)
    plan.add_argument("--hours", type=hours, default=24.0, metavar="N", help=words.say("help.hours"))
    log = commands.add("play-log", _play_log, asks=True)
    limit = within(int, 0, MAX_ENTRIES, words)
    log.add_argument("--limit", type=limit, default=20, metavar="N", help=words.say("help.limit"))
    commands.add_zone(commands.add("why", _why, asks=True))
    commands.add("version", _version)


def _status(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import status_lines  # noqa: PLC0415 - only what the command needs

    return show("/status", status_lines, arguments, words)


def _plan(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import plan_lines  # noqa: PLC0415 - only what the command needs

    return show(f"/plan?hours={arguments.hours:g}", plan_lines, arguments, words)


def _play_log(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import play_log_lines  # noqa: PLC0415 - only what the command needs

    return show(f"/play-log?limit={arguments.limit}", play_log_lines, arguments, words)


def _why(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.why import why_lines  # noqa: PLC0415 - only what the command needs

    answer = ask(find_socket(arguments.socket, arguments.config), "/why")
    zones = answer.get("zones") or []
    if arguments.zone:
        names = ", ".join(str(zone.get("zone")) for zone in zones)
        zones = [zone for zone in zones if zone.get("zone") == arguments.zone]
        if not zones:
            what = words.say("refused.unknown_zone", field=arguments.zone, allowed=names)
            complain(what, words.say("refused.do"), arguments, words)
            return USAGE
    tell(answer | {"zones": zones}, why_lines, arguments, words)
    return OK


def _version(arguments: argparse.Namespace, _words: Words) -> int:
    from importlib.metadata import version  # noqa: PLC0415 - slow to import

    number = version("tieng-lang")
    if arguments.json:
        print_json({"version": number})
    else:
        print_lines([f"Tiếng Làng {number}"])
    return OK
