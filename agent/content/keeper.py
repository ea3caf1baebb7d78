"""Keeps on the box the media the plan wants: earliest need first, within its room, never a wrong byte."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from agent.clock import Clock
from agent.content.api import ContentProgress, Issues, KeeperTimes, Room, Wanted
from agent.content.download import Fetcher, download
from agent.content.eviction import NEVER, Candidate, choose_evictions
from agent.content.store import MediaDiskError, MediaStore
from agent.content.threads import in_thread
from agent.errors import AgentError, LinkError, MediaCorruptError, MediaGoneError, Retry, StorageFullError
from agent.latest import Latest
from agent.model.issue import Fault

__all__ = ["ContentKeeper", "ContentProgress", "KeeperTimes", "Room", "Wanted"]

logger = logging.getLogger(__name__)

_PARTIAL = "partial/"
_CODES: dict[type[AgentError], tuple[str, Fault | None]] = {
    MediaCorruptError: ("corrupt", Fault.MEDIA_CORRUPT),
    MediaGoneError: ("gone", Fault.MEDIA_MISSING),
    StorageFullError: ("storage_full", Fault.STORAGE_FULL),
    MediaDiskError: ("disk", Fault.STORE_FAILED),
}


@dataclass(slots=True)
class _Failure:
    code: str
    detail: str
    count: int
    retry_s: float
    fault: Fault | None


class ContentKeeper:
    """Service: follows `wanted` (None: not known yet), downloads what is missing, evicts what must go."""

    name = "content"

    def __init__(
        self,
        store: MediaStore,
        fetcher: Fetcher,
        wanted: Latest[tuple[Wanted, ...] | None],
        *,
        room: Room,
        issues: Issues,
        clock: Clock,
        parallel: int = 2,
        times: KeeperTimes | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        pinned: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._pinned = pinned
        self.progress: Latest[ContentProgress] = Latest(ContentProgress())
        self._store = store
        self._fetcher = fetcher
        self._source = wanted
        self._room = room
        self._issues = issues
        self._clock = clock
        self._parallel = parallel
        self._times = times or KeeperTimes()
        self._uniform = uniform
        self._known = False  # until the plan is known, nothing counts as unwanted
        self._wanted: dict[str, Wanted] = {}
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, _Failure] = {}
        self._link_failures = 0
        self._link_pause_s = float("-inf")
        self._wake = asyncio.Event()

    def network_changed(self) -> None:
        """Try at once what failed for want of a connection."""
        self._link_failures = 0
        self._link_pause_s = float("-inf")
        self._wake.set()

    async def run(self) -> None:
        """Keep at it until cancelled."""
        self._coming.clear()
        await in_thread(self._store.scan)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_wanted(), name="follow wanted media")
            group.create_task(self._follow_store(), name="follow media store")
            while True:
                self._wake.clear()
                if self._known:
                    await self._bring_in_line(group)
                self._tell()
                await self._wait()

    async def _bring_in_line(self, group: asyncio.TaskGroup) -> None:
        try:
            await self._tidy()
            await self._start(group)
        except (MediaDiskError, StorageFullError) as error:
            # What should go could not be deleted; downloads under way and what is held stay useful.
            self._issues.raise_(Fault.STORE_FAILED, "media", str(error))
        else:
            if not any(one.fault is Fault.STORE_FAILED for one in self._failures.values()):
                self._issues.clear(Fault.STORE_FAILED, "media")

    async def _follow_wanted(self) -> None:
        async for wanted in self._source.follow():
            if wanted is None:
                continue
            self._known = True
            earliest: dict[str, Wanted] = {}
            for one in wanted:
                known = earliest.get(one.media.sha256)
                if known is None or one.need < known.need:
                    earliest[one.media.sha256] = one
            self._wanted = earliest
            for sha256, failure in list(self._failures.items()):
                if sha256 not in earliest:
                    self._forget(sha256)
                elif failure.code == "storage_full":  # another plan may leave room
                    failure.retry_s = float("-inf")
            self._wake.set()

    async def _follow_store(self) -> None:
        async for _ in self._store.changes.follow():
            self._wake.set()

    async def _wait(self) -> None:
        now = self._clock.monotonic()
        due = [one.retry_s for one in self._failures.values() if one.retry_s > now]
        if self._link_pause_s > now:
            due.append(self._link_pause_s)
        limits = [moment - now for moment in due] + ([self._times.progress_s] if self._coming else [])
        try:
            async with asyncio.timeout(min(limits, default=None)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _tidy(self) -> None:
        """Stop and remove what is not wanted any more; come down to the room allowed."""
        for sha256, task in self._coming.items():
            if sha256 not in self._wanted and not task.cancelling():
                task.cancel()
        for sha256 in self._store.partials:
            if sha256 not in self._wanted and sha256 not in self._coming:
                await self._store.delete_partial(sha256)
        over_quota = self._store.used_bytes - self._room.quota_bytes
        if over_quota > 0:
            files = self._candidates()
            await self._evict(choose_evictions(files, over_quota, None) or files)
        free = self._room.free_bytes()
        if free is not None and free < self._room.keep_free_bytes:
            spare = {name: one for name, one in self._candidates().items() if not one.wanted}
            await self._evict(choose_evictions(spare, self._room.keep_free_bytes - free, None) or spare)

    async def _start(self, group: asyncio.TaskGroup) -> None:
        """Begin the most urgent downloads; a more urgent one takes the place of the least urgent."""
        now = self._clock.monotonic()
        if now < self._link_pause_s:
            return
        for one in self._missing():
            sha256 = one.media.sha256
            failure = self._failures.get(sha256)
            if sha256 in self._coming or (failure is not None and failure.retry_s > now):
                continue
            if len(self._coming) >= self._parallel:
                self._make_place(one)
                return
            try:
                await self._make_room(one)
            except StorageFullError as error:
                self._failed(sha256, error)
                continue
            task = group.create_task(self._obtain(one), name=f"media {sha256[:12]}")
            self._coming[sha256] = task
            task.add_done_callback(partial(self._ended, sha256))

    def _ended(self, sha256: str, _task: asyncio.Task[None]) -> None:
        self._coming.pop(sha256, None)
        self._wake.set()

    def _missing(self) -> list[Wanted]:
        missing = [one for one in self._wanted.values() if not self._store.has(one.media.sha256)]
        return sorted(missing, key=lambda one: (one.need, one.media.sha256))

    def _make_place(self, newcomer: Wanted) -> None:
        """Cancel the least urgent download if the newcomer is needed sooner; it resumes later."""
        running = [self._wanted[sha256] for sha256 in self._coming if sha256 in self._wanted]
        if len(running) < len(self._coming) or not running:
            return  # one is ending already
        last = max(running, key=lambda one: one.need)
        if newcomer.need < last.need:
            logger.info("media %s waits for a more urgent one", last.media.sha256[:12])
            self._coming[last.media.sha256].cancel()

    async def _make_room(self, one: Wanted) -> None:
        partials = self._store.partials
        # What the downloads under way will still take is spoken for.
        needed = sum(
            self._wanted[sha256].media.size_bytes - partials.get(sha256, 0)
            for sha256 in {*self._coming, one.media.sha256}
            if sha256 in self._wanted
        )
        lacking = needed - (self._room.quota_bytes - self._store.used_bytes)
        free = self._room.free_bytes()
        if free is not None:
            lacking = max(lacking, needed - (free - self._room.keep_free_bytes))
        files = self._candidates()
        files.pop(_PARTIAL + one.media.sha256, None)
        chosen = choose_evictions(files, lacking, one.need)
        if chosen is None:
            raise StorageFullError(
                f"{one.media.size_bytes} bytes do not fit: quota {self._room.quota_bytes}, "
                f"used {self._store.used_bytes}, free on disk {free}"
            )
        await self._evict(chosen)

    def _candidates(self) -> dict[str, Candidate]:
        """Everything that may be deleted: whole files, and partial ones nobody is writing."""
        pinned = self._pinned()
        held = {
            sha256: self._candidate(sha256, one.size_bytes, one.used_s)
            for sha256, one in self._store.held.items()
            if sha256 not in pinned
        }
        begun = {
            _PARTIAL + sha256: self._candidate(sha256, length, float("-inf"))
            for sha256, length in self._store.partials.items()
            if sha256 not in self._coming
        }
        return held | begun

    def _candidate(self, sha256: str, size_bytes: int, used_s: float) -> Candidate:
        wanted = self._wanted.get(sha256)
        return Candidate(size_bytes, used_s, wanted is not None, wanted.need if wanted else NEVER)

    async def _evict(self, names: Iterable[str]) -> None:
        for name in names:
            logger.info("media %s evicted", name.removeprefix(_PARTIAL)[:12])
            if name.startswith(_PARTIAL):
                await self._store.delete_partial(name.removeprefix(_PARTIAL))
            else:
                await self._store.delete(name)

    async def _obtain(self, one: Wanted) -> None:
        sha256 = one.media.sha256
        before = self._store.partials.get(sha256, 0)
        try:
            await download(
                self._store,
                self._fetcher,
                one.media,
                grace_s=self._times.grace_s,
                least_bytes_per_s=self._times.least_bytes_per_s,
            )
        except LinkError as error:
            came_on = self._store.partials.get(sha256, 0) > before
            self._link_failed(sha256, error, came_on=came_on)
        except AgentError as error:
            self._failed(sha256, error)
        else:
            self._link_failures = 0
            self._forget(sha256)
            logger.info("media %s is here, %d bytes", sha256[:12], one.media.size_bytes)

    def _link_failed(self, sha256: str, error: LinkError, *, came_on: bool) -> None:
        """A connection that fails does so for every file: pause them all, blame none."""
        self._link_failures = 1 if came_on else self._link_failures + 1
        ceiling_s = self._times.link_retry_max_s
        delay_s = self._delay_s(error.retry, self._link_failures, ceiling_s)
        self._link_pause_s = self._clock.monotonic() + delay_s
        known = self._failures.get(sha256)
        self._failures[sha256] = _Failure(
            "link",
            str(error)[:300],
            known.count if known else 0,
            float("-inf"),
            known.fault if known else None,
        )
        logger.debug("media %s: %s", sha256[:12], error)

    def _failed(self, sha256: str, error: AgentError) -> None:
        code, fault = next(
            (value for kind, value in _CODES.items() if isinstance(error, kind)), ("other", None)
        )
        known = self._failures.get(sha256)
        count = known.count + 1 if known else 1
        delay_s = self._delay_s(error.retry, count, self._times.retry_max_s)
        if known is None or known.code != code:
            logger.warning("media %s: %s", sha256[:12], error)
            self._clear_issue(sha256)
        self._failures[sha256] = _Failure(
            code, str(error)[:300], count, self._clock.monotonic() + delay_s, fault
        )
        if fault is not None:
            self._issues.raise_(fault, _subject(fault, sha256), str(error))

    def _delay_s(self, retry: Retry, failures: int, ceiling_s: float) -> float:
        if retry is not Retry.SOON:
            return self._uniform(ceiling_s / 2, ceiling_s)
        # Half of it is certain: a file that is wrong at the server must not be fetched in a tight loop.
        delay_s = min(ceiling_s, self._times.retry_s * 2.0 ** min(failures - 1, 20))
        return self._uniform(delay_s / 2, delay_s)

    def _forget(self, sha256: str) -> None:
        self._clear_issue(sha256)
        self._failures.pop(sha256, None)

    def _clear_issue(self, sha256: str) -> None:
        failure = self._failures.get(sha256)
        if failure is None or failure.fault is None:
            return
        shared = any(other.fault is failure.fault for name, other in self._failures.items() if name != sha256)
        if failure.fault is Fault.MEDIA_CORRUPT or failure.fault is Fault.MEDIA_MISSING or not shared:
            self._issues.clear(failure.fault, _subject(failure.fault, sha256))

    def _tell(self) -> None:
        partials = self._store.partials
        held = [sha256 for sha256 in self._wanted if self._store.has(sha256)]
        begun = sum(partials.get(sha256, 0) for sha256 in self._wanted)
        self.progress.set(
            ContentProgress(
                wanted=len(self._wanted),
                held=len(held),
                bytes_total=sum(one.media.size_bytes for one in self._wanted.values()),
                bytes_done=sum(self._wanted[sha256].media.size_bytes for sha256 in held) + begun,
                current=tuple(self._coming),
                failures=tuple((sha256, one.code, one.detail) for sha256, one in self._failures.items()),
            )
        )


def _subject(fault: Fault, sha256: str) -> str:
    """Room and disk are one condition for all files; a wrong or missing file is its own."""
    return sha256[:12] if fault in (Fault.MEDIA_CORRUPT, Fault.MEDIA_MISSING) else "media"
