"""JSON lines that the simulated devices leave behind, bounded in size."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

_ROTATE_BYTES = 5_000_000


class Journal:
    """Appends one line per happening; at 5 MB the file is moved to `*.previous.jsonl`."""

    def __init__(self, path: Path, *, rotate_bytes: int = _ROTATE_BYTES) -> None:
        """Open for appending; the directory is created when missing.

        Args:
            path: ends in `.jsonl`.
            rotate_bytes: size at which a new file is begun.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._file = self._open()

    def append(self, monotonic_ns: int, **values: object) -> None:
        """Write a line stamped with the wall clock and `monotonic_ns` (CLOCK_MONOTONIC)."""
        wall_s = time.time() - (time.monotonic_ns() - monotonic_ns) / 1e9
        wall = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="microseconds")
        line = {"wall": wall, "monotonic_ns": monotonic_ns, **values}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        if self._file.tell() > self._rotate_bytes:
            self._file.close()
            self._path.replace(self._path.with_suffix(".previous.jsonl"))
            self._file = self._open()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> IO[str]:
        return self._path.open("a", encoding="utf-8", buffering=1)
