"""Recognises sound files by their first bytes, so that only known formats ever reach the decoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from drivers.audio.flac import FlacTail, parse_stream_info
from drivers.audio.pcm import RATE
from drivers.audio.wav import PaddedWav, parse_wav

_HEAD_BYTES = 4096
# Naming demuxer, packetizer and codec keeps hostile bytes away from all the others, and keeps 20 MB of
# libraries out of memory that libvlc would load to ask them.
_FLAC = (":demux=flac", ":packetizer=flac", ":codec=flac")
# libvlc lands up to a second away in Ogg files; decoding from the beginning is exact, and fast up to here.
_OGG_DISCARD_FRAMES = 300 * RATE
_WAV = (":demux=wav", ":packetizer=copy", ":codec=araw")


_LIVE = {
    "mpeg": (":demux=mp3", ":packetizer=mpegaudio"),
    "aac": (":demux=aac", ":packetizer=mpeg4audio"),
    "ts": (":demux=ts",),
    "ogg": (":demux=ogg",),
    "flac": _FLAC,
    "wav": _WAV,
}
_FORMAT_BYTES = 64
_ADTS_RATE_MAX = 12
_MPEG_RATES = (44_100, 48_000, 32_000)
_MPEG1_KILOBITS = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG2_KILOBITS = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_TS_SYNC = 0x47
_TS_PACKET_BYTES = 188
_TS_PACKETS = 3
_MPEG_FRAMES = 2
_SURE_BYTES = 4096


class UnreadableError(Exception):
    """The file is missing, empty or not a sound format we play."""


class Seek(NamedTuple):
    """How to begin inside a file.

    Attributes:
        options: libvlc media options.
        block: FLAC block to begin with; None where libvlc finds the place.
        discard: decoded frames (48 kHz) to throw away to arrive exactly.
    """

    options: tuple[str, ...] = ()
    block: int | None = None
    discard: int = 0


class Media(NamedTuple):
    """What is known of a file before decoding it.

    Attributes:
        kind: format, for messages.
        options: libvlc media options that select the demuxer.
        block: frames per coded block when every block has that size, else 0.
        rate: frames per second of the file; 0 when unknown.
        frames: whole length in frames of the file's own rate; 0 when unknown.
    """

    kind: str
    options: tuple[str, ...] = ()
    block: int = 0
    rate: int = 0
    frames: int = 0

    def length(self) -> int | None:
        """Whole length in frames at 48 kHz, rounded up, or None when the header does not tell."""
        if not self.rate or not self.frames:
            return None
        return -(-self.frames * RATE // self.rate)

    def seek(self, frame: int) -> Seek:
        """Plan to begin at `frame` (48 kHz)."""
        frame = max(0, frame)
        if self.kind == "ogg" and frame < _OGG_DISCARD_FRAMES:
            return Seek(discard=frame)
        if self.kind == "flac" and not frame:
            return Seek(block=0)
        if not self.block or not self.rate:
            return Seek(options=(f":start-time={frame / RATE:.6f}",) if frame else ())
        block = frame * self.rate // RATE // self.block
        if self.frames:
            # libvlc's packetizer never gives out a block that stands alone.
            block = min(block, max(0, (self.frames - 1) // self.block - 1))
        return Seek(block=block, discard=frame - block * self.block * RATE // self.rate)


def open_stream(path: Path, media: Media, seek: Seek) -> FlacTail | PaddedWav | None:
    """The bytes to decode where they differ from those of the file; None where they do not.

    Raises:
        OSError: the file cannot be read.
        ValueError: its structure is broken where we need it.
    """
    if seek.block is not None:
        return FlacTail(path, seek.block)
    return PaddedWav(path) if media.kind == "wav" else None


def examine(path: Path) -> Media:
    """Recognise a file.

    Raises:
        UnreadableError: missing, empty, not a regular file, or an unknown format.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror}") from error
    try:
        head = os.read(descriptor, _HEAD_BYTES)
        size = os.fstat(descriptor).st_size
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if not head:
        raise UnreadableError("is empty")
    media = _recognise(head, size)
    if media is None:
        raise UnreadableError("is not a sound format this box plays")
    return media


class LiveStream(NamedTuple):
    """How to decode a stream that cannot be sought in.

    Attributes:
        kind: format, for messages.
        skip: bytes at its beginning that belong to nothing, because it was joined in the middle.
        options: libvlc media options.
    """

    kind: str
    skip: int
    options: tuple[str, ...]


def find_stream(head: bytes, *, whole: bool) -> LiveStream | None:
    """Recognise live sound by what has come so far; None when more is needed or it is something else.

    Args:
        head: first bytes.
        whole: nothing more will come.
    """
    for magic, kind in ((b"OggS", "ogg"), (b"fLaC", "flac"), (b"RIFF", "wav")):
        if head.startswith(magic):
            plenty = whole or len(head) >= _FORMAT_BYTES
            return LiveStream(kind, 0, _LIVE[kind]) if plenty else None
    if head.startswith(b"ID3"):
        return (
            LiveStream("mpeg", 0, (":packetizer=mpegaudio,mpeg4audio",)) if len(head) > _SURE_BYTES else None
        )
    for skip in range(min(len(head), _SURE_BYTES)):
        kind = _frames_at(head, skip)
        if kind:
            return LiveStream(kind, skip, _LIVE[kind])
    return None


def _frames_at(head: bytes, at: int) -> str:
    """The format of which several frames in a row begin at a place; "" when there are none."""
    if head[at] == _TS_SYNC:
        places = range(at, at + _TS_PACKET_BYTES * _TS_PACKETS, _TS_PACKET_BYTES)
        return "ts" if places[-1] < len(head) and all(head[n] == _TS_SYNC for n in places) else ""
    if head[at] != 0xFF:  # noqa: PLR2004  first half of a sync word
        return ""
    for kind, measure in (("aac", adts_frame_bytes), ("mpeg", mpeg_frame_bytes)):
        place = at
        for _ in range(_MPEG_FRAMES):
            length = measure(head[place : place + 8])
            if not length:
                break
            place += length
        else:
            if measure(head[place : place + 8]):
                return kind
    return ""


def adts_frame_bytes(head: bytes) -> int:
    """Length of the AAC frame whose ADTS header this is (ISO 13818-7), 0 when it is none."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > _ADTS_RATE_MAX:  # noqa: PLR2004  ISO 13818-7
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0  # noqa: PLR2004  its header alone


def mpeg_frame_bytes(head: bytes) -> int:
    """Length of the MPEG audio frame (layer I to III) whose header this is, 0 when it is none.

    Source: ISO 11172-3 section 2.4.1.3, 13818-3.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or not head[1] & 6:  # noqa: PLR2004  sync word, layer
        return 0
    layer = 4 - (head[1] >> 1 & 3)
    version, rate_code, code = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_code == 3 or code in (0, 15):  # noqa: PLR2004  reserved or free format
        return 0
    full = version == 3  # noqa: PLR2004  MPEG 1
    kilobits = (_MPEG1_KILOBITS if full else _MPEG2_KILOBITS)[layer][code]
    rate = _MPEG_RATES[rate_code] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12_000 * kilobits // rate + padding) * 4
    return (72_000 if layer == 3 and not full else 144_000) * kilobits // rate + padding  # noqa: PLR2004


def _recognise(head: bytes, size: int) -> Media | None:
    if head.startswith(b"fLaC"):
        return _flac(head)
    if head.startswith(b"OggS"):
        return Media("ogg", (":demux=avformat",))
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return _wav(head, size)
    if head[4:8] == b"ftyp":
        return Media("mp4", (":demux=mp4", ":packetizer=mpeg4audio"))
    if head.startswith(b"ID3") or _is_mpeg(head):
        return Media("mpeg", (":packetizer=mpegaudio,mpeg4audio",))
    return None


def _is_mpeg(head: bytes) -> bool:
    """Frame header of MPEG audio (layers 1 to 3) or of AAC in ADTS."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004  sync word of ISO 11172-3
        return False
    adts = head[1] & 0xF6 == 0xF0  # noqa: PLR2004  sync word and layer 0 of ISO 13818-7
    reserved = head[1] & 0x18 == 0x08 or head[2] & 0xF0 == 0xF0 or head[2] & 0x0C == 0x0C  # noqa: PLR2004  ISO 11172-3
    layered = head[1] & 0x06 != 0 and not reserved
    return adts or layered


def _flac(head: bytes) -> Media:
    info = parse_stream_info(head)
    if info is None:
        raise UnreadableError("has a broken FLAC header")
    return Media("flac", _FLAC, block=info.block, rate=info.rate, frames=info.samples)


def _wav(head: bytes, size: int) -> Media:
    info = parse_wav(head, size)
    if info is None:
        raise UnreadableError("has a broken WAV header")
    return Media("wav", _WAV, rate=info.rate, frames=info.length // info.step)
