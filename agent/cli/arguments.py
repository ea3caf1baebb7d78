"""What every command of `loa` takes, and how values are checked while they are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.cli.words import Words

Command = Callable[[argparse.Namespace, Words], int]

DEFAULT_CONFIG = Path("/etc/tieng-lang/config.toml")


class Commands:
    """Collects the commands of `loa`."""

    def __init__(self, parser: argparse.ArgumentParser, words: Words) -> None:
        self.words = words
        self._commands = parser.add_subparsers(metavar=words.say("help.COMMAND"), required=True)
        self._common = argparse.ArgumentParser(add_help=False)
        add_language(self._common, words)
        self._common.add_argument("--json", action="store_true", help=words.say("help.json"))
        self._asking = argparse.ArgumentParser(add_help=False)
        file = words.say("help.FILE")
        self._asking.add_argument("--socket", type=Path, metavar=file, help=words.say("help.socket"))
        self._asking.add_argument("--config", type=Path, metavar=file, help=words.say("help.config_of"))

    def add(self, name: str, run: Command, *, asks: bool = False) -> argparse.ArgumentParser:
        """Add a command; one that `asks` talks to the running agent."""
        text = self.words.say(f"help.{name}")
        parents = [self._asking, self._common] if asks else [self._common]
        one: argparse.ArgumentParser = self._commands.add_parser(
            name, help=text, description=text, parents=parents, allow_abbrev=False
        )
        one.set_defaults(run=run)
        return one

    def add_zone(self, parser: argparse.ArgumentParser, help_key: str = "zone") -> None:
        """Add `--zone`."""
        parser.add_argument(
            "--zone", default="", metavar=self.words.say("help.ZONE"), help=self.words.say(f"help.{help_key}")
        )


def add_language(parser: argparse.ArgumentParser, words: Words) -> None:
    """Add `--lang`."""
    parser.add_argument("--lang", choices=("vi", "en"), help=words.say("help.lang"), default=words.language)


def within(kind: type[int | float], above: float, most: float, words: Words) -> Callable[[str], Any]:
    """Reads a number above `above` and at most `most`."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not above < value <= most:
            raise argparse.ArgumentTypeError(words.say("help.within", value=text, most=words.number(most)))
        return value

    return parse


def between(least: float, most: float, words: Words) -> Callable[[str], Any]:
    """Reads a number from `least` to `most`; a decimal comma will do."""

    def parse(text: str) -> float:
        try:
            value = float(text.replace(",", ".").replace("−", "-"))
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            bounds = {"least": words.number(least), "most": words.number(most)}
            raise argparse.ArgumentTypeError(words.say("help.between", value=text, **bounds))
        return value

    return parse
