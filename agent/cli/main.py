"""`loa`: the one command on the box. Imports only what the chosen command needs, so that it answers at once.

Exit status: 0 done; 1 the agent or the server could not be used; 2 wrong usage; 3 the box declines;
78 wrong configuration. `loa test`: 0 passed, 1 failed, 2 not measurable, 3 refused.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Sequence

from agent.cli import board, control, look, setup, trial
from agent.cli.arguments import Command, Commands, add_language
from agent.cli.client import AgentRefusedError, AgentUnreachableError
from agent.cli.language import argparse_speaks, pick_language
from agent.cli.output import OK, USAGE, refused, unreachable
from agent.cli.words import Words

INTERRUPTED = 130
_WIDEST = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a serial console without UTF-8 still shows the rest
    language = pick_language(argv, os.environ)
    words = Words(language, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST))
    with argparse_speaks(language):
        try:
            arguments = _parser(words).parse_args(argv)
        except SystemExit as stop:  # argparse has said what is wrong, or shown the help
            return stop.code if isinstance(stop.code, int) else USAGE
    command: Command = arguments.run
    try:
        return command(arguments, words)
    except AgentUnreachableError as error:
        return unreachable(error, arguments, words)
    except AgentRefusedError as error:
        return refused(error, arguments, words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `loa status | head`: nobody reads on; keep the interpreter from flushing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _parser(words: Words) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loa", description=words.say("help.loa"), epilog=words.say("help.more"), allow_abbrev=False
    )
    add_language(parser, words)
    commands = Commands(parser, words)
    for theme in (look, control, trial, board, setup):
        theme.add_to(commands)
    return parser
