"""What we do with an Alpha sign. All calls block; the driver runs them in the thread of the board.

The sign's memory is laid out once: DOTS files side by side and one TEXT file that calls them. Laying out
erases everything, so it is done only when the sign's own table differs from what we want.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.api import BoardGeometry, DeviceProtocolError, DeviceRefusedError, DriverError, Frame
from drivers.board import kept
from drivers.board.alpha import codec, former, picture
from drivers.board.alpha.codec import Acknowledged, Depth, Fault, Kind, Reply
from drivers.board.alpha.former import Former
from drivers.board.alpha.line import Line

logger = logging.getLogger(__name__)

_TEXT = b"A"
_TEXT_BYTES = 256
_BLANK = codec.MIDDLE_HOLD + b" "
_CALL_DOTS = b"\x14"
_SEQUENCE = b"SUA"
_ACK_WAIT_S = 0.3
_NOISE = (
    Fault.CHECKSUM.value
    | Fault.OVERFLOW.value
    | Fault.TIMEOUT.value
    | Fault.FRAMING.value
    | Fault.PARITY.value
)
_TRIES = 3


class GivenUpError(Exception):
    """Nobody waits any more for what was being sent; the sign took whole messages only."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the sign told."""

    lost: bool | None
    foreign: bool | None
    information: str
    detail: str
    on: bool | None = None


class Sign:
    """State of a sign as we know it. Errors are those of `line.Line`, and DeviceRefusedError."""

    def __init__(
        self,
        name: str,
        wire: Line,
        geometry: BoardGeometry,
        *,
        depth: Depth,
        address: bytes = b"00",
        acknowledge: bool = True,
        keep: Path | None = None,
    ) -> None:
        """Remember the sign; nothing is sent.

        Args:
            name: of the board, for messages.
            wire: to the sign.
            geometry: of the board, at most 31 rows.
            depth: colours of its pixels.
            address: two hexadecimal digits.
            acknowledge: ask for ACK and NAK (Alpha 2.0 and later), else read the error register.
            keep: file for what was there before us.
        """
        self._name = name
        self._wire = wire
        self._height = geometry.height_px
        self._depth = depth
        self._address = address
        self._acknowledge = acknowledge
        self._keep = keep
        self._parts = picture.parts(geometry.width_px)
        self._wanted = (
            codec.text_entry(_TEXT, _TEXT_BYTES),
            *(codec.dots_entry(p.label, self._height, p.right_px - p.left_px, depth) for p in self._parts),
        )
        self._greeted = 0
        self._laid_out = False
        self._laid_at = 0
        self._taken = False
        self._former: Former | None = None
        self._dots: dict[bytes, tuple[bytes, ...]] = {}
        self._text: bytes | None = None
        self._on = True
        self._dimmed = False
        self._turn = 0
        self._missed = ""
        self.given_up: Callable[[], bool] = lambda: False
        """Asked between messages: whether the one who wanted this has gone."""

    def greet(self) -> None:
        """Ask for a sign of life, and for acknowledgements when they are wanted; once for each opening."""
        self._wire.open()
        if self._greeted == self._wire.openings:
            return
        self._read(codec.read_special(b"*"), b"E*")
        if self._acknowledge:
            self._ask_to_acknowledge()
        self._greeted = self._wire.openings

    def show(self, frame: Frame) -> None:
        """Write the DOTS files that differ; lay out the memory first when it has to be.

        Files with light in them come first, and the page calls each as soon as it is there; files of which
        nobody knows what they hold are not called.

        Raises:
            GivenUpError: `given_up` says so; what was written is known.
        """
        with self._kept_known():
            self._prepare()
            new = {part.label: picture.rows_of(frame, part, self._depth) for part in self._parts}
            covered = self._text in {None, _BLANK}  # what the files still hold is not to be seen once more
            dark = {label for label, rows in new.items() if not any(row.strip(b"0") for row in rows)}
            for label in sorted(new, key=lambda label: label in dark):
                if self._dots.get(label) != new[label]:
                    self._dots.pop(label, None)
                    self._write(codec.write_dots(label, new[label]))
                    self._dots[label] = new[label]
                    self._write_page(
                        {key for key in self._dots if not covered or self._dots[key] == new[key]}
                    )
            self._write_page()

    def darken(self) -> None:
        """Show nothing, in one short message; the next picture is shown again."""
        with self._kept_known():
            self._prepare()
            self._write_text(_BLANK)

    def power(self, *, on: bool) -> None:
        """Show the pictures, or a blank; the pictures stay in the memory."""
        self._on = on
        self.greet()
        if self._laid_out:
            with self._kept_known():
                self._write_page()

    def dim(self, level: float) -> None:
        self.greet()
        self._write(codec.write_special(b"/", codec.dimming(level)))
        self._dimmed = True

    def look(self) -> Found:
        """Read back the table, the priority file, the page, and in turn one of the pictures."""
        self.greet()
        information = self._read(codec.read_special(b'"'), b'E"')
        detail = self._look_at_register()
        if not self._laid_out:
            return Found(None, None, _printable(information), detail or self._missed)
        table = self._read(codec.read_special(b"$"), b"E$")
        lost = table != b"".join(entry.encode() for entry in self._wanted)
        foreign = lost and table != b""
        on: bool | None = None
        if not foreign and self._read(codec.read_file(Kind.TEXT, codec.PRIORITY), b"A0") != b"":
            foreign, detail = True, "somebody wrote the priority file"
        if not lost:
            text = self._read(codec.read_file(Kind.TEXT, _TEXT), Kind.TEXT.write + _TEXT)
            foreign = foreign or (self._text is not None and text != self._text)
            on = None if foreign else text != _BLANK
            lost = self._look_at_picture()
        if lost or foreign:
            self.forget()
        return Found(lost, foreign, _printable(information), detail, on)

    def hand_back(self) -> None:
        """Put back what was there before us as far as it is known; what is not is in `look`."""
        self.greet()
        self._missed = ""
        if self._dimmed:
            self._write(codec.write_special(b"/", codec.dimming(1.0)))
            self._dimmed = False
        self.forget()  # whatever becomes of it, the next picture begins anew
        if self._taken:
            self._restore(self._former or Former())
        self._taken, self._former, self._on = False, None, True
        kept.forget(self._keep)

    def forget(self) -> None:
        """Take nothing for granted any more: the next picture is written whole."""
        self._laid_out = False
        self._dots.clear()
        self._text = None

    def close(self) -> None:
        self._wire.close()

    def _prepare(self) -> None:
        self.greet()
        if not self._laid_out or self._laid_at != self._wire.openings:
            self._lay_out()

    @contextmanager
    def _kept_known(self) -> Iterator[None]:
        """After a refusal the sign is not what we took it for: it may have been without power."""
        try:
            yield
        except DriverError:
            self.forget()
            raise

    def _restore(self, before: Former) -> None:
        self._write(codec.configure(before.entries))
        for entry in before.entries:
            content = before.contents.get(entry.label)
            if content:
                self._write(codec.write_file(entry.kind, entry.label, content))
        if before.sequence:
            self._write(codec.write_special(b".", before.sequence))
        if not before.complete:
            self._missed = "what was on the sign before is not all known; only what is known was put back"
            logger.warning("board %s: handed back, but: %s", self._name, self._missed)

    def _lay_out(self) -> None:
        """Take the sign over, give its memory our shape, and clear what would cover our pictures."""
        wanted = b"".join(entry.encode() for entry in self._wanted)
        table = self._read(codec.read_special(b"$"), b"E$")
        if not self._taken:
            self._take_over(table, ours=table == wanted)
        if table != wanted:
            self._configure(wanted)
        self._dots.clear()
        self._text = None
        self._write(codec.cancel_priority())
        self._write(codec.write_special(b".", _SEQUENCE))
        self._laid_out = True
        self._laid_at = self._wire.openings

    def _configure(self, wanted: bytes) -> None:
        logger.info("board %s: memory of the sign is laid out anew", self._name)
        for attempt in range(2):
            self._write(codec.configure(self._wanted))
            if self._read(codec.read_special(b"$"), b"E$") == wanted:
                return
            if not attempt:
                self._write(codec.write_special(b","))  # soft reset, erases nothing
                if self._acknowledge:
                    self._ask_to_acknowledge()
        raise DeviceRefusedError(f"{self._name}: the sign has no room for {self._wanted}")

    def _take_over(self, table: bytes, *, ours: bool) -> None:
        if ours:
            self._former = former.load(self._keep)
        else:
            self._former = self._remember(table)
            former.store(self._keep, self._former)
        self._taken = True

    def _remember(self, table: bytes) -> Former:
        contents: dict[bytes, bytes] = {}
        sequence = b""
        try:
            entries = codec.parse_table(table)
            if former.size_of(entries) > former.LARGEST_BYTES:
                logger.warning("board %s: what is on the sign is too long to be kept", self._name)
                return Former(entries)
            for entry in entries:
                contents[entry.label] = self._read(
                    codec.read_file(entry.kind, entry.label), entry.kind.write + entry.label, entry.size + 64
                )
            sequence = self._read(codec.read_special(b"."), b"E.")
        except (codec.MalformedError, DriverError) as error:
            logger.warning("board %s: what is on the sign cannot be read: %s", self._name, error)
            self.greet()
            return Former()
        return Former(entries, contents, sequence, complete=True)

    def _write_page(self, seen: Collection[bytes] | None = None) -> None:
        """Call the files `seen`, or all that are known."""
        seen = self._dots if seen is None else seen
        calls = b"".join(_CALL_DOTS + part.label for part in self._parts if part.label in seen)
        self._write_text(codec.MIDDLE_HOLD + calls if self._on and calls else _BLANK)

    def _write_text(self, page: bytes) -> None:
        if self._text != page:
            self._text = None
            self._write(codec.write_file(Kind.TEXT, _TEXT, page))
            self._text = page

    def _look_at_register(self) -> str:
        status = self._read(codec.read_special(b"*"), b"E*")
        value = status[0] if status else 0
        if not value & _NOISE:
            return ""
        self._write(codec.write_special(b"4"))
        names = ", ".join(bit.name.lower() for bit in Fault if value & bit.value & _NOISE)
        return f"line errors: {names}"

    def _look_at_picture(self) -> bool:
        """One of the pictures is not what we wrote."""
        if len(self._dots) < len(self._parts):
            return False
        part = self._parts[self._turn % len(self._parts)]
        self._turn += 1
        size = self._height * (part.right_px - part.left_px + 1)
        held = self._read(codec.read_file(Kind.DOTS, part.label), Kind.DOTS.write + part.label, size)
        try:
            return codec.parse_dots(held) != self._dots[part.label]
        except codec.MalformedError:
            return True

    def _ask_to_acknowledge(self) -> None:
        """Not every sign acknowledges this one, so nothing is made of silence here."""
        self._wire.send(self._framed(codec.write_special(b"s", b"1")))
        try:
            self._wire.receive(limit_s=_ACK_WAIT_S)
        except DriverError:
            self._wire.open()

    def _write(self, parts: tuple[bytes, ...]) -> None:
        """Write and have it confirmed; what the line garbled is sent again."""
        status = 0
        for _ in range(_TRIES):
            self._go_on()
            self._wire.send(self._framed(parts))
            status = self._confirmation()
            if not status & (_NOISE | Fault.ILLEGAL.value):
                return
            if status & Fault.ILLEGAL.value:
                raise DeviceRefusedError(f"{self._name}: {parts[0][:2]!r} declined, status 0x{status:02x}")
        raise DeviceProtocolError(f"{self._name}: the line garbles what is sent, status 0x{status:02x}")

    def _confirmation(self) -> int:
        if self._acknowledge:
            answer = self._wire.receive()
            if isinstance(answer, Acknowledged):
                return answer.status if not answer.well else 0
            self._wire.close()
            raise DeviceProtocolError(f"{self._name}: a reply that nobody asked for")
        status = self._ask(codec.read_special(b"*"), b"E*")
        value = status[0] if status else 0
        if value & (_NOISE | Fault.ILLEGAL.value):
            self._wire.send(self._framed(codec.write_special(b"4")))
        return value

    def _read(self, parts: tuple[bytes, ...], begins: bytes, expected_bytes: int = 512) -> bytes:
        """Read and return what follows `begins` in the reply."""
        self._go_on()
        return self._ask(parts, begins, expected_bytes)

    def _ask(self, parts: tuple[bytes, ...], begins: bytes, expected_bytes: int = 512) -> bytes:
        self._wire.send(self._framed(parts))
        answer = self._wire.receive(expected_bytes)
        if isinstance(answer, Acknowledged):
            if answer.well:  # some signs acknowledge the question before they answer it
                answer = self._wire.receive(expected_bytes)
            else:
                raise DeviceRefusedError(
                    f"{self._name}: {parts[0][:2]!r} declined, status 0x{answer.status:02x}"
                )
        if not isinstance(answer, Reply) or not answer.data.startswith(begins):
            self._wire.close()
            raise DeviceProtocolError(f"{self._name}: {parts[0][:2]!r} is answered with something else")
        return answer.data[len(begins) :]

    def _go_on(self) -> None:
        if self.given_up():
            raise GivenUpError(self._name)

    def _framed(self, parts: tuple[bytes, ...]) -> codec.Message:
        return codec.message(*parts, address=self._address)


def _printable(data: bytes) -> str:
    return "".join(chr(byte) for byte in data if 0x20 <= byte <= 0x7E)[:40].strip()  # noqa: PLR2004  ASCII
