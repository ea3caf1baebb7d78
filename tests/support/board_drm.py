"""An emulated kernel with a display for the contract suite of boards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.drm.driver import DrmBoard
from drivers.board.drm.emulator import EmulatedKernel
from drivers.board.drm.output import Wish
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(50, 30)


class DrmBench:
    geometry = GEOMETRY
    faults = frozenset(
        {Fault.VANISH, Fault.LATE, Fault.GARBAGE, Fault.HALF, Fault.NACK, Fault.FOREIGN, Fault.OTHER_MODEL}
    )
    limit_s = 4.0
    former = True

    def __init__(self, fault: str = "cable") -> None:
        self.kernel = EmulatedKernel()
        self.kernel.other_program()
        self._cable = fault == "cable"

    def driver(self) -> BoardDriver:
        return DrmBoard("screen", GEOMETRY, Wish(), fallback=None, kernel=self.kernel)

    def shown(self) -> Frame:
        size = self.geometry
        return Frame(size.width_px, size.height_px, self.kernel.picture(size.width_px, size.height_px))

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        return frame

    def received(self) -> int:
        return self.kernel.calls

    async def inflict(self, fault: Fault) -> None:
        if fault is Fault.VANISH and self._cable:
            self.kernel.connectors[0].connected = False
        elif fault is Fault.VANISH:
            self.kernel.absent = True
        elif fault is Fault.LATE:
            self.kernel.vblank_stuck = True
        elif fault is Fault.GARBAGE:
            self.kernel.garbage_events = b"\xff" * 32
        elif fault is Fault.HALF:
            self.kernel.garbage_events = b"\x02\0\0\0\x20\0\0\0\1"
        elif fault is Fault.NACK:
            self.kernel.declines = True
        elif fault is Fault.FOREIGN:
            self.kernel.other_program(0x71)
        else:
            self.kernel.connectors[0].modes = [(1024, 768, 60)]
            self.kernel.connectors[0].size_mm = (300, 200)

    async def mend(self) -> None:
        self.kernel.connectors[0].connected = True
        self.kernel.absent = self.kernel.vblank_stuck = self.kernel.declines = False
        self.kernel.garbage_events = b""


@asynccontextmanager
async def _cable(_: Path) -> AsyncIterator[DrmBench]:
    yield DrmBench()


@asynccontextmanager
async def _device(_: Path) -> AsyncIterator[DrmBench]:
    yield DrmBench("device")


BENCHES = (BenchFactory("drm-cable", _cable), BenchFactory("drm-device", _device))
