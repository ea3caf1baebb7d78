"""A simulated electronic board: the picture it shows is `board.png`, what it showed is in `board.jsonl`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import struct
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, DeviceRefusedError, DeviceUnavailableError, Frame, Options
from drivers.journal import Journal
from drivers.options import integer, refuse_unknown
from drivers.simulation import FaultFile, place, suffixed

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

_SIDE_MAX_PX = 4096
_CHANNELS = 3


def encode_png(frame: Frame) -> bytes:
    """PNG file of a frame: 8 bit RGB, no filter."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = frame.width_px * _CHANNELS
    lines = b"".join(b"\0" + frame.rgb[start : start + row] for start in range(0, len(frame.rgb), row))
    shape = struct.pack(">IIBBBBB", frame.width_px, frame.height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", shape)
        + chunk(b"IDAT", zlib.compress(lines, 1))
        + chunk(b"IEND", b"")
    )


class OpenSimulatedBoard:
    """A board that shows frames; see `SimulatedBoard`."""

    def __init__(self, name: str, directory: Path, zone: str, geometry: BoardGeometry) -> None:
        """Open the record and look for the board.

        Raises:
            DeviceUnavailableError: `faults.toml` says that the board is missing.
        """
        self.name = name
        self.geometry = geometry
        self._zone = zone
        self._picture = directory / suffixed("board", zone, ".png")
        self._faults = FaultFile(directory)
        self._shown: str | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._require()
        self._journal = Journal(directory / suffixed("board", zone, ".jsonl"))

    async def show(self, frame: Frame, label: str) -> None:
        """Show a frame.

        Raises:
            DeviceRefusedError: the frame does not have the size of the board.
            DeviceUnavailableError: the board is missing.
        """
        self._require()
        size = frame.width_px * frame.height_px * _CHANNELS
        if (frame.width_px, frame.height_px) != (
            self.geometry.width_px,
            self.geometry.height_px,
        ) or size != len(frame.rgb):
            raise DeviceRefusedError(
                f"{self.name}: frame of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
                f"the board has {self.geometry.width_px}x{self.geometry.height_px} px"
            )
        digest = hashlib.sha256(frame.rgb).hexdigest()
        if digest == self._shown:
            return
        await asyncio.to_thread(self._store, frame)
        self._shown = digest
        self._journal.append(
            time.monotonic_ns(),
            label=label,
            sha256=digest,
            width_px=frame.width_px,
            height_px=frame.height_px,
        )

    async def probe(self) -> None:
        """Raises DeviceUnavailableError when the board is missing."""
        self._require()

    async def make_safe(self) -> None:
        """Show black."""
        size = self.geometry.width_px * self.geometry.height_px * _CHANNELS
        await self.show(Frame(self.geometry.width_px, self.geometry.height_px, bytes(size)), "safe")

    def release(self) -> None:
        self._journal.close()

    def _require(self) -> None:
        if self._faults.current().board_missing:
            raise DeviceUnavailableError(f"{self.name}: no answer (faults.toml: board_missing)")

    def _store(self, frame: Frame) -> None:
        temporary = self._picture.with_suffix(".png.new")
        temporary.write_bytes(encode_png(frame))
        temporary.replace(self._picture)


class SimulatedBoard:
    """A board made of a picture file. Leaving `open()` shows black."""

    _known = frozenset({"dir", "zone", "width_px", "height_px"})

    def __init__(
        self, name: str, directory: Path, zone: str = "main", width_px: int = 192, height_px: int = 64
    ) -> None:
        """Remember the place.

        Args:
            name: of the board, for messages.
            directory: of the simulated box.
            zone: becomes part of the file names unless it is "main".
            width_px: 1 to 4096.
            height_px: 1 to 4096.
        """
        self.name = name
        self._directory = directory
        self._zone = zone
        self._geometry = BoardGeometry(width_px, height_px)

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required), `zone`, `width_px`, `height_px`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        return cls(
            name,
            directory,
            zone,
            integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX, default=192),
            integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX, default=64),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Board]:
        board = await asyncio.to_thread(
            OpenSimulatedBoard, self.name, self._directory, self._zone, self._geometry
        )
        try:
            yield board
        finally:
            try:
                await board.make_safe()
            except DeviceUnavailableError as error:
                logger.warning("board %s: not made safe, it is dark anyway: %s", self.name, error)
            finally:
                board.release()


if TYPE_CHECKING:
    _driver: type[BoardDriver] = SimulatedBoard
