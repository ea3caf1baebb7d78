"""The keeper of media against a real HTTP server that cuts, lies, drips and stalls."""

import asyncio
import errno
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.content.api import ContentProgress, KeeperTimes, Room, Wanted
from agent.content.keeper import ContentKeeper
from agent.content.store import MediaStore
from agent.latest import Latest
from agent.model.bulletin import Media
from agent.model.issue import Fault
from agent.source.http import Account, HttpLink, HttpTimes
from agent.wire.device_api import MEDIA
from tests.support.fake_server import DEVICE, SECRET, FakeServer, running_server
from tests.support.source_doubles import IssueList, RealClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KB = 1024
QUICK = KeeperTimes(
    retry_s=0.02, retry_max_s=0.1, link_retry_max_s=0.1, grace_s=5, least_bytes_per_s=100_000, progress_s=0.02
)
GENEROUS = Room(quota_bytes=100_000 * KB)


class Link(HttpLink):
    """The real HTTP link under the name the keeper calls it by, as the native source does it."""

    fetch_range = HttpLink.get_range


@dataclass
class Bench:
    """A keeper at work, and what surrounds it."""

    keeper: ContentKeeper
    store: MediaStore
    wanted: Latest[tuple[Wanted, ...] | None]
    issues: IssueList = field(default_factory=IssueList)

    @property
    def progress(self) -> ContentProgress:
        return self.keeper.progress.value

    def right(self, *digests: str) -> bool:
        """These files are here."""
        return all(self.store.has(digest) for digest in digests)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with running_server() as running:
        yield running


@asynccontextmanager
async def a_keeper(
    server: FakeServer,
    folder: Path,
    *wanted: Wanted,
    room: Room = GENEROUS,
    parallel: int = 2,
    times: KeeperTimes = QUICK,
    known: bool = True,
) -> AsyncIterator[Bench]:
    link = Link(
        Account(server.base_url, DEVICE, SECRET), times=HttpTimes(connect_s=2, silence_s=0.5, exchange_s=5)
    )
    store, issues = MediaStore(folder), IssueList()
    plan: Latest[tuple[Wanted, ...] | None] = Latest(wanted if known else None)
    keeper = ContentKeeper(
        store, link, plan, room=room, issues=issues, clock=RealClock(), parallel=parallel, times=times
    )
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(keeper.run())
            try:
                yield Bench(keeper, store, plan, issues)
            finally:
                running.cancel()
    finally:
        await link.close()


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def want(server: FakeServer, content: bytes, *, in_h: float | None = None, offered: bool = True) -> Wanted:
    digest = server.add_media(content)
    if not offered:
        server.faults.gone.add(digest)
    need = None if in_h is None else NOON + timedelta(hours=in_h)
    return Wanted(Media(digest, len(content), 1000, 0.0, MEDIA + digest), need)


async def until(true: Callable[[], bool], limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.005)


def content_of(bench: Bench, one: Wanted) -> bytes:
    path = bench.store.path(one.media.sha256)
    assert path is not None
    return path.read_bytes()


# arriving


async def test_wanted_files_arrive_whole_and_progress_says_so(server: FakeServer, tmp_path: Path) -> None:
    files = [some_bytes(200 * KB, seed) for seed in range(5)]
    wanted = [want(server, one) for one in files]
    server.faults.drip_s = 0.002
    async with a_keeper(server, tmp_path, *wanted) as bench:
        await until(lambda: bench.progress.held == 5)
        assert bench.progress.bytes_done == bench.progress.bytes_total == 1000 * KB
        assert [content_of(bench, one) for one in wanted] == files
        assert server.most_at_once == 2
    assert list((tmp_path / "partial").iterdir()) == []


async def test_files_needed_sooner_come_first(server: FakeServer, tmp_path: Path) -> None:
    wanted = [
        want(server, some_bytes(10 * KB, seed), in_h=need) for seed, need in enumerate((9, 2, None, 5, 1))
    ]
    async with a_keeper(server, tmp_path, *wanted, parallel=1) as bench:
        await until(lambda: bench.progress.held == 5)
    order = [wanted[index].media.url for index in (4, 1, 3, 0, 2)]
    assert server.requests == [f"GET {url}" for url in order]


async def test_more_urgent_file_takes_the_place_of_one_under_way_which_then_goes_on(
    server: FakeServer, tmp_path: Path
) -> None:
    server.faults.drip_s = 0.02
    late = want(server, some_bytes(1000 * KB, 1), in_h=9)
    async with a_keeper(server, tmp_path, late, parallel=1) as bench:
        await until(lambda: bench.store.partials.get(late.media.sha256, 0) > 0)
        siren = want(server, some_bytes(20 * KB, 2), in_h=0)
        bench.wanted.set((late, siren))
        await until(lambda: bench.right(siren.media.sha256))
        assert not bench.right(late.media.sha256)
        server.faults.drip_s = 0
        await until(lambda: bench.progress.held == 2)
    assert "bytes=" in server.requests[-1], "the interrupted file began anew"


@pytest.mark.parametrize("seed", range(5))
async def test_file_cut_at_random_bytes_arrives_right(server: FakeServer, tmp_path: Path, seed: int) -> None:
    content = some_bytes(500 * KB, seed)
    one = want(server, content)
    draw = random.Random(seed)
    server.faults.cut_at = [draw.randrange(0, 200 * KB) for _ in range(8)]
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.progress.held == 1)
        assert content_of(bench, one) == content
    assert any("bytes=" in asked for asked in server.requests)


async def test_keeper_killed_and_started_again_goes_on(server: FakeServer, tmp_path: Path) -> None:
    content = some_bytes(1500 * KB)
    one = want(server, content)
    server.faults.drip_s = 0.005
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.store.partials.get(one.media.sha256, 0) >= 256 * KB)
    server.faults.drip_s = 0
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.progress.held == 1)
        assert content_of(bench, one) == content
    assert "bytes=" in server.requests[-1]


async def test_server_without_ranges_still_gets_through(server: FakeServer, tmp_path: Path) -> None:
    content = some_bytes(500 * KB)
    one = want(server, content)
    server.faults.ignore_range = True
    server.faults.cut_at = [400 * KB, 100 * KB]
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.progress.held == 1)
        assert content_of(bench, one) == content


@pytest.mark.parametrize(
    "fault", [{"hang_after": 100 * KB}, {"status": 503}, {"status": 401}, {"html": True}]
)
async def test_server_that_fails_for_a_while_delays_and_loses_nothing(
    server: FakeServer, tmp_path: Path, fault: Mapping[str, object]
) -> None:
    wanted = [want(server, some_bytes(300 * KB, seed)) for seed in range(3)]
    before = replace(server.faults)
    for name, value in fault.items():
        setattr(server.faults, name, value)
    async with a_keeper(server, tmp_path, *wanted) as bench:
        await until(lambda: bool(bench.progress.failures))
        assert bench.progress.held == 0
        server.faults = before
        await until(lambda: bench.progress.held == 3)
        assert bench.progress.failures == ()
        assert bench.issues.open == {}


async def test_server_that_is_down_is_not_hammered(server: FakeServer, tmp_path: Path) -> None:
    wanted = [want(server, some_bytes(KB, seed)) for seed in range(100)]
    server.faults.status = 503
    slow = replace(QUICK, retry_s=60, link_retry_max_s=60)
    async with a_keeper(server, tmp_path, *wanted, times=slow) as bench:
        await until(lambda: bool(bench.progress.failures))
        await asyncio.sleep(0.2)
        assert len(server.requests) <= 2
        server.faults.status = None
        bench.keeper.network_changed()
        await until(lambda: bench.progress.held == 100)


# lies


async def test_wrong_bytes_never_appear_and_the_right_ones_come_later(
    server: FakeServer, tmp_path: Path
) -> None:
    content = some_bytes(300 * KB)
    one = want(server, content)
    server.faults.wrong_bytes = True
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: len(server.requests) >= 3)
        assert bench.store.path(one.media.sha256) is None
        assert [(sha, code) for sha, code, _ in bench.progress.failures] == [(one.media.sha256, "corrupt")]
        assert (Fault.MEDIA_CORRUPT, one.media.sha256[:12]) in bench.issues.open
        server.faults.wrong_bytes = False
        await until(lambda: bench.progress.held == 1)
        assert content_of(bench, one) == content
        assert bench.issues.open == {}


@pytest.mark.parametrize("fault", [{"longer": 1}, {"endless": True}, {"longer": 50_000 * KB}])
async def test_file_longer_than_signed_is_refused_and_not_stored(
    server: FakeServer, tmp_path: Path, fault: Mapping[str, object]
) -> None:
    one = want(server, some_bytes(100 * KB))
    for name, value in fault.items():
        setattr(server.faults, name, value)
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: len(server.requests) >= 2)
        assert bench.progress.held == 0
        assert bench.store.used_bytes <= 100 * KB
        assert [code for _, code, _ in bench.progress.failures] == ["corrupt"]


async def test_file_shorter_than_signed_is_refused(server: FakeServer, tmp_path: Path) -> None:
    one = want(server, some_bytes(100 * KB))
    longer = replace(one, media=replace(one.media, size_bytes=200 * KB))
    async with a_keeper(server, tmp_path, longer) as bench:
        await until(lambda: [code for _, code, _ in bench.progress.failures] == ["corrupt"])
        assert bench.progress.held == 0


async def test_dripping_server_is_given_up_and_its_bytes_kept(server: FakeServer, tmp_path: Path) -> None:
    one = want(server, some_bytes(2000 * KB))
    server.faults.drip_s = 0.05
    impatient = replace(QUICK, grace_s=0.3, least_bytes_per_s=10_000 * KB)
    async with a_keeper(server, tmp_path, one, times=impatient) as bench:
        await until(lambda: len(server.requests) >= 2)
        assert [code for _, code, _ in bench.progress.failures] == ["link"]
        server.faults.drip_s = 0
        await until(lambda: bench.progress.held == 1)


async def test_file_the_server_does_not_have_is_an_issue_and_holds_up_no_other(
    server: FakeServer, tmp_path: Path
) -> None:
    gone = want(server, some_bytes(10 * KB, 1), in_h=1, offered=False)
    there = want(server, some_bytes(10 * KB, 2), in_h=2)
    async with a_keeper(server, tmp_path, gone, there, parallel=1) as bench:
        await until(lambda: bench.right(there.media.sha256))
        assert (Fault.MEDIA_MISSING, gone.media.sha256[:12]) in bench.issues.open
        bench.wanted.set((there,))
        await until(lambda: bench.progress.failures == ())
        assert bench.issues.open == {}


async def test_file_found_damaged_on_disk_is_fetched_again(server: FakeServer, tmp_path: Path) -> None:
    content = some_bytes(100 * KB)
    one = want(server, content)
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.progress.held == 1)
        path = bench.store.path(one.media.sha256)
        assert path is not None
        path.write_bytes(bytes(100 * KB))
        assert not await bench.store.verify(one.media.sha256, again=True)
        await until(lambda: bench.right(one.media.sha256))
        assert content_of(bench, one) == content


# room


async def test_unwanted_file_used_least_recently_gives_way_first(server: FakeServer, tmp_path: Path) -> None:
    old, recent = want(server, some_bytes(40 * KB, 1)), want(server, some_bytes(40 * KB, 2))
    fresh = want(server, some_bytes(40 * KB, 3))
    async with a_keeper(server, tmp_path, old, recent, room=Room(100 * KB)) as bench:
        await until(lambda: bench.progress.held == 2)
        await bench.store.used(old.media.sha256)
        await bench.store.used(recent.media.sha256)
        bench.wanted.set((fresh,))
        await until(lambda: bench.progress.held == 1)
        assert not bench.right(old.media.sha256)
        assert bench.right(recent.media.sha256)
        assert bench.store.used_bytes <= 100 * KB


async def test_sooner_need_pushes_out_the_latest_and_never_the_other_way_round(
    server: FakeServer, tmp_path: Path
) -> None:
    late, soon = want(server, some_bytes(60 * KB, 1), in_h=9), want(server, some_bytes(60 * KB, 2), in_h=1)
    async with a_keeper(server, tmp_path, late, room=Room(100 * KB)) as bench:
        await until(lambda: bench.progress.held == 1)
        bench.wanted.set((late, soon))
        await until(lambda: bench.right(soon.media.sha256))
        await until(lambda: (Fault.STORAGE_FULL, "media") in bench.issues.open)
        assert not bench.right(late.media.sha256)
        full = [(late.media.sha256, "storage_full")]
        await until(lambda: [(sha, code) for sha, code, _ in bench.progress.failures] == full)
        asked = len(server.requests)
        await asyncio.sleep(0.3)
        assert len(server.requests) == asked, "a file that does not fit was fetched again and again"
        bench.wanted.set((late,))
        await until(lambda: bench.right(late.media.sha256))
        assert bench.issues.open == {}


async def test_smaller_file_still_comes_when_a_larger_one_does_not_fit(
    server: FakeServer, tmp_path: Path
) -> None:
    large, small = want(server, some_bytes(200 * KB, 1), in_h=1), want(server, some_bytes(50 * KB, 2), in_h=2)
    async with a_keeper(server, tmp_path, large, small, room=Room(100 * KB)) as bench:
        await until(lambda: bench.right(small.media.sha256))
        assert len(server.requests) == 1


async def test_two_downloads_at_once_do_not_promise_the_same_room(server: FakeServer, tmp_path: Path) -> None:
    server.faults.drip_s = 0.01
    wanted = [want(server, some_bytes(80 * KB, seed), in_h=seed) for seed in (1, 2)]
    async with a_keeper(server, tmp_path, *wanted, room=Room(100 * KB)) as bench:
        await until(lambda: bench.right(wanted[0].media.sha256))
        await asyncio.sleep(0.1)
        assert bench.store.used_bytes <= 100 * KB
        assert server.most_at_once == 1


async def test_free_room_asked_for_is_kept(server: FakeServer, tmp_path: Path) -> None:
    free = [1000 * KB]
    room = Room(100_000 * KB, keep_free_bytes=500 * KB, free_bytes=lambda: free[0])
    kept, one = want(server, some_bytes(10 * KB, 1)), want(server, some_bytes(10 * KB, 2))
    async with a_keeper(server, tmp_path, kept, room=room) as bench:
        await until(lambda: bench.progress.held == 1)
        free[0] = 505 * KB
        bench.wanted.set((kept, one))
        await until(lambda: (Fault.STORAGE_FULL, "media") in bench.issues.open)
        assert bench.right(kept.media.sha256)
        free[0] = 1000 * KB
        await until(lambda: bench.progress.held == 2)
        bench.wanted.set((one,))
        free[0] = 400 * KB
        await until(lambda: not bench.right(kept.media.sha256))
        assert bench.right(one.media.sha256), "a wanted file went although only room for others was lacking"


async def test_disk_that_fills_up_while_writing_is_an_issue_and_is_tried_again(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = os.write, [True]

    def maybe_full(file: int, data: bytes) -> int:
        if full[0] and len(data) > KB:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", maybe_full)
    one = want(server, some_bytes(300 * KB))
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: (Fault.STORAGE_FULL, "media") in bench.issues.open)
        await until(lambda: [code for _, code, _ in bench.progress.failures] == ["storage_full"])
        assert bench.progress.held == 0
        full[0] = False
        await until(lambda: bench.progress.held == 1)
        assert bench.issues.open == {}


async def test_leftovers_of_files_no_longer_wanted_go_but_not_before_the_plan_is_known(
    server: FakeServer, tmp_path: Path
) -> None:
    one = want(server, some_bytes(100 * KB))
    (tmp_path / "partial").mkdir()
    leftover, begun = tmp_path / "partial" / ("a" * 64), tmp_path / "partial" / one.media.sha256
    leftover.write_bytes(b"x" * 100)
    begun.write_bytes(server.media[one.media.sha256][: 50 * KB])
    async with a_keeper(server, tmp_path, known=False) as bench:
        await asyncio.sleep(0.1)
        assert leftover.exists()
        bench.wanted.set((one,))
        await until(lambda: bench.progress.held == 1)
        assert not leftover.exists()
    assert server.requests == [f"GET {one.media.url} bytes={50 * KB}-"]


async def test_download_of_a_file_no_longer_wanted_stops(server: FakeServer, tmp_path: Path) -> None:
    server.faults.drip_s = 0.02
    one = want(server, some_bytes(3000 * KB))
    async with a_keeper(server, tmp_path, one) as bench:
        await until(lambda: bench.progress.current == (one.media.sha256,))
        bench.wanted.set(())
        await until(lambda: bench.progress == ContentProgress())
        await until(lambda: bench.store.partials == {})
