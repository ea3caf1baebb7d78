"""What a framebuffer showed before us, and its file: a line of JSON that says what it is, then zlib."""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

from drivers.api import BoardGeometry
from drivers.board import kept

logger = logging.getLogger(__name__)

_PIXEL_BYTES_MAX = 4
_HEAD_BYTES_MAX = 500
_QUICK = 1
"""Level of zlib: a whole screen of 1920x1080 px takes a tenth of the time of the usual one."""


@dataclass(frozen=True, slots=True)
class Former:
    """Pixels of the board's part, row by row without gaps, and the channels of a pixel as in `Shape`."""

    channels: tuple[int, ...]
    pixels: bytes


UNKNOWN = Former((), b"")
"""Something was there, and nobody knows what: it is handed back dark."""


class Keeper:
    """The file of one board; see `drivers.board.output.Keeper`. At most a little more than the pixels."""

    def __init__(self, name: str, geometry: BoardGeometry, path: Path | None) -> None:
        """Read nothing yet; without a path nothing is kept."""
        self._name = name
        self._geometry = geometry
        self._path = path
        self._most_bytes = geometry.width_px * geometry.height_px * _PIXEL_BYTES_MAX

    def load(self) -> Former | None:
        """Read it; `UNKNOWN` when it cannot be used: what the screen shows now may be ours."""
        slack = self._most_bytes // 100 + _HEAD_BYTES_MAX
        try:
            content = kept.read(self._path, self._most_bytes + slack)
            return None if content is None else self._decode(content)
        except (kept.KeptError, ValueError) as error:
            logger.warning("board %s: what was there before us is not known: %s", self._name, error)
            return UNKNOWN

    def store(self, former: object) -> None:
        """Write it, compressed."""
        if self._path is None or not isinstance(former, Former):
            return
        size = self._geometry
        head = {"width_px": size.width_px, "height_px": size.height_px, "channels": former.channels}
        body = zlib.compress(former.pixels, _QUICK)
        kept.write(self._path, json.dumps(head).encode() + b"\n" + body)

    def forget(self) -> None:
        """Delete it."""
        kept.forget(self._path)

    def _decode(self, content: bytes) -> Former:
        head, line, body = content.partition(b"\n")
        if not line or len(head) > _HEAD_BYTES_MAX:
            raise ValueError("damaged: no head")
        try:
            found = json.loads(head)
            width, height = found["width_px"], found["height_px"]
            channels = tuple(found["channels"])
            inflated = zlib.decompressobj()
            pixels = inflated.decompress(body, self._most_bytes + 1)
        except (KeyError, TypeError, RecursionError, zlib.error) as error:
            raise ValueError(f"damaged: {error!r}") from error
        if (width, height) != (self._geometry.width_px, self._geometry.height_px):
            raise ValueError(f"it is of a board of {width}x{height} px")
        bits = channels[0] if channels and all(isinstance(part, int) for part in channels) else 0
        if not inflated.eof or inflated.unused_data or len(pixels) * 8 != width * height * bits:
            raise ValueError(f"damaged: {len(pixels)} bytes of pixels")
        return Former(channels, pixels)
