import errno
import hashlib
import os
import random
from pathlib import Path

import pytest

from agent.content.store import MediaDiskError, MediaStore
from agent.errors import MediaCorruptError, StorageFullError

CONTENT = random.Random(1).randbytes(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    made = MediaStore(tmp_path)
    made.scan()
    return made


def reopened(store: MediaStore) -> MediaStore:
    """What a process finds that starts now."""
    fresh = MediaStore(store.folder)
    fresh.scan()
    return fresh


async def put(store: MediaStore, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    partial = await store.open_partial(sha256, len(content))
    try:
        partial.write(content)
        await store.adopt(partial)
    finally:
        partial.close()
    return sha256


async def test_file_is_there_only_once_it_is_whole(store: MediaStore) -> None:
    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT[:-1])
    assert not store.has(SHA)
    assert store.path(SHA) is None
    assert not reopened(store).has(SHA)
    partial.write(CONTENT[-1:])
    await store.adopt(partial)
    partial.close()
    path = store.path(SHA)
    assert path == store.folder / "media" / SHA[:2] / SHA
    assert path.read_bytes() == CONTENT
    assert reopened(store).held[SHA].size_bytes == len(CONTENT)
    assert reopened(store).partials == {}


@pytest.mark.parametrize("cut", [0, 1, 65_535, 299_999])
async def test_partial_goes_on_where_an_earlier_process_stopped(store: MediaStore, cut: int) -> None:
    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT[:cut])
    partial.close()
    later = reopened(store)
    assert later.partials == {SHA: cut}
    partial = await later.open_partial(SHA, len(CONTENT))
    assert partial.length == cut
    partial.write(CONTENT[cut:])
    await later.adopt(partial)
    partial.close()
    assert later.has(SHA)


async def test_wrong_bytes_never_become_a_file_and_are_deleted(store: MediaStore) -> None:
    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT[:-1] + b"\0")
    with pytest.raises(MediaCorruptError, match="hash"):
        await store.adopt(partial)
    partial.close()
    assert not store.has(SHA)
    assert list(store.folder.rglob("*" + SHA)) == []
    assert store.used_bytes == 0


async def test_bytes_damaged_between_two_attempts_are_noticed(store: MediaStore) -> None:
    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT[:1000])
    partial.close()
    (store.folder / "partial" / SHA).write_bytes(b"\0" * 1000)
    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT[1000:])
    with pytest.raises(MediaCorruptError):
        await store.adopt(partial)
    partial.close()
    assert not store.has(SHA)


async def test_partial_longer_than_signed_begins_anew(store: MediaStore) -> None:
    (store.folder / "partial" / SHA).write_bytes(CONTENT + b"more")
    partial = await store.open_partial(SHA, len(CONTENT))
    assert partial.length == 0
    partial.close()


async def test_damaged_file_is_found_by_verify_and_deleted(store: MediaStore) -> None:
    await put(store, CONTENT)
    later = reopened(store)
    assert await later.verify(SHA)
    path = later.path(SHA)
    assert path is not None
    path.write_bytes(b"\0" + CONTENT[1:])
    assert await later.verify(SHA), "believed for the rest of the boot, or each play would cost a hash"
    before = later.changes.value
    assert not await later.verify(SHA, again=True)
    assert not later.has(SHA)
    assert not path.exists()
    assert later.changes.value != before
    assert not await later.verify(SHA)


async def test_scan_leaves_alone_what_is_not_named_by_a_hash(store: MediaStore) -> None:
    await put(store, CONTENT)
    (store.folder / "media" / "notes.txt").write_text("x")
    (store.folder / "media" / "ab").mkdir(exist_ok=True)
    (store.folder / "media" / "ab" / "ab12.flac").write_text("x")
    (store.folder / "media" / "ab" / SHA.replace(SHA[0], "f", 1)).symlink_to("/etc/passwd")
    assert set(reopened(store).held) == {SHA}


async def test_use_is_remembered_across_starts(store: MediaStore) -> None:
    first, second = await put(store, b"one"), await put(store, b"two")
    for sha256 in (first, second):
        path = store.path(sha256)
        assert path is not None
        os.utime(path, (1000, 1000))
    await store.used(first)
    held = reopened(store).held
    assert held[first].used_s > held[second].used_s == 1000


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageFullError), (errno.EDQUOT, StorageFullError), (errno.EIO, MediaDiskError)],
)
async def test_disk_errors_are_named(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    partial = await store.open_partial(SHA, len(CONTENT))
    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(error):
        partial.write(CONTENT)
    monkeypatch.undo()
    partial.close()


async def test_short_writes_are_continued(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    partial = await store.open_partial(SHA, len(CONTENT))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:1000]))
    partial.write(CONTENT)
    monkeypatch.undo()
    await store.adopt(partial)
    partial.close()
    assert store.has(SHA)


@pytest.mark.parametrize("step", ["fsync", "replace"])
async def test_power_cut_before_the_last_step_leaves_no_file(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    partial = await store.open_partial(SHA, len(CONTENT))
    partial.write(CONTENT)
    monkeypatch.setattr(os if step == "fsync" else Path, step, cut)
    with pytest.raises(PowerCut):
        partial.finish(store.folder / "media" / SHA[:2] / SHA)
    monkeypatch.undo()
    partial.close()
    later = reopened(store)
    assert not later.has(SHA)
    partial = await later.open_partial(SHA, len(CONTENT))
    await later.adopt(partial)
    partial.close()
    assert later.has(SHA)
