"""I2C and SPI buses with emulated chips on them, for the drivers that would open the kernel's."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field
from typing import Protocol


class Target(Protocol):
    def transfer(self, data: bytes, read: int) -> bytes: ...


@dataclass
class EmulatedBus:
    """Chips by address; can be unplugged, hang, or answer garbage."""

    chips: dict[int, Target]
    broken: int = 0  # an errno that every transfer fails with
    garbage: bytes | None = None
    hangs: threading.Event | None = None
    closed: int = 0
    transfers: list[tuple[int, bytes, int]] = field(default_factory=list)

    def transfer(self, address: int, data: bytes, read: int) -> bytes:
        if self.hangs is not None:
            self.hangs.wait(10)
        if self.broken:
            raise OSError(self.broken, "bus error")
        self.transfers.append((address, data, read))
        if address not in self.chips:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        answer = self.chips[address].transfer(data, read)
        return answer if self.garbage is None else (self.garbage * 3)[:read]

    def close(self) -> None:
        self.closed += 1
