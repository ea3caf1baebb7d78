import logging
from datetime import UTC, datetime, timedelta

import pytest

from agent.model.bulletin import ClockTrust
from agent.source.api import LinkState
from agent.source.errors import LinkFailure
from agent.source.status import StatusBoard


class SteppedClock:
    """A clock the test moves."""

    trust = ClockTrust.SYNCHRONISED

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    def monotonic_ns(self) -> int:
        return int(self.passed_s * 1e9)

    async def sleep(self, delay_s: float) -> None:
        self.passed_s += delay_s


DOWN = LinkFailure("timeout", "no answer")


def test_loss_is_logged_once_and_the_return_with_its_duration(caplog: pytest.LogCaptureFixture) -> None:
    clock = SteppedClock()
    board = StatusBoard(clock)
    with caplog.at_level(logging.INFO):
        board.mqtt(LinkState.CONNECTED)
        for _ in range(100):
            clock.passed_s += 1
            board.mqtt(LinkState.CONNECTING)
            board.mqtt(LinkState.WAITING, DOWN)
        board.mqtt(LinkState.CONNECTED)
    assert [record.message for record in caplog.records] == [
        "push link lost (timeout): 'no answer'",
        "push link back after 99 s",
    ]


def test_another_cause_is_news(caplog: pytest.LogCaptureFixture) -> None:
    board = StatusBoard(SteppedClock())
    board.http(DOWN)
    board.http(LinkFailure("credentials", "unknown device"))
    board.http(LinkFailure("credentials", "unknown device"))
    assert len(caplog.records) == 2


def test_cause_stays_while_the_next_attempt_runs_and_goes_when_connected() -> None:
    board = StatusBoard(SteppedClock())
    board.mqtt(LinkState.WAITING, DOWN)
    board.mqtt(LinkState.CONNECTING)
    assert board.latest.value.mqtt_error == DOWN
    board.mqtt(LinkState.CONNECTED)
    assert board.latest.value.mqtt_error is None


def test_since_tells_when_the_state_began_and_the_last_answer_is_kept() -> None:
    clock = SteppedClock()
    board = StatusBoard(clock)
    board.http(None)
    clock.passed_s = 60
    board.http(None)
    answered = clock.now()
    clock.passed_s = 120
    board.http(DOWN)
    status = board.latest.value
    assert (status.http_up, status.http_since, status.http_ok_at) == (False, clock.now(), answered)
    assert not status.reachable


def test_one_way_is_enough_to_be_reachable() -> None:
    board = StatusBoard(SteppedClock())
    board.mqtt(LinkState.WAITING, DOWN)
    board.http(None)
    assert board.latest.value.reachable
