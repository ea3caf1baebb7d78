"""The emulated card's sockets and serial line, and the tool that integrators start; see `emulator`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import tty
from collections.abc import Callable
from pathlib import Path
from typing import cast

from PIL import Image

from drivers.board.onbon.emulator import COLOUR_CODES, TYPES, OnbonCard

logger = logging.getLogger(__name__)

_SYNC, _END = 0xA5, 0x5A
_FRAME_MAX_BYTES = 700_000
_GARBAGE = b"\xa5\xa5\x00\xffHTTP/1.1 400 Bad Request\r\n\r\n\x5a"
_LOOK_EVERY_S = 0.1


class _Frames:
    """Bytes between `a5` and `5a`, as they are."""

    def __init__(self) -> None:
        self._inside: bytearray | None = None

    def feed(self, data: bytes) -> list[bytes]:
        found = []
        for byte in data:
            if byte == _SYNC:
                self._inside = bytearray()
            elif self._inside is not None and byte == _END:
                found.append(bytes(self._inside))
                self._inside = None
            elif self._inside is not None and len(self._inside) < _FRAME_MAX_BYTES:
                self._inside.append(byte)
        return found


class CardServer:
    """Lets one card be reached by TCP, UDP and a pseudo-terminal at the same time.

    Attributes:
        card: see `OnbonCard`; its `faults` say what goes wrong.
        tcp_port, udp_port: where it listens; 0 while it does not.
        serial_port: name of the terminal; empty while there is none.
    """

    def __init__(self, card: OnbonCard, host: str = "127.0.0.1") -> None:
        """Listen nowhere yet."""
        self.card = card
        self.tcp_port = self.udp_port = 0
        self.serial_port = ""
        self._host = host
        self._plugged = True
        self._server: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._terminal: tuple[int, int] | None = None
        self._connections: set[asyncio.Transport] = set()
        self._later: set[asyncio.TimerHandle] = set()

    async def listen_tcp(self, port: int = 0) -> None:
        """Take connections; port 0 chooses one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, port)
        self.tcp_port = self._server.sockets[0].getsockname()[1]

    async def listen_udp(self, port: int = 0) -> None:
        """Take datagrams; port 0 chooses one."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self._host, port)
        )
        self.udp_port = self._udp.get_extra_info("sockname")[1]

    def listen_serial(self) -> None:
        """Make a pseudo-terminal, `serial_port`."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._terminal = (master, slave)
        self.serial_port = os.ttyname(slave)
        frames = _Frames()

        def readable() -> None:
            for content in frames.feed(self.count(os.read(master, 65_536))):
                self.deal(content, lambda data: _write(master, data), lambda: None)

        asyncio.get_running_loop().add_reader(master, readable)

    async def close(self) -> None:
        """Stop all of it."""
        await self.unplug()
        if self._udp is not None:
            self._udp.close()
            await asyncio.sleep(0)
        if self._terminal is not None:
            master, slave = self._terminal
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)

    async def unplug(self) -> None:
        """Pull the cable: connections end, new ones are refused, datagrams and serial bytes go nowhere."""
        self._plugged = False
        for handle in self._later:
            handle.cancel()
        self._later.clear()
        self.reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def plug(self) -> None:
        """Put the cable back."""
        self._plugged = True
        if self.tcp_port and self._server is None:
            await self.listen_tcp(self.tcp_port)

    def lose_power(self) -> None:
        """A moment without power: what was in RAM is gone, connections are dead."""
        self.card.lose_power()
        self.reset()

    def reset(self) -> None:
        """Break every TCP connection."""
        for transport in list(self._connections):
            transport.abort()
        self._connections.clear()

    def count(self, data: bytes) -> bytes:
        self.card.received += len(data)
        return data if self._plugged else b""

    def join(self, transport: asyncio.Transport) -> None:
        self._connections.add(transport)

    def part(self, transport: asyncio.Transport) -> None:
        self._connections.discard(transport)

    def deal(self, content: bytes, send: Callable[[bytes], None], drop: Callable[[], None]) -> None:
        """Answer one frame, or do what a fault wants instead."""
        faults = self.card.faults
        if faults.takes("drop"):
            drop()
            return
        if faults.takes("silent"):
            return
        answer = self.card.answer(content)
        if answer is None:
            return
        if faults.takes("garbage"):
            answer = _GARBAGE
        elif faults.takes("half"):
            answer = answer[: len(answer) // 2]
        if faults.late_s:
            loop = asyncio.get_running_loop()
            self._later.add(loop.call_later(faults.late_s, send, answer))
        else:
            send(answer)


def _write(terminal: int, data: bytes) -> None:
    try:
        os.write(terminal, data)
    except BlockingIOError:
        logger.debug("nobody reads from the serial line")


class _Connection(asyncio.Protocol):
    def __init__(self, server: CardServer) -> None:
        self._server = server
        self._frames = _Frames()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._server.join(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio calls it
        if self._transport is not None:
            self._server.part(self._transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        for content in self._frames.feed(self._server.count(data)):
            if not transport.is_closing():
                self._server.deal(content, transport.write, transport.abort)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: CardServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def send(answer: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(answer, addr)

        for content in _Frames().feed(self._server.count(data)):
            self._server.deal(content, send, lambda: None)


async def _serve(options: argparse.Namespace) -> None:
    card = OnbonCard(options.model, options.width, options.height, options.colours)
    if options.program is not None:
        picture = Image.open(options.program).convert("RGB").resize((card.width, card.height))
        card.programs[b"P000"] = picture.tobytes()
    server = CardServer(card, options.host)
    await server.listen_tcp(options.port)
    await server.listen_udp(options.udp_port)
    server.listen_serial()
    logger.info("tcp %d, udp %d, serial %s", server.tcp_port, server.udp_port, server.serial_port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, server.lose_power)
    try:
        await _draw(card, options.out, stop)
    finally:
        await server.close()


async def _draw(card: OnbonCard, out: Path | None, stop: asyncio.Event) -> None:
    """Keep the picture up to date; complaints of the card go to the log."""
    shown, told = b"", 0
    while not stop.is_set():
        for complaint in card.complaints[told:]:
            logger.warning("card: %s", complaint)
        told = len(card.complaints)
        seen = card.render()
        if seen != shown and out is not None:
            await asyncio.to_thread(_store, card, seen, out)
        shown = seen
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue


def _store(card: OnbonCard, rgb: bytes, out: Path) -> None:
    temporary = out.with_suffix(".new")
    Image.frombytes("RGB", (card.width, card.height), rgb).save(temporary, "PNG")
    temporary.replace(out)


def main() -> int:
    """Run a card until SIGINT or SIGTERM; SIGUSR1 takes its power away for a moment."""
    parser = argparse.ArgumentParser(description="An emulated Onbon card.")
    parser.add_argument("--model", choices=sorted(TYPES), default="6e")
    parser.add_argument("--colours", choices=sorted(COLOUR_CODES), default=None)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5005, help="TCP")
    parser.add_argument("--udp-port", type=int, default=5007)
    parser.add_argument("--program", type=Path, help="picture that is in its flash")
    parser.add_argument("--out", type=Path, help="PNG of what a person would see")
    options = parser.parse_args()
    options.colours = options.colours or ("full" if options.model == "6q" else "dual")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_serve(options))
    return 0
