"""An RDA5807M made from its data sheet (V1.8), not from our codec, for tests and benches without one."""

from __future__ import annotations

import errno

_AFTER_RESET = {
    0x00: 0x5804,
    0x02: 0x0000,
    0x03: 0x4FC0,
    0x04: 0x0400,
    0x05: 0x888B,
    0x06: 0x0000,
    0x07: 0x42C6,
}


class Rda5807mEmulator:
    """Answers at its address for single registers.

    Attributes:
        stations: signal strength (0 to 127) by frequency in units of 100 kHz.
        looks_busy: how many times the status is read before tuning has ended.
        written: every (register, value) written, in order.
    """

    def __init__(self, stations: dict[int, int] | None = None, looks_busy: int = 2) -> None:
        self.stations = {} if stations is None else stations
        self.looks_busy = looks_busy
        self.written: list[tuple[int, int]] = []
        self._registers = dict(_AFTER_RESET)
        self._pointer = 0
        self._busy = 0
        self._complete = False
        self._tenths = 870

    @property
    def sounding(self) -> bool:
        """Sound comes out: running (bit 0 of 02), driven (bit 15), not muted (bit 14)."""
        return self._registers[0x02] & 0b1100_0000_0000_0001 == 0b1100_0000_0000_0001

    @property
    def running(self) -> bool:
        return bool(self._registers[0x02] & 1)

    @property
    def microseconds(self) -> int:
        """De-emphasis: bit 11 of 04."""
        return 50 if self._registers[0x04] >> 11 & 1 else 75

    @property
    def volume(self) -> int:
        return self._registers[0x05] & 0b1111

    @property
    def aerial(self) -> int:
        """Input of the amplifier: bits 7-6 of 05; 2 is LNAP, where the aerial is."""
        return self._registers[0x05] >> 6 & 0b11

    def transfer(self, data: bytes, read: int) -> bytes:
        """One I2C transaction; raises OSError when the chip would not acknowledge."""
        if data:
            self._pointer = data[0]
            for at in range(1, len(data) - 1, 2):
                self._write(data[at] << 8 | data[at + 1])
            if len(data) % 2 == 0:
                raise OSError(errno.EREMOTEIO, "not acknowledged")
        value = self._read() if read else 0
        return bytes([value >> 8, value & 0xFF] * ((read + 1) // 2))[:read]

    def power_cycle(self) -> None:
        """Lose every setting."""
        self._registers = dict(_AFTER_RESET)
        self._busy, self._complete = 0, False

    def _write(self, value: int) -> None:
        register = self._pointer
        self.written.append((register, value))
        self._pointer += 1
        if register == 0x02 and value & 0b10:  # soft reset: the bit clears itself
            self.power_cycle()
            value &= ~0b10
        self._registers[register] = value
        if register == 0x03:
            if value >> 4 & 1 and self.running:
                low = (870, 760, 760, 650)[value >> 2 & 0b11]
                step_khz = (100, 200, 50, 25)[value & 0b11]
                self._tenths = low + (value >> 6) * step_khz // 100
                self._busy, self._complete = self.looks_busy, False
            else:
                self._busy, self._complete = 0, False

    def _read(self) -> int:
        strength = self.stations.get(self._tenths, 3)
        station = self._tenths in self.stations
        match self._pointer:
            case 0x0A:
                if self._registers[0x03] >> 4 & 1 and self.running:
                    self._complete = self._busy == 0
                    self._busy = max(0, self._busy - 1)
                stereo = station and strength > 30
                return self._complete << 14 | stereo << 10 | self._registers[0x03] >> 6
            case 0x0B:
                return strength << 9 | station << 8 | 1 << 7
            case register:
                return self._registers.get(register, 0)
