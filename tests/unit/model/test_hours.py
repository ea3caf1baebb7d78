"""When a station may sound: windows over weekdays, midnight and time zones, minutes and caps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.hours import ALWAYS, Hours, Permission, Window, permission

VIETNAM = "Asia/Ho_Chi_Minh"
EVERY_DAY = frozenset(range(1, 8))
HOUR = 3600


def civil(day: int, hour: int, minute: int = 0, zone: str = VIETNAM, month: int = 11) -> datetime:
    """A moment in November 2026; the 23rd is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def window(start: float, end: float, days: frozenset[int] = EVERY_DAY, **more: float | None) -> Window:
    minutes, cap = more.get("max_minutes"), more.get("max_dbfs")
    return Window(days, int(start * HOUR), int(end * HOUR), None if minutes is None else int(minutes), cap)


def hours(*windows: Window, zone: str = VIETNAM) -> Hours:
    return Hours(1, zone, windows)


@pytest.mark.parametrize("rules", [None, hours()])
def test_without_windows_sound_is_allowed_at_all_times(rules: Hours | None) -> None:
    now = civil(23, 3)
    assert permission(rules, now) == Permission(allowed=True, until=now + ALWAYS)


def test_the_first_moment_of_a_window_is_in_and_its_last_is_not() -> None:
    rules, tick = hours(window(5, 6)), timedelta(microseconds=1)
    begin, end = civil(23, 5), civil(23, 6)
    assert [permission(rules, at).allowed for at in (begin - tick, begin, end - tick, end)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_it_says_until_when_the_answer_holds() -> None:
    rules = hours(window(5, 6), window(17, 18))
    assert permission(rules, civil(23, 5, 30)).until == civil(23, 6)
    assert permission(rules, civil(23, 6)).until == civil(23, 17)
    assert permission(rules, civil(23, 18)).until == civil(24, 5)


def test_weekdays_are_those_on_which_a_window_begins() -> None:
    rules = hours(window(22, 1, frozenset({5})))  # Friday night
    friday = 27
    assert permission(rules, civil(friday, 22)).allowed
    assert permission(rules, civil(friday + 1, 0, 59)).allowed
    assert not permission(rules, civil(friday + 1, 1)).allowed
    assert not permission(rules, civil(friday + 1, 22)).allowed
    assert not permission(rules, civil(friday, 0, 30)).allowed


def test_until_24_00_and_from_00_00_join_without_a_gap() -> None:
    rules = hours(window(22, 24), window(0, 1))
    assert permission(rules, civil(23, 23, 59)).allowed
    assert permission(rules, civil(24, 0)).allowed
    assert not permission(rules, civil(24, 1)).allowed
    assert hours(window(22, 24)).session(civil(24, 0)) is None


def test_a_window_of_equal_start_and_end_lasts_a_day() -> None:
    rules = hours(window(6, 6, frozenset({1})))
    assert permission(rules, civil(24, 5, 59)).allowed
    assert not permission(rules, civil(24, 6)).allowed


def test_of_overlapping_windows_the_first_named_is_in_force() -> None:
    rules = hours(window(5, 7, max_dbfs=-20), window(4, 8, max_dbfs=-3))
    caps = [permission(rules, civil(23, at)).cap_dbfs for at in (4, 5, 6, 7)]
    assert caps == [-3, -20, -20, -3]
    assert permission(rules, civil(23, 4)).until == civil(23, 5)


def test_minutes_are_those_of_one_session() -> None:
    rules, now = hours(window(5, 7, max_minutes=15)), civil(23, 5, 30)
    fresh = permission(rules, now)
    assert (fresh.allowed, fresh.left, fresh.until) == (
        True, timedelta(minutes=15), now + timedelta(minutes=15),
    )  # fmt: skip
    spent = permission(rules, now, timedelta(minutes=15))
    assert (spent.allowed, spent.left, spent.until) == (False, timedelta(0), civil(23, 7))
    assert not permission(rules, now, timedelta(hours=3)).allowed
    keys = {session.key for at in (civil(23, 5), civil(24, 5)) if (session := rules.session(at))}
    assert keys == {"2026-11-23/0", "2026-11-24/0"}


def test_minutes_left_do_not_reach_beyond_the_window() -> None:
    rules = hours(window(5, 7, max_minutes=60))
    assert permission(rules, civil(23, 6, 50)).until == civil(23, 7)


def test_a_session_past_midnight_keeps_its_name() -> None:
    rules = hours(window(22, 2))
    before, after = rules.session(civil(23, 23)), rules.session(civil(24, 1))
    assert before is not None
    assert before == after
    assert before.key == "2026-11-23/0"


def test_windows_are_civil_times_of_the_station_not_of_the_box() -> None:
    rules = hours(window(5, 6), zone="Europe/Berlin")
    assert permission(rules, datetime(2026, 11, 23, 4, 30, tzinfo=UTC)).allowed
    assert permission(rules, datetime(2026, 7, 20, 3, 30, tzinfo=UTC)).allowed  # summer time
    assert not permission(rules, datetime(2026, 7, 20, 4, 30, tzinfo=UTC)).allowed


def test_the_answer_is_the_same_in_whatever_zone_now_is_told() -> None:
    rules, now = hours(window(5, 6)), civil(23, 5, 30)
    assert permission(rules, now.astimezone(ZoneInfo("America/Lima"))).allowed


def test_a_window_once_a_week_is_seen_from_a_week_ahead() -> None:
    rules = hours(window(5, 6, frozenset({1})))
    assert rules.change_after(civil(23, 6)) == civil(30, 5)


def test_a_window_that_never_comes_allows_nothing() -> None:
    rules, now = hours(window(5, 6, frozenset())), civil(23, 5, 30)
    assert permission(rules, now) == Permission(allowed=False, until=now + ALWAYS)


seconds = st.integers(0, 86_399)
windows = st.builds(
    Window,
    st.frozensets(st.integers(1, 7), max_size=7),
    seconds,
    st.integers(0, 86_400),
    st.none() | st.integers(1, 120),
    st.none() | st.floats(-40, 0),
)
zones = st.sampled_from([VIETNAM, "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=120, deadline=None)
@given(st.lists(windows, max_size=3), zones, moments, st.integers(0, 7200), st.floats(0, 1))
def test_the_answer_does_not_change_before_it_says(
    listed: list[Window], zone: str, now: datetime, used_s: int, share: float
) -> None:
    rules, used = Hours(1, zone, tuple(listed)), timedelta(seconds=used_s)
    told = permission(rules, now, used)
    assert told.until > now
    tick = timedelta(microseconds=1)
    for moment in (now + (told.until - tick - now) * share, told.until - tick):
        then = permission(rules, moment, used)
        assert (then.allowed, then.session, then.cap_dbfs, then.left) == (
            told.allowed, told.session, told.cap_dbfs, told.left,
        )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(windows, min_size=1, max_size=3), zones, moments)
def test_sound_is_allowed_exactly_in_a_session(listed: list[Window], zone: str, now: datetime) -> None:
    rules = Hours(1, zone, tuple(listed))
    session = rules.session(now)
    told = permission(rules, now)
    assert told.allowed == (session is not None)
    assert told.session == session
    if session is not None:
        assert session.begins <= now < session.ends
        assert session.window in listed
