"""What orders want people to read: emergencies while they stand, bulletins where no horn can tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.model.bulletin import ClockTrust, ZoneId
from agent.playout.ladder import Rung
from agent.playout.notices import notice_of, notices
from agent.playout.stand import Stand, stand_of
from agent.wire.orders import AnyOrder, Bulletin, BulletinPart, Cancel, Emergency, Scope, ScopeKind
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
PARTS = (BulletinPart(title="Lũ"), BulletinPart(title="ទឹកជំនន់", language="km"))


def carried(**more: Any) -> dict[str, Any]:
    return {
        "id": new_ulid(NOW),
        "issuer": "xa",
        "seq": 1,
        "scope": Scope(kind=ScopeKind.STATION, id="xa"),
        "not_before": NOW,
        "expires": NOW + timedelta(hours=1),
        **more,
    }


def stand(order: AnyOrder, rung: Rung = Rung.EMERGENCY) -> Stand:
    found = stand_of(
        order, rung, minutes=10, known={}, now=NOW, now_s=100.0, trust=ClockTrust.RTC, proved=None, number=3,
        zones=(ZoneId("main"),),
    )  # fmt: skip
    assert found is not None
    return found


def emergency() -> Stand:
    return stand(
        Emergency.model_validate(carried(event="flood", level="commune", parts=PARTS, zones=("main",)))
    )


def test_an_emergency_is_read_in_the_languages_of_the_box() -> None:
    notice = notice_of(emergency(), ("km",))
    assert notice is not None
    assert [part.language for part in notice.parts] == ["km"]
    assert (notice.zones, notice.number) == (("main",), 3)


def test_a_cancel_has_nothing_to_read() -> None:
    assert notice_of(stand(Cancel(**carried(), cancels=new_ulid(NOW))), ("vi",)) is None


@pytest.mark.parametrize(("sounded", "count"), [(True, 0), (False, 1)])
def test_a_bulletin_is_read_where_no_horn_tells_it(sounded: bool, count: int) -> None:
    order = Bulletin.model_validate(carried(level="commune", parts=PARTS))
    standing = [stand(order, Rung.PRIORITY)]
    assert len(notices(standing, ("vi",), sounded=sounded, now_s=100.0)) == count


@pytest.mark.parametrize(("now_s", "count"), [(99.9, 0), (100.0, 1), (699.9, 1), (700.0, 0)])
def test_an_emergency_is_read_from_its_beginning_to_its_end(now_s: float, count: int) -> None:
    assert len(notices([emergency()], ("vi",), sounded=True, now_s=now_s)) == count
