"""What has been spoken before: a small index on disk, from text and voice to the file in the media store."""

from __future__ import annotations

import json
import logging
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

from agent.model.bulletin import Media

logger = logging.getLogger(__name__)

MAX_ENTRIES = 500
_MAX_BYTES = 1024 * 1024
_HEX = frozenset("0123456789abcdef")
_SHA_LENGTH = 64


class SpokenIndex:
    """Files by key, the least recently asked for forgotten first; survives restarts.

    `load` and `save` touch the disk and belong into a thread; a damaged index is an empty one.
    """

    def __init__(self, path: Path, most: int = MAX_ENTRIES) -> None:
        self._path = path
        self._most = most
        self._entries: OrderedDict[str, Media] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def load(self) -> None:
        """Blocking: read what an earlier run left."""
        try:
            with self._path.open("rb") as file:
                raw = json.loads(file.read(_MAX_BYTES))
            entries = OrderedDict((str(key), _media(value)) for key, value in raw.items())
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            logger.warning("index of spoken texts is not readable, begun anew: %s", error)
            return
        self._entries = entries
        self._shorten()

    def save(self, snapshot: dict[str, Media]) -> None:
        """Blocking: write `snapshot` in one step.

        Raises:
            OSError: the disk would not.
        """
        raw = {key: [one.sha256, one.size_bytes, one.duration_ms] for key, one in snapshot.items()}
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            json.dump(raw, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def get(self, key: str) -> Media | None:
        """The file spoken for `key`, which counts as asked for now."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: str, media: Media) -> None:
        self._entries[key] = media
        self._entries.move_to_end(key)
        self._shorten()

    def snapshot(self) -> dict[str, Media]:
        """A copy to be saved."""
        return dict(self._entries)

    def _shorten(self) -> None:
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)


def _media(value: list[Any]) -> Media:
    sha256, size_bytes, duration_ms = value
    if len(sha256) != _SHA_LENGTH or not _HEX.issuperset(sha256):
        raise ValueError(f"not a SHA-256: {sha256!r}")
    return Media(sha256, int(size_bytes), int(duration_ms), 0.0, "")
