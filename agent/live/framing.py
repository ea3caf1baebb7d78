"""Cuts an encoded stream where a decoder can go on, and keeps what a late reader must be given first.

It also is the check of hostile bytes: what is not audio that libvlc can play without seeking does not get
as far as the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.live.api import LiveRefusedError
from agent.live.containers import FlacFramer, OggFramer, TsFramer, WavFramer
from agent.live.mpeg import MpegFramer, frame_at
from agent.live.pieces import Piece

MAX_SNIFF_BYTES = 32 * 1024
"""An MPEG audio frame is at most 1.7 kB, so that this holds many, wherever the stream was joined."""

_TEXT_BYTES = 40
_TEXT = bytes(range(32, 127)) + b"\t\r\n\xef\xbb\xbf"  # with the mark that some editors put before UTF-8
_TS_PACKET = 188
_TS_SYNC = 0x47
_FRAMES_IN_A_ROW = 3
_BOXES = (b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg")


class Framer(Protocol):
    """Cuts the bytes of one connection into pieces."""

    @property
    def header(self) -> bytes:
        """What a decoder must have before it can begin in the middle; may be empty."""
        ...

    def feed(self, data: bytes) -> list[Piece]:
        """Whole pieces, as far as they have come.

        Raises:
            LiveLostError: this is no longer the format it was.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A format that was recognised: its name, and a framer for it."""

    name: str
    framer: Framer


class Framing:
    """Recognises the format of a connection, then cuts it.

    Attributes:
        name: of the format, "" until it is recognised.
    """

    def __init__(self) -> None:
        self.name = ""
        self._framer: Framer | None = None
        self._held = bytearray()
        self._look_at = 0

    @property
    def header(self) -> bytes:
        """What a late reader must be given first."""
        return b"" if self._framer is None else self._framer.header

    @property
    def grain_s(self) -> float:
        """Sound that comes in one burst because the format packs it so; 0 when it is little or not known."""
        return self._framer.grain_s if isinstance(self._framer, OggFramer) else 0.0

    def feed(self, data: bytes) -> list[Piece]:
        """Whole pieces, as far as they have come.

        Raises:
            LiveRefusedError: this is no audio that can be played.
            LiveLostError: this is no longer the format it was.
        """
        if self._framer is not None:
            return self._framer.feed(data)
        self._held += data
        if len(self._held) < self._look_at:
            return []
        self._look_at = len(self._held) + len(self._held) // 16
        found = sniff(bytes(self._held))
        if found is None:
            return []
        self.name, self._framer = found.name, found.framer
        held, self._held = bytes(self._held), bytearray()
        return self._framer.feed(held)


def sniff(data: bytes) -> Found | None:
    """Recognise a format by the first bytes of a stream; None while they are too few.

    Raises:
        LiveRefusedError: this is no audio, or audio that cannot be played without seeking.
    """
    if len(data) < 16:  # noqa: PLR2004 — the longest mark looked at below, with its offset
        return None
    for mark, name, make in _MARKS:
        if data.startswith(mark):
            return Found(name, make())
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return Found("wav", WavFramer())
    if data[4:8] in _BOXES:
        raise LiveRefusedError("MP4 cannot be relayed; ask the source for MP3, AAC in ADTS or MPEG-TS")
    if len(data) >= _TEXT_BYTES and not data[:_TEXT_BYTES].translate(None, _TEXT):
        raise LiveRefusedError(f"not audio but text, which begins with {data[:_TEXT_BYTES]!r}")
    body = data
    if data.startswith(b"ID3"):
        tag = id3_length(data)
        if tag > MAX_SNIFF_BYTES * 32:
            raise LiveRefusedError(f"not audio: an ID3 tag of {tag} bytes")
        body = data[tag:]
    found = _transport(body) or _mpeg(body)
    if found is None and len(body) > MAX_SNIFF_BYTES:
        raise LiveRefusedError(f"not audio that is known here; it begins with {data[:16]!r}")
    return found


_MARKS: tuple[tuple[bytes, str, Callable[[], Framer]], ...] = (
    (b"OggS", "ogg", OggFramer),
    (b"fLaC", "flac", FlacFramer),
)


def id3_length(data: bytes) -> int:
    """Whole length of the ID3v2 tag at the start of `data` (at least 10 bytes of it).

    Source: id3.org, ID3v2.4.0 section 3.1; sizes are four times seven bits.
    """
    size = (data[6] & 127) << 21 | (data[7] & 127) << 14 | (data[8] & 127) << 7 | data[9] & 127
    footer = 10 if data[5] & 0x10 else 0
    return 10 + size + footer


def _transport(data: bytes) -> Found | None:
    for start in range(min(_TS_PACKET, len(data) - 3 * _TS_PACKET)):
        if all(data[start + n * _TS_PACKET] == _TS_SYNC for n in range(4)):
            return Found("mpeg-ts", TsFramer())
    # a stream of few packets so far: three from the very start will do
    few = len(data) >= 3 * _TS_PACKET and data[0] == data[_TS_PACKET] == data[2 * _TS_PACKET] == _TS_SYNC
    return Found("mpeg-ts", TsFramer()) if few else None


def _mpeg(data: bytes) -> Found | None:
    """Two whole frames of one kind, one right behind the other, and the start of a third."""
    at = data.find(b"\xff")
    while 0 <= at < min(len(data), MAX_SNIFF_BYTES):
        kinds: list[str] = []
        there = at
        while len(kinds) < _FRAMES_IN_A_ROW and (frame := frame_at(data, there)) is not None:
            kinds.append(frame.kind)
            there += frame.length
        if len(kinds) == _FRAMES_IN_A_ROW and len(set(kinds)) == 1:
            return Found(kinds[0], MpegFramer(kinds[0]))
        at = data.find(b"\xff", at + 1)
    return None
