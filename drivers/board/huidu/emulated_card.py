"""A Huidu card made from the protocol facts (hardware.md 3.1), not from our codec.

A TCP server that keeps files and programmes and decodes to RGB what a person would see.
"""

# ruff: noqa: PLR2004  it reads like the data sheet it is made from

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
import xml.etree.ElementTree as ET

from PIL import Image

from drivers.api import CardTicker, Frame
from drivers.board.huidu.emulated_session import Session, StoredFile, md5_of

_MOVING_LEFT = {21, 26}


class HuiduEmulator:
    """The card: what is in flash stays without power, what is in RAM (file types from 128 on) goes.

    Attributes:
        model, firmware, serial: as GetDeviceInfo tells them.
        appends: AddProgram leaves other programmes there, as some firmware does; else it replaces them.
        late_s: every answer comes so much later.
        garbage: answers with noise.
        half: sends half of every answer, then nothing more.
        nack: declines every method except the ones that open a session.
        drop_after_bytes: closes the connection after so many more bytes have come; None never.
        received: bytes that have come.
        stored_bytes: bytes of files that have come: wear of the flash.
        heartbeats: how many have come.
        sessions: how many were opened.
    """

    def __init__(self, width: int = 128, height: int = 64, *, appends: bool = False) -> None:
        self.width = width
        self.height = height
        self.model, self.firmware, self.serial = "C16L", "7.10.78.1", "C16L-D00-A000F"
        self.appends = appends
        self.late_s = 0.0
        self.garbage = False
        self.half = False
        self.nack = False
        self.drop_after_bytes: int | None = None
        self.received = 0
        self.stored_bytes = 0
        self.heartbeats = 0
        self.busy_answers = 0
        self.screen_on = True
        self.luminance = ("default", 100)
        self.files: dict[str, StoredFile] = {}
        self.programs: list[ET.Element] = []
        self.sessions = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one, which is then in `self.port`."""
        self._server = await asyncio.start_server(self._serve, host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Vanish: connections are closed, new ones refused."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.drop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if server is not None:
            await server.wait_closed()

    def drop(self) -> None:
        """Close every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def power_cycle(self) -> None:
        """Lose what is in RAM, and every connection."""
        self.files = {name: file for name, file in self.files.items() if file.kind < 128}
        self.screen_on = True
        self.drop()

    def put_foreign(self, colour: tuple[int, int, int], guid: str = "a-foreign-programme") -> None:
        """Somebody shows a programme of a single colour with the vendor's software."""
        held = io.BytesIO()
        Image.new("RGB", (self.width, self.height), colour).save(held, "PNG")
        data = held.getvalue()
        name = f"advert-{guid}.png"
        self.put_file(name, data)
        node = ET.fromstring(  # noqa: S314  our own text
            f'<program type="normal" guid="{guid}" name="advert"><playControl count="1"/>'
            f'<area guid="{guid}-area" alpha="255">'
            f'<rectangle x="0" y="0" width="{self.width}" height="{self.height}"/>'
            f'<resources><image guid="{guid}-image" fit="fill">'
            '<effect in="0" inSpeed="0" out="0" outSpeed="0" duration="50"/>'
            f'<file name="{name}"/></image></resources></area></program>'
        )
        self.programs = [node]

    def put_file(self, name: str, data: bytes) -> None:
        """A file is in flash already."""
        self.files[name] = StoredFile(md5_of(bytearray(data)), len(data), 0, bytearray(data))

    def frame(self) -> Frame:
        """What a person sees, without what moves; a screen that is off or has no programme is black."""
        canvas = Image.new("RGB", (self.width, self.height))
        if self.screen_on and self.programs:
            for area in self.programs[0].findall("area"):
                self._paint(canvas, area)
        return Frame(self.width, self.height, canvas.tobytes())

    def ticker(self) -> CardTicker | None:
        """The first strip that moves."""
        if not (self.screen_on and self.programs):
            return None
        for area in self.programs[0].findall("area"):
            where = _rectangle(area)
            for image in area.findall("resources/image"):
                effect = image.find("effect")
                picture = self._picture(image)
                if effect is not None and int(effect.get("in", "0")) in _MOVING_LEFT and picture is not None:
                    strip = Frame(picture.width, picture.height, picture.tobytes())
                    # No document says how fast a step is; the reading of hardware.md: 1 is the fastest of 10.
                    return CardTicker(strip, where[1], 240.0 / max(1, int(effect.get("inSpeed", "1"))))
        return None

    def _paint(self, canvas: Image.Image, area: ET.Element) -> None:
        x, y, width, height = _rectangle(area)
        image = area.find("resources/image")
        picture = None if image is None else self._picture(image)
        if image is None or picture is None:
            return
        effect = image.find("effect")
        if effect is not None and int(effect.get("in", "0")) in _MOVING_LEFT:
            return
        if image.get("fit") in {"stretch", "fill"}:
            picture = picture.resize((width, height), Image.Resampling.NEAREST)
        canvas.paste(picture.crop((0, 0, width, height)), (x, y))

    def _picture(self, image: ET.Element) -> Image.Image | None:
        named = image.find("file")
        stored = None if named is None else self.files.get(named.get("name", ""))
        if stored is None or len(stored.data) != stored.size:
            return None
        return Image.open(io.BytesIO(bytes(stored.data))).convert("RGB")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        session = Session(self)
        try:
            while True:
                head = await reader.readexactly(4)
                length, command = struct.unpack("<HH", head)
                self._count(4)
                if length < 4 or length > 9 * 1024:
                    return
                payload = await reader.readexactly(length - 4)
                self._count(length - 4)
                for answer in session.take(command, payload):
                    await self._send(writer, answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _count(self, size: int) -> None:
        self.received += size
        if self.drop_after_bytes is not None:
            self.drop_after_bytes -= size
            if self.drop_after_bytes <= 0:
                self.drop_after_bytes = None
                raise ConnectionError("cable pulled")

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        if self.late_s:
            await asyncio.sleep(self.late_s)
        if self.garbage:
            answer = bytes((byte * 167 + 251) & 0xFF | 0x80 for byte in range(len(answer) + 8))
        elif self.half:
            answer = answer[: len(answer) // 2]
        writer.write(answer)
        await writer.drain()

    def next_guid(self) -> str:
        """GUID of a new session."""
        self.sessions += 1
        return hashlib.md5(f"session {self.sessions}".encode(), usedforsecurity=False).hexdigest()


def _rectangle(area: ET.Element) -> tuple[int, int, int, int]:
    where = area.find("rectangle")
    if where is None:
        return (0, 0, 0, 0)
    x, y, width, height = (int(where.get(key, "0")) for key in ("x", "y", "width", "height"))
    return (x, y, width, height)
