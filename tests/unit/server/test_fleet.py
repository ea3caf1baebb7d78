from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.wire.reports import Online, State
from server.fleet import is_online

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("state", "state_ago", "health_ago", "online"),
    [
        (None, None, None, False),
        (None, None, 30, True),
        (None, None, 200, False),
        (Online.ONLINE, 100, 30, True),
        (Online.ONLINE, 1000, 30, True),
        (Online.ONLINE, 1000, 400, False),
        (Online.OFFLINE, 10, 30, False),
        (Online.OFFLINE, 100, 30, True),
        (Online.OFFLINE, 1000, 200, False),
    ],
)
def test_the_newest_sign_of_life_decides(
    state: Online | None, state_ago: float | None, health_ago: float | None, online: bool
) -> None:
    said = None
    if state is not None:
        came = ago(state_ago)
        assert came is not None
        said = State(state=state, boot_id="b"), came
    contact = max((one for one in (ago(state_ago), ago(health_ago)) if one), default=None)
    assert is_online(said, ago(health_ago), contact, NOW) is online
