"""A Colorlight receiver card, from the public protocol notes: reads frames, keeps rows, shows on sync.

Judges what it gets: `complaints` says which frame was wrong and why. Firmware from 13 on wants sync twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

_TO = bytes((0x11, 0x22, 0x33, 0x44, 0x55, 0x66))
_FROM = bytes((0x22, 0x22, 0x33, 0x44, 0x55, 0x66))
_SETTLE_S = 0.0045


class EmulatedCard:
    """One card that drives all panels of a board."""

    def __init__(
        self, width_px: int, height_px: int, firmware: tuple[int, int] = (11, 9), uptime_s: float = 0
    ) -> None:
        """Switch it on; it has been running for `uptime_s`."""
        self.width_px = width_px
        self.height_px = height_px
        self.firmware = firmware
        self.answers = True
        self.garbage = b""
        self.complaints: list[str] = []
        self.frames = 0
        self.levels = (0, 0, 0)
        self.power_cycle()
        self._began_s -= uptime_s

    def power_cycle(self) -> None:
        """Off and on again: everything is forgotten."""
        self._began_s = time.monotonic()
        self._packets = 0
        self._rows = [bytearray(self.width_px * 3) for _ in range(self.height_px)]
        self._shown = bytes(self.width_px * self.height_px * 3)
        self._now_s = 0.0
        self._last_row_s = 0.0
        self._syncs = 0
        self._seen: set[tuple[int, int]] = set()

    @property
    def shown(self) -> bytes:
        """R G B of what the panels show at full brightness."""
        return self._shown

    def receive(self, frame: bytes, at_s: float | None = None) -> bytes | None:
        """Take one Ethernet frame that came `at_s` (any steady clock); return the answer, if there is one."""
        self._now_s = time.monotonic() if at_s is None else at_s
        self.frames += 1
        self._packets += 1
        if len(frame) < 14 or frame[:6] != _TO or frame[6:12] != _FROM:
            self._complain("addresses", frame)
            return None
        kind, data = frame[12], frame[13:]
        if kind != 0x01:
            self._syncs = 0
        if kind == 0x55:
            self._row(data, frame)
        elif kind == 0x01:
            self._sync(data, frame)
        elif kind == 0x0A:
            if len(frame) != 77 or data[3] != 0xFF or any(data[4:]):
                self._complain("brightness", frame)
            self.levels = (data[0], data[1], data[2])
        elif kind == 0x07:
            if len(data) != 271:
                self._complain("discovery", frame)
            return self._answer() if self.answers and data[3] == 0 else None
        else:
            self._complain("unknown kind", frame)
        return None

    def _row(self, data: bytes, frame: bytes) -> None:
        if len(data) < 8:
            self._complain("row cut", frame)
            return
        row, x, count = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4))
        fits = row < self.height_px and x + count <= self.width_px and 0 < count <= 497
        if not fits or data[6] != 0x08 or data[7] not in (0x80, 0x88) or len(frame) != 21 + 3 * count:
            self._complain("row", frame)
            return
        for pixel in range(count):
            blue, green, red = data[8 + 3 * pixel : 11 + 3 * pixel]
            self._rows[row][3 * (x + pixel) : 3 * (x + pixel) + 3] = bytes((red, green, blue))
        self._last_row_s = self._now_s
        self._seen.add((row, x))

    def _sync(self, data: bytes, frame: bytes) -> None:
        level = data[22] if len(data) == 99 else -1
        if level < 0 or data[0] != 0x07 or data[23] != 0x05 or set(data[25:28]) != {level} or any(data[28:]):
            self._complain("sync", frame)
            return
        if self._now_s - self._last_row_s < _SETTLE_S:
            self._complain("sync too soon after the rows", frame)
            return
        self._syncs += 1
        if self._syncs == (2 if self.firmware[0] >= 13 else 1):
            self._shown = b"".join(self._rows)

    def _answer(self) -> bytes:
        if self.garbage:
            return self.garbage
        data = bytearray(1057 - 13)
        data[0] = 0x05
        data[2:4] = bytes(self.firmware)
        data[21:25] = self.width_px.to_bytes(2, "big") + self.height_px.to_bytes(2, "big")
        data[38:42] = self._packets.to_bytes(4, "big")
        data[46:50] = (int((time.monotonic() - self._began_s) * 1000) & 0xFFFFFFFF).to_bytes(4, "big")
        return b"\xff" * 6 + _FROM + b"\x08" + bytes(data)

    def _complain(self, what: str, frame: bytes) -> None:
        self.complaints.append(f"{what}: {len(frame)} bytes {frame[:24].hex()}")


class EmulatedLink:
    """A cable with an emulated card at its end."""

    def __init__(self, card: EmulatedCard) -> None:
        self._card = card
        self._answers: deque[bytes] = deque()
        self.plugged = True

    def carrier(self) -> bool:
        return self.plugged

    def send(self, frames: Iterable[bytes]) -> None:
        """Deliver; without a cable the kernel drops frames silently."""
        for frame in frames:
            answer = self._card.receive(bytes(frame)) if self.plugged else None
            if answer is not None:
                self._answers.append(answer)

    def receive(self, limit_s: float) -> bytes | None:
        """Hand over an answer, at once."""
        del limit_s
        return self._answers.popleft() if self._answers else None

    def close(self) -> None:
        """Pull nothing: the cable stays."""
