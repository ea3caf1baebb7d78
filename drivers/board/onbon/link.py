"""The byte pipe to an Onbon card: TCP, UDP or a serial line, one question and one answer at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

import serial

from drivers.api import DeviceProtocolError, DeviceRefusedError, DeviceUnavailableError
from drivers.board.onbon.codec import FrameError, Splitter
from drivers.worker_thread import WorkerThread

logger = logging.getLogger(__name__)

DATAGRAM_MAX_BYTES = 65_000
_READ_BYTES = 4096
_BITS_PER_BYTE = 10
_TCP_BYTES_S = 250_000
"""How fast a card is granted to take a large picture: 300 KB have 1.2 s more than a short command."""
_SERIAL_POLL_S = 0.05
_QUIET_S = 0.1


class LinkLostError(DeviceUnavailableError):
    """The connection ended: the card may have been without power."""


class Link(ABC):
    """One way to a card. Opened by the first question; after any error it is closed and opened anew.

    Attributes:
        openings: how often it was opened; more than before means that the card was away.
        is_open: whether the next question goes out at once.
    """

    def __init__(self, name: str, limit_s: float) -> None:
        """Remember the name for messages, and the longest time that an answer may take."""
        self.name = name
        self.limit_s = limit_s
        self.openings = 0
        self.is_open = False

    async def ask(self, question: bytes) -> bytes:
        """Send a frame and wait for the next one.

        Args:
            question: a whole wire frame.

        Returns:
            The unescaped content of the answer.

        Raises:
            LinkLostError: the connection ended before the answer.
            DeviceUnavailableError: nobody there, or no answer in time.
            DeviceProtocolError: bytes came that are no frame.
            DeviceRefusedError: the question is too long for this way.
        """
        answered = False
        try:
            if not self.is_open:
                await self._open()
                self.is_open = True
                self.openings += 1
            answer = await self._exchange(question)
            answered = True
        except OSError as error:
            raise LinkLostError(f"{self.name}: {error}") from error
        except FrameError as error:
            raise DeviceProtocolError(f"{self.name}: {error}") from error
        finally:
            if not answered:  # whatever comes later belongs to nobody
                self.close()
        return answer

    def line_s(self, count: int) -> float:
        """How long `count` bytes take on the line, in seconds; 0 where that does not matter."""
        del count
        return 0.0

    def close(self) -> None:
        """Let go; the next question opens it again."""
        self.is_open = False
        self._close()

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _exchange(self, question: bytes) -> bytes: ...

    @abstractmethod
    def _close(self) -> None: ...

    def _too_late(self, splitter: Splitter) -> DeviceUnavailableError | DeviceProtocolError:
        if splitter.skipped or splitter.begun:
            return DeviceProtocolError(f"{self.name}: what came within {self.limit_s:g} s is no whole frame")
        return DeviceUnavailableError(f"{self.name}: no answer within {self.limit_s:g} s")


class TcpLink(Link):
    """A TCP connection, kept open between questions."""

    def __init__(self, name: str, host: str, port: int, limit_s: float) -> None:
        """Remember the address."""
        super().__init__(name, limit_s)
        self._host = host
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None

    def line_s(self, count: int) -> float:
        return count / _TCP_BYTES_S

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self.limit_s):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except TimeoutError as error:
            raise DeviceUnavailableError(f"{self.name}: no connection within {self.limit_s:g} s") from error
        except OSError as error:
            raise DeviceUnavailableError(f"{self.name}: {error}") from error

    async def _exchange(self, question: bytes) -> bytes:
        if self._reader is None or self._writer is None:
            raise LinkLostError(f"{self.name}: not connected")
        splitter = Splitter()
        try:
            async with asyncio.timeout(self.limit_s + self.line_s(len(question))):
                await self._throw_away(self._reader)
                self._writer.write(question)
                await self._writer.drain()
                while True:
                    data = await self._reader.read(_READ_BYTES)
                    if not data:
                        raise LinkLostError(f"{self.name}: the card ended the connection")
                    if contents := splitter.feed(data):
                        return contents[0]
        except TimeoutError as error:
            raise self._too_late(splitter) from error

    async def _throw_away(self, reader: asyncio.StreamReader) -> None:
        """Drop what came unasked: it is not the answer to the next question."""
        for _ in range(2):  # what lies in the kernel comes into the reader
            await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                while await reader.read(_READ_BYTES):
                    pass
                raise LinkLostError(f"{self.name}: the card ended the connection")

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._writer = self._reader = None


class _Inbox(asyncio.DatagramProtocol):
    """Keeps the last few datagrams; older ones are dropped."""

    def __init__(self) -> None:
        self.datagrams: asyncio.Queue[bytes | OSError] = asyncio.Queue(16)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:  # noqa: ARG002  asyncio calls it
        self._put(data)

    def error_received(self, exc: Exception) -> None:
        self._put(exc if isinstance(exc, OSError) else OSError(str(exc)))

    def _put(self, item: bytes | OSError) -> None:
        with suppress(asyncio.QueueFull):
            self.datagrams.put_nowait(item)


class UdpLink(Link):
    """UDP, each frame in one datagram. How much of one a card takes is not known: prefer TCP."""

    def __init__(self, name: str, host: str, port: int, limit_s: float) -> None:
        """Remember the address."""
        super().__init__(name, limit_s)
        self._address = (host, port)
        self._transport: asyncio.DatagramTransport | None = None
        self._inbox = _Inbox()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limit_s):
                self._transport, self._inbox = await loop.create_datagram_endpoint(
                    _Inbox, remote_addr=self._address
                )
        except TimeoutError as error:
            raise DeviceUnavailableError(f"{self.name}: not found within {self.limit_s:g} s") from error
        except OSError as error:
            raise DeviceUnavailableError(f"{self.name}: {error}") from error

    async def _exchange(self, question: bytes) -> bytes:
        if self._transport is None:
            raise LinkLostError(f"{self.name}: not connected")
        if len(question) > DATAGRAM_MAX_BYTES:
            raise DeviceRefusedError(
                f"{self.name}: {len(question)} bytes do not fit into a datagram, use tcp"
            )
        while not self._inbox.datagrams.empty():
            self._inbox.datagrams.get_nowait()
        splitter = Splitter()
        self._transport.sendto(question)
        try:
            async with asyncio.timeout(self.limit_s):
                while True:
                    item = await self._inbox.datagrams.get()
                    if isinstance(item, OSError):
                        raise item
                    if contents := splitter.feed(item):
                        return contents[0]
        except TimeoutError as error:
            raise self._too_late(splitter) from error

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._transport = None


class SerialLink(Link):
    """A serial line, 8N1, in a thread of its own.

    The port should be named by `/dev/serial/by-id/...`: other names go to another adapter after a reboot.
    ModemManager has to be kept away from it by udev (`ID_MM_DEVICE_IGNORE`).
    """

    def __init__(self, name: str, port: str, baud: int, limit_s: float) -> None:
        """Remember the port; `limit_s` runs from the end of the question."""
        super().__init__(name, limit_s)
        self._port_name = port
        self._baud = baud
        self._port: Any = None
        self._stop = threading.Event()
        self._thread: WorkerThread | None = None

    def line_s(self, count: int) -> float:
        return count * _BITS_PER_BYTE / self._baud

    async def _open(self) -> None:
        self._thread = WorkerThread(self.name)
        end_s = time.monotonic() + self.limit_s

        def connect() -> Any:
            while True:
                try:
                    return self._connect()
                except OSError as error:
                    if "lock" not in str(error) or time.monotonic() > end_s:
                        raise
                    time.sleep(_SERIAL_POLL_S)  # the thread before this one is about to let go

        try:
            self._port = await self._thread.call(connect, 2 * self.limit_s, discard=_close_port)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise DeviceUnavailableError(f"{self.name}: {error}") from error

    async def _exchange(self, question: bytes) -> bytes:
        port, thread = self._port, self._thread
        if port is None or thread is None:
            raise LinkLostError(f"{self.name}: not connected")
        limit_s, stop = self.limit_s + self.line_s(len(question)), self._stop

        def talk() -> bytes:
            return self._talk(port, question, limit_s, stop)

        try:
            return await thread.call(talk, limit_s + self.limit_s)
        except (TypeError, serial.PortNotOpenError) as error:  # pyserial, when the adapter is pulled out
            raise LinkLostError(f"{self.name}: {error}") from error

    def _connect(self) -> Any:
        port = serial.serial_for_url(  # type: ignore[no-untyped-call]
            self._port_name,
            self._baud,
            timeout=_SERIAL_POLL_S,
            write_timeout=self.limit_s,
            exclusive=True,
        )
        time.sleep(
            _QUIET_S
        )  # the end of an answer that came too late is thrown away before the next question
        return port

    def _talk(self, port: Any, question: bytes, limit_s: float, stop: threading.Event) -> bytes:
        splitter = Splitter()
        end_s = time.monotonic() + limit_s
        port.write_timeout = limit_s
        port.reset_input_buffer()
        port.write(question)
        while time.monotonic() < end_s and not stop.is_set():
            if contents := splitter.feed(port.read(max(1, min(port.in_waiting, _READ_BYTES)))):
                return contents[0]
        raise self._too_late(splitter)

    def _close(self) -> None:
        port, thread = self._port, self._thread
        self._port = self._thread = None
        self._stop.set()
        self._stop = threading.Event()
        if thread is not None:
            if port is not None:
                with suppress(OSError, AttributeError, TypeError):  # it may be closed already
                    port.cancel_write()
            thread.close(None if port is None else lambda: _close_port(port))


def _close_port(port: Any) -> None:
    with suppress(OSError):
        port.close()
