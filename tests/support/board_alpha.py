"""Alpha signs for the contract suite of boards: on a pseudo terminal and behind a serial server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.alpha.codec import Depth
from drivers.board.alpha.driver import AlphaBoard
from drivers.board.alpha.emulator import AlphaEmulator, Plug
from tests.support.boards import BenchFactory, Fault

WIDE = BoardGeometry(270, 16)
"""Wider than one picture file."""

NARROW = BoardGeometry(80, 16)

_LIMIT_S = 0.7


class AlphaBench:
    faults = frozenset(Fault)
    limit_s = 6.0
    former = True

    def __init__(self, directory: Path, plug: Plug, device: Path | None, depth: Depth) -> None:
        self.geometry = BoardGeometry(plug.sign.width, plug.sign.height)
        self.plug = plug
        self.sign = plug.sign
        self._directory = directory
        self._device = device
        self._depth = depth

    def driver(self) -> BoardDriver:
        device = f"socket://127.0.0.1:{self.plug.port}" if self._device is None else str(self._device)
        return AlphaBoard(
            "gate",
            device,
            self.geometry,
            depth=self._depth,
            acknowledge=self.sign.has_ack,
            keep_dir=self._directory / "keep",
            limit_s=_LIMIT_S,
        )

    def shown(self) -> Frame:
        return self.sign.frame()

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        rgb = bytearray()
        for at in range(0, len(frame.rgb), 3):
            rgb += bytes(seen(tuple(frame.rgb[at : at + 3]), self._depth))
        return Frame(frame.width_px, frame.height_px, bytes(rgb))

    def received(self) -> int:
        return self.sign.received

    async def inflict(self, fault: Fault) -> None:
        match fault:
            case Fault.VANISH:
                await self.plug.pull()
            case Fault.LATE:
                self.sign.late_s = _LIMIT_S * 3
            case Fault.GARBAGE:
                self.sign.garbage = True
            case Fault.HALF:
                self.sign.half = True
            case Fault.NACK:
                self.sign.nack = True
            case Fault.POWER_LOSS:
                self.sign.power_cycle()
            case Fault.FOREIGN:
                self.sign.put_text(b"SALE 50 %")
            case Fault.OTHER_MODEL:
                self.sign.power_cycle()
                self.sign.information = b"1088-9999B ALPHA 4160C 128K"

    async def mend(self) -> None:
        self.sign.late_s = 0.0
        self.sign.garbage = self.sign.half = self.sign.nack = False
        if self.plug.is_out:
            if self._device is None:
                await self.plug.listen()
            else:
                self.plug.renumber()


def seen(colour: tuple[int, ...], depth: Depth) -> tuple[int, int, int]:
    """What a person sees of a colour whose channels are 0 or 255."""
    red, green, blue = (bool(value) for value in colour)
    if depth is Depth.MONO:
        return (255 * (red or green or blue), 0, 0)
    if blue and not red and not green:
        red = green = True  # blue alone would be dark
    return (255 * red, 255 * green, 0)


@asynccontextmanager
async def _bench(
    directory: Path,
    *,
    pty: bool,
    geometry: BoardGeometry = NARROW,
    depth: Depth = Depth.THREE,
    has_ack: bool = True,
) -> AsyncIterator[AlphaBench]:
    sign = AlphaEmulator(geometry.width_px, geometry.height_px, strict_pauses=False)
    sign.has_ack = has_ack
    sign.put_text(b"HELLO \x101")
    plug = Plug(sign)
    device = directory / "usb-FTDI_sign-if00-port0" if pty else None
    if device is None:
        await plug.listen()
    else:
        plug.attach(device)
    try:
        yield AlphaBench(directory, plug, device, depth)
    finally:
        await plug.close()


BENCHES = (
    BenchFactory("alpha-pty", partial(_bench, pty=True, geometry=WIDE), slow=True),
    BenchFactory("alpha-tcp", partial(_bench, pty=False, depth=Depth.EIGHT), slow=True),
    BenchFactory("alpha-old", partial(_bench, pty=True, depth=Depth.MONO, has_ack=False), slow=True),
)
