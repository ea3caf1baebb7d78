"""Transfers on an SPI bus through the kernel's `/dev/spidevB.C`.

gpiozero's own MCP3008 needs the `spidev` package or falls back to switching pins by hand, and hides the
bit that tells an absent chip from 0 V; three ioctls do the same without either.
Everything here blocks; drivers call it in a `WorkerThread`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable
from typing import Any, Protocol

from drivers.api import DeviceUnavailableError

_WR_MODE = 0x40016B01
_WR_MAX_SPEED_HZ = 0x40046B04
_MESSAGE_1 = 0x40206B00


class _Transfer(ctypes.Structure):
    """`struct spi_ioc_transfer` of <linux/spi/spidev.h>, 32 bytes."""

    _fields_ = (
        ("tx_buf", ctypes.c_uint64),
        ("rx_buf", ctypes.c_uint64),
        ("len", ctypes.c_uint32),
        ("speed_hz", ctypes.c_uint32),
        ("delay_usecs", ctypes.c_uint16),
        ("bits_per_word", ctypes.c_uint8),
        ("cs_change", ctypes.c_uint8),
        ("tx_nbits", ctypes.c_uint8),
        ("rx_nbits", ctypes.c_uint8),
        ("word_delay_usecs", ctypes.c_uint8),
        ("pad", ctypes.c_uint8),
    )


class Link(Protocol):
    """One chip select of an SPI bus, open."""

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many, received meanwhile; raises OSError."""
        ...

    def close(self) -> None: ...


class LinuxLink:
    """`/dev/spidev0.N`, mode 0, 8 bits a word."""

    def __init__(
        self, device: int, speed_hz: int, ioctl: Callable[[int, int, Any], Any] = fcntl.ioctl
    ) -> None:
        """Open the chip select and set it up.

        Raises:
            DeviceUnavailableError: there is no such device, or we may not use it.
        """
        self._ioctl = ioctl
        self._speed_hz = speed_hz
        path = f"/dev/spidev0.{device}"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceUnavailableError(
                f"{path} cannot be opened: {error.strerror}; is SPI switched on (raspi-config, or "
                "dtparam=spi=on) and is this user in the group spi?"
            ) from error
        try:
            ioctl(self._descriptor, _WR_MODE, ctypes.c_uint8(0))
            ioctl(self._descriptor, _WR_MAX_SPEED_HZ, ctypes.c_uint32(speed_hz))
        except OSError as error:
            os.close(self._descriptor)
            raise DeviceUnavailableError(f"{path} refuses mode 0: {error.strerror}") from error

    def transfer(self, data: bytes) -> bytes:
        out = (ctypes.c_uint8 * len(data))(*data)
        into = (ctypes.c_uint8 * len(data))()
        request = _Transfer(
            tx_buf=ctypes.addressof(out),
            rx_buf=ctypes.addressof(into),
            len=len(data),
            speed_hz=self._speed_hz,
            bits_per_word=8,
        )
        self._ioctl(self._descriptor, _MESSAGE_1, request)
        return bytes(into)

    def close(self) -> None:
        os.close(self._descriptor)
