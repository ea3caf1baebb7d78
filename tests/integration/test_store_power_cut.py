"""The store is killed at random moments, its log torn, its disk filled: nothing acknowledged is lost.

Run as a program (`python -m tests.integration.test_store_power_cut kill DIR SEED`) this file forks
writers and kills them, so that no interpreter has to start for each of the kills. Killing a process
does not lose what the kernel holds; that a commit is synced is checked in the unit tests, that a torn
log is cut back to whole transactions here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.errors import StoreError, StoreFullError
from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.report import AsRun
from agent.store import Priority, Store
from agent.wire.orders import Desired, Scope, ScopeKind
from agent.wire.reports import Event, EventType
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
KILLS = 40
PER_RUN = 60


def airing(name: str) -> AsRun:
    return AsRun(
        airing=AiringId(name),
        zone=ZoneId("truoc"),
        programme="sang",
        title="Bản tin sáng",
        bulletin_class=BulletinClass.NORMAL,
        level=SourceLevel.COMMUNE,
        schedule_version=1,
        order_id="",
        planned_start=NOW,
        planned_ms=1000,
    )


def desired(seq: int) -> Desired:
    return Desired(
        id=new_ulid(NOW),
        issuer="xa",
        seq=seq,
        scope=Scope(kind=ScopeKind.STATION, id="xa"),
        not_before=NOW,
        expires=NOW + timedelta(days=1),
    )


class Log:
    """Lines that survive the death of their writer: what the store had promised by then."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: str) -> None:
        os.write(self._file, (" ".join(words) + "\n").encode())


class Writer:
    """Uses every part of the store at once, and notes each promise after it was made."""

    def __init__(self, folder: Path, run: int) -> None:
        self._path = folder / "agent.db"
        self._promised = Log(folder / "promised")
        self._server = Log(folder / "server")
        self._run = run

    async def work(self) -> None:
        async with Store.open(self._path) as store:
            assert store.recovered is None, store.recovered
            for record in await store.open_airings():
                await self._finish(store, record)
            async with asyncio.TaskGroup() as group:
                for part in (self._receive, self._judge, self._play, self._publish):
                    group.create_task(part(store))

    async def _receive(self, store: Store) -> None:
        for n in range(PER_RUN):
            data = f"envelope-{self._run}-{n}"
            assert await store.inbox_add(data.encode(), "mqtt", NOW) is not None
            self._promised.write("inbox", data)
            assert await store.inbox_add(data.encode(), "https", NOW) is None

    async def _judge(self, store: Store) -> None:
        async for _ in store.inbox_news.follow():
            for row in await store.inbox_pending(10):
                (seq,) = (await store.sequences()).values() or (0,)
                order = desired(seq + 1)
                event = Event(
                    id=new_ulid(NOW), at=NOW, type=EventType.ORDER_ACCEPTED, subject=f"order:{order.id}"
                )
                await store.accept_order(row.id, order, "ab" * 32, [event], {"last": order.id})
                self._promised.write("order", order.id)

    async def _play(self, store: Store) -> None:
        for n in range(PER_RUN):
            record = airing(f"sang-{self._run}-{n}")
            assert await store.airing_begin(record)
            self._promised.write("begun", record.airing)
            await store.airing_update(record)
            await self._finish(store, record)
            assert not await store.airing_finish(record, new_ulid(NOW), b"{}")

    async def _finish(self, store: Store, record: AsRun) -> None:
        proof = json.dumps({"subject": f"airing:{record.airing}"}).encode()
        if await store.airing_finish(record, new_ulid(NOW), proof):
            self._promised.write("finished", record.airing)

    async def _publish(self, store: Store) -> None:
        async for _ in store.outbox_news.follow():
            rows = await store.outbox_next(5)
            for row in rows:
                self._server.write(row.id, json.loads(row.payload)["subject"])
            await store.outbox_sent([row.id for row in rows])
            done = [row.id for row in rows[::2]]
            await store.outbox_receipt(done)
            for one in done:
                self._promised.write("receipt", one)


def lines(path: Path) -> list[tuple[str, str]]:
    """Whole lines of a log; the writer may have died in the middle of none of them (one write each)."""
    if not path.exists():
        return []
    return [(first, rest) for first, rest in (line.split(" ") for line in path.read_text().splitlines())]


def check(folder: Path) -> Counter[str]:
    """Compare the database with what was promised."""
    promised = lines(folder / "promised")
    made: dict[str, set[str]] = {word: set() for word in ("inbox", "order", "begun", "finished", "receipt")}
    for word, what in promised:
        made[word].add(what)
    if not (folder / "agent.db").exists():
        assert not promised
        return Counter()
    assert not list(folder.glob("*.corrupt-*"))
    db = sqlite3.connect(folder / "agent.db")
    try:
        _compare(db, made, lines(folder / "server"))
    finally:
        db.close()
    return Counter(word for word, _ in promised)


def _compare(db: sqlite3.Connection, made: dict[str, set[str]], server: list[tuple[str, str]]) -> None:
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if db.execute("PRAGMA user_version").fetchone() == (0,):
        assert not any(made.values())
        return

    known = {bytes(one) for (one,) in db.execute("SELECT sha256 FROM inbox")}
    lost = [one for one in made["inbox"] if hashlib.sha256(one.encode()).digest() not in known]
    assert not lost, f"envelopes lost: {lost}"

    accepted = [one for (one,) in db.execute("SELECT order_id FROM inbox WHERE decision = 'accepted'")]
    seen = {one for (one,) in db.execute("SELECT order_id FROM seen")}
    assert len(accepted) == len(set(accepted))
    assert set(accepted) == seen >= made["order"]
    newest = db.execute("SELECT id, seq FROM orders WHERE status = 'in_force'").fetchall()
    assert len(newest) == (1 if seen else 0)
    if seen:
        assert db.execute("SELECT seq FROM sequences").fetchall() == [(newest[0][1],)] == [(len(seen),)]
        assert db.execute("SELECT value FROM state WHERE key = 'last'").fetchone() == (f'"{newest[0][0]}"',)

    begun = dict(db.execute("SELECT airing, final FROM airings"))
    assert made["begun"] <= begun.keys()
    assert made["finished"] <= {one for one, final in begun.items() if final}

    queued = {
        one: json.loads(payload)["subject"] for one, payload in db.execute("SELECT id, payload FROM outbox")
    }
    assert not made["receipt"] & queued.keys(), "a report with receipt came back"
    told = Counter(subject for _, subject in {*queued.items(), *server})
    due = {f"order:{one}" for one in seen} | {f"airing:{one}" for one, final in begun.items() if final}
    assert told.keys() == due, f"never told: {due - told.keys()}; never happened: {told.keys() - due}"
    assert set(told.values()) <= {1}, "told twice under different ids"
    assert db.execute("SELECT count(*) FROM meta WHERE key = 'outbox_dropped'").fetchone() == (0,)


def kill_again_and_again(folder: Path, seed: int) -> None:
    moments = random.Random(seed)
    killed, total = 0, Counter[str]()
    for run in itertools.count():
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(Writer(folder, run).work())
            except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        time.sleep(moments.uniform(0, 0.03) if run % 4 == 0 else moments.uniform(0.02, 0.3))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the writer of run {run} failed by itself: status {status}"
        killed += 1
        total = check(folder)
        if killed >= KILLS and min(total[word] for word in ("order", "finished", "receipt")) >= KILLS:
            break
        assert killed < 20 * KILLS, f"no progress: {total}"
    print(json.dumps({"killed": killed} | total))


async def fill_the_disk(folder: Path, file_limit: int | None = 300_000) -> None:
    """Write until it fails: files may not grow above the limit, or without one, the disk is small."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(100_000))
    async with Store.open(folder / "agent.db") as store:
        await store.put_blob("schedule", b"in force")
        assert await store.airing_begin(airing("on air"))
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, unlimited[1]))
        kept = 0
        try:
            while kept < 1000:
                await store.outbox_put(
                    f"{kept}", "event", "event", b"x" * 4000, priority=Priority.EVENT, receipt=True
                )
                kept += 1
        except StoreError as error:
            message = f"{type(error).__name__}: {error}"
        else:
            raise AssertionError("the disk did not fill")
        assert await store.get_blob("schedule") == b"in force"
        assert [one.airing for one in await store.open_airings()] == ["on air"]
        assert (await store.outbox_counts()).waiting == kept
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        ballast.unlink()
        assert await store.airing_finish(airing("on air"), "proof", b"{}")
    async with Store.open(folder / "agent.db") as store:
        assert store.recovered is None
        assert (await store.outbox_counts()).waiting == kept + 1
    print(json.dumps({"kept": kept, "message": message}))


def run_apart(what: str, folder: Path, *more: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.test_store_power_cut", what, str(folder), *more],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.timeout(180)
def test_killed_at_forty_random_moments_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    result = run_apart("kill", tmp_path, "20260302")
    assert isinstance(result["killed"], int)
    assert result["killed"] >= KILLS


def test_when_a_write_fails_nothing_changes_and_the_store_goes_on_when_it_can(tmp_path: Path) -> None:
    result = run_apart("fill", tmp_path)
    assert isinstance(result["kept"], int)
    assert result["kept"] > 5
    assert str(result["message"]).startswith("StoreError: ")


def test_a_full_disk_is_named_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path, "600k") as disk:
        result = run_apart("fill-disk", disk)
    assert isinstance(result["kept"], int)
    assert result["kept"] > 5
    assert str(result["message"]).startswith("StoreFullError: disk full: ")


@pytest.mark.parametrize("tear", ["cut", "garbage"])
async def test_a_log_torn_at_any_place_is_cut_back_to_whole_transactions(tmp_path: Path, tear: str) -> None:
    path = tmp_path / "whole" / "agent.db"
    log = path.with_name("agent.db-wal")
    async with Store.open(path):
        pass
    async with Store.open(path) as store:
        ends = [0]
        for n in range(10):
            await store.airing_finish(airing(f"{n}"), f"report-{n}", b"x" * 3000)
            ends.append(log.stat().st_size)
        main, whole = path.read_bytes(), log.read_bytes()
    assert ends == sorted(set(ends))

    moments = random.Random(7)
    cuts = [moments.randrange(len(whole)) for _ in range(60)] + [ends[5], ends[5] - 1, len(whole)]
    for number, cut in enumerate(cuts):
        torn = tmp_path / f"{number}" / "agent.db"
        torn.parent.mkdir()
        torn.write_bytes(main)
        rest = moments.randbytes(len(whole) - cut) if tear == "garbage" else b""
        torn.with_name("agent.db-wal").write_bytes(whole[:cut] + rest)
        survived = max(n for n, end in enumerate(ends) if end <= cut)
        async with Store.open(torn) as store:
            assert store.recovered is None
            finished = {name for name, _ in await store.finished_airings(NOW)}
            reports = {one.id for one in await store.outbox_next(100)}
            assert finished == {f"{n}" for n in range(survived)}
            assert reports == {f"report-{n}" for n in range(survived)}
            assert await store.airing_finish(airing("9"), "again", b"") is (survived < 10)


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill_again_and_again(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "fill":
        asyncio.run(fill_the_disk(Path(sys.argv[2])))
    else:
        asyncio.run(fill_the_disk(Path(sys.argv[2]), file_limit=None))


async def test_box_that_starts_on_a_full_disk_still_knows_its_schedule(tmp_path: Path) -> None:
    with small_disk(tmp_path, "600k") as disk:
        async with Store.open(disk / "agent.db") as store:
            await store.put_state({"schedule": "7"}, {"schedule": b"document"})
        _fill(disk)
        async with Store.open(disk / "agent.db") as store:
            assert await store.get_blob("schedule") == b"document"
            assert store.recovered is None


async def test_on_a_full_card_room_is_left_for_orders(tmp_path: Path) -> None:
    with small_disk(tmp_path, "32m") as disk:
        async with Store.open(disk / "agent.db") as store:
            _fill(disk)
            with pytest.raises(StoreFullError):
                await _add_until_it_fails(store)
            assert await store.inbox_add_at_any_price(b"emergency" * 500, "mqtt", NOW)
            assert not await store.inbox_add_at_any_price(b"no second reserve", "mqtt", NOW)
        async with Store.open(disk / "agent.db") as store:
            assert [row for row in await store.inbox_pending(3_000) if row.envelope == b"emergency" * 500]
            assert not (disk / "agent.db.reserve").exists()
            (disk / "filler").unlink()
            await store.inbox_add(b"the next order", "mqtt", NOW)
            assert (disk / "agent.db.reserve").stat().st_size == 2 * 1024 * 1024  # kept again


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, such as `600k`; the test is skipped where none may be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={size}"
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=False)
    if mount.returncode != 0:
        pytest.skip("may not mount a small disk here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(disk: Path) -> None:
    """Leave no byte free."""
    filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space"):
            _write_until_it_fails(filler)
    finally:
        os.close(filler)


async def _add_until_it_fails(store: Store) -> None:
    for number in range(2_000):
        await store.inbox_add(b"x" * 4_000 + str(number).encode(), "mqtt", NOW)


def _write_until_it_fails(filler: int) -> None:
    while True:
        os.write(filler, b"x" * 512)
