"""Sounds that several contract tests share, made once per test process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import sound


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FLAC files: tone (1 kHz, 200 ms), high (3 kHz, 200 ms), long (1 kHz, 4 s), stairs (3 s)."""
    directory = tmp_path_factory.mktemp("media")
    sound.write_flac(directory / "tone.flac", sound.tone(1000, 200))
    sound.write_flac(directory / "high.flac", sound.tone(3000, 200))
    sound.write_flac(directory / "long.flac", sound.tone(1000, 4000))
    sound.write_flac(directory / "stairs.flac", sound.staircase(3000))
    return directory
