"""A microphone hears us, or the street, or nothing."""

from __future__ import annotations

import itertools
import random

import pytest

from agent.playout.correlate import BLOCK_NS, POINTS_MIN, WINDOW_NS, Ear, follows, hears

MS = 1_000_000
Points = list[tuple[int, float]]


def speech(seconds: float, seed: int = 1, *, step_ms: int = 500) -> Points:
    """Levels as of somebody who speaks and pauses."""
    dice = random.Random(seed)
    return [
        (ms * MS, -50.0 - dice.random() * 10 if dice.random() < 0.25 else -26.0 + dice.random() * 12)
        for ms in range(step_ms, int(seconds * 1000) + 1, step_ms)
    ]


def level_at(sent: Points, ms: float) -> float:
    index = int((ms - 1) // 500)
    return sent[index][1] if 0 <= index < len(sent) else -120.0


def at_the_pole(
    sent: Points, *, lag_ms: int = 300, street: float = -48.0, loss: float = 12.0, seed: int = 2
) -> Points:
    """Readings every 250 ms of a microphone that hears the horn later, weaker, and the street."""
    dice = random.Random(seed)
    heard = []
    for ms in range(250, sent[-1][0] // MS + 1, 250):
        ours = level_at(sent, ms - lag_ms) - loss
        heard.append((ms * MS, max(ours, street) + dice.gauss(0, 1.5)))
    return heard


def street(seconds: int, seed: int, *, wild: float = 3.0) -> Points:
    dice = random.Random(seed)
    return [(ms * MS, -35.0 + dice.gauss(0, wild)) for ms in range(250, seconds * 1000 + 1, 250)]


@pytest.mark.parametrize("lag_ms", [0, 200, 700, 1400])
@pytest.mark.parametrize("seed", range(5))
def test_a_microphone_at_the_horn_follows_what_was_sent(lag_ms: int, seed: int) -> None:
    sent = speech(15, seed)
    found = follows(sent, at_the_pole(sent, lag_ms=lag_ms, seed=seed))
    assert found is not None
    assert found > 0.85
    assert hears(sent, at_the_pole(sent, lag_ms=lag_ms, seed=seed), None) is True


def test_street_noise_is_never_taken_for_us() -> None:
    answers = [hears(speech(15, seed), street(15, seed + 100), None) for seed in range(200)]
    assert answers.count(True) <= 2
    assert answers.count(False) > 20


def test_somebody_else_who_speaks_is_hardly_taken_for_us() -> None:
    answers = []
    for seed in range(200):
        other = speech(15, seed + 1000)
        answers.append(hears(speech(15, seed), at_the_pole(other, seed=seed), None))
    assert answers.count(True) <= 4


def test_a_deaf_microphone_hears_nothing() -> None:
    sent = speech(15)
    assert hears(sent, [(at, -90.0) for at, _ in sent], None) is False


def test_a_steady_tone_needs_the_quiet_level_of_the_microphone() -> None:
    tone = [(ms * MS, -12.0) for ms in range(500, 15_001, 500)]
    heard = [(at, -30.0) for at, _ in tone]
    assert follows(tone, heard) is None
    assert hears(tone, heard, None) is None
    assert hears(tone, heard, -45.0) is True
    assert hears(tone, heard, -33.0) is False


def test_few_points_tell_nothing() -> None:
    sent = speech(POINTS_MIN / 2 - 0.5)
    assert len(sent) == POINTS_MIN - 1
    assert follows(sent, at_the_pole(sent)) is None
    assert follows([], []) is None
    assert follows(speech(15), []) is None


def feed(ear: Ear, sent: Points, heard: Points) -> list[tuple[int, int, bool]]:
    blocks = []
    moments = [(at, 0, dbfs) for at, dbfs in sent] + [(at, 1, dbfs) for at, dbfs in heard]
    for at, kind, dbfs in sorted(moments):
        if kind == 0:
            ear.add_sent(dbfs, at)
        else:
            blocks += ear.add_heard(dbfs, at)
    return blocks


def test_an_ear_judges_block_by_block_without_gaps() -> None:
    ear = Ear()
    sent = speech(60)
    blocks = feed(ear, sent, at_the_pole(sent))
    assert len(blocks) >= 10
    assert all(hears for _, _, hears in blocks)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(blocks))
    assert ear.hears is True
    ongoing = ear.ongoing()
    assert ongoing is not None
    assert (ongoing[0], ongoing[2]) == (blocks[-1][1], True)


def test_a_horn_that_dies_is_noticed_within_a_window() -> None:
    ear = Ear()
    sent = speech(90)
    died_ns = 30_000 * MS
    heard = [(at, dbfs if at < died_ns else -48.0 + (at // MS % 3) / 10) for at, dbfs in at_the_pole(sent)]
    blocks = feed(ear, sent, heard)
    assert ear.hears is False
    told = next(end for _, end, hears in blocks if not hears)
    assert told <= died_ns + WINDOW_NS + BLOCK_NS


def test_nothing_is_claimed_for_a_gap_between_readings() -> None:
    ear = Ear()
    sent = speech(60)
    heard = [one for one in at_the_pole(sent) if not 20_000 * MS < one[0] < 50_000 * MS]
    blocks = feed(ear, sent, heard)
    assert not any(begin < 40_000 * MS < end for begin, end, _ in blocks)


def test_an_unused_ear_says_nothing() -> None:
    ear = Ear()
    ear.add_sent(-20.0, MS)
    assert (ear.ongoing(), ear.hears) == (None, None)
