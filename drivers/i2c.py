"""Transfers on an I2C bus through the kernel's `/dev/i2c-N`.

One ioctl (I2C_RDWR) does all that our chips need, so there is no further package to pin on the image.
Everything here blocks; drivers call it in a `WorkerThread`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from typing import Any, Protocol

from drivers.api import DeviceProtocolError, DeviceUnavailableError

HIGHEST_BUS = 63
_I2C_RDWR = 0x0707
_I2C_M_RD = 0x0001
# A chip that is not there, does not acknowledge, or holds the bus down.
_SILENT = frozenset({errno.ENXIO, errno.EREMOTEIO, errno.EIO, errno.ETIMEDOUT, errno.ENODEV, errno.EAGAIN})


class _Message(ctypes.Structure):
    """`struct i2c_msg` of <linux/i2c.h>."""

    _fields_ = (
        ("addr", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("len", ctypes.c_uint16),
        ("buf", ctypes.c_void_p),
    )


class _Request(ctypes.Structure):
    """`struct i2c_rdwr_ioctl_data` of <linux/i2c-dev.h>."""

    _fields_ = (("msgs", ctypes.POINTER(_Message)), ("nmsgs", ctypes.c_uint32))


class Bus(Protocol):
    """An I2C bus, open. Every call blocks, for at most the time limit of the kernel's bus driver."""

    def transfer(self, address: int, data: bytes, read: int) -> bytes:
        """Write `data` (may be empty), then read `read` bytes (may be 0) after a repeated start.

        Raises:
            OSError: as the kernel says, for example ENXIO when no chip acknowledges.
        """
        ...

    def close(self) -> None: ...


class LinuxBus:
    """The kernel's bus of one number."""

    def __init__(self, number: int, ioctl: Callable[[int, int, Any], Any] = fcntl.ioctl) -> None:
        """Open the bus.

        Raises:
            DeviceUnavailableError: there is no such bus, or we may not use it.
        """
        self._ioctl = ioctl
        try:
            self._descriptor = os.open(f"/dev/i2c-{number}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceUnavailableError(
                f"I2C bus {number} cannot be opened: {error.strerror}; is it switched on (raspi-config, or "
                "dtparam=i2c_arm=on) and is this user in the group i2c?"
            ) from error

    def transfer(self, address: int, data: bytes, read: int) -> bytes:
        out = (ctypes.c_uint8 * max(1, len(data)))(*data)
        into = (ctypes.c_uint8 * max(1, read))()
        messages = []
        if data:
            messages.append(_Message(address, 0, len(data), ctypes.addressof(out)))
        if read:
            messages.append(_Message(address, _I2C_M_RD, read, ctypes.addressof(into)))
        request = _Request((_Message * len(messages))(*messages), len(messages))
        self._ioctl(self._descriptor, _I2C_RDWR, request)
        return bytes(into)[:read]

    def close(self) -> None:
        os.close(self._descriptor)


class Chip:
    """One chip on a bus, with 16-bit registers sent high byte first or with none."""

    def __init__(self, name: str, bus: Bus, address: int) -> None:
        self.name = name
        self._bus = bus
        self._address = address

    def transfer(self, data: bytes, read: int = 0) -> bytes:
        """Write, then read.

        Raises:
            DeviceUnavailableError: the chip does not answer.
            DeviceProtocolError: fewer bytes came than asked for.
        """
        try:
            found = self._bus.transfer(self._address, data, read)
        except OSError as error:
            reason = "no answer" if error.errno in _SILENT else "the bus refuses"
            raise DeviceUnavailableError(
                f"{self.name}: I2C address 0x{self._address:02x}: {reason}: {error.strerror}"
            ) from error
        if len(found) != read:
            raise DeviceProtocolError(f"{self.name}: {len(found)} bytes instead of {read}")
        return found

    def read_register(self, register: int) -> int:
        """Read a 16-bit register, 0 to 65535."""
        return int.from_bytes(self.transfer(bytes([register]), 2), "big")

    def write_register(self, register: int, value: int) -> None:
        """Write a 16-bit register, 0 to 65535."""
        self.transfer(bytes([register]) + value.to_bytes(2, "big"))
