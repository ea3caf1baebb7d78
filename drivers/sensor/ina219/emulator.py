"""An INA219 made from its data sheet (SBOS448G), not from our codec, for tests and benches without one."""

from __future__ import annotations

import errno


class Ina219Emulator:
    """Answers as the chip does: pointer register, 16-bit registers, high byte first.

    Attributes:
        bus_millivolts: at the load side of the shunt.
        shunt_microvolts: across the shunt.
    """

    def __init__(self, bus_millivolts: int = 0, shunt_microvolts: int = 0) -> None:
        self.bus_millivolts = bus_millivolts
        self.shunt_microvolts = shunt_microvolts
        self._pointer = 0
        self._configuration = 0b0011_1001_1001_1111
        self._calibration = 0

    def transfer(self, data: bytes, read: int) -> bytes:
        """One I2C transaction; raises OSError when the chip would not acknowledge."""
        if data:
            self._pointer = data[0]
            if len(data) == 3:  # pointer and two bytes
                self._write(data[1] << 8 | data[2])
            elif len(data) != 1:
                raise OSError(errno.EREMOTEIO, "not acknowledged")
        value = self._read()
        return bytes([value >> 8, value & 0xFF] * ((read + 1) // 2))[:read]

    def power_cycle(self) -> None:
        """Lose every setting."""
        self.__init__(self.bus_millivolts, self.shunt_microvolts)  # type: ignore[misc]

    def _write(self, value: int) -> None:
        if self._pointer == 0:
            if value >> 15:
                self.power_cycle()
            else:
                self._configuration = value
        elif self._pointer == 5:  # calibration, whose bit 0 cannot be set
            self._calibration = value & 0xFFFE

    def _read(self) -> int:
        match self._pointer:
            case 0:
                return self._configuration
            case 1:
                # PGA bits 12-11: full scale 40, 80, 160, 320 mV; the converter stops there. LSB 10 uV.
                most = 4000 << (self._configuration >> 11 & 0b11)
                value = max(-most, min(most, round(self.shunt_microvolts / 10)))
                return value & 0xFFFF
            case 2:
                # BRNG bit 13: 32 V (8000 steps of 4 mV) or 16 V (4000). Bit 1: conversion ready.
                most = 8191 if self._configuration >> 13 & 1 else 4000
                return min(most, max(0, self.bus_millivolts // 4)) << 3 | 0b10
            case 5:
                return self._calibration
            case _:
                return 0
