"""Exit statuses, and how a command tells what it found or what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from agent.cli.client import AgentRefusedError, AgentUnreachableError, ask, find_socket
from agent.cli.words import Words, clean, wrap

OK, FAILED, USAGE, REFUSED, CONFIG = 0, 1, 2, 3, 78

Draw = Callable[[dict[str, Any], Words], list[str]]


def show(target: str, draw: Draw, arguments: argparse.Namespace, words: Words) -> int:
    """Ask the agent and draw its answer."""
    tell(ask(find_socket(arguments.socket, arguments.config), target), draw, arguments, words)
    return OK


def tell(answer: dict[str, Any], draw: Draw, arguments: argparse.Namespace, words: Words) -> None:
    """Draw an answer: lines for people, the answer itself for programs."""
    if arguments.json:
        print_json(answer)
        return
    safe = clean(answer)
    print_lines(draw(safe if isinstance(safe, dict) else {}, words))


def unreachable(error: AgentUnreachableError, arguments: argparse.Namespace, words: Words) -> int:
    """Nobody answered as they should."""
    what = words.say(f"unreachable.{error.cause}.what", detail=clean(error.detail))
    complain(what, words.say(f"unreachable.{error.cause}.do"), arguments, words, detail=error.detail)
    return FAILED


def refused(error: AgentRefusedError, arguments: argparse.Namespace, words: Words) -> int:
    """The box understood and declines."""
    if error.code in _REQUEST_CODES:
        field, allowed = clean(error.field), clean(error.allowed)
        what = words.say(f"refused.{error.code}", field=field, allowed=allowed)
    else:
        what = words.say("refused.declined", why=words.term("control", clean(error.code)))
    complain(what, words.say("refused.do"), arguments, words, detail=error.detail)
    return REFUSED


_REQUEST_CODES = frozenset(
    {
        "not_json",
        "unknown_field",
        "missing",
        "wrong_type",
        "out_of_range",
        "choice",
        "unknown_zone",
        "unknown_board",
        "twice",
    }
)


def complain(what: str, do: str, arguments: argparse.Namespace, words: Words, *, detail: str = "") -> None:
    """Say what is wrong and what to do: to people on stderr, to programs as JSON on stdout."""
    if arguments.json:
        print_json({"error": what, "do": do, "detail": detail})
        return
    for line in (*wrapped(what, words), *wrapped(words.say("status.do", do=do), words)):
        print(clean(line), file=sys.stderr)


def wrapped(text: str, words: Words) -> list[str]:
    """The text in lines as wide as the terminal."""
    return wrap(text, words.width)


def print_lines(lines: Sequence[str]) -> None:
    """Lines for people."""
    print("\n".join(lines), flush=True)


def print_json(value: object) -> None:
    """An answer for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2), flush=True)
