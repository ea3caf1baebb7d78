"""An Alpha sign made from the protocol facts (hardware.md section 1), not from our codec.

Bytes go in and answers come out; it decodes to RGB what a person would see. `emulator` plugs it in.
"""

# ruff: noqa: PLR2004  it reads like the data sheet it is made from

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

from drivers.api import Frame

_THREE = {"0": (0, 0, 0), "1": (255, 0, 0), "2": (0, 255, 0), "3": (255, 255, 0)}
_EIGHT = {
    **_THREE,
    "3": (255, 191, 0),
    "4": (128, 0, 0),
    "5": (0, 128, 0),
    "6": (128, 80, 0),
    "7": (255, 110, 0),
    "8": (255, 255, 0),
}
_SHORTEST_PAUSE_S = 0.05


@dataclass
class _Store:
    kind: str
    size: int
    more: str
    entry: bytes
    data: bytes = b""


@dataclass
class _Incoming:
    data: bytearray = field(default_factory=bytearray)
    widths_at: float | None = None
    hurried: bool = False


class AlphaEmulator:
    """The sign: its memory lives in RAM and goes with the power.

    Attributes:
        information: answer to "general information".
        strict_pauses: a DOTS picture whose rows follow its width without a pause is a buffer overflow.
        late_s, garbage, half, nack: faults of every answer.
        flip_checksums: so many of the next frames are heard with a wrong checksum.
        received: bytes that have come.
        configured: how many times the memory was laid out, which erases it.
        pictures_written: how many DOTS files were written.
        has_ack: knows ACK and NAK at all.
    """

    def __init__(self, width: int = 160, height: int = 16, *, strict_pauses: bool = True) -> None:
        self.width = width
        self.height = height
        self.information = b"1036-0114A F11 BETABRITE 8K"
        self.strict_pauses = strict_pauses
        self.has_ack = True
        self.late_s = 0.0
        self.garbage = self.half = self.nack = False
        self.flip_checksums = 0
        self.received = self.configured = self.pictures_written = 0
        self.pool_bytes = 32_000
        self.dimming = b""
        self.files: dict[int, _Store] = {}
        self.priority = b""
        self.sequence = b""
        self.register = 0x40
        self.acknowledges = False
        self._incoming = _Incoming()

    def power_cycle(self) -> None:
        """Nothing is left but the factory settings."""
        self.files.clear()
        self.priority = self.sequence = self.dimming = b""
        self.register = 0x40
        self.acknowledges = False
        self._incoming = _Incoming()

    def put_text(self, text: bytes) -> None:
        """Somebody lays out the memory and writes a text by other software."""
        self._configure(b"AAU0040FF00" + b"1BL00100000")
        self.files[ord("A")].data = b"\x1b\x20b" + text
        self.files[ord("1")].data = b"25C"
        self.sequence = b"TUA"

    def feed(self, data: bytes, now_s: float) -> list[bytes]:
        """Take bytes from the line and return what the sign answers."""
        self.received += len(data)
        answers = []
        for byte in data:
            self._incoming_byte(byte, now_s)
            if byte == 0x04 and self._incoming.data:
                incoming, self._incoming = self._incoming, _Incoming()
                answers += self._packet(incoming)
        held = self._incoming
        if held.widths_at is None and held.data[5:7] == b"\x02I" and len(held.data) == 12:
            held.widths_at = now_s
        return answers

    def _incoming_byte(self, byte: int, now_s: float) -> None:
        held = self._incoming
        if byte == 0x01:
            self._incoming = _Incoming(bytearray(b"\0\x01"))  # at least one of the sync bytes is behind us
        elif held.data:
            if len(held.data) == 12 and held.data[5:7] == b"\x02I":
                held.hurried = held.widths_at is None or now_s - held.widths_at < _SHORTEST_PAUSE_S
            held.data.append(byte)
            if len(held.data) > 100_000:
                self._incoming = _Incoming()

    def _packet(self, incoming: _Incoming) -> list[bytes]:
        packet = bytes(incoming.data)
        kind, address = packet[2:3], packet[3:5]
        if kind not in {b"Z", b"!", b"^", b"1"} or not all(
            a in (b, ord("?")) for a, b in zip(address, b"00", strict=False)
        ):
            return []
        answers: list[bytes] = []
        rest = packet[5:-1]
        while rest[:1] == b"\x02":
            end = rest.find(b"\x03")
            block, rest = (rest, b"") if end < 0 else (rest[: end + 1], rest[end + 1 :])
            checked = block[-1:] == b"\x03"
            if checked and rest[:1] not in {b"", b"\x02"}:
                stated, rest = rest[:4], rest[4:]
                right = f"{sum(block) & 0xFFFF:04X}".encode()
                if self.flip_checksums > 0 or stated != right:
                    self.flip_checksums = max(0, self.flip_checksums - 1)
                    answers += self._refuse(0x10)
                    continue
            if incoming.hurried and self.strict_pauses:
                answers += self._refuse(0x08)
                continue
            answers += self._command(block[1:].rstrip(b"\x03"))
        return answers

    def _refuse(self, bit: int) -> list[bytes]:
        self.register |= bit
        return [bytes((0x15, 0x40 | bit))] if self.acknowledges else []

    def _take(self) -> list[bytes]:
        return [b"\x06\x40"] if self.acknowledges else []

    def _command(self, body: bytes) -> list[bytes]:
        letter, data = body[:1], body[1:]
        if letter in {b"B", b"H", b"J", b"F"}:
            return self._read(letter, data)
        if self.nack:
            return self._refuse(0x20)
        if letter == b"E":
            return self._special(data)
        kinds = {b"A": "A", b"G": "B", b"I": "D"}
        if letter not in kinds or not data or data[:1] == b"?":
            return self._refuse(0x20)
        if data[:1] == b"0" and letter == b"A":
            if len(data) > 126:
                return self._refuse(0x20)
            self.priority = data[1:]
            return self._take()
        if not self.files and data[:1] == b"A" and letter == b"A":
            self.files[ord("A")] = _Store("A", 256, "FF00", b"AAU0100FF00")  # factory default
        store = self.files.get(data[0])
        if store is None or store.kind != kinds[letter]:
            return self._refuse(0x20)
        return self._write(store, data[1:])

    def _write(self, store: _Store, content: bytes) -> list[bytes]:
        if store.kind == "D":
            rows, columns = int(content[:2], 16), int(content[2:4], 16)
            lines = content[4:].split(b"\r")
            even = (
                len(lines) == rows + 1
                and lines[-1] == b""
                and all(len(line) == columns for line in lines[:-1])
            )
            if not even or (rows << 8 | columns) != store.size or rows > 31:
                return self._refuse(0x20)
            self.pictures_written += 1
        elif len(content) > (store.size if store.kind == "A" else min(store.size, 125)):
            return self._refuse(0x20)
        store.data = content
        return self._take()

    def _special(self, data: bytes) -> list[bytes]:
        label, content = data[:1], data[1:]
        if label == b"$":
            if not self._configure(content):
                return self._refuse(0x20)
        elif label == b"s" and self.has_ack and content in {b"0", b"1"}:
            self.acknowledges = content == b"1"
        elif label == b"4":
            self.register = 0x40
        elif label == b".":
            self.sequence = content
        elif label == b"/" and len(content) == 4:
            self.dimming = content
        elif label not in {b",", b" ", b"'", b"&", b";"}:
            return self._refuse(0x20)
        return self._take()

    def _configure(self, table: bytes) -> bool:
        if len(table) % 11:
            return False
        files: dict[int, _Store] = {}
        used = 0
        for at in range(0, len(table), 11):
            entry = table[at : at + 11]
            kind, size = chr(entry[1]), int(entry[3:7], 16)
            if kind not in "ABD" or entry[2:3] not in {b"U", b"L"} or entry[0] in {ord("?"), ord("0")}:
                return False
            used += (size >> 8) * (size & 0xFF) if kind == "D" else size
            files[entry[0]] = _Store(kind, size, entry[7:11].decode(), entry)
        if used > self.pool_bytes:
            return False
        self.files = files
        self.sequence = b""
        self.configured += 1
        return True

    def _read(self, letter: bytes, data: bytes) -> list[bytes]:
        if letter == b"F":
            answers = {
                b"*": bytes((self.register,)),
                b"$": b"".join(store.entry for store in self.files.values()),
                b'"': self.information,
                b".": self.sequence,
            }
            if data[:1] not in answers:
                return self._refuse(0x20)
            return [_reply(b"E" + data[:1] + answers[data[:1]])]
        echo, kind = {b"B": (b"A", "A"), b"H": (b"G", "B"), b"J": (b"I", "D")}[letter]
        if letter == b"B" and data[:1] == b"0":
            return [_reply(b"A0" + self.priority)]
        store = self.files.get(data[0]) if data else None
        if store is None or store.kind != kind:
            return self._refuse(0x20)
        return [_reply(echo + data[:1] + store.data)]

    def frame(self) -> Frame:
        """What a person sees."""
        canvas = Image.new("RGB", (self.width, self.height))
        content = self.priority or self._running()
        pieces = self._pieces(content)
        total = sum(piece.width for piece in pieces)
        x = max(0, (self.width - total) // 2)
        for piece in pieces:
            canvas.paste(piece, (x, max(0, (self.height - piece.height) // 2)))
            x += piece.width
        return Frame(self.width, self.height, canvas.tobytes())

    def _running(self) -> bytes:
        for label in self.sequence[2:] or b"A":
            store = self.files.get(label)
            if store is not None and store.kind == "A":
                return store.data
        return b""

    def _pieces(self, content: bytes) -> list[Image.Image]:
        if content[:1] == b"\x1b":
            content = content[4:] if content[2:3] == b"n" else content[3:]
        found: list[Image.Image] = []
        at = 0
        while at < len(content):
            code, following = content[at], content[at + 1 : at + 2]
            if code == 0x14 and following:
                found += self._dots(following[0])
                at += 2
            elif code in {0x10, 0x1C, 0x1A} and following:
                string = self.files.get(following[0]) if code == 0x10 else None
                found += [_letter(letter, self.height) for letter in (string.data if string else b"")]
                at += 2
            else:
                if code >= 0x20:
                    found.append(_letter(code, self.height))
                at += 1
        return found

    def _dots(self, label: int) -> list[Image.Image]:
        store = self.files.get(label)
        if store is None or store.kind != "D" or not store.data:
            return []
        rows, columns = int(store.data[:2], 16), int(store.data[2:4], 16)
        colours = _EIGHT if store.more == "4000" else _THREE
        image = Image.new("RGB", (columns, rows))
        lines = store.data[4:].decode("ascii").split("\r")
        image.putdata([self._light(colours, store.more, dot) for line in lines[:rows] for dot in line])
        return [image]

    @staticmethod
    def _light(colours: dict[str, tuple[int, int, int]], depth: str, dot: str) -> tuple[int, int, int]:
        if depth == "1000":
            return (0, 0, 0) if dot == "0" else (255, 0, 0)
        return colours.get(dot, (0, 0, 0))

    def spoil(self, answer: bytes) -> bytes:
        """An answer as it comes out with the faults that are on."""
        if self.garbage:
            return bytes(0x41 + byte % 26 for byte in range(len(answer)))
        return answer[: len(answer) // 2] if self.half else answer


def _reply(data: bytes) -> bytes:
    body = b"\x02" + data + b"\x03"
    return b"\0" * 20 + b"\x01000" + body + f"{sum(body) & 0xFFFF:04X}".encode() + b"\x04"


def _letter(code: int, height: int) -> Image.Image:
    image = Image.new("RGB", (6, min(height, 11)))
    ImageDraw.Draw(image).text((0, 0), chr(code), fill=(255, 0, 0), font=ImageFont.load_default_imagefont())
    return image
