"""Cut files that ffmpeg reads without complaint: containers that say how long they are."""

from __future__ import annotations

from pathlib import Path

_STREAMED = (0, 0xFFFFFFFF)
_TAIL_BYTES = 128 * 1024
_OGG_HEADER_BYTES = 27
_OGG_COUNT_AT = 26


def looks_cut(path: Path) -> bool:
    """Whether a WAV or Ogg file ends before it says it does. Other formats: False.

    Source: RIFF/WAVE chunk layout; RFC 3533 for Ogg pages.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            return _wav_cut(head, path.stat().st_size)
        if head[:4] == b"OggS":
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return _ogg_cut(file.read())
    return False


def _wav_cut(head: bytes, size: int) -> bool:
    at = 12
    while at + 8 <= len(head):
        length = int.from_bytes(head[at + 4 : at + 8], "little")
        if head[at : at + 4] == b"data":
            return length not in _STREAMED and at + 8 + length > size + 1
        at += 8 + length + length % 2
    return False


def _ogg_cut(tail: bytes) -> bool:
    at = tail.rfind(b"OggS")
    if at < 0 or at + _OGG_HEADER_BYTES > len(tail):
        return True
    segments = tail[at + _OGG_COUNT_AT]
    table = tail[at + _OGG_HEADER_BYTES : at + _OGG_HEADER_BYTES + segments]
    return len(table) < segments or at + _OGG_HEADER_BYTES + segments + sum(table) > len(tail)
