"""Receives RTP on the local network, by multicast or sent to the box itself."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import struct
from collections import deque

from agent.live.api import LiveLostError, LiveRefusedError, Sink
from agent.live.rtp import RtpStream

_MAX_WAITING = 256
_MAX_IGNORED = 4000
_DATAGRAM_BYTES = 65536


def group_and_port(address: str) -> tuple[str, int]:
    """Read `239.1.2.3:5004` or `rtp://239.1.2.3:5004`.

    Raises:
        LiveRefusedError: it is none.
    """
    found = re.fullmatch(r"(?:rtp://@?)?([0-9.]{7,15}):([0-9]{1,5})/?", address.strip())
    with contextlib.suppress(ValueError):
        if found is not None and 1024 <= int(found[2]) <= 65535:  # noqa: PLR2004
            return str(ipaddress.IPv4Address(found[1])), int(found[2])
    raise LiveRefusedError(f"the address must be group:port such as 239.1.2.3:5004, not {address[:60]!r}")


class MulticastSource:
    """Sound by RTP to a group and port."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def run(self, sink: Sink) -> None:
        """See `Source`; never returns by itself."""
        group, port = group_and_port(self._address)
        stream = RtpStream()
        try:
            joined = _joined(group, port)
        except OSError as error:
            raise LiveLostError(f"{group}:{port} cannot be received: {error}") from error
        inlet = _Inlet()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: inlet, sock=joined)
        try:
            while True:
                for datagram in await inlet.datagrams():
                    data = stream.feed(datagram)
                    if data:
                        await sink.take(data)
                if stream.ignored > _MAX_IGNORED:
                    raise LiveLostError(
                        f"{group}:{port}: what arrives is not the RTP it was, or not from its sender"
                    )
        finally:
            transport.close()


class _Inlet(asyncio.DatagramProtocol):
    """Datagrams that wait; of too many the oldest are lost."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque(maxlen=_MAX_WAITING)
        self._came = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:  # noqa: ARG002
        self._waiting.append(data)
        self._came.set()

    async def datagrams(self) -> list[bytes]:
        await self._came.wait()
        self._came.clear()
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _joined(group: str, port: int) -> socket.socket:
    """A socket that receives the group on every interface that can: nobody should have to name one."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((group, port))
        if ipaddress.IPv4Address(group).is_multicast:
            joined = 0
            for index, _ in socket.if_nameindex():
                with contextlib.suppress(OSError):  # an interface without multicast, or down
                    member = struct.pack("@4s4si", socket.inet_aton(group), b"\0" * 4, index)
                    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
                    joined += 1
            if not joined:
                raise OSError("no network interface takes part in multicast")  # noqa: TRY301
    except OSError:
        made.close()
        raise
    return made
