"""What the keeper of media is told and asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.content.eviction import NEVER
from agent.model.bulletin import Media
from agent.model.issue import Fault


class Issues(Protocol):
    """The box's book of conditions a person can fix."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file the plan names; `next_need` is None if no moment is known, which counts as the latest."""

    media: Media
    next_need: datetime | None = None

    @property
    def need(self) -> datetime:
        """For ordering."""
        return self.next_need or NEVER


@dataclass(frozen=True, slots=True)
class ContentProgress:
    """How far the box has what the plan wants.

    Attributes:
        wanted: files.
        held: files that are whole.
        bytes_total: of all wanted files.
        bytes_done: of them on the box, begun ones included.
        current: SHA-256 of the files coming in.
        failures: `(sha256, code, detail)` of files whose last attempt failed; codes are link, corrupt, gone,
            storage_full, disk.
    """

    wanted: int = 0
    held: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    current: tuple[str, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """Limits in bytes; `free_bytes` asks the disk and gives None where it cannot be known."""

    quota_bytes: int
    keep_free_bytes: int = 0
    free_bytes: Callable[[], int | None] = lambda: None


@dataclass(frozen=True, slots=True)
class KeeperTimes:
    """Seconds: first and longest wait after a failure, allowance per download, pace of the progress."""

    retry_s: float = 2.0
    retry_max_s: float = 600.0
    link_retry_max_s: float = 60.0
    grace_s: float = 60.0
    least_bytes_per_s: float = 1024.0
    progress_s: float = 1.0
