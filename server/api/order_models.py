"""What the operator's API says of orders and of what the station set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agent.wire.base import Moment, Ulid
from agent.wire.orders import EmergencyEvent, HoursWindow, JobAction, MediaRef
from agent.wire.reports import JobState
from server.api.models import Given


class TargetsAnswer(Given):
    """For whom."""

    devices: list[str]
    groups: list[str]
    all: bool


class SignedAnswer(Given):
    """One signed order; `pushed` says that the broker has it, otherwise the next heartbeat brings it."""

    id: Ulid
    scope: Literal["device", "group", "station", "province"]
    name: str
    seq: int
    pushed: bool


class EndAnswer(Given):
    """The cancel that ended an order."""

    id: Ulid
    at: Moment
    author: str


class OrderAnswer(Given):
    """What a person ordered once.

    Attributes:
        id: names all orders of the request; that of its first order.
        state: `kept` is a bulletin that was not sent.
        body: what the orders say: event, parts, times and so on.
        orders: one for each scope.
        answers: what boxes said of it so far, by box: `order_accepted`, `emergency_begun` and so on.
    """

    id: Ulid
    kind: str
    state: Literal["in_force", "cancelled", "over", "kept"]
    created: Moment
    expires: Moment
    author: str
    targets: TargetsAnswer
    body: dict[str, Any]
    orders: list[SignedAnswer]
    cancels: Ulid | None = None
    ended: EndAnswer | None = None
    answers: dict[str, list[str]] = Field(default_factory=dict)


class OrderList(Given):
    """Newest first."""

    orders: list[OrderAnswer]


class BoxJobAnswer(Given):
    """How far one box is; `state` is absent until it said something."""

    device: str
    state: JobState | None = None
    at: Moment | None = None
    result: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class JobAnswer(Given):
    """A job and what came of it.

    Attributes:
        overdue: the deadline is over and a box has not said how it ended.
    """

    id: Ulid
    action: JobAction
    arguments: dict[str, str | int | float | bool]
    author: str
    created: Moment
    deadline: Moment
    overdue: bool
    orders: list[SignedAnswer]
    boxes: list[BoxJobAnswer]


class Changed(Given):
    """Which version of a setting holds, and who set it; version 0 was never set."""

    version: int
    author: str
    changed: Moment | None


class HoursAnswer(Changed):
    """When the station may sound; no windows: at any time."""

    windows: list[HoursWindow]


class PriorityAnswer(Changed):
    """Priority items in the order a person chose."""

    order: list[str]


class LanguagesAnswer(Changed):
    """Languages the boxes play, in order."""

    languages: list[str]


class StagedAnswer(Given):
    """One recording kept on the boxes."""

    event: EmergencyEvent
    language: str
    text: str
    media: MediaRef


class BuiltInAnswer(Given):
    """A message that every box can speak by itself."""

    event: EmergencyEvent
    language: str
    title: str
    text: str


class MessagesAnswer(Changed):
    """Recordings for emergencies, and the texts that are spoken where there is none."""

    messages: list[StagedAnswer]
    built_in: list[BuiltInAnswer]
