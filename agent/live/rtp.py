"""RTP: packets checked, put in order, and turned into a stream that can be played. Pure.

Sources: RFC 3550 section 5.1 (header), RFC 3551 (payload types), RFC 2250 (MPEG), ITU-T G.711.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.live.api import LiveRefusedError
from agent.live.containers import wav_header

_HEADER = 12
_JUMP = 1000


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet. `sequence` 0 to 65535, `payload` without padding and extensions."""

    kind: int
    sequence: int
    ssrc: int
    payload: bytes = field(repr=False)


def parse(datagram: bytes) -> Packet | None:
    """Read a datagram; None if it is no RTP packet."""
    if len(datagram) < _HEADER or datagram[0] >> 6 != 2:  # noqa: PLR2004 — the version
        return None
    kind = datagram[1] & 127
    if 64 <= kind <= 95:  # noqa: PLR2004 — RTCP and what could be taken for it, RFC 5761
        return None
    start = _HEADER + 4 * (datagram[0] & 15)
    if datagram[0] & 0x10:
        if len(datagram) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    padding = datagram[-1] if datagram[0] & 0x20 else 0
    if datagram[0] & 0x20 and padding == 0:
        return None
    payload = datagram[start : len(datagram) - padding]
    if start + padding > len(datagram) or not payload:
        return None
    return Packet(kind, int.from_bytes(datagram[2:4], "big"), int.from_bytes(datagram[8:12], "big"), payload)


class Reorder:
    """Puts packets in order by their sequence numbers; waits for a missing one for `depth` packets."""

    def __init__(self, depth: int = 6) -> None:
        self._depth = depth
        self._next = -1
        self._held: list[tuple[int, bytes]] = []

    def push(self, sequence: int, payload: bytes) -> list[bytes]:
        """What can be given on now; what is late or came twice is left out."""
        if self._next < 0:
            self._next = sequence
        ahead = (sequence - self._next + 0x8000) % 0x10000 - 0x8000
        if abs(ahead) > _JUMP:  # the sender began anew
            self._held.clear()
            self._next += (sequence - self._next) % 0x10000
            ahead = 0
        number = self._next + ahead
        if ahead < 0 or any(number == held for held, _ in self._held):
            return []
        heapq.heappush(self._held, (number, payload))
        ready = []
        while self._held and (self._held[0][0] == self._next or len(self._held) > self._depth):
            number, ready_payload = heapq.heappop(self._held)
            ready.append(ready_payload)
            self._next = number + 1
        return ready


class RtpStream:
    """Datagrams in, bytes of a playable stream out; holds to the first sender it hears.

    Attributes:
        ignored: datagrams that were no RTP, or of another sender.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._ssrc: int | None = None
        self._kind = -1
        self._order = Reorder()
        self._unpack: Callable[[bytes], bytes] | None = None

    def feed(self, datagram: bytes) -> bytes:
        """What can be played now, a WAV header first where there must be one.

        Raises:
            LiveRefusedError: a payload that cannot be played, or not without a description.
        """
        if _is_control(datagram):
            return b""
        packet = parse(datagram)
        if packet is None or (
            self._ssrc is not None and (packet.ssrc, packet.kind) != (self._ssrc, self._kind)
        ):
            self.ignored += 1
            return b""
        self.ignored = 0
        header = b""
        if self._ssrc is None or self._unpack is None:
            self._ssrc, self._kind = packet.ssrc, packet.kind
            header, self._unpack = _unpacking(packet.kind)
        unpack = self._unpack
        return header + b"".join(unpack(one) for one in self._order.push(packet.sequence, packet.payload))


def _is_control(datagram: bytes) -> bool:
    """RTCP, which good senders send now and then to the same port (RFC 5761 section 4)."""
    return len(datagram) > 1 and datagram[0] >> 6 == 2 and 64 <= datagram[1] & 127 <= 95  # noqa: PLR2004


def _unpacking(kind: int) -> tuple[bytes, Callable[[bytes], bytes]]:
    match kind:
        case 0:
            return wav_header(8000, 1), lambda data: _companded(data, _MU_LAW)
        case 8:
            return wav_header(8000, 1), lambda data: _companded(data, _A_LAW)
        case 10:
            return wav_header(44100, 2), lambda data: _swapped(data, 4)
        case 11:
            return wav_header(44100, 1), lambda data: _swapped(data, 2)
        case 14:
            return b"", lambda data: data[4:]
        case 33:
            return b"", lambda data: data[: len(data) - len(data) % 188]
        case _:
            raise LiveRefusedError(
                f"RTP payload type {kind} is not played; send MPEG audio (14), MPEG-TS (33), "
                "G.711 (0, 8) or L16 (10, 11)"
            )


def _swapped(data: bytes, block: int) -> bytes:
    whole = len(data) - len(data) % block
    swapped = bytearray(whole)
    swapped[0::2], swapped[1::2] = data[1:whole:2], data[0:whole:2]
    return bytes(swapped)


def _companded(data: bytes, table: tuple[bytes, ...]) -> bytes:
    return b"".join([table[byte] for byte in data])


def _mu_law(code: int) -> int:
    code ^= 0xFF
    size = ((code & 15) << 3) + 132 << (code >> 4 & 7)
    return 132 - size if code & 0x80 else size - 132


def _a_law(code: int) -> int:
    code ^= 0x55
    segment = code >> 4 & 7
    size = (code & 15) << 4
    size = size + 8 if segment == 0 else size + 0x108 << segment - 1
    return size if code & 0x80 else -size


_MU_LAW = tuple(_mu_law(code).to_bytes(2, "little", signed=True) for code in range(256))
_A_LAW = tuple(_a_law(code).to_bytes(2, "little", signed=True) for code in range(256))
