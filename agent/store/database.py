"""One SQLite file, one connection, one thread: opening, setting a corrupt file aside, transactions.

Every commit is on the card before `write` returns (WAL with `synchronous=FULL`). Foreign errors are
translated here, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from agent.errors import StoreError, StoreFullError
from agent.latest import Latest
from agent.store.migrations import migrate

logger = logging.getLogger(__name__)

T = TypeVar("T")

CORRUPT_KEPT = 3
"""Damaged databases kept for a technician; older ones are deleted, because the card is small."""

_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose the last commits of a WAL at a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 256",  # pages of 4 KiB
    "PRAGMA journal_size_limit = 4194304",
)
_BUSY_S = 5.0
_PRIMARY = 0xFF  # mask of the primary code in an extended SQLite result code


class Database:
    """Runs jobs on the connection, one after the other, away from the event loop.

    Attributes:
        recovered: what happened to a corrupt database found at the start, None if it was sound.
    """

    def __init__(self, path: Path, executor: ThreadPoolExecutor) -> None:
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.recovered: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Database]:
        """Open or make the database at `path`; its folder is made if missing.

        Raises:
            StoreError: no access, no room, in use, or written for newer agents only. Corruption is
                no error: the file is set aside and a fresh one made.
        """
        executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        try:
            database = cls(path, executor)
            try:
                await database._submit(database._start)
                yield database
            finally:
                await database._submit(database._stop)
        finally:
            # Jobs run in order, so after _stop there is nothing left to wait for.
            executor.shutdown(wait=True)

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job that only reads.

        Raises:
            StoreError: the database could not be read.
        """
        return await self._submit(lambda: self._guard(job))

    async def write(self, job: Callable[[sqlite3.Connection], T], *news: Latest[int]) -> T:
        """Run a job in one transaction, durable on return; then count up `news`.

        A caller cancelled while the job waits for its turn writes nothing; once it runs it is carried
        through, and the readers of `news` still hear of it.

        Raises:
            StoreError: nothing was changed; `StoreFullError` if for want of room.
        """

        def transaction(db: sqlite3.Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = job(db)
                db.execute("COMMIT")
            except BaseException:
                # Some failures (disk full among them) have rolled back already.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            for one in news:
                self._loop.call_soon_threadsafe(_count_up, one)
            return result

        return await self._submit(lambda: self._guard(transaction))

    async def apart(self, job: Callable[[], T]) -> T:
        """Run something that is no transaction in its turn between them."""
        return await self._submit(job)

    def _submit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._executor, job)

    def _guard(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise StoreError(f"{self._path} is closed")
        try:
            return job(self._connection)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a mistake in this program, not in the disk
        except sqlite3.DatabaseError as error:
            raise _translated(error, self._path) from error

    def _start(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection, self.recovered = _connect_or_replace(self._path)
        except sqlite3.Error as error:
            raise _translated(error, self._path) from error
        except OSError as error:
            raise StoreError(f"{self._path} cannot be opened: {error.strerror}") from error

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _count_up(news: Latest[int]) -> None:
    news.set(news.value + 1)


def _connect_or_replace(path: Path) -> tuple[sqlite3.Connection, str | None]:
    try:
        return _connect(path), None
    except sqlite3.DatabaseError as error:
        if _code(error) in _NO_ROOM:
            logger.error("store: no room to open it the usual way (%s)", error)  # noqa: TRY400 - expected
            return _connect(path, alone=True), None
        if _code(error) not in _CORRUPT:
            raise
        problem = str(error)
    aside = _set_aside(path)
    recovered = f"{path.name} was corrupt ({problem}); kept as {aside}, a fresh one was made"
    logger.error("store: %s", recovered)
    return _connect(path), recovered


def _connect(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open and prepare a database; `alone` keeps the index of the WAL in memory, for a full disk."""
    # The WAL and its index take the mode of the database file, so the mode is set before SQLite opens it.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    _sync_folder(path.parent)
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        if alone:
            db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        _check(db)
        for setting in _SETTINGS:
            db.execute(setting).fetchall()
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(str(verdict).splitlines()[-1][:200])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _sync_folder(folder: Path) -> None:
    """Make the name of a new database survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_aside(path: Path) -> str:
    """Rename a corrupt database with its WAL; return its new name."""
    pattern = re.compile(re.escape(path.name) + r"\.corrupt-(\d+)")
    numbers = sorted(
        int(found[1]) for one in path.parent.iterdir() if (found := pattern.fullmatch(one.name)) is not None
    )
    aside = path.with_name(f"{path.name}.corrupt-{numbers[-1] + 1 if numbers else 1}")
    for tail in ("-wal", "-shm", ""):  # the database last: cut off half-way, it is still found corrupt
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).rename(aside.with_name(aside.name + tail))
    for number in numbers[: len(numbers) + 1 - CORRUPT_KEPT]:
        for tail in ("-wal", "-shm", ""):
            path.with_name(f"{path.name}.corrupt-{number}{tail}").unlink(missing_ok=True)
    return aside.name


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def _translated(error: sqlite3.Error, path: Path) -> StoreError:
    if _code(error) == sqlite3.SQLITE_FULL:
        return StoreFullError(f"disk full: {path} cannot grow; nothing was changed")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"{path}: {error} ({name})")
