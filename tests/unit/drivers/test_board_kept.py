"""Files that outlive a driver: whole or not at all, and never an error to whoever shows a picture."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from drivers import registry
from drivers.board import kept


def test_what_was_written_is_read_until_it_is_forgotten(tmp_path: Path) -> None:
    path = kept.place(tmp_path / "boards" / "gate", "fbdev", "bảng/../cổng", ".bin")
    assert path is not None
    assert path.parent == tmp_path / "boards" / "gate"
    assert kept.read(path) is None
    kept.write(path, b"first")
    kept.write(path, b"second")
    assert kept.read(path) == b"second"
    assert list(path.parent.iterdir()) == [path]
    kept.forget(path)
    kept.forget(path)
    assert kept.read(path) is None


def test_without_a_folder_nothing_is_kept() -> None:
    path = kept.place(None, "fbdev", "screen", ".bin")
    kept.write(path, b"anything")
    assert (path, kept.read(path)) == (None, None)
    kept.forget(path)


def test_a_full_disk_leaves_the_former_file_and_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "onbon-sign.json"
    kept.write(path, b"former")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, f"No space left on device {handle}")

    monkeypatch.setattr(os, "fsync", full)
    kept.write(path, b"new")
    assert kept.read(path) == b"former"
    assert list(tmp_path.iterdir()) == [path]
    assert "No space left" in caplog.text


def test_a_folder_that_cannot_be_made_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "kept.json"
    kept.write(path, b"new")
    kept.forget(path)
    assert "cannot be kept" in caplog.text
    assert "cannot be deleted" in caplog.text
    with pytest.raises(kept.KeptError):
        kept.read(path)


def test_a_file_that_is_too_long_or_no_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(bytes(11))
    with pytest.raises(kept.KeptError, match="longer than 10 bytes"):
        kept.read(path, 10)
    assert kept.read(path, 11) == bytes(11)
    with pytest.raises(kept.KeptError):
        kept.read(tmp_path)


@pytest.mark.parametrize("kind", ["onbon", "huidu", "alpha", "fbdev"])
def test_these_drivers_get_a_folder_of_their_own(kind: str) -> None:
    assert registry.board_remembers(kind)
