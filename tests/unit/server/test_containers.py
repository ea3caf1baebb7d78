from __future__ import annotations

import struct
from pathlib import Path

import pytest

from server.media.containers import looks_cut


def a_wav(data: bytes, declared: int, extra: bytes = b"") -> bytes:
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + extra
    chunks += b"data" + struct.pack("<I", declared) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def an_ogg_page(body: bytes) -> bytes:
    lacing = [255] * (len(body) // 255) + [len(body) % 255]
    return b"OggS" + bytes(22) + bytes([len(lacing), *lacing]) + body


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (a_wav(bytes(100), 100), False),
        (a_wav(bytes(100), 100) + b"trailer", False),
        (a_wav(bytes(50), 100), True),
        (a_wav(bytes(50), 0xFFFFFFFF), False),
        (a_wav(bytes(50), 100, b"LIST" + struct.pack("<I", 3) + b"abc\0"), True),
        (an_ogg_page(bytes(300)) + an_ogg_page(bytes(40)), False),
        ((an_ogg_page(bytes(300)) + an_ogg_page(bytes(40)))[:-1], True),
        (b"ID3 and the rest of an mp3", False),
        (b"", False),
    ],
)
def test_containers_that_end_too_early_are_seen(tmp_path: Path, content: bytes, cut: bool) -> None:
    path = tmp_path / "received"
    path.write_bytes(content)
    assert looks_cut(path) is cut
