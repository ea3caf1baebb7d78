"""SQLite with one writer thread and two reader threads; every write is on disk before it returns.

What is marked `first` overtakes all that waits: an emergency is not held up by reports or housekeeping.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from server.problems import Problem, RefusedError, StartError, StoreFailedError
from server.store.migrations import MIGRATIONS
from server.store.worker import FIRST, NEXT, Worker

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
        self._writer = Worker("database-writer")
        self._reader = Worker("database-reader")
        self._express = Worker("database-express")
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._express_connection: sqlite3.Connection | None = None
        self._waiting = 0

    async def open(self) -> None:
        """Open and migrate.

        Raises:
            StartError: the file is not a database of ours, or cannot be written.
        """
        path = self._path
        try:
            self._write_connection = await asyncio.wrap_future(
                self._writer.submit(lambda: _open_writer(path))
            )
            self._read_connection = await asyncio.wrap_future(self._reader.submit(lambda: _open_reader(path)))
            self._express_connection = await asyncio.wrap_future(
                self._express.submit(lambda: _open_reader(path))
            )
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise StartError("database", path=self._path, detail=error) from error

    async def write(
        self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = False, first: bool = False
    ) -> T:
        """Run `work` as one transaction: all of it is durable when this returns, or none of it happened.

        Args:
            work: given the connection inside a transaction.
            urgent: never refused as busy; for callers that are few and wait for their turn.
            first: as `urgent`, and before everything that waits.
        """

        def transaction() -> T:
            return _in_transaction(self._open(self._write_connection), work)

        return await self._run(self._writer, transaction, urgent=urgent, first=first)

    async def read(
        self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = False, first: bool = False
    ) -> T:
        """Run `work` on a connection that cannot write; `first` in a thread that only short questions use."""
        if first:
            return await self._run(
                self._express, lambda: work(self._open(self._express_connection)), first=True
            )
        return await self._run(self._reader, lambda: work(self._open(self._read_connection)), urgent=urgent)

    async def close(self) -> None:
        """Finish what is under way and close; safe to call twice."""
        for worker, connection in (
            (self._reader, self._read_connection),
            (self._express, self._express_connection),
            (self._writer, self._write_connection),
        ):
            if connection is not None:
                await asyncio.wrap_future(worker.submit(connection.close))
            await asyncio.to_thread(worker.stop)
        self._read_connection = self._express_connection = self._write_connection = None

    def _open(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise RuntimeError("the database is not open")
        return connection

    async def _run(
        self, worker: Worker, work: Callable[[], T], *, urgent: bool = False, first: bool = False
    ) -> T:
        if self._waiting >= MAX_WAITING and not (urgent or first):
            raise RefusedError(Problem.BUSY, retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.wrap_future(worker.submit(work, FIRST if first else NEXT))
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
