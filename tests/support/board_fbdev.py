"""Framebuffers of several layouts for the contract suite of boards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.fbdev.driver import FbdevBoard
from drivers.board.fbdev.emulator import Channel, EmulatedFramebuffer
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(48, 32)

LAYOUTS: dict[str, tuple[int, Channel, Channel, Channel]] = {
    "xrgb8888": (32, Channel(16, 8), Channel(8, 8), Channel(0, 8)),
    "xbgr8888": (32, Channel(0, 8), Channel(8, 8), Channel(16, 8)),
    "rgb888": (24, Channel(16, 8), Channel(8, 8), Channel(0, 8)),
    "rgb565": (16, Channel(11, 5), Channel(5, 6), Channel(0, 5)),
}


class FbdevBench:
    geometry = GEOMETRY
    faults = frozenset({Fault.VANISH, Fault.FOREIGN})
    limit_s = 4.0
    former = True

    def __init__(self, directory: Path, layout: str) -> None:
        bits, red, green, blue = LAYOUTS[layout]
        self.screen = EmulatedFramebuffer(
            directory / "fb0", 64, 40, bits=bits, channels=(red, green, blue), gap_bytes=24, panned_rows=3
        )
        self.screen.scribble(b"\x7ebefore us ")
        self._keep = directory / "keep"
        self._lengths = (red.length, green.length, blue.length)

    def driver(self) -> BoardDriver:
        return FbdevBoard("screen", GEOMETRY, self.screen.path, ioctl=self.screen.ioctl, keep_dir=self._keep)

    def shown(self) -> Frame:
        size = self.geometry
        return Frame(size.width_px, size.height_px, self.screen.picture(size.width_px, size.height_px))

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        kept = bytearray(frame.rgb)
        for number, length in enumerate(self._lengths):
            top = (1 << length) - 1
            kept[number::3] = bytes((value >> (8 - length)) * 255 // top for value in kept[number::3])
        return Frame(frame.width_px, frame.height_px, bytes(kept))

    def received(self) -> int:
        return self.screen.asked

    async def inflict(self, fault: Fault) -> None:
        if fault is Fault.VANISH:
            self.screen.unplug()
        else:
            self.screen.scribble()

    async def mend(self) -> None:
        if not self.screen.present:
            self.screen.plug()


@asynccontextmanager
async def _bench(layout: str, directory: Path) -> AsyncIterator[FbdevBench]:
    yield FbdevBench(directory, layout)


BENCHES = tuple(BenchFactory(f"fbdev-{layout}", partial(_bench, layout)) for layout in LAYOUTS)
