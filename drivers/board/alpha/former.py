"""What was on an Alpha sign before us, so that it can be put back."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from drivers.board import kept
from drivers.board.alpha.codec import Entry, MalformedError, parse_table

logger = logging.getLogger(__name__)

LARGEST_BYTES = 6_000
"""More is not read: every 1,000 bytes take a second at 9600 baud, and the board is wanted now."""


@dataclass(frozen=True, slots=True)
class Former:
    """Memory configuration, contents by label, run sequence; not `complete`: something was not read."""

    entries: tuple[Entry, ...] = ()
    contents: dict[bytes, bytes] = field(default_factory=dict)
    sequence: bytes = b""
    complete: bool = False


def size_of(entries: tuple[Entry, ...]) -> int:
    """Bytes that reading all files takes."""
    return sum(
        (entry.size >> 8) * ((entry.size & 0xFF) + 1) if entry.kind.letter == "D" else entry.size
        for entry in entries
    )


def store(path: Path | None, former: Former) -> None:
    """Keep it in a file, whole or not at all."""
    kept.write(
        path,
        json.dumps(
            {
                "table": b"".join(entry.encode() for entry in former.entries).hex(),
                "contents": {label.hex(): data.hex() for label, data in former.contents.items()},
                "sequence": former.sequence.hex(),
                "complete": former.complete,
            }
        ).encode(),
    )


def load(path: Path | None) -> Former | None:
    """Read it again, None when there is nothing that can be used."""
    try:
        content = kept.read(path)
        if content is None:
            return None
        found = json.loads(content)
        return Former(
            parse_table(bytes.fromhex(found["table"])),
            {bytes.fromhex(key): bytes.fromhex(value) for key, value in found["contents"].items()},
            bytes.fromhex(found["sequence"]),
            found["complete"] is True,
        )
    except (
        kept.KeptError,
        RecursionError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        MalformedError,
    ) as error:
        logger.debug("nothing kept at %s: %s", path, error)
        return None
