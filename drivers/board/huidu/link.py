"""One session with a Huidu card: every answer has its time limit, and a doubtful stream is dropped."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar
from xml.etree.ElementTree import Element

from drivers.api import DeviceProtocolError, DeviceRefusedError, DeviceUnavailableError
from drivers.board.huidu import codec, documents
from drivers.board.huidu.codec import Command, FileKind, MalformedError

logger = logging.getLogger(__name__)

LIMIT_S = 2.0
_READ_BYTES = 65_536
_BUSY_TRIES = 10
_BUSY_WAIT_S = 0.2

T = TypeVar("T")


class _ClosedError(Exception):
    """The card closed the connection."""


class Link:
    """Asks one thing at a time; the caller sees to that. Connects when it has to.

    Errors of every verb: DeviceUnavailableError (no connection, no answer in time), DeviceProtocolError (an
    answer outside the manual), DeviceRefusedError (an error status or result).
    """

    def __init__(self, name: str, host: str, port: int, limit_s: float = LIMIT_S) -> None:
        """Remember the address; `limit_s` is the longest wait for one answer."""
        self._name = name
        self._host = host
        self._port = port
        self._limit_s = limit_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._splitter = codec.Splitter()
        self._packets: deque[codec.Packet] = deque()
        self._guid = documents.PLACEHOLDER
        self.sessions = 0
        """How many sessions have been opened so far."""

    async def ensure(self) -> None:
        """Open a session unless one is open."""
        if self._writer is not None and self._reader is not None and not self._reader.at_eof():
            return
        self._drop()
        try:
            async with self._guarded():
                await self._connect()
        except DeviceRefusedError:
            self._drop()
            raise

    async def call(self, method: str, children: Iterable[Element] = ()) -> Element:
        """Call a method and return its `out` element; asks again while the card says that it is busy."""
        held = tuple(children)
        out = await self._twice(lambda: self._call(method, held))
        for _ in range(_BUSY_TRIES):
            if out.get("result") not in documents.BUSY:
                break
            await asyncio.sleep(_BUSY_WAIT_S)
            out = await self._twice(lambda: self._call(method, held))
        result = (out.get("result") or "")[:60]
        if result in documents.BUSY:
            raise DeviceUnavailableError(f"{self._name}: {method}: still busy")
        if result != documents.SUCCESS:
            raise DeviceRefusedError(f"{self._name}: {method}: {result!r}")
        return out

    async def send_file(self, name: str, md5: str, data: bytes, kind: FileKind) -> int:
        """Bring a file to the card and return how many bytes had to be sent: 0 when it has it already."""
        return await self._twice(lambda: self._send_file(name, md5, data, kind))

    async def beat(self) -> None:
        """Keep the session alive; nothing happens without one."""
        if self._writer is None:
            return
        async with self._guarded():
            self._write(codec.pack(Command.HEARTBEAT))
            await self._answer(Command.HEARTBEAT_ANSWER)

    def close(self) -> None:
        self._drop()

    async def _twice(self, verb: Callable[[], Awaitable[T]]) -> T:
        """Try again once when an old connection turns out to have been closed meanwhile."""
        before = self.sessions
        await self.ensure()
        fresh = self.sessions != before
        try:
            async with self._guarded(pass_closed=not fresh):
                return await verb()
        except _ClosedError:
            logger.debug("%s: connection was closed, opening another", self._name)
        await self.ensure()
        async with self._guarded():
            return await verb()

    @asynccontextmanager
    async def _guarded(self, *, pass_closed: bool = False) -> AsyncIterator[None]:
        """Translate what can go wrong; whatever it is, the stream is not trusted any more."""
        try:
            yield
        except DeviceRefusedError:
            raise  # a whole answer was read: the stream is in step
        except TimeoutError as error:
            self._drop()
            raise DeviceUnavailableError(f"{self._name}: no answer within {self._limit_s:g} s") from error
        except (_ClosedError, ConnectionError) as error:
            self._drop()
            if pass_closed:
                raise _ClosedError from error
            raise DeviceUnavailableError(f"{self._name}: connection closed") from error
        except MalformedError as error:
            self._drop()
            raise DeviceProtocolError(f"{self._name}: {error}") from error
        except OSError as error:
            self._drop()
            raise DeviceUnavailableError(f"{self._name}: {error}") from error
        except BaseException:
            self._drop()
            raise

    async def _connect(self) -> None:
        async with asyncio.timeout(self._limit_s):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self.sessions += 1
        self._write(codec.version_ask())
        codec.version_answer(await self._answer(Command.VERSION_ANSWER))
        for packet in codec.xml_ask(documents.if_version()):
            self._write(packet)
        guid, out = documents.answer(await self._document(), "GetIFVersion")
        if out.get("result") != documents.SUCCESS:
            raise DeviceRefusedError(f"{self._name}: no session: {(out.get('result') or '')[:60]!r}")
        if not guid or guid == documents.PLACEHOLDER:
            raise MalformedError("no GUID for the session")
        self._guid = guid

    async def _call(self, method: str, children: tuple[Element, ...]) -> Element:
        for packet in codec.xml_ask(documents.ask(self._guid, method, children)):
            self._write(packet)
            await self._drain()
        guid, out = documents.answer(await self._document(), method)
        if guid not in {self._guid, documents.PLACEHOLDER, ""}:
            raise MalformedError(f"{method}: answer of another session")
        return out

    async def _send_file(self, name: str, md5: str, data: bytes, kind: FileKind) -> int:
        self._write(codec.file_start(name, md5, len(data), kind))
        try:
            found = codec.file_found(await self._answer(Command.FILE_START_ANSWER))
        except DeviceRefusedError:
            self._drop()  # nobody knows whether the card still waits for the file
            raise
        sent = 0
        if found.status == 0:
            start = found.size_bytes if found.size_bytes <= len(data) else 0
            for packet in codec.file_bytes(data, start):
                self._write(packet)
                await self._drain()
            sent = len(data) - start
        # Also after a refusal: it brings the card back to taking requests.
        self._write(codec.pack(Command.FILE_END))
        end = codec.status_of(await self._answer(Command.FILE_END_ANSWER))
        if found.status or end:
            raise DeviceRefusedError(f"{self._name}: file {name}: status {found.status or end}")
        return sent

    async def _document(self) -> bytes:
        """Whole answer; the limit is for all of its pieces."""
        document = codec.Document()
        async with asyncio.timeout(self._limit_s):
            while True:
                whole = document.add(await self._packet(Command.XML_ANSWER))
                if whole is not None:
                    return whole

    async def _answer(self, wanted: Command) -> bytes:
        async with asyncio.timeout(self._limit_s):
            return await self._packet(wanted)

    async def _packet(self, wanted: Command) -> bytes:
        """Next packet of that kind; heartbeats and what the card says unasked (GPS) are passed over."""
        while True:
            while not self._packets:
                data = await self._require(self._reader).read(_READ_BYTES)
                if not data:
                    raise _ClosedError
                self._packets.extend(self._splitter.feed(data))
            packet = self._packets.popleft()
            if packet.command == wanted:
                return packet.payload
            if packet.command == Command.ERROR:
                status = codec.status_of(packet.payload)
                if status == codec.OCCUPIED:
                    self._drop()
                    raise DeviceUnavailableError(f"{self._name}: another client has the card")
                raise DeviceRefusedError(f"{self._name}: error status {status}")
            if packet.command == Command.HEARTBEAT:
                self._write(codec.pack(Command.HEARTBEAT_ANSWER))

    def _write(self, data: bytes) -> None:
        self._require(self._writer).write(data)

    async def _drain(self) -> None:
        async with asyncio.timeout(self._limit_s):
            await self._require(self._writer).drain()

    def _require(self, stream: T | None) -> T:
        if stream is None:
            raise _ClosedError
        return stream

    def _drop(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        self._splitter = codec.Splitter()
        self._packets.clear()
        self._guid = documents.PLACEHOLDER
        if writer is not None:
            writer.transport.abort()
