"""Logging of the agent: one event per line to stderr; journald adds time and unit."""

from __future__ import annotations

import logging
import os
import sys


def set_up(level: str = "INFO") -> None:
    """Send log lines to stderr, with a time only where no journal adds one."""
    journal = "JOURNAL_STREAM" in os.environ
    shape = (
        "%(levelname)s %(name)s: %(message)s"
        if journal
        else "%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.basicConfig(level=level, format=shape, stream=sys.stderr, force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)


def bounded(text: object, limit: int = 200) -> str:
    """A text from outside, quoted and cut, fit for one log line."""
    shown = repr(str(text)[: limit + 1])
    return shown if len(str(text)) <= limit else shown[:limit] + "...'"
