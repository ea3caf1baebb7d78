"""`loa board`: look at boards, paint test patterns, take screenshots, preview pages, enter dead modules."""

from __future__ import annotations

import argparse
import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.cli.arguments import Commands, within
from agent.cli.client import ask, find_socket, send
from agent.cli.output import FAILED, OK, REFUSED, complain, print_json, print_lines, tell, wrapped
from agent.cli.words import Words, clean, wrap
from agent.model.board import Pattern

MAX_MINUTES = 60
MAX_MODULE = 512

Answer = dict[str, Any]


def add_to(commands: Commands) -> None:
    """Add the command."""
    words = commands.words
    board = commands.add("board", _info, asks=True)
    board.set_defaults(board="")
    verbs = board.add_subparsers(metavar=words.say("help.COMMAND"))
    file = words.say("help.FILE")

    def add(name: str, run: Any) -> argparse.ArgumentParser:
        text = words.say(f"help.board_{name}")
        # What is left out here keeps the value given before the verb: `loa board --socket S info`.
        one: argparse.ArgumentParser = verbs.add_parser(
            name, help=text, description=text, allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        one.set_defaults(run=run)
        one.add_argument("--lang", choices=("vi", "en"), help=words.say("help.lang"))
        one.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help=words.say("help.json")
        )
        return one

    def add_board(one: argparse.ArgumentParser) -> None:
        one.add_argument("--board", metavar=words.say("help.BOARD"), help=words.say("help.board_of"))
        one.add_argument("--socket", type=Path, metavar=file, help=words.say("help.socket"))
        one.add_argument("--config", type=Path, metavar=file, help=words.say("help.config_of"))

    add_board(add("info", _info))
    pattern = add("pattern", _pattern)
    choices = tuple(one.value for one in Pattern)
    pattern.add_argument("pattern", choices=(*choices, "off"), help=words.say("help.pattern_of"))
    minutes = within(int, 0, MAX_MINUTES, words)
    pattern.add_argument(
        "--minutes", type=minutes, default=10, metavar="N", help=words.say("help.pattern_minutes")
    )
    add_board(pattern)
    shot = add("screenshot", _screenshot)
    shot.add_argument(
        "--out", type=Path, default=Path("board.png"), metavar=file, help=words.say("help.shot_out")
    )
    add_board(shot)
    module = add("module", _module)
    place = within(int, 0, MAX_MODULE, words)
    module.add_argument("row", type=place, metavar=words.say("help.ROW"), help=words.say("help.row"))
    module.add_argument("column", type=place, metavar=words.say("help.COLUMN"), help=words.say("help.column"))
    module.add_argument("state", choices=("dead", "ok"), help=words.say("help.module_state"))
    add_board(module)
    preview = add("preview", _preview)
    preview.add_argument("file", type=Path, metavar=file, help=words.say("help.preview_file"))
    preview.add_argument("--out", type=Path, required=True, metavar=file, help=words.say("help.preview_out"))


def _info(arguments: argparse.Namespace, words: Words) -> int:
    answer = ask(find_socket(arguments.socket, arguments.config), "/boards")
    boards = [one for one in answer.get("boards") or [] if arguments.board in ("", one.get("board"))]
    tell(answer | {"boards": boards}, info_lines, arguments, words)
    return OK


def info_lines(answer: Answer, words: Words) -> list[str]:
    """What `loa board info` prints."""
    here = words.in_zone(answer.get("timezone"))
    lines: list[str] = []
    for one in answer.get("boards") or []:
        size = f"{one.get('width_px')} × {one.get('height_px')} px"
        lines += wrap(f"{one.get('board')} · {one.get('kind')} · {size}", words.width)
        lines += _about(one, here)
    return lines or [words.say("board.none")]


def _about(one: Answer, words: Words) -> list[str]:
    rows: list[tuple[str, str]] = [("shows", _shows(one, words))]
    if one.get("since"):
        rows.append(("since", words.moment(one["since"], "%H:%M:%S %d/%m")))
    if one.get("taken_until"):
        rows.append(("taken", words.moment(one["taken_until"], "%H:%M %d/%m")))
    if one.get("pattern_until"):
        until = words.moment(one["pattern_until"], "%H:%M %d/%m")
        rows.append(("pattern", f"{one.get('pattern')} → {until}"))
    card = " ".join(str(one[key]) for key in ("model", "firmware") if one.get(key))
    rows.append(("card", card or "—"))
    if one.get("brightness") is not None:
        rows.append(("brightness", f"{words.number(100 * float(one['brightness']))} %"))
    if one.get("temperature_c") is not None:
        rows.append(("temperature", f"{words.number(float(one['temperature_c']))} °C"))
    dead = one.get("dead_modules") or []
    rows.append(("dead", ", ".join(str(place) for place in dead) or words.say("board.no_dead")))
    if one.get("sha256"):
        rows.append(("sha256", str(one["sha256"])[:16]))
    if one.get("detail"):
        rows.append(("detail", str(one["detail"])))
    return [
        line
        for name, text in rows
        for line in wrap(f"{words.term('cli.board.label', name)}: {text}", words.width, "  ", "    ")
    ]


def _shows(one: Answer, words: Words) -> str:
    if one.get("shown") is None:
        return words.say("status.board_absent")
    reason = words.term("cli.board.reason", str(one.get("reason") or "idle"))
    text = " / ".join(str(one["shown"]).split("\n"))
    return f"{text or words.say('status.board_dark')} ({reason})"


def _pattern(arguments: argparse.Namespace, words: Words) -> int:
    body: Answer = {"action": "end_pattern", "board": arguments.board}
    if arguments.pattern != "off":
        body |= {"action": "pattern", "pattern": arguments.pattern, "minutes": arguments.minutes}
    answer = send(find_socket(arguments.socket, arguments.config), "POST", "/board", body)

    def done(answer: Answer, words: Words) -> list[str]:
        board = answer.get("board")
        if answer.get("action") == "end_pattern":
            return wrap(words.say("board.pattern_off", board=board), words.width)
        until = words.in_zone(answer.get("timezone")).moment(answer.get("until"), "%H:%M")
        text = words.say("board.pattern_on", board=board, pattern=answer.get("pattern"), until=until)
        return wrap(text, words.width)

    tell(answer, done, arguments, words)
    return OK


def _screenshot(arguments: argparse.Namespace, words: Words) -> int:
    path = find_socket(arguments.socket, arguments.config)
    answer = ask(path, f"/board/screenshot?board={quote(arguments.board)}")
    try:
        arguments.out.write_bytes(base64.b64decode(str(answer.pop("png", "")), validate=True))
    except (OSError, binascii.Error) as error:
        what = words.say("board.not_written", file=arguments.out, detail=clean(str(error)))
        complain(what, words.say("board.not_written_do"), arguments, words)
        return FAILED

    def done(answer: Answer, words: Words) -> list[str]:
        return wrap(words.say("board.shot", board=answer.get("board"), file=arguments.out), words.width)

    tell(answer | {"file": str(arguments.out)}, done, arguments, words)
    return OK


def _module(arguments: argparse.Namespace, words: Words) -> int:
    body = {
        "action": "module",
        "board": arguments.board,
        "row": arguments.row,
        "column": arguments.column,
        "state": arguments.state,
    }
    answer = send(find_socket(arguments.socket, arguments.config), "POST", "/board", body)

    def done(answer: Answer, words: Words) -> list[str]:
        dead = ", ".join(str(one) for one in answer.get("dead_modules") or [])
        text = words.say("board.dead", board=answer.get("board"), places=dead or words.say("board.no_dead"))
        return wrap(text, words.width)

    tell(answer, done, arguments, words)
    return OK


def _preview(arguments: argparse.Namespace, words: Words) -> int:
    from agent.signage.preview import preview_file  # noqa: PLC0415 - fonts and Pillow
    from agent.signage.preview_file import PreviewError  # noqa: PLC0415

    try:
        made = preview_file(arguments.file, arguments.out, datetime.now(UTC))
    except PreviewError as error:
        return _not_made(error.problems, arguments, words)
    if arguments.json:
        print_json(
            {"file": str(arguments.out), "screens": made.screens, "problems": list(made.problems),
             "reduced": made.reduced}
        )  # fmt: skip
        return OK
    text = words.say("board.preview", file=arguments.out, screens=made.screens)
    lines = wrapped(text, words)
    for problem in made.problems:
        lines += wrapped(words.say("board.preview_problem", detail=clean(problem)), words)
    print_lines(lines)
    return OK


def _not_made(problems: Sequence[str], arguments: argparse.Namespace, words: Words) -> int:
    what = words.say("board.preview_refused", detail=clean("; ".join(problems)))
    complain(what, words.say("board.preview_refused_do"), arguments, words, detail="; ".join(problems))
    return REFUSED
