"""What a zone player is given, and what it shows: small protocols and values, no behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.errors import LinkError
from agent.model.bulletin import ZoneId
from agent.model.issue import Fault
from agent.model.report import AsRun
from agent.model.schedule import Airing
from agent.playout.ladder import Reason, Rung
from drivers.api import LiveFeed


class Issues(Protocol):
    """Where conditions a person can fix are told."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


class AiringShelf(Protocol):
    """Durable as-run records."""

    async def begin(self, record: AsRun) -> bool:
        """False if the airing has its final record already."""
        ...

    async def update(self, record: AsRun) -> None: ...

    async def finish(self, record: AsRun) -> None: ...

    async def open_records(self, zone: ZoneId) -> Iterable[AsRun]: ...


class Media(Protocol):
    """Files on disk, by SHA-256."""

    async def checked(self, sha256: str) -> Path:
        """Where the file lies, its bytes checked against its name; a path to nothing if it is absent.

        The worker reports an absent file and keeps its time, so boxes stay in step; one that arrives
        before its turn is played.
        """
        ...

    async def recheck(self, sha256: str) -> None:
        """The file could not be decoded: check its bytes again, and give it up if they are wrong."""
        ...


class LiveRoom(Protocol):
    """Where live sound comes from."""

    def feed(self, live_id: str, zone: str) -> LiveFeed:
        """What the worker of a zone is to listen to.

        Raises:
            AgentError: the source is not there.
        """
        ...

    def release(self, live_id: str, zone: str) -> None: ...

    def heard(self, live_id: str, *, silent_ms: int, starved_ms: int) -> None: ...


class NoLive:
    """For boxes and tests without live sources."""

    def feed(self, live_id: str, zone: str) -> LiveFeed:
        raise LinkError(f"there is no live source {live_id} for zone {zone}")

    def release(self, live_id: str, zone: str) -> None:
        """Nothing to let go of."""

    def heard(self, live_id: str, *, silent_ms: int, starved_ms: int) -> None:
        """Nothing was heard."""


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """How sound is produced; see `config.example.toml`."""

    max_dbfs: float = -1.0
    preroll: timedelta = timedelta(seconds=3)
    output_latency_ms: float = 0.0
    silent_after_s: float = 3.0
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ZoneView:
    """What a zone is doing, as measured."""

    reason: Reason
    on_air: Airing | None = None
    item: int = 0
    position_ms: int = 0
    sounding: bool = False
    output_rms_dbfs: float | None = None
    line_active: bool | None = None
    next: Airing | None = None
    rung: Rung | None = None
    since: datetime | None = None
    microphone_active: bool | None = None
