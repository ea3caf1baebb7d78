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
