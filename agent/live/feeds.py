"""Brings live sound to the audio worker: keeps each wanted source connected and hands out what zones read.

It connects to nothing that is not wanted, and tells of each source whether it may be relied on; which of them
is heard is for the plan to say.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.clock import Clock
from agent.latest import Latest
from agent.live.api import (
    Fetch,
    Issues,
    LiveTimes,
    LiveUnavailableError,
    OpenTuner,
    Source,
    WantedLive,
)
from agent.live.capture import Claims, InputSource, TunerSource, place_of, silence_tuner
from agent.live.multicast import MulticastSource
from agent.live.pipes import Fan, PipeLimits, clean
from agent.live.session import Session
from agent.live.stream import StreamSource
from agent.live.web import Web
from agent.model.bulletin import LiveSource
from agent.model.live import LiveStatus
from drivers.api import FeedKind, LiveFeed


class LiveFeeds:
    """Every live source of the box; a supporting service.

    Args:
        fetch: opens a path on the source system itself, authenticated.
        inputs: ALSA capture name, or `simulated:<path of a WAV file>`, by input id.
        open_tuner: opens the FM receiver; None where there is none.
        tuner_input: id of the input by which its sound comes in.
        folder: for FIFOs, on a file system in memory; made if missing.
        clock: for waiting and for dates.
        issues: where losses are raised, by live id.
        times: waits and limits.

    Attributes:
        changed: bumped at each change of a status.
    """

    name = "live feeds"

    def __init__(
        self,
        *,
        fetch: Fetch,
        inputs: Mapping[str, str],
        open_tuner: OpenTuner | None,
        tuner_input: str,
        folder: Path,
        clock: Clock,
        issues: Issues,
        times: LiveTimes = LiveTimes(),  # noqa: B008 — frozen
    ) -> None:
        self.changed: Latest[int] = Latest(0)
        self._inputs = dict(inputs)
        self._open_tuner = open_tuner
        self._tuner_input = tuner_input
        self._folder = folder
        self._clock = clock
        self._issues = issues
        self._times = times
        self._web = Web(fetch, connect_s=times.connect_s)
        self._numbers = itertools.count(1)
        self._prepared = False
        self._tuner_in_use = asyncio.Lock()
        self._claims = Claims()
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._wanted: Latest[tuple[WantedLive, ...]] = Latest(())

    async def run(self) -> None:
        """Keep the wanted sources until cancelled.

        Raises:
            OSError: the folder for FIFOs cannot be used.
        """
        self._prepare()
        try:
            async with asyncio.TaskGroup() as group:
                if self._open_tuner is not None:
                    limit_s = 2 * self._times.tuner_mute_s
                    silence = silence_tuner(self._open_tuner, self._tuner_in_use, limit_s)
                    group.create_task(silence, name="FM receiver")
                    await asyncio.sleep(0)  # it has the tuner before anybody who wants it
                async for _ in self._wanted.follow():
                    for session in self._sessions.values():
                        if session not in self._tasks:
                            name = f"live {session.wanted.id}"
                            self._tasks[session] = group.create_task(session.run(), name=name)
        finally:
            self._tasks.clear()
            wanted = self._wanted.value
            for live_id in tuple(self._sessions):
                self._drop(live_id)
            self._sessions = {one.id: self._session(one) for one in wanted}
            self._tell()

    def want(self, wanted: tuple[WantedLive, ...]) -> None:
        """Say all that is wanted now; anything else is closed at once, and the tuner muted."""
        by_id = {one.id: one for one in wanted}
        before = dict(self._sessions)
        for live_id, session in tuple(self._sessions.items()):
            still = by_id.get(live_id)
            if still is None or (still.input, still.final) != (session.wanted.input, session.wanted.final):
                self._drop(live_id)
            else:
                session.rewanted(still)
        for live_id, one in by_id.items():
            if live_id not in self._sessions:
                self._sessions[live_id] = self._session(one)
        self._claims.keep({(one.id, zone) for one in by_id.values() for zone in one.zones})
        self._wanted.set(tuple(by_id.values()))
        if before != self._sessions:
            self._tell()

    @property
    def status(self) -> Mapping[str, LiveStatus]:
        """Each wanted source by live id."""
        return {live_id: session.status for live_id, session in self._sessions.items()}

    def feed(self, live_id: str, zone: str) -> LiveFeed:
        """Make what this zone's worker is to read.

        Raises:
            LiveUnavailableError: not wanted, ended, not for this zone, or an input that another zone reads
                and that only one can.
        """
        session = self._sessions.get(live_id)
        if session is None:
            raise LiveUnavailableError(f"live {live_id!r} is not wanted")
        try:
            self._prepare()
        except OSError as error:
            raise LiveUnavailableError(f"no pipes can be made: {error}") from error
        feed = session.feed(zone)
        if feed.kind is FeedKind.CAPTURE:
            self._claims.claim(feed.place, live_id, zone)
        return feed

    def release(self, live_id: str, zone: str) -> None:
        """The zone no longer reads."""
        self._claims.release(live_id, zone)
        session = self._sessions.get(live_id)
        if session is not None:
            session.release(zone)

    def heard(self, live_id: str, *, silent_ms: int, starved_ms: int) -> None:
        """What a zone's output measured while this source was on air there.

        Args:
            live_id: of the source.
            silent_ms: inaudible for so long.
            starved_ms: nothing to play for so long.
        """
        session = self._sessions.get(live_id)
        if session is not None:
            session.heard(silent_ms, starved_ms)

    def _prepare(self) -> None:
        if not self._prepared:
            clean(self._folder)
            self._prepared = True

    def _drop(self, live_id: str) -> None:
        session = self._sessions.pop(live_id)
        task = self._tasks.pop(session, None)
        if task is not None:
            task.cancel()
        session.close()

    def _tell(self) -> None:
        self.changed.set(self.changed.value + 1)

    def _session(self, wanted: WantedLive) -> Session:
        source, place = self._source_of(wanted)
        times = self._times
        limits = (
            PipeLimits(kernel_bytes=8 * 1024, lag_s=times.lag_s, backlog_s=times.backlog_s)
            if wanted.final
            else PipeLimits(backlog_s=times.relay_backlog_s)
        )
        return Session(
            wanted,
            source,
            Fan(self._folder, limits, self._numbers),
            place,
            clock=self._clock,
            issues=self._issues,
            times=times,
            on_change=self._tell,
        )

    def _source_of(self, wanted: WantedLive) -> tuple[Callable[[], Source], Callable[[], str] | None]:
        """What makes a source for each connection, and for an input what tells its capture name."""
        address = wanted.input.address
        inputs, tuner = self._inputs, self._tuner_input
        match wanted.input.source:
            case LiveSource.STREAM:
                return (lambda: StreamSource(self._web, address, self._clock)), None
            case LiveSource.MULTICAST:
                return (lambda: MulticastSource(address)), None
            case LiveSource.LINE_IN | LiveSource.MICROPHONE:
                return (lambda: InputSource(place_of(inputs, address, tuner))), (
                    lambda: place_of(inputs, address, tuner)
                )
            case LiveSource.FM:
                return (
                    lambda: TunerSource(
                        self._open_tuner, self._tuner_in_use, address, self._times, self._clock
                    )
                ), (lambda: place_of(inputs, tuner, ""))
