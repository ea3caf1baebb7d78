"""What may become of a CAP document, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.cap.alert import Reference
from server.order_drafts import CancelDraft, EmergencyDraft


class Outcome(StrEnum):
    """What becomes of a document."""

    EMERGENCY = "emergency"
    UPDATE = "update"
    CANCEL = "cancel"
    IGNORED = "ignored"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why; texts under `console.cap.reason.<code>`."""

    ISSUED = "issued"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    ALL_CLEAR = "all_clear"
    NO_LONGER = "no_longer"
    NO_FILTER = "no_filter"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    RECEIPT = "receipt"
    NOT_ACTUAL = "not_actual"
    NOT_PUBLIC = "not_public"
    NO_INFO = "no_info"
    ELSEWHERE = "elsewhere"
    NO_EVENT = "no_event"
    TOO_WEAK = "too_weak"
    NOTHING_TO_END = "nothing_to_end"
    FEED = "feed"
    SENDER = "sender"
    FUTURE = "future"
    TOO_OLD = "too_old"
    EXPIRED = "expired"
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class Known:
    """What was done about a message before.

    Attributes:
        order: batch of the emergency it became, None if it became none.
        actual: it was no exercise and no test.
        ended: a later message took it back or took its place, perhaps before it came itself.
        standing: the emergency still sounds or may sound.
    """

    order: str | None
    actual: bool
    ended: bool
    standing: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        field: of the document, where that is the reason.
        draft: emergency to give.
        cancels: batches to end.
        end: how they are ended, None if without a word.
        order: batch of the emergency that this message became before.
        ends: messages that hold no longer, whether they came or not.
    """

    outcome: Outcome
    reason: Reason
    field: str = ""
    draft: EmergencyDraft | None = None
    cancels: tuple[str, ...] = ()
    end: CancelDraft | None = None
    ends: tuple[Reference, ...] = ()
    order: str | None = None
