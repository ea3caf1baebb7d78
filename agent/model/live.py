"""How a live source stands, as the plan needs to know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LiveState(StrEnum):
    """Life of one live source."""

    CONNECTING = "connecting"
    READY = "ready"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """One live source now.

    Attributes:
        since: when the state was entered.
        back_at: when it became ready again after it had been lost while in use; None if it never was.
        detail: why it is lost or ended, English, for the log.
    """

    state: LiveState
    since: datetime
    back_at: datetime | None = None
    detail: str = ""
