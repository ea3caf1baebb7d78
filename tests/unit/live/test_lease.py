from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.live.api import LiveTimes
from agent.live.lease import OVER, Facts, Next, Terms, Why, decide, wait_s
from agent.model.live import LiveState

GRANT = Terms(final=True, silence_limit_s=30, stall_limit_s=10)
RELAY = replace(GRANT, final=False)
CONNECTING = Facts(LiveState.CONNECTING, tried_at_s=100.0)
READY = Facts(LiveState.READY, tried_at_s=100.0, first_data_s=101.0, data_s=150.0, sound_s=50.0)

moments = st.floats(0, 1000)
facts = st.builds(
    Facts,
    state=st.sampled_from(LiveState),
    tried_at_s=moments,
    opened=st.booleans(),
    first_data_s=st.none() | moments,
    data_s=st.none() | moments,
    sound_s=moments,
    silent_s=moments,
    starved_s=moments,
    over=st.none() | st.sampled_from(sorted(OVER)),
)
terms = st.builds(Terms, st.booleans(), st.floats(1, 600), st.floats(1, 120), st.just(10.0), st.just(0.3))


def test_source_connects_until_a_third_of_a_second_of_sound_has_come() -> None:
    some = replace(CONNECTING, first_data_s=101.0, data_s=101.1, sound_s=0.2)
    assert decide(GRANT, some, 101.1) == Next(LiveState.CONNECTING)
    assert decide(GRANT, replace(some, sound_s=0.3), 101.1) == Next(LiveState.READY, Why.READY)
    untold = replace(some, sound_s=0.0)
    assert decide(GRANT, untold, 109.0) == Next(LiveState.CONNECTING), "time alone is no sound"
    assert decide(GRANT, replace(untold, data_s=101.31), 101.31).state is LiveState.READY


def test_capture_is_ready_once_it_is_open() -> None:
    assert decide(RELAY, replace(CONNECTING, opened=True), 100.0).state is LiveState.READY


def test_source_that_never_answers_is_lost_after_the_longer_of_its_limits() -> None:
    hasty = replace(RELAY, stall_limit_s=1)
    assert decide(hasty, CONNECTING, 109.9).state is LiveState.CONNECTING
    assert decide(hasty, CONNECTING, 110.1) == Next(LiveState.LOST, Why.STALLED, hang_up=True)


@pytest.mark.parametrize("party", [GRANT, RELAY])
def test_stream_that_stands_still_is_lost(party: Terms) -> None:
    assert decide(party, READY, 160.0).state is LiveState.READY
    assert decide(party, READY, 160.1) == Next(LiveState.LOST, Why.STALLED, hang_up=True)


@pytest.mark.parametrize("party", [GRANT, RELAY])
def test_bytes_that_are_no_sound_to_the_worker_are_a_loss(party: Terms) -> None:
    assert decide(party, replace(READY, starved_s=10.1), 150.0).why is Why.STARVED


def test_silence_ends_a_grant_and_only_interrupts_a_relay() -> None:
    silent = replace(READY, silent_s=30.1)
    assert decide(GRANT, silent, 150.0) == Next(LiveState.ENDED, Why.SILENT, hang_up=True)
    assert decide(RELAY, silent, 150.0) == Next(LiveState.LOST, Why.SILENT, hang_up=True)
    assert decide(GRANT, replace(READY, silent_s=30.0), 150.0).state is LiveState.READY


def test_hole_in_the_stream_is_not_taken_for_a_mute_speaker() -> None:
    patient = replace(GRANT, stall_limit_s=60)
    assert decide(patient, replace(READY, silent_s=40.0, starved_s=40.0), 150.0).state is LiveState.READY


@pytest.mark.parametrize(
    ("why", "grant"),
    [(Why.FINISHED, LiveState.ENDED), (Why.REFUSED, LiveState.ENDED), (Why.BROKEN, LiveState.LOST)],
)
def test_end_and_refusal_end_a_grant_but_a_broken_connection_does_not(why: Why, grant: LiveState) -> None:
    assert decide(GRANT, replace(READY, over=why), 150.0).state is grant
    assert decide(RELAY, replace(READY, over=why), 150.0).state is LiveState.LOST


@given(terms, facts, moments)
def test_relay_never_ends_and_an_end_is_for_good(party: Terms, known: Facts, now_s: float) -> None:
    after = decide(party, known, now_s)
    if known.state is LiveState.ENDED:
        assert after.state is LiveState.ENDED
    elif not party.final:
        assert after.state is not LiveState.ENDED


@given(terms, facts, moments)
def test_ready_is_never_said_of_a_connection_without_sound(party: Terms, known: Facts, now_s: float) -> None:
    after = decide(party, known, now_s)
    if after.why is Why.READY:
        assert known.over is None
        assert known.opened or known.data_s is not None


@given(terms, facts, moments)
def test_whatever_is_lost_or_over_is_hung_up_with_a_reason(party: Terms, known: Facts, now_s: float) -> None:
    after = decide(party, known, now_s)
    if (
        known.state is not LiveState.ENDED
        and after.state is not known.state
        and after.state is not LiveState.READY
    ):
        assert after.hang_up
        assert after.why is not None
    if known.over is not None:
        assert after.hang_up


@given(st.integers(1, 10_000), st.sampled_from([Why.BROKEN, Why.STALLED, Why.STARVED, Why.FINISHED]))
def test_waits_grow_within_their_bounds(failures: int, why: Why) -> None:
    times = LiveTimes()
    longest = wait_s(times, why, failures, lambda low, high: high)
    shortest = wait_s(times, why, failures, lambda low, high: low)
    assert shortest == 0.5
    assert 0.5 <= longest <= 15.0
    assert longest == min(15.0, 0.5 * 2 ** min(failures, 16))


def test_refusal_and_silence_are_tried_again_rarely() -> None:
    for why in (Why.REFUSED, Why.SILENT):
        assert wait_s(LiveTimes(), why, 1, lambda low, high: low) == 60.0
