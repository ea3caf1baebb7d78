"""What a zone player is given, and what it shows: small protocols and values, no behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from agent.model.bulletin import ZoneId
from agent.model.report import AsRun
from agent.model.schedule import Airing
from agent.playout.plan import Reason


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


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """How sound is produced; see `config.example.toml`."""

    max_dbfs: float = -1.0
    preroll: timedelta = timedelta(seconds=3)
    output_latency_ms: float = 0.0
    silent_after_s: float = 3.0


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
