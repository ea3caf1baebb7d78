"""What live sound is to the rest of the box, and what it needs from the rest of the box."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agent.errors import AgentError, Retry
from agent.model.bulletin import LiveInput
from agent.model.issue import Fault
from drivers.api import Tuner

Fetch = Callable[[str], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens a path on the source system itself, with the box's credentials."""

OpenTuner = Callable[[], AbstractAsyncContextManager[Tuner]]


@dataclass(frozen=True, slots=True)
class WantedLive:
    """One live source that somebody is to hear, now or within seconds.

    Attributes:
        id: live id of the media `live:<id>`.
        zones: the zones that may read it.
        final: a grant: silence or the end of the stream ends it for good. A relay (False) is tried again
            for as long as it is wanted.
    """

    id: str
    input: LiveInput
    zones: tuple[str, ...]
    final: bool


@dataclass(frozen=True, slots=True)
class LiveTimes:
    """Times of live sources in seconds.

    Attributes:
        connect_s: a source may take so long for its first sound, even if its stall limit is shorter.
        ready_s: sound that must have come before a source counts as ready.
        retry_first_s: shortest wait before another attempt.
        retry_most_s: longest wait after a loss.
        rare_s: wait after a refusal, and of a relay that was silent.
        healthy_s: ready for so long, the count of failures starts anew.
        tick_s: how often each live source is judged.
        backlog_s: sound a late reader of a grant is given at once; it is delay for the listener.
        relay_backlog_s: the same for a relay, where no delay matters but every hole does.
        lag_s: how far a reader of a grant may fall behind before it loses sound.
        tuner_lock_s: how long the tuner may be without a station.
        tuner_poll_s: how often the tuner is asked.
        tuner_mute_s: longest wait for the tuner to be muted.
    """

    connect_s: float = 10.0
    ready_s: float = 0.3
    retry_first_s: float = 0.5
    retry_most_s: float = 15.0
    rare_s: float = 60.0
    healthy_s: float = 30.0
    tick_s: float = 0.1
    backlog_s: float = 0.6
    relay_backlog_s: float = 1.2
    lag_s: float = 1.5
    tuner_lock_s: float = 3.0
    tuner_poll_s: float = 1.0
    tuner_mute_s: float = 2.0


class Issues(Protocol):
    """Where conditions that a person can mend are raised and cleared."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


class Sink(Protocol):
    """What a source gives its sound to."""

    def opened(self) -> None:
        """A capture input is open; its sound does not come this way."""
        ...

    async def take(self, data: bytes) -> None:
        """Bytes of an encoded stream, in order; waits a little when they come faster than they are played.

        Raises:
            LiveRefusedError: this is no audio, or audio that cannot be played without seeking.
            LiveLostError: it was audio, and is no longer.
        """
        ...


class Source(Protocol):
    """One way to live sound."""

    async def run(self, sink: Sink) -> None:
        """Connect once and give sound until cancelled; returns when the source says that it is over.

        Raises:
            LiveLostError: nobody answers, or the connection broke.
            LiveRefusedError: trying again soon cannot help.
        """
        ...


class LiveError(AgentError):
    """A live source gave no sound."""


class LiveUnavailableError(LiveError):
    """There is no such live source now, or this zone may not read it."""


class LiveLostError(LiveError):
    """Nobody answered, or the connection broke."""

    def __init__(self, detail: str, *, tuner: bool = False) -> None:
        self.tuner = tuner
        super().__init__(detail)


class LiveRefusedError(LiveError):
    """What answers is no audio, or not for us."""

    retry = Retry.LATER

    def __init__(self, detail: str, *, tuner: bool = False) -> None:
        self.tuner = tuner
        super().__init__(detail)
