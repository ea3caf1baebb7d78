"""The book of open issues: conditions a person can fix, each raised once and cleared once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.latest import Latest
from agent.model.issue import Fault, Issue

logger = logging.getLogger(__name__)

MAX_OPEN_PER_FAULT = 20
"""Subjects come from outside too (order ids, files); of one fault only the newest are kept open."""

MAX_DETAIL = 200
_STEPPED = timedelta(seconds=2)


@dataclass(slots=True)
class _Open:
    issue: Issue
    raised_s: float


class IssueBook:
    """Open issues by fault and subject.

    Logs once when an issue is raised and once when it is cleared, with its duration on the
    monotonic clock. `since` follows the wall clock: an issue raised in what the box took for 1970
    is told with its true moment once the clock has been set.

    Args:
        on_change: called with the issue and True when it is raised, False when it is cleared;
            must not raise and must not block.
    """

    def __init__(self, clock: Clock, on_change: Callable[[Issue, bool], None] | None = None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._open: dict[tuple[Fault, str], _Open] = {}
        self.latest: Latest[tuple[Issue, ...]] = Latest(())

    @property
    def open(self) -> tuple[Issue, ...]:
        """Open issues by fault number, then oldest first."""
        entries = sorted(self._open.values(), key=lambda one: (one.issue.fault.value, one.raised_s))
        return tuple(self._dated(entry) for entry in entries)

    def is_open(self, fault: Fault, subject: str = "") -> bool:
        """Whether this very issue is open."""
        return (fault, subject) in self._open

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        """Open an issue; of one that is open already, only the detail is brought up to date."""
        detail = detail[:MAX_DETAIL]
        known = self._open.get((fault, subject))
        if known is not None:
            if known.issue.detail != detail:
                known.issue = replace(known.issue, detail=detail)
                self.latest.set(self.open)
            return
        self._make_room(fault)
        issue = Issue(fault, subject, self._clock.now(), detail)
        self._open[(fault, subject)] = _Open(issue, self._clock.monotonic())
        logger.warning("issue %s%s raised: %s", fault.value, _of(subject), detail or fault.name.lower())
        self._tell(issue, raised=True)

    def clear(self, fault: Fault, subject: str = "") -> None:
        """Close an issue; nothing happens if it is not open."""
        entry = self._open.pop((fault, subject), None)
        if entry is None:
            return
        lasted_s = self._clock.monotonic() - entry.raised_s
        logger.info("issue %s%s cleared after %.0f s", fault.value, _of(subject), lasted_s)
        self._tell(self._dated(entry), raised=False)

    def put(self, fault: Fault, present: bool | None, subject: str = "", detail: str = "") -> None:
        """Raise when `present`, clear when not; None (nothing measured it) leaves it as it is."""
        if present:
            self.raise_(fault, subject, detail)
        elif present is False:
            self.clear(fault, subject)

    def _make_room(self, fault: Fault) -> None:
        of_fault = [(entry.raised_s, key) for key, entry in self._open.items() if key[0] is fault]
        if len(of_fault) >= MAX_OPEN_PER_FAULT:
            _, oldest = min(of_fault)
            self.clear(*oldest)

    def _dated(self, entry: _Open) -> Issue:
        since = self._clock.now() - timedelta(seconds=self._clock.monotonic() - entry.raised_s)
        if abs(since - entry.issue.since) > _STEPPED:
            entry.issue = replace(entry.issue, since=_whole_second(since))
        return entry.issue

    def _tell(self, issue: Issue, *, raised: bool) -> None:
        self.latest.set(self.open)
        if self._on_change is not None:
            self._on_change(issue, raised)


def _of(subject: str) -> str:
    return f" {subject!r}" if subject else ""


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
