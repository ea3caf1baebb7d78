from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from agent.errors import StoreError, StoreFullError
from agent.store import Priority, Store
from agent.store.database import CORRUPT_KEPT
from agent.store.migrations import MIGRATIONS, migrate


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def fill(path: Path) -> None:
    """A database of several pages, all of them in the main file."""
    async with Store.open(path) as store:
        for n in range(40):
            await store.put_state({f"key-{n}": "x" * 500})


async def test_only_the_owner_reads_the_database_and_its_wal(store: Store, path: Path) -> None:
    await store.put_state({"a": 1})
    assert {one.name: mode(one) for one in path.parent.iterdir()} == {
        "agent.db": 0o600,
        "agent.db-wal": 0o600,
        "agent.db-shm": 0o600,
        "agent.db.reserve": 0o600,
    }


async def test_an_open_database_of_others_is_closed_to_them(path: Path) -> None:
    await fill(path)
    path.chmod(0o644)
    async with Store.open(path):
        assert mode(path) == 0o600


async def test_every_commit_is_synced_through_a_write_ahead_log(store: Store) -> None:
    def pragmas(db: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._db.read(pragmas) == ["wal", 2, 1, 5000]


async def test_what_was_written_is_there_after_reopening(path: Path) -> None:
    async with Store.open(path) as store:
        await store.put_state({"a": {"b": [1, None, "ệ"]}})
    async with Store.open(path) as store:
        assert await store.get_state("a") == {"b": [1, None, "ệ"]}
        assert store.recovered is None


async def test_nothing_runs_on_after_closing(path: Path) -> None:
    async with Store.open(path) as store:
        pass
    assert not [one for one in threading.enumerate() if one.name.startswith("store")]
    with pytest.raises(RuntimeError):
        await store.get_state("a")


@pytest.mark.parametrize("damage", ["not a database", "zeroed page", "cut short", "header only"])
async def test_a_corrupt_database_is_set_aside_and_a_fresh_one_made(path: Path, damage: str) -> None:
    await fill(path)
    data = bytearray(path.read_bytes())
    assert len(data) >= 4 * 4096
    match damage:
        case "not a database":
            data[:] = b"gone " * 5000
        case "zeroed page":
            data[2 * 4096 :] = bytes(len(data) - 2 * 4096)
        case "cut short":
            del data[len(data) // 2 :]
        case _:
            del data[100:]
    path.write_bytes(data)

    async with Store.open(path) as store:
        assert store.recovered is not None
        assert "agent.db.corrupt-1" in store.recovered
        assert await store.get_state("key-1") is None
        await store.put_state({"key-1": "fresh"})
    assert path.with_name("agent.db.corrupt-1").read_bytes() == data
    async with Store.open(path) as store:
        assert store.recovered is None
        assert await store.get_state("key-1") == "fresh"


async def test_the_log_of_a_corrupt_database_does_not_reach_the_fresh_one(path: Path) -> None:
    await fill(path)
    async with Store.open(path) as store:
        await store.put_state({"key-1": "old"})
        log = path.with_name("agent.db-wal").read_bytes()
    path.write_bytes(b"rubbish" * 1000)
    path.with_name("agent.db-wal").write_bytes(log)
    async with Store.open(path) as store:
        assert store.recovered is not None
        assert await store.get_state("key-1") is None
    async with Store.open(path) as store:
        assert store.recovered is None


async def test_only_a_few_corrupt_databases_are_kept(path: Path) -> None:
    for n in range(CORRUPT_KEPT + 3):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"rubbish %d" % n * 1000)
        async with Store.open(path):
            pass
    kept = sorted(one.name for one in path.parent.iterdir() if ".corrupt-" in one.name)
    assert kept == ["agent.db.corrupt-4", "agent.db.corrupt-5", "agent.db.corrupt-6"]


async def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be opened"):
        async with Store.open(tmp_path / "file" / "agent.db"):
            pass


async def test_a_database_of_a_newer_agent_is_opened_and_stays_newer(path: Path) -> None:
    await fill(path)
    newer = len(MIGRATIONS) + 1
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE state ADD COLUMN since TEXT")
        db.execute("ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0")
        db.execute(f"PRAGMA user_version = {newer}")
    db.close()
    async with Store.open(path) as store:
        assert store.recovered is None
        assert await store.get_state("key-1") == "x" * 500
        await store.outbox_put("a", "event", "event", b"{}", priority=Priority.EVENT, receipt=True)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (newer,)
    db.close()


async def test_a_database_that_asks_for_a_newer_reader_is_refused_and_left_alone(path: Path) -> None:
    await fill(path)
    newer = len(MIGRATIONS) + 1
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO meta VALUES ('min_reader', ?)", (newer,))
        db.execute(f"PRAGMA user_version = {newer}")
    db.close()
    with pytest.raises(StoreError, match="needs an agent that knows version"):
        async with Store.open(path):
            pass
    assert not list(path.parent.glob("*.corrupt-*"))


def test_a_step_that_fails_changes_nothing_and_is_taken_later() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    broken = (*MIGRATIONS, ("CREATE TABLE extra (a)", "CREATE TABLE extra (a)"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, broken)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    migrate(db, (*MIGRATIONS, ("CREATE TABLE extra (a)",)))
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    assert db.execute("SELECT count(*) FROM extra").fetchone() == (0,)
    db.close()


async def test_a_full_disk_is_named_changes_nothing_and_is_survived(path: Path) -> None:
    async with Store.open(path) as store:
        await store.put_state({"old": "value"}, {"doc": b"old"})
        pages = await store._db.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await store._db.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(StoreFullError, match="disk full"):
            await store.put_state({"old": "new"}, {"doc": b"x" * 100_000})
        assert await store.get_state("old") == "value"
        assert await store.get_blob("doc") == b"old"

        await store._db.read(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
        await store.put_state({"old": "new"}, {"doc": b"x" * 100_000})
        assert await store.get_state("old") == "new"


async def test_a_job_that_fails_half_way_changes_nothing(store: Store) -> None:
    def job(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO state VALUES ('half', '1')")
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        await store._db.write(job)
    assert await store.get_state("half") is None
    await store.put_state({"half": 2})
    assert await store.get_state("half") == 2


async def test_a_locked_database_is_a_store_error(store: Store, path: Path) -> None:
    await store._db.read(lambda db: db.execute("PRAGMA busy_timeout = 1").fetchone())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.put_state({"a": 1})
    other.execute("ROLLBACK")
    other.close()
    await store.put_state({"a": 1})


async def test_a_writer_cancelled_half_way_still_writes_and_wakes_the_readers(store: Store) -> None:
    began, gate = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        began.set()
        assert gate.wait(20)
        db.execute("INSERT INTO state VALUES ('a', '1')")

    before = store.outbox_news.value
    writer = asyncio.create_task(store._db.write(slow, store.outbox_news))
    assert await asyncio.to_thread(began.wait, 20)
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    gate.set()
    assert await store.get_state("a") == 1
    assert store.outbox_news.value > before


async def test_writing_what_is_there_already_does_not_touch_the_disk(store: Store, path: Path) -> None:
    await store.put_state({"a": 1}, {"doc": b"x"})
    wal = path.with_name("agent.db-wal")
    before = wal.stat().st_size, wal.stat().st_mtime_ns
    await store.put_state({"a": 1}, {"doc": b"x"})
    await store.outbox_receipt(["unknown"])
    await store.outbox_put("h", "health", "health", b"{}", priority=Priority.HEALTH, receipt=False)
    await store.outbox_sent(["h"])
    assert (wal.stat().st_size, wal.stat().st_mtime_ns) == before
