from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.media.loudness import (
    CEILING_DBTP,
    LARGEST_LIMITING_DB,
    TARGET_LUFS,
    Levelling,
    Loudness,
    first_levelling,
    next_levelling,
    read_summary,
)

SUMMARY = """[info] frame
    I:         -19.0 LUFS
    Threshold: -29.6 LUFS
  True peak:
    Peak:        0.2 dBFS
"""


def test_the_summary_of_ebur128_is_read() -> None:
    assert read_summary(SUMMARY) == Loudness(-19.0, 0.2)
    assert read_summary(SUMMARY.replace("0.2", "-inf").replace("-19.0", "-70.0")) == Loudness(-70.0, -120.0)
    assert read_summary("nothing here") is None


def test_quiet_sound_with_headroom_needs_gain_alone() -> None:
    assert first_levelling(Loudness(-30.0, -20.0)) == Levelling(14.0, limit=False)


def test_silence_is_left_alone() -> None:
    silence = Loudness(-70.0, -120.0)
    assert first_levelling(silence) == Levelling(0.0, limit=False)
    assert next_levelling(silence, Levelling(0.0, limit=False), silence) is None


def test_a_single_bang_is_not_squashed_to_the_target() -> None:
    bang = Loudness(-40.0, 0.0)
    assert first_levelling(bang) == Levelling(CEILING_DBTP + LARGEST_LIMITING_DB, limit=True)


@given(st.floats(-59, 0), st.floats(-40, 6))
def test_gain_never_asks_for_more_limiting_than_allowed(lufs: float, peak: float) -> None:
    wanted = first_levelling(Loudness(lufs, peak))
    assert peak + wanted.gain_db - CEILING_DBTP <= LARGEST_LIMITING_DB + 0.01
    if not wanted.limit:
        assert peak + wanted.gain_db <= CEILING_DBTP
        assert lufs + wanted.gain_db == pytest.approx(TARGET_LUFS, abs=0.01)


def test_a_result_at_the_target_stands() -> None:
    assert next_levelling(Loudness(-19, 0), Levelling(4, limit=True), Loudness(-16.2, -1.3)) is None


def test_a_result_too_quiet_is_raised_and_one_too_high_lowered() -> None:
    source, used = Loudness(-19, 0), Levelling(3, limit=True)
    raised = next_levelling(source, used, Loudness(-17.0, -1.3))
    assert raised == Levelling(4.0, limit=True)
    assert next_levelling(source, used, Loudness(-16.0, -0.5)) == Levelling(2.5, limit=True)
    assert next_levelling(source, Levelling(3, limit=False), Loudness(-16, -0.5)) == Levelling(3, limit=True)
