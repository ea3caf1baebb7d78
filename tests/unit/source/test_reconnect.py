from agent.errors import Retry
from agent.source.reconnect import Reconnect


def longest(low: float, high: float) -> float:
    return high


def shortest(low: float, high: float) -> float:
    return low


def test_waits_double_up_to_the_ceiling() -> None:
    waits = Reconnect(60, uniform=longest)
    assert [waits.delay_s(0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_is_full_so_that_a_fleet_spreads_out() -> None:
    waits = Reconnect(60, uniform=shortest)
    assert [waits.delay_s(0) for _ in range(5)] == [0, 0, 0, 0, 0]


def test_session_that_lived_starts_the_count_anew() -> None:
    waits = Reconnect(60, uniform=longest)
    for _ in range(5):
        waits.delay_s(0)
    assert waits.delay_s(29.9) == 16
    assert waits.delay_s(30.0) == 0.5


def test_refusal_waits_near_the_ceiling_at_once() -> None:
    assert Reconnect(60, uniform=longest).delay_s(0, Retry.LATER) == 60
    assert Reconnect(60, uniform=shortest).delay_s(0, Retry.LATER) == 30


def test_many_failures_overflow_nothing() -> None:
    waits = Reconnect(60, uniform=longest)
    assert {waits.delay_s(0) for _ in range(5000)} == {0.5, 1, 2, 4, 8, 16, 32, 60}


def test_another_network_starts_the_count_anew() -> None:
    waits = Reconnect(60, uniform=longest)
    waits.delay_s(0)
    waits.reset()
    assert waits.delay_s(0) == 0.5


def test_ceiling_below_the_base_holds() -> None:
    assert Reconnect(0.1, uniform=longest).delay_s(0) == 0.1
