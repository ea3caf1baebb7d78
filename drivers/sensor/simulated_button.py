"""The button of a simulated box: each line appended to `DIR/button` is a press of that many seconds.

`echo 0.3 >> DIR/button` presses it shortly, `echo 3 >> DIR/button` for three seconds; the press is over
when the line is there. What stands in the file at the start was pressed before our time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Button, Options
from drivers.options import refuse_unknown
from drivers.sensor.gpio_button import SHORTEST_S
from drivers.simulation import place

if TYPE_CHECKING:
    from drivers.api import ButtonDriver

logger = logging.getLogger(__name__)

FILE = "button"
_LOOK_EVERY_S = 0.1
_READ_BYTES = 4096
_LONGEST_S = 60.0
_LINE_BYTES = 64


class _OpenButton:
    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._position = self._size()
        self._rest = b""

    async def presses(self) -> AsyncIterator[float]:
        while True:
            for line in self._new_lines():
                press = self._press_of(line)
                if press is not None:
                    yield press
            await asyncio.sleep(_LOOK_EVERY_S)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _new_lines(self) -> list[bytes]:
        size = self._size()
        if size < self._position:  # begun anew
            self._position, self._rest = 0, b""
        if size == self._position:
            return []
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                found = file.read(_READ_BYTES)
        except OSError:
            return []
        self._position += len(found)
        *lines, rest = (self._rest + found).split(b"\n")
        self._rest = rest[-_LINE_BYTES:]
        return [line for line in lines if line.strip()]

    def _press_of(self, line: bytes) -> float | None:
        try:
            seconds = float(line[:_LINE_BYTES])
        except ValueError:
            seconds = 0.0
        if SHORTEST_S <= seconds <= _LONGEST_S:
            return seconds
        logger.warning(
            "%s: %r is no press; write a number of seconds, %g to %g",
            self._path,
            line[:_LINE_BYTES],
            SHORTEST_S,
            _LONGEST_S,
        )
        return None


class SimulatedButton:
    """Pressed by appending seconds to a file."""

    _known = frozenset({"dir"})

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(name, place(name, options)[0])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Button]:
        yield await asyncio.to_thread(_OpenButton, self.name, self._directory / FILE)


if TYPE_CHECKING:
    _driver: type[ButtonDriver] = SimulatedButton
