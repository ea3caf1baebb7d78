"""SQLite with one writer thread and one reader thread; every write is on disk before it returns."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from server.problems import Problem, RefusedError, StartError, StoreFailedError
from server.store.migrations import MIGRATIONS

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_WAITING = 256
"""Calls that may wait for a thread; more are refused as busy."""


class Database:
    """Runs functions of a connection in their own thread, writes as one transaction each.

    `open` and `close` are called from the event loop's thread, once each.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="database-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="database-reader")
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._waiting = 0

    async def open(self) -> None:
        """Open and migrate.

        Raises:
            StartError: the file is not a database of ours, or cannot be written.
        """
        loop = asyncio.get_running_loop()
        try:
            self._write_connection = await loop.run_in_executor(self._writer, _open_writer, self._path)
            self._read_connection = await loop.run_in_executor(self._reader, _open_reader, self._path)
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise StartError("database", path=self._path, detail=error) from error

    async def write(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = False) -> T:
        """Run `work` as one transaction: all of it is durable when this returns, or none of it happened.

        Args:
            work: given the connection inside a transaction.
            urgent: never refused as busy; for callers that are few and wait for their turn.
        """

        def transaction() -> T:
            return _in_transaction(self._open(self._write_connection), work)

        return await self._run(self._writer, transaction, urgent=urgent)

    async def read(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = False) -> T:
        """Run `work` on a connection that cannot write."""
        return await self._run(self._reader, lambda: work(self._open(self._read_connection)), urgent=urgent)

    async def close(self) -> None:
        """Finish what is under way and close; safe to call twice."""
        loop = asyncio.get_running_loop()
        for executor, connection in (
            (self._reader, self._read_connection),
            (self._writer, self._write_connection),
        ):
            if connection is not None:
                await loop.run_in_executor(executor, connection.close)
            executor.shutdown(wait=True)
        self._read_connection = self._write_connection = None

    def _open(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise RuntimeError("the database is not open")
        return connection

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T], *, urgent: bool = False) -> T:
        if self._waiting >= MAX_WAITING and not urgent:
            raise RefusedError(Problem.BUSY, retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, work)
        except sqlite3.OperationalError as error:
            raise StoreFailedError(str(error)) from error
        finally:
            self._waiting -= 1


def _open_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    _migrate(connection, path)
    return connection


def _open_reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        logger.warning("database %s: version %d is newer than this server; going on", path, version)
        return
    if 0 < version < len(MIGRATIONS):
        backup = path.with_name(f"{path.name}.before-{len(MIGRATIONS)}")
        backup.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(backup),))
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        logger.info("database %s: migrated to version %d", path, number)


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result
