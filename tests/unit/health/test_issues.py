"""The book of issues: once raised, once cleared, dated right."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from agent.health.issues import MAX_OPEN_PER_FAULT, IssueBook
from agent.model.issue import Fault, Issue
from tests.unit.health.doubles import NOON, StillClock


@pytest.fixture
def changes() -> list[tuple[Issue, bool]]:
    return []


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def book(clock: StillClock, changes: list[tuple[Issue, bool]]) -> IssueBook:
    return IssueBook(clock, lambda issue, raised: changes.append((issue, raised)))


def test_an_issue_raised_twice_is_told_and_logged_once(
    book: IssueBook, changes: list[tuple[Issue, bool]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book.raise_(Fault.LINE_SILENT, "main", "no sound for 3 s")
    book.raise_(Fault.LINE_SILENT, "main", "no sound for 3 s")
    assert changes == [(Issue(Fault.LINE_SILENT, "main", NOON, "no sound for 3 s"), True)]
    assert [record.getMessage() for record in caplog.records] == [
        "issue TL-513 'main' raised: no sound for 3 s"
    ]


def test_clearing_tells_how_long_it_lasted(
    book: IssueBook, clock: StillClock, changes: list[tuple[Issue, bool]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book.raise_(Fault.MAINS_LOST)
    clock.pass_time(90)
    book.clear(Fault.MAINS_LOST)
    assert changes[-1][1] is False
    assert book.open == ()
    assert caplog.records[-1].getMessage() == "issue TL-101 cleared after 90 s"


def test_clearing_what_is_not_open_tells_nobody(book: IssueBook, changes: list[tuple[Issue, bool]]) -> None:
    book.clear(Fault.MAINS_LOST)
    assert changes == []


def test_subjects_are_separate_issues(book: IssueBook) -> None:
    book.raise_(Fault.LINE_SILENT, "east")
    book.raise_(Fault.LINE_SILENT, "west")
    book.clear(Fault.LINE_SILENT, "east")
    assert [issue.subject for issue in book.open] == ["west"]


def test_a_new_detail_replaces_the_old_and_keeps_since(
    book: IssueBook, clock: StillClock, changes: list[tuple[Issue, bool]]
) -> None:
    book.raise_(Fault.MEDIA_MISSING, "abc", "first try")
    clock.pass_time(60)
    book.raise_(Fault.MEDIA_MISSING, "abc", "second try")
    assert book.open == (Issue(Fault.MEDIA_MISSING, "abc", NOON, "second try"),)
    assert book.latest.value == book.open
    assert len(changes) == 1


def test_since_is_right_after_the_clock_was_set(book: IssueBook, clock: StillClock) -> None:
    clock.step(datetime(1970, 1, 1, tzinfo=UTC))
    book.raise_(Fault.CLOCK_UNTRUSTED)
    clock.pass_time(40)
    clock.step(NOON)
    assert book.open[0].since == NOON - timedelta(seconds=40)


def test_since_does_not_wander_while_the_clock_is_only_slewed(book: IssueBook, clock: StillClock) -> None:
    book.raise_(Fault.MAINS_LOST)
    clock.pass_time(1000)
    clock.step(clock.now() + timedelta(seconds=0.5))
    assert book.open[0].since == NOON


def test_what_is_not_measured_leaves_the_issue_as_it_is(book: IssueBook) -> None:
    book.put(Fault.MAINS_LOST, None)
    assert book.open == ()
    book.put(Fault.MAINS_LOST, present=True)
    book.put(Fault.MAINS_LOST, None)
    assert book.is_open(Fault.MAINS_LOST)
    book.put(Fault.MAINS_LOST, present=False)
    assert not book.is_open(Fault.MAINS_LOST)


def test_a_flood_of_subjects_keeps_the_newest_and_leaves_other_faults_alone(
    book: IssueBook, clock: StillClock
) -> None:
    book.raise_(Fault.MAINS_LOST)
    for number in range(MAX_OPEN_PER_FAULT + 5):
        clock.pass_time(1)
        book.raise_(Fault.ORDER_REFUSED, f"order{number}")
    refused = [issue.subject for issue in book.open if issue.fault is Fault.ORDER_REFUSED]
    assert refused == [f"order{number}" for number in range(5, MAX_OPEN_PER_FAULT + 5)]
    assert book.is_open(Fault.MAINS_LOST)


def test_a_long_detail_from_outside_is_bounded(book: IssueBook) -> None:
    book.raise_(Fault.ORDER_REFUSED, "x", "a" * 10_000)
    assert len(book.open[0].detail) == 200
