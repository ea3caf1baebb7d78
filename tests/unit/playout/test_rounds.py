"""What a round is made of, when the next one comes, how long a lease lasts and who may end it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.model.bulletin import BulletinClass, ClockTrust, ItemKind, LiveSource, Media, Signal, SourceLevel
from agent.model.schedule import Programme, Resume
from agent.playout.rounds import (
    PAUSE_MS,
    all_clear_programme,
    bulletin_programme,
    chosen_parts,
    emergency_programme,
    grant_programme,
    lease_s,
    may_cancel,
    next_round_s,
)
from agent.wire.orders import BulletinPart, MediaRef
from tests.unit.playout.test_orders import a_bulletin, a_grant, an_emergency

NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
RECORDED, STORED, SPOKEN = "a" * 64, "b" * 64, "c" * 64
REF = MediaRef(sha256=RECORDED, size_bytes=1, duration_ms=9_000, url="/m")


def media(sha256: str) -> Media:
    return Media(sha256, 1, 5_000, 0.0, "")


def part(language: str = "vi", **more: Any) -> BulletinPart:
    return BulletinPart(language=language, title="Lũ", text="Nước lên", **more)


def composed(*parts: BulletinPart, held: set[str], languages: tuple[str, ...] = ("vi",)) -> Programme:
    order = an_emergency(parts=parts, attention_s=5)
    return emergency_programme(
        order, languages, held, lambda _event, _language: media(STORED), lambda _number: media(SPOKEN)
    )


def names(programme: Programme | None) -> list[str]:
    assert programme is not None
    return [item.id for item in programme.items]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({RECORDED, STORED, SPOKEN}, ["part-0"]),
        ({STORED, SPOKEN}, ["stored-0", "text-0"]),
        ({STORED}, ["stored-0"]),
        ({SPOKEN}, ["text-0"]),
        (set(), []),
    ],
)
def test_a_round_is_made_of_the_best_that_is_on_the_box(held: set[str], said: list[str]) -> None:
    assert names(composed(part(media=REF), held=held)) == ["attention", *said, "pause"]


def test_a_round_begins_with_the_attention_signal_and_ends_with_silence() -> None:
    first, *_, last = composed(part(), held=set()).items
    assert (first.kind, first.media.signal, first.media.duration_ms) == (
        ItemKind.SIGNAL, Signal.ATTENTION, 5_000,
    )  # fmt: skip
    assert (last.media.signal, last.media.duration_ms) == (Signal.SILENCE, PAUSE_MS)


def test_a_round_needs_no_clock_and_stands_as_an_emergency() -> None:
    programme = composed(part(), held=set())
    assert programme.clock_needed is ClockTrust.UNKNOWN
    assert programme.bulletin_class is BulletinClass.EMERGENCY
    assert programme.resume is Resume.STOPPED


def test_languages_are_those_of_the_box_in_its_order() -> None:
    parts = [part("vi"), part("km"), part("en")]
    assert chosen_parts(parts, ("km", "vi")) == [1, 0]
    assert names(composed(*parts, held={SPOKEN}, languages=("km", "vi"))) == [
        "attention", "text-1", "text-0", "pause",
    ]  # fmt: skip


def test_a_region_does_not_part_languages() -> None:
    assert chosen_parts([part("vi-VN")], ("vi",)) == [0]
    assert chosen_parts([part("vi")], ("vi-VN", "vi")) == [0]


def test_a_box_that_has_none_of_the_languages_plays_all() -> None:
    assert chosen_parts([part("km"), part("en")], ("vi",)) == [0, 1]


def test_a_bulletin_waits_for_its_speech_and_keeps_its_author() -> None:
    order = a_bulletin(parts=(part(), part("km", media=REF)), author="Lan", approver="Minh")
    assert bulletin_programme(order, ("vi", "km"), lambda _number: None) is None
    programme = bulletin_programme(order, ("vi", "km"), lambda _number: media(SPOKEN))
    assert names(programme) == ["chime", "part-0", "part-1"]
    assert programme is not None
    assert {(one.author, one.approver) for one in programme.items[1:]} == {("Lan", "Minh")}
    assert programme.items[2].media.sha256 == RECORDED


def test_an_all_clear_waits_until_it_can_be_heard() -> None:
    level = SourceLevel.COMMUNE
    assert all_clear_programme("x", part(media=REF), level, set(), None) is None
    recorded = all_clear_programme("x", part(media=REF), level, {RECORDED}, media(SPOKEN))
    assert recorded is not None
    assert recorded.items[1].media.sha256 == RECORDED
    spoken = all_clear_programme("x", part(media=REF), level, set(), media(SPOKEN))
    assert spoken is not None
    assert spoken.items[1].media.sha256 == SPOKEN


def test_a_live_session_has_its_limits_and_its_lease() -> None:
    order = a_grant(source=LiveSource.LINE_IN, address="mixer", silence_limit_s=7, stall_limit_s=3)
    programme = grant_programme(order, "Chủ tịch", 60_000)
    assert names(programme) == ["chime", "live"]
    live = programme.items[1]
    assert live.live is not None
    assert (live.live.address, live.live.silence_limit_s, live.live.stall_limit_s) == ("mixer", 7, 3)
    assert (live.media.live_id, live.media.duration_ms) == (order.id, 60_000)
    assert names(grant_programme(a_grant(chime=False), "x", 1)) == ["live"]


@pytest.mark.parametrize(
    ("done", "last_end_s", "wanted"),
    [(0, None, 100), (1, 130, 130), (2, 160, 160), (3, 190, 790), (9, 900, 1500), (3, None, 100)],
)
def test_three_rounds_follow_each_other_then_one_comes_every_ten_minutes(
    done: int, last_end_s: float | None, wanted: float
) -> None:
    assert next_round_s(done, 3, 600, 100, last_end_s) == wanted


@pytest.mark.parametrize(
    ("trust", "expires_in", "wanted"),
    [
        (ClockTrust.SYNCHRONISED, timedelta(hours=2), 1800),
        (ClockTrust.RTC, timedelta(minutes=10), 600),
        (ClockTrust.RTC, timedelta(minutes=-1), 0),
        (ClockTrust.RESTORED, timedelta(minutes=-1), 1800),
        (ClockTrust.UNKNOWN, timedelta(minutes=10), 1800),
    ],
)
def test_a_lease_ends_with_the_order_if_the_clock_can_tell(
    trust: ClockTrust, expires_in: timedelta, wanted: float
) -> None:
    assert lease_s(30, NOON + expires_in, NOON, trust) == wanted


KNOWN = {
    "ttg": SourceLevel.CENTRAL, "tinh": SourceLevel.PROVINCE, "huyen": SourceLevel.DISTRICT,
    "xa": SourceLevel.COMMUNE, "xa2": SourceLevel.COMMUNE, "thon": SourceLevel.HAMLET,
}  # fmt: skip


@pytest.mark.parametrize("by", KNOWN)
@pytest.mark.parametrize("of", KNOWN)
def test_one_may_cancel_ones_own_and_what_is_of_a_lower_level(by: str, of: str) -> None:
    levels = list(SourceLevel)
    above = levels.index(KNOWN[by]) < levels.index(KNOWN[of])
    assert may_cancel(by, of, KNOWN.get) == (by == of or above)


def test_who_is_not_in_the_trust_root_cancels_only_its_own() -> None:
    assert not may_cancel("stranger", "thon", KNOWN.get)
    assert not may_cancel("ttg", "stranger", KNOWN.get)
    assert may_cancel("stranger", "stranger", KNOWN.get)
