"""An ADS1115 made from its data sheet (SBAS444E), not from our codec, for tests and benches without one."""

from __future__ import annotations

import errno

# PGA field: full scale in microvolts.
_FULL_SCALE = (6_144_000, 4_096_000, 2_048_000, 1_024_000, 512_000, 256_000, 256_000, 256_000)


class Ads1115Emulator:
    """Answers as the chip does, in single-shot mode.

    Attributes:
        microvolts: at each of the four inputs, against ground.
        looks_busy: how many times the configuration is read before a conversion has ended.
    """

    def __init__(self, microvolts: tuple[int, int, int, int] = (0, 0, 0, 0), looks_busy: int = 1) -> None:
        self.microvolts = microvolts
        self.looks_busy = looks_busy
        self._pointer = 0
        self._registers = {0: 0x0000, 1: 0x8583, 2: 0x8000, 3: 0x7FFF}
        self._busy = 0

    def transfer(self, data: bytes, read: int) -> bytes:
        """One I2C transaction; raises OSError when the chip would not acknowledge."""
        if data:
            self._pointer = data[0] & 0b11
            if len(data) == 3:  # pointer and two bytes
                self._write(data[1] << 8 | data[2])
            elif len(data) != 1:
                raise OSError(errno.EREMOTEIO, "not acknowledged")
        if not read:
            return b""
        if self._pointer == 1 and self._busy:
            self._busy -= 1
            if not self._busy:
                self._convert()
        value = self._registers[self._pointer]
        if self._pointer == 1:
            value = value & 0x7FFF | (0 if self._busy else 0x8000)
        return bytes([value >> 8, value & 0xFF] * ((read + 1) // 2))[:read]

    def _write(self, value: int) -> None:
        if self._pointer == 0:
            return  # read only
        self._registers[self._pointer] = value
        if self._pointer == 1 and value >> 15 and value >> 8 & 1:
            self._busy = self.looks_busy + 1

    def _convert(self) -> None:
        settings = self._registers[1]
        mux, gain = settings >> 12 & 0b111, settings >> 9 & 0b111
        pairs = ((0, 1), (0, 3), (1, 3), (2, 3))
        if mux >= 4:  # 4 to 7: one input against ground
            microvolts = self.microvolts[mux - 4]
        else:
            plus, minus = pairs[mux]
            microvolts = self.microvolts[plus] - self.microvolts[minus]
        code = microvolts * 32768 // _FULL_SCALE[gain]
        self._registers[0] = max(-32768, min(32767, code)) & 0xFFFF
