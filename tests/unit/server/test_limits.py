from __future__ import annotations

from server.limits import MOST_ADDRESSES, Tries


def test_tries_run_out_and_come_back_with_time() -> None:
    now = [0.0]
    tries = Tries(2, 60.0, lambda: now[0])
    assert tries.wait_s("a") == 0
    tries.count("a")
    now[0] = 30.0
    tries.count("a")
    assert tries.wait_s("a") == 30
    assert tries.wait_s("b") == 0
    now[0] = 60.0
    assert tries.wait_s("a") == 0


def test_many_addresses_do_not_fill_the_memory() -> None:
    tries = Tries(2, 60.0, lambda: 0.0)
    for n in range(MOST_ADDRESSES + 50):
        tries.count(str(n))
    assert len(tries._seen) == MOST_ADDRESSES
