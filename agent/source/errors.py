"""Link errors with a stable code, so that the status line and the log name the cause in one word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agent.errors import AgentError, LinkDownError, LinkRefusedError


@dataclass(frozen=True, slots=True)
class LinkFailure:
    """Why a link is not up: a stable code and a sentence in English for technicians."""

    code: str
    detail: str


class SourceDownError(LinkDownError):
    """Nobody answered or the connection broke; `code` says how: dns, refused, timeout, tls, cut ..."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class SourceRefusedError(LinkRefusedError):
    """The source system declined; `code` says what: credentials, code, taken_over ..."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class NoUplinkError(SourceDownError):
    """The box itself has no way out at present, e.g. a SIM without data; nobody was asked."""

    def __init__(self) -> None:
        super().__init__("no_uplink", "the box has no data connection")


class PublishRefusedError(SourceRefusedError):
    """The broker took the message but declined it (PUBACK with a reason code of 0x80 or more)."""


def failure_of(error: AgentError) -> LinkFailure:
    """Code and sentence of an error that ended a session or a request."""
    if isinstance(error, SourceDownError | SourceRefusedError):
        return LinkFailure(error.code, error.detail)
    return LinkFailure(type(error).__name__.removesuffix("Error").lower(), str(error)[:300])


def raise_if_cancelled() -> None:
    """Raise the cancellation of this task that something else has covered.

    `asyncio.wait_for` of Python 3.11, which aiomqtt uses, drops a cancellation that comes together with
    the result, and a TaskGroup one that comes together with a child's error. A task that went on then
    would never end. Only for tasks that hold no TaskGroup themselves: before 3.13 a group whose child
    fails leaves its own request to cancel on the count. May go when 3.13 is the oldest Python.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
