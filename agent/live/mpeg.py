"""MPEG audio (MP3 and its elders) and AAC in ADTS: frames found by their headers."""

from __future__ import annotations

from dataclasses import dataclass

from agent.live.api import LiveLostError
from agent.live.pieces import Piece

MAX_GARBAGE_BYTES = 64 * 1024
"""So many bytes without a frame, and the stream is something else now."""

_MAX_TAG_BYTES = 1024 * 1024

# ISO 11172-3 table 2.4.2.3 and ISO 13818-3: kbit/s by (version 1 or not, layer); index 0 is "free"
_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_AAC_HERTZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: `mpeg` or `adts`, its length in bytes and its sound in seconds."""

    kind: str
    length: int
    sound_s: float


def frame_at(data: bytes | bytearray, at: int) -> Frame | None:
    """The frame whose header is at `at`, None if there is none (or less than a header of it)."""
    if len(data) - at < 6 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:  # noqa: PLR2004
        return None
    return _adts(data, at) if data[at + 1] & 0xF6 == 0xF0 else _mpeg(data, at)  # noqa: PLR2004


def _mpeg(data: bytes | bytearray, at: int) -> Frame | None:
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    rate, hertz, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or rate in (0, 15) or hertz == 3:  # noqa: PLR2004 — reserved values
        return None
    bits_s = _RATES[version == 3, layer][rate] * 1000  # noqa: PLR2004
    samples_s = _HERTZ[version][hertz]
    if layer == 1:
        return Frame("mpeg", (12 * bits_s // samples_s + padding) * 4, 384 / samples_s)
    samples = 576 if layer == 3 and version != 3 else 1152  # noqa: PLR2004
    return Frame("mpeg", samples // 8 * bits_s // samples_s + padding, samples / samples_s)


def _adts(data: bytes | bytearray, at: int) -> Frame | None:
    hertz = data[at + 2] >> 2 & 15
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if hertz >= len(_AAC_HERTZ) or length < 7:  # noqa: PLR2004 — a header alone has 7 bytes
        return None
    return Frame("adts", length, 1024 / _AAC_HERTZ[hertz])


class MpegFramer:
    """Cuts MPEG audio or ADTS into whole frames; what is between them (tags, damage) is left out."""

    header = b""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._held = bytearray()
        self._skip = 0
        self._garbage = 0
        self._synced = False
        self._next: dict[bytes, int] = {}

    def feed(self, data: bytes) -> list[Piece]:
        """Whole frames so far as one piece.

        Raises:
            LiveLostError: no frame for long.
        """
        self._held += data
        held, at, sound_s = self._held, 0, 0.0
        frames = bytearray()
        self._next = {mark: held.find(mark) for mark in (b"\xff", b"ID3")}
        while True:
            if self._skip:
                step = min(self._skip, len(held) - at)
                self._skip -= step
                at += step
            if len(held) - at < 10:  # noqa: PLR2004 — an ID3 header, the longest
                break
            frame = frame_at(held, at)
            if frame is not None and frame.kind == self._kind:
                if len(held) - at < frame.length + (0 if self._synced else 6):
                    break
                if self._synced or _is(frame_at(held, at + frame.length), self._kind):
                    frames += held[at : at + frame.length]
                    at += frame.length
                    sound_s += frame.sound_s
                    self._synced, self._garbage = True, 0
                    continue
            elif held[at : at + 3] == b"ID3":
                self._skip = min(_tag_length(held, at), _MAX_TAG_BYTES)
                continue
            at = self._search(at)
        del held[:at]
        return [Piece(bytes(frames), sound_s)] if frames else []

    def _search(self, at: int) -> int:
        """Where the next header may be; a feed looks at each byte once, however many marks are false."""
        self._synced = False
        for mark, known in self._next.items():
            if 0 <= known <= at:
                self._next[mark] = self._held.find(mark, at + 1)
        candidates = [here for here in self._next.values() if here >= 0]
        there = min(candidates, default=max(at + 1, len(self._held) - 2))
        self._garbage += there - at
        if self._garbage > MAX_GARBAGE_BYTES:
            raise LiveLostError(f"the stream is no longer {self._kind} audio")
        return there


def _is(frame: Frame | None, kind: str) -> bool:
    return frame is not None and frame.kind == kind


def _tag_length(data: bytearray, at: int) -> int:
    size = 0
    for byte in data[at + 6 : at + 10]:
        size = size << 7 | byte & 127
    return 10 + size + (10 if data[at + 5] & 0x10 else 0)
