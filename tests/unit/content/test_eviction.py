from datetime import UTC, datetime, timedelta

from agent.content.eviction import NEVER, Candidate, choose_evictions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hours(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def wanted(size: int, need: datetime, used_s: float = 0.0) -> Candidate:
    return Candidate(size, used_s, wanted=True, next_need=need)


def test_nothing_goes_when_there_is_room() -> None:
    assert choose_evictions({"a": Candidate(10, 1.0)}, 0, NOON) == []
    assert choose_evictions({}, -5, NOON) == []


def test_unwanted_files_go_first_and_the_least_recently_used_of_them() -> None:
    files = {
        "soon": wanted(10, hours(1)),
        "late": wanted(10, hours(9)),
        "used today": Candidate(10, 200.0),
        "used last year": Candidate(10, 100.0),
    }
    assert choose_evictions(files, 5, NOON) == ["used last year"]
    assert choose_evictions(files, 20, NOON) == ["used last year", "used today"]


def test_then_those_go_that_are_needed_latest() -> None:
    files = {"h2": wanted(10, hours(2)), "h9": wanted(10, hours(9)), "never": wanted(10, NEVER)}
    assert choose_evictions(files, 15, hours(1)) == ["never", "h9"]


def test_of_two_needed_at_the_same_time_the_least_recently_used_goes() -> None:
    files = {"fresh": wanted(10, NEVER, used_s=9.0), "stale": wanted(10, NEVER, used_s=1.0)}
    assert choose_evictions(files, 5, NOON) == ["stale"]


def test_nothing_goes_that_is_needed_before_or_with_the_newcomer() -> None:
    files = {"before": wanted(10, hours(1)), "with": wanted(10, hours(2)), "after": wanted(10, hours(3))}
    assert choose_evictions(files, 10, hours(2)) == ["after"]
    assert choose_evictions(files, 11, hours(2)) is None


def test_file_without_known_need_never_pushes_out_another_wanted_one() -> None:
    assert choose_evictions({"other": wanted(10, NEVER)}, 5, NEVER) is None
    assert choose_evictions({"spare": Candidate(10, 0.0)}, 5, NEVER) == ["spare"]


def test_smaller_quota_may_push_out_everything() -> None:
    files = {"soon": wanted(10, hours(1)), "late": wanted(10, hours(9))}
    assert choose_evictions(files, 10, None) == ["late"]
    assert choose_evictions(files, 20, None) == ["late", "soon"]
