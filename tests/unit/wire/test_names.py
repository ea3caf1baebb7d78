"""ULIDs and topics: the small grammars of the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.wire.topics import device_id_ok, down, group_down, group_id_ok, parse_up, subscriptions, up
from agent.wire.ulid import is_ulid, new_ulid


def test_ulids_sort_by_time_and_differ() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    made = [new_ulid(now + timedelta(milliseconds=step)) for step in range(50)]
    assert made == sorted(made)
    assert all(is_ulid(one) for one in made)
    assert len({new_ulid(now) for _ in range(100)}) == 100


def test_the_time_of_a_ulid_is_that_of_its_specification() -> None:
    # The example of github.com/ulid/spec encodes 1469918176385 as 01ARYZ6S41.
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1_469_918_176_385)
    assert new_ulid(moment)[:10] == "01ARYZ6S41"


def test_a_box_that_wakes_before_1970_still_makes_ulids() -> None:
    assert new_ulid(datetime(1960, 1, 1, tzinfo=UTC)).startswith("0000000000")


@pytest.mark.parametrize(
    "text", ["", "01ARYZ6S41", "8" + "Z" * 25, "01aryz6s41" + "0" * 16, "0" * 25 + "U", "0" * 26 + "\n"]
)
def test_what_is_no_ulid(text: str) -> None:
    assert not is_ulid(text)


def test_topics() -> None:
    assert up("box-0001", "asrun") == "tl/v1/box-0001/up/asrun"
    assert up("box-0001", f"job/{'0' * 26}") == f"tl/v1/box-0001/up/job/{'0' * 26}"
    assert down("box-0001", "desired") == "tl/v1/box-0001/down/desired"
    assert group_down("xa-1", "emergency") == "tl/v1/g/xa-1/down/emergency"
    assert subscriptions("box-0001", ("xa-1",)) == ("tl/v1/box-0001/down/#", "tl/v1/g/xa-1/down/#")
    assert parse_up("tl/v1/box-0001/up/job/x") == ("box-0001", "job/x")


@pytest.mark.parametrize("kind", ["", "down", "job/x", "job/", "asrun/x", "#"])
def test_only_known_reports_have_a_topic(kind: str) -> None:
    with pytest.raises(ValueError, match="no report topic"):
        up("box-0001", kind)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "tl/v1/box-0001/down/desired",
        "tl/v2/box-0001/up/state",
        "tl/v1/+/up/state",
        "tl/v1/BOX-0001/up/state",
    ],
)
def test_other_topics_are_no_reports(topic: str) -> None:
    assert parse_up(topic) is None


@pytest.mark.parametrize("text", ["", "short", "a" * 41, "box_0001", "box-0001\n", "+", "bóx-0001"])
def test_what_is_no_device_id(text: str) -> None:
    assert not device_id_ok(text)


def test_group_ids() -> None:
    assert group_id_ok("g")
    assert not group_id_ok("g/#")
