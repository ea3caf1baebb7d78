"""The network cable to a receiver card: whole Ethernet frames, in and out."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterable
from typing import Protocol

from drivers.api import DeviceUnavailableError
from drivers.board.colorlight.codec import REPLY_ETHERTYPE

_SEND_LIMIT_S = 1.0
_BUFFER_BYTES = 4 << 20
_FRAME_BYTES = 2048
_GET_FLAGS = 0x8913  # SIOCGIFFLAGS
_UP_AND_RUNNING = 0x41  # IFF_UP, and IFF_RUNNING: there is a carrier


class Link(Protocol):
    """Blocking calls; an OSError means that the interface is gone."""

    def carrier(self) -> bool:
        """Whether something is at the other end of the cable."""
        ...

    def send(self, frames: Iterable[bytes]) -> None: ...

    def receive(self, limit_s: float) -> bytes | None:
        """Wait for an answer of a card; None when there is none."""
        ...

    def close(self) -> None: ...


class PacketLink:
    """A network interface of its own, through AF_PACKET."""

    def __init__(self, name: str, interface: str) -> None:
        """Open it.

        Raises:
            DeviceUnavailableError: no such interface, or CAP_NET_RAW is missing.
        """
        self._name = name
        self._interface = interface
        try:
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(REPLY_ETHERTYPE)
            )
        except PermissionError as error:
            raise DeviceUnavailableError(
                f"{name}: may not send raw frames: the service needs AmbientCapabilities=CAP_NET_RAW"
            ) from error
        try:
            self._socket.bind((interface, REPLY_ETHERTYPE))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        except OSError as error:
            self._socket.close()
            if error.errno == errno.ENODEV:
                raise DeviceUnavailableError(f"{name}: there is no interface {interface}") from error
            raise

    def carrier(self) -> bool:
        request = struct.pack("16sH14x", self._interface.encode(), 0)
        try:
            flags: int = struct.unpack_from("H", fcntl.ioctl(self._socket, _GET_FLAGS, request), 16)[0]
        except OSError:  # the interface is gone
            return False
        return flags & _UP_AND_RUNNING == _UP_AND_RUNNING

    def send(self, frames: Iterable[bytes]) -> None:
        self._socket.settimeout(_SEND_LIMIT_S)
        for frame in frames:
            self._socket.send(frame)

    def receive(self, limit_s: float) -> bytes | None:
        self._socket.settimeout(limit_s)
        try:
            return self._socket.recv(_FRAME_BYTES)
        except TimeoutError:
            return None

    def close(self) -> None:
        self._socket.close()
