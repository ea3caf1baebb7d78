"""A TEA5767 made from its data sheet (rev. 05), not from our codec, for tests and benches without one."""

from __future__ import annotations

import errno


class Tea5767Emulator:
    """Five bytes in, five bytes out; there are no registers.

    Attributes:
        stations: level (0 to 15) by frequency in units of 100 kHz.
        looks_busy: how many times it is read before tuning has ended.
        written: every frame written, in order.
    """

    def __init__(self, stations: dict[int, int] | None = None, looks_busy: int = 2) -> None:
        self.stations = {} if stations is None else stations
        self.looks_busy = looks_busy
        self.written: list[bytes] = []
        self._frame = bytes([0x80, 0, 0x10, 0x50, 0])  # after power-on: muted, asleep
        self._busy = 0

    @property
    def sounding(self) -> bool:
        """Sound comes out: not asleep (byte 4 bit 6), not muted (byte 1 bit 7; byte 3 bits 2 and 1)."""
        return self.running and not self._frame[0] >> 7 and not self._frame[2] & 0b110

    @property
    def running(self) -> bool:
        return not self._frame[3] >> 6 & 1

    @property
    def microseconds(self) -> int:
        """De-emphasis: byte 5 bit 6."""
        return 75 if self._frame[4] >> 6 & 1 else 50

    def transfer(self, data: bytes, read: int) -> bytes:
        """One I2C transaction; raises OSError when the chip would not acknowledge."""
        if data:
            if len(data) > 5:
                raise OSError(errno.EREMOTEIO, "not acknowledged")
            before = self._divider
            self._frame = data + self._frame[len(data) :]
            self.written.append(data)
            if self._divider != before:
                self._busy = self.looks_busy
        return self._answer()[:read]

    @property
    def _divider(self) -> int:
        return (self._frame[0] & 0b111111) << 8 | self._frame[1]

    def _answer(self) -> bytes:
        # f = N * reference / 4, less 225 kHz with high-side injection (byte 3 bit 4); crystal: byte 4 bit 4.
        side = -1 if self._frame[2] >> 4 & 1 else 1
        reference = 32_768 if self._frame[3] >> 4 & 1 else 50_000
        hertz = self._divider * reference // 4 + side * 225_000
        tenths = round(hertz / 100_000)
        level = self.stations.get(tenths, 0)
        off_khz = abs(hertz - tenths * 100_000) // 1000
        if_count = 0x37 if tenths in self.stations and off_khz < 13 else 0x12
        ready = self.running and self._busy == 0
        self._busy = max(0, self._busy - 1)
        stereo = level > 7
        return bytes(
            [ready << 7 | self._divider >> 8, self._divider & 0xFF, stereo << 7 | if_count, level << 4, 0]
        )
