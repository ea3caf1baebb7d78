"""Media on disk, each file named by its SHA-256 and complete, or not there.

`media/ab/<sha256>` holds whole files, `partial/<sha256>` what has come so far. A file moves from one to
the other only when its bytes have the right length and hash and are safely on disk, so a power cut at
any moment leaves either nothing or the right file.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.content.threads import in_thread
from agent.errors import ContentError, MediaCorruptError, Retry, StorageFullError
from agent.latest import Latest

logger = logging.getLogger(__name__)

READ_BYTES = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class MediaDiskError(ContentError):
    """The disk would not read or write."""

    retry = Retry.LATER


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A whole file: its length, and when it was last used (seconds since 1970, by the file system)."""

    size_bytes: int
    used_s: float


class MediaStore:
    """Whole and partial media below one folder.

    Methods marked *blocking* touch the disk and belong into a thread (`in_thread`).

    Attributes:
        changes: another number whenever the set of whole files changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: Latest[int] = Latest(0)
        self._media = folder / "media"
        self._partial = folder / "partial"
        self._held: dict[str, HeldFile] = {}
        self._partials: dict[str, int] = {}
        self._verified: set[str] = set()

    def scan(self) -> None:
        """Blocking: take stock by name and size; what is not named by a hash is not ours and stays.

        Raises:
            MediaDiskError: the folders cannot be made or read.
        """
        with _disk("media folder"):
            self._media.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir(parents=True, exist_ok=True)
            self._held = {
                entry.name: HeldFile(entry.stat().st_size, entry.stat().st_mtime)
                for shelf in os.scandir(self._media)
                if shelf.is_dir(follow_symlinks=False)
                for entry in os.scandir(shelf.path)
                if _SHA256.fullmatch(entry.name)
                and entry.name.startswith(shelf.name)
                and entry.is_file(follow_symlinks=False)
            }
            self._partials = {
                entry.name: entry.stat().st_size
                for entry in os.scandir(self._partial)
                if _SHA256.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            }

    def has(self, sha256: str) -> bool:
        """Whether the whole file is here."""
        return sha256 in self._held

    def path(self, sha256: str) -> Path | None:
        """Where the whole file lies, None if it is not here."""
        return self._path(sha256) if sha256 in self._held else None

    @property
    def held(self) -> dict[str, HeldFile]:
        """All whole files."""
        return dict(self._held)

    @property
    def partials(self) -> dict[str, int]:
        """Bytes so far of files that are not whole yet."""
        return dict(self._partials)

    @property
    def used_bytes(self) -> int:
        """Room taken by whole and partial files."""
        # copied, because threads that write note their lengths meanwhile
        return sum(one.size_bytes for one in self._held.values()) + sum(dict(self._partials).values())

    async def used(self, sha256: str) -> None:
        """The file was played; the least recently used one is evicted first."""
        held = self._held.get(sha256)
        if held is not None:
            self._held[sha256] = HeldFile(held.size_bytes, time.time())
            try:
                await in_thread(os.utime, self._path(sha256))
            except OSError as error:
                logger.warning("media %s: use not noted: %s", sha256[:12], error.strerror)

    async def verify(self, sha256: str, *, again: bool = False) -> bool:
        """Whether the bytes on disk still have the right hash; a file that has not is deleted.

        Files that were downloaded or verified since the start are believed unless `again` is set, which
        belongs to a failure to decode.

        Raises:
            MediaDiskError: the disk would not read; the file stays.
        """
        if sha256 not in self._held:
            return False
        if sha256 in self._verified and not again:
            return True
        if await in_thread(_digest, self._path(sha256)) == sha256:
            self._verified.add(sha256)
            return True
        logger.error("media %s: damaged on disk, deleted", sha256[:12])
        await self.delete(sha256)
        return False

    async def delete(self, sha256: str) -> None:
        """Remove a whole file; the player keeps what it has open.

        Raises:
            MediaDiskError: it could not be removed.
        """
        await in_thread(_unlink, self._path(sha256))
        self._held.pop(sha256, None)
        self._verified.discard(sha256)
        self._changed()

    async def delete_partial(self, sha256: str) -> None:
        """Remove what has come so far.

        Raises:
            MediaDiskError: it could not be removed.
        """
        await in_thread(_unlink, self._partial / sha256)
        self._partials.pop(sha256, None)

    async def open_partial(self, sha256: str, size_bytes: int) -> Partial:
        """Go on with a file, or begin it; what is there is hashed first.

        Raises:
            MediaDiskError: the disk would not read or write.
            StorageFullError: no room even for an empty file.
        """
        return await in_thread(Partial, self._partial / sha256, sha256, size_bytes, self._note_partial)

    async def adopt(self, partial: Partial) -> None:
        """Make a complete partial file the whole one.

        Raises:
            MediaCorruptError: its length or hash is wrong; it has been deleted.
            MediaDiskError: the disk would not.
            StorageFullError: no room for the last bytes.
        """
        target = self._path(partial.sha256)
        try:
            await in_thread(partial.finish, target)
        except MediaCorruptError:
            await self.delete_partial(partial.sha256)
            raise
        self._partials.pop(partial.sha256, None)
        self._held[partial.sha256] = HeldFile(partial.size_bytes, time.time())
        self._verified.add(partial.sha256)
        self._changed()

    async def take_in(self, path: Path) -> tuple[str, int]:
        """Move a file made on the box into the store; it must lie on the same disk.

        Returns:
            Its SHA-256 and its size in bytes.

        Raises:
            MediaDiskError: the disk would not; the file stays where it is.
            StorageFullError: no room for its last bytes.
        """
        sha256, size_bytes = await in_thread(self._take_in, path)
        self._held[sha256] = HeldFile(size_bytes, time.time())
        self._verified.add(sha256)
        self._changed()
        return sha256, size_bytes

    def _take_in(self, path: Path) -> tuple[str, int]:
        sha256 = _digest(path)
        with _disk(f"media {sha256[:12]}"):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fchmod(handle, 0o640)
                os.fsync(handle)
                size_bytes = os.fstat(handle).st_size
            finally:
                os.close(handle)
            _move(path, self._path(sha256))
        return sha256, size_bytes

    def place(self, sha256: str) -> Path:
        """Where the whole file lies, or will lie once it is here and its hash is right."""
        return self._path(sha256)

    def _path(self, sha256: str) -> Path:
        return self._media / sha256[:2] / sha256

    def _note_partial(self, sha256: str, length: int) -> None:
        self._partials[sha256] = length

    def _changed(self) -> None:
        self.changes.set(self.changes.value + 1)


class Partial:
    """A file that is coming in, hashed while it is written. All methods but `close` are *blocking*.

    Attributes:
        length: bytes written so far.
    """

    def __init__(self, path: Path, sha256: str, size_bytes: int, note: Callable[[str, int], None]) -> None:
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self.length = 0
        self._path = path
        self._note = note
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        with _disk(f"media {sha256[:12]}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                self._hash_what_is_there()
            except BaseException:
                os.close(self._file)
                raise
        self._open = True

    def _hash_what_is_there(self) -> None:
        while chunk := os.read(self._file, READ_BYTES):
            self._hash.update(chunk)
            self.length += len(chunk)
            if self.length > self.size_bytes:  # of another length than was signed: worthless
                self._truncate()
                return
        self._note(self.sha256, self.length)

    def _truncate(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.length = 0
        self._note(self.sha256, 0)

    def restart(self) -> None:
        """Forget what is there: the sender begins at the beginning."""
        with self._lock, _disk(f"media {self.sha256[:12]}"):
            self._truncate()

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            StorageFullError: no room.
            MediaDiskError: the disk would not.
        """
        with self._lock, _disk(f"media {self.sha256[:12]}"):
            left = memoryview(data)
            while left:
                done = os.write(self._file, left)
                self._hash.update(left[:done])
                self.length += done
                left = left[done:]
            self._note(self.sha256, self.length)

    def finish(self, target: Path) -> None:
        """Check, make safe, and move to `target`.

        Raises:
            MediaCorruptError: length or hash is wrong.
            MediaDiskError: the disk would not.
        """
        what = f"media {self.sha256[:12]}"
        if self.length != self.size_bytes:
            raise MediaCorruptError(f"{what}: {self.length} bytes instead of {self.size_bytes}")
        if self._hash.hexdigest() != self.sha256:
            raise MediaCorruptError(f"{what}: the bytes do not have the signed hash")
        with self._lock, _disk(what):
            os.fsync(self._file)
            _move(self._path, target)

    def close(self) -> None:
        """Let go of the file; what has come stays for the next attempt."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._file)


def _move(path: Path, target: Path) -> None:
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(target.parent.parent)
    path.replace(target)
    _sync_folder(target.parent)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with _disk(f"media {path.name[:12]}"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unlink(path: Path) -> None:
    with _disk(f"media {path.name[:12]}"):
        path.unlink(missing_ok=True)


@contextmanager
def _disk(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"{what}: the disk is full") from error
        raise MediaDiskError(f"{what}: {error.strerror or error}") from error
