"""Benches of the Onbon driver: its emulated card, by TCP, UDP and a serial line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.onbon.board import Plan
from drivers.board.onbon.driver import OnbonBoard
from drivers.board.onbon.emulated_areas import strip_of
from drivers.board.onbon.emulated_network import CardServer
from drivers.board.onbon.emulator import STEP_S, OnbonCard
from drivers.board.onbon.link import Link, SerialLink, TcpLink, UdpLink
from tests.support.boards import BenchFactory, Fault

LIMIT_S = 0.5
MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A card and the way to it; our part of its screen begins at (x, y)."""

    family: str
    colours: str
    transport: str = "tcp"
    width: int = 64
    height: int = 32
    x: int = 0
    y: int = 0


class OnbonBench:
    """One emulated card with something in its flash, and a driver for part of its screen."""

    limit_s = 3.0
    former = True

    def __init__(self, kind: Kind, server: CardServer, directory: Path) -> None:
        self.kind = kind
        self.server = server
        self._keep = directory / "keep"
        self.card = server.card
        self.geometry = BoardGeometry(kind.width, kind.height)
        self.faults = frozenset(Fault)

    def driver(self, blank_after_s: int = 120) -> BoardDriver:
        plan = Plan(self.geometry, self.kind.x, self.kind.y, blank_after_s=blank_after_s)
        return OnbonBoard("sign", plan, self.link, self._keep)

    def link(self) -> Link:
        if self.kind.transport == "tcp":
            return TcpLink("sign", "127.0.0.1", self.server.tcp_port, LIMIT_S)
        if self.kind.transport == "udp":
            return UdpLink("sign", "127.0.0.1", self.server.udp_port, LIMIT_S)
        return SerialLink("sign", self.server.serial_port, 57_600, LIMIT_S)

    def shown(self) -> Frame:
        card, kind = self.card, self.kind
        rgb, row = card.render(), card.width * 3
        ours = b"".join(
            rgb[(kind.y + line) * row + kind.x * 3 :][: kind.width * 3] for line in range(kind.height)
        )
        return Frame(kind.width, kind.height, ours)

    def ticker(self) -> CardTicker | None:
        for area in self.card.areas.values():
            if area.pages[0].mode == 4:
                width, rows = strip_of(self.card.family, self.card.colours, area)
                strip = Frame(width, area.height, b"".join(rows))
                return CardTicker(strip, area.y - self.kind.y, 1 / (area.pages[0].speed * STEP_S))
        return None

    def expected(self, frame: Frame) -> Frame:
        if self.kind.colours == "full":
            return frame
        out = bytearray()
        for at in range(0, len(frame.rgb), 3):
            red, green, blue = (value >= 128 for value in frame.rgb[at : at + 3])
            if self.kind.colours == "mono":
                out += b"\xff\0\0" if red or green or blue else b"\0\0\0"
            else:
                alone = blue and not red and not green
                out += bytes((255 * (red or alone), 255 * (green or alone), 0))
        return Frame(frame.width_px, frame.height_px, bytes(out))

    def received(self) -> int:
        return self.card.received

    async def inflict(self, fault: Fault) -> None:
        faults = self.card.faults
        match fault:
            case Fault.VANISH:
                await self.server.unplug()
            case Fault.LATE:
                faults.late_s = 4 * LIMIT_S
            case Fault.GARBAGE:
                faults.garbage = MANY
            case Fault.HALF:
                faults.half = MANY
            case Fault.NACK:
                faults.nack = MANY
            case Fault.POWER_LOSS:
                self.server.lose_power()
            case Fault.FOREIGN:
                self.card.load_program(b"P666", b"\xff\0\0" * (self.card.width * self.card.height))
            case Fault.OTHER_MODEL:
                self.card.become("5e" if self.kind.family != "5e" else "6e", 320, 64, "mono")
                self.server.reset()

    async def mend(self) -> None:
        faults = self.card.faults
        faults.late_s = 0.0
        faults.garbage = faults.half = faults.nack = 0
        await self.server.plug()


def _maker(kind: Kind) -> Callable[[Path], AbstractAsyncContextManager[OnbonBench]]:
    @asynccontextmanager
    async def make(directory: Path) -> AsyncIterator[OnbonBench]:
        card = OnbonCard(kind.family, kind.x + kind.width + 13, kind.y + kind.height + 2, kind.colours)
        pixels = card.width * card.height
        card.programs[b"P000"] = (b"\xff\0\0" + b"\0" * 6) * (pixels // 3) + b"\0" * (pixels % 3 * 3)
        server = CardServer(card)
        await server.listen_tcp()
        await server.listen_udp()
        server.listen_serial()
        try:
            yield OnbonBench(kind, server, directory)
        finally:
            await server.close()

    return make


KINDS = (
    Kind("5e", "dual", x=3, y=1, width=61),
    Kind("6e", "dual"),
    Kind("6e", "mono", x=35, width=40),
    Kind("6q", "full"),
    Kind("6e", "dual", "udp"),
    Kind("5e", "mono", "serial"),
)
BENCHES = tuple(
    BenchFactory(f"onbon-{kind.family}-{kind.colours}-{kind.transport}", _maker(kind)) for kind in KINDS
)
