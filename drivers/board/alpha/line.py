"""The wire to an Alpha sign: a serial port by its stable name, or a serial server. All calls block."""

from __future__ import annotations

import logging
import os
import socket
import termios
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

import serial

from drivers.api import DeviceProtocolError, DeviceUnavailableError
from drivers.board.alpha.codec import PAUSE_S, Acknowledged, MalformedError, Message, Reply, Splitter

logger = logging.getLogger(__name__)

BAUD = 9600
LIMIT_S = 2.0
_BITS_PER_BYTE = 10
_LOOK_S = 0.05
_PAUSE_EXTRA_S = 0.01
_ANSWER_BYTES = 64
_READ_BYTES = 4096
_LONGEST_BYTES = 8_192

Answer = Acknowledged | Reply


class _Port(Protocol):
    """What we use of pyserial, which has no types."""

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


def _open(device: str, baud: int, write_timeout_s: float) -> _Port:
    factory = cast("Callable[..., _Port]", serial.serial_for_url)
    emulated = os.path.realpath(device).startswith("/dev/pts/")  # knows neither 7 bits nor parity
    return factory(
        device,
        baudrate=baud,
        bytesize=serial.EIGHTBITS if emulated else serial.SEVENBITS,
        parity=serial.PARITY_NONE if emulated else serial.PARITY_EVEN,
        stopbits=serial.STOPBITS_ONE,
        timeout=_LOOK_S,
        write_timeout=write_timeout_s,
    )


class Line:
    """Sends messages with their pauses and waits for answers; opens the port when it has to.

    Errors: DeviceUnavailableError (no port, no answer in time), DeviceProtocolError (an answer outside the
    manual). After either the port is closed: an adapter that was unplugged comes back under its stable name.
    """

    def __init__(self, name: str, device: str, *, baud: int = BAUD, limit_s: float = LIMIT_S) -> None:
        """Remember the port.

        Args:
            name: of the board, for messages.
            device: path such as `/dev/serial/by-id/...`, or `socket://host:port`.
            baud: 1200 to 38400.
            limit_s: longest wait for an answer, besides the time that bytes take on the wire.
        """
        self._name = name
        self._device = device
        self._baud = baud
        self._limit_s = limit_s
        self._port: _Port | None = None
        self._splitter = Splitter()
        self.openings = 0
        """How many times the port was opened so far."""

    def line_s(self, size_bytes: int) -> float:
        """Time that so many bytes take on the wire."""
        return size_bytes * _BITS_PER_BYTE / self._baud

    def open(self) -> None:
        """Open the port unless it is open."""
        if self._port is not None:
            return

        def opened() -> None:
            self._port = _open(self._device, self._baud, self._limit_s + self.line_s(_LONGEST_BYTES))

        self._guarded(opened)
        self._splitter = Splitter()
        self.openings += 1

    def close(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        # pyserial 3.5 forgets to close a socket whose other end is gone.
        held: socket.socket | None = getattr(port, "_socket", None)
        try:
            port.close()
        except (OSError, termios.error) as error:
            logger.debug("%s: while closing: %s", self._name, error)
        if held is not None:
            held.close()

    def send(self, message: Message) -> None:
        """Send a message and forget what came before it."""
        self.open()
        self._guarded(self._clear)
        for number, chunk in enumerate(message):
            if number:
                time.sleep(PAUSE_S + _PAUSE_EXTRA_S)
            self._guarded(partial(self._write, chunk))

    def receive(self, expected_bytes: int = _ANSWER_BYTES, limit_s: float | None = None) -> Answer:
        """Wait for the next answer; `expected_bytes` gives it time on the wire."""
        end = time.monotonic() + (limit_s or self._limit_s) + self.line_s(expected_bytes)
        found: list[Answer] = []

        def look() -> None:
            data = bytes(self._open_port().read(max(1, min(self._open_port().in_waiting, _READ_BYTES))))
            found.extend(self._splitter.feed(data))

        while not found:
            if time.monotonic() > end:
                self.close()
                raise DeviceUnavailableError(f"{self._name}: no answer within {self._limit_s:g} s")
            self._guarded(look)
        return found[0]

    def _open_port(self) -> _Port:
        if self._port is None:
            raise DeviceUnavailableError(f"{self._name}: port is closed")
        return self._port

    def _clear(self) -> None:
        port = self._open_port()
        end = time.monotonic() + self._limit_s
        while port.in_waiting:
            if time.monotonic() > end:
                raise MalformedError("it does not stop talking")
            port.read(_READ_BYTES)
        self._splitter = Splitter()

    def _write(self, chunk: bytes) -> None:
        port = self._open_port()
        port.write(chunk)
        port.flush()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except MalformedError as error:
            self.close()
            raise DeviceProtocolError(f"{self._name}: {error}") from error
        except (OSError, termios.error) as error:  # pyserial's own are OSErrors
            self.close()
            raise DeviceUnavailableError(f"{self._name}: {error}") from error
