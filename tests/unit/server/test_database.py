from __future__ import annotations

import asyncio
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest

from server.store.database import Database


async def test_what_is_first_overtakes_everything_that_waits(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite3")
    await database.open()
    hold = threading.Event()
    order: list[str] = []

    def note(name: str, _: sqlite3.Connection) -> None:
        order.append(name)

    try:
        async with asyncio.TaskGroup() as group:

            def slow(_: sqlite3.Connection) -> None:
                hold.wait(10)

            group.create_task(database.write(slow))
            await asyncio.sleep(0.05)
            for n in range(5):
                group.create_task(database.write(partial(note, f"report {n}")))
            await asyncio.sleep(0.05)
            group.create_task(database.write(partial(note, "emergency"), first=True))
            await asyncio.sleep(0.05)
            hold.set()
    finally:
        await database.close()
    assert order == ["emergency", *(f"report {n}" for n in range(5))]


async def test_a_short_question_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite3")
    await database.open()
    hold = threading.Event()
    try:
        async with asyncio.TaskGroup() as group:
            long = group.create_task(database.read(lambda _: hold.wait(10)))
            await asyncio.sleep(0.05)
            assert await database.read(lambda conn: conn.execute("SELECT 1").fetchone()[0], first=True) == 1
            assert not long.done()
            hold.set()
    finally:
        await database.close()


async def test_what_fails_reaches_the_caller_and_nothing_of_it_stays(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite3")
    await database.open()

    def half(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO sequences VALUES ('x', 'y', 1)")
        raise LookupError("half way")

    try:
        with pytest.raises(LookupError, match="half way"):
            await database.write(half)
        kept = await database.read(lambda conn: conn.execute("SELECT count(*) FROM sequences").fetchone()[0])
        assert kept == 0
    finally:
        await database.close()
        await database.close()
