"""Where a cut goes on, how long an item still lasts, and what the worker is told to sound."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.model.bulletin import Item, ItemKind, Signal, ZoneId, signal_media
from agent.model.report import CutReason
from agent.model.schedule import Airing, Resume
from agent.playout.airing_log import AiringLog, blank_record
from agent.playout.contracts import NoLive
from agent.playout.ladder import Reason, Rung
from agent.playout.stretch import LONGEST_DUCK_MS, Stretch, cue_items, cut_of, duck_ms
from drivers.api import Signal as Sound
from tests.unit.model.schedules import a_programme, an_item

ZONE = ZoneId("main")
NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
KEPT = (CutReason.PREEMPTED, CutReason.PAUSED, CutReason.SAFETY_STOP)
GONE = (CutReason.HOURS, CutReason.CLOCK_STEP, CutReason.SCHEDULE_CHANGED, CutReason.LIVE_LOST)


def a_stretch(
    rung: Rung = Rung.PROGRAMME,
    *,
    from_ms: int = 2_000,
    played_ms: int = 3_000,
    floating: bool = False,
    resume: Resume = Resume.STOPPED,
) -> Stretch:
    programme = replace(a_programme("p", durations_ms=(4_000, 6_000, 5_000)), resume=resume)
    airing = Airing(programme, NOON)
    log = AiringLog(blank_record(airing, ZONE, 1, "order"))
    return Stretch(
        1, airing, rung, 0, from_ms, 0, floating, log, 0, (), -1.0, 0.0, item=1, played_ms=played_ms
    )


@pytest.mark.parametrize("cut", KEPT)
def test_a_bulletin_goes_on_where_it_stopped(cut: CutReason) -> None:
    assert a_stretch().goes_on_at(cut) == 5_000


@pytest.mark.parametrize("cut", KEPT)
@pytest.mark.parametrize("resume", [Resume.CLOCK, Resume.DROP])
def test_a_relay_and_what_is_dropped_keep_no_position(cut: CutReason, resume: Resume) -> None:
    assert a_stretch(resume=resume).goes_on_at(cut) is None


@pytest.mark.parametrize("cut", [*GONE, CutReason.AUDIO])
def test_what_nothing_higher_cut_follows_the_clock(cut: CutReason) -> None:
    assert a_stretch().goes_on_at(cut) is None


@pytest.mark.parametrize("rung", [Rung.EMERGENCY, Rung.LIVE, Rung.TEST])
def test_an_emergency_a_live_session_and_a_test_begin_anew(rung: Rung) -> None:
    assert {a_stretch(rung).goes_on_at(cut) for cut in KEPT} == {0}


def test_an_emergency_that_lost_its_sound_card_goes_on() -> None:
    assert a_stretch(Rung.EMERGENCY).goes_on_at(CutReason.AUDIO) == 5_000
    assert a_stretch(Rung.LIVE).goes_on_at(CutReason.AUDIO) == 0


def test_what_keeps_its_own_time_goes_on_after_a_lost_card() -> None:
    assert a_stretch(floating=True).goes_on_at(CutReason.AUDIO) == 5_000


def test_what_sounded_under_a_chime_counts_as_not_heard() -> None:
    stretch = a_stretch()
    stretch.started_ns = 1_000_000_000
    stretch.covered(2_500_000_000)
    stretch.covered(3_500_000_000)  # only the first counts
    assert stretch.covered_ms == 3_500
    assert stretch.goes_on_at(CutReason.PREEMPTED) == 3_500


def test_what_never_began_is_not_covered() -> None:
    stretch = a_stretch()
    stretch.covered(5)
    assert stretch.covered_ms is None


def test_an_item_knows_how_long_it_lasts_yet() -> None:
    stretch = a_stretch()  # at 5 s: one second into the second item
    assert stretch.item_times_ms() == (1_000, 5_000)
    assert stretch.left_ms == 13_000
    assert stretch.sounding_item.id == "p1"


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        (Reason.PREEMPTED, CutReason.PREEMPTED),
        (Reason.LIVE_BOUNDARY, CutReason.PREEMPTED),
        (Reason.SAFETY_STOP, CutReason.SAFETY_STOP),
        (Reason.OUTSIDE_HOURS, CutReason.HOURS),
        (Reason.PAUSED, CutReason.PAUSED),
        (Reason.LIVE_WAITING, CutReason.LIVE_LOST),
        (Reason.CLOCK_NOT_TRUSTED, CutReason.CLOCK_STEP),
        (Reason.MEDIA_MISSING, CutReason.AUDIO),
        (Reason.AUDIO_UNAVAILABLE, CutReason.AUDIO),
    ],
)
def test_every_reason_to_wait_names_its_cut(reason: Reason, cut: CutReason) -> None:
    assert cut_of(reason) is cut


def test_the_first_item_is_cued_from_its_offset_and_a_signal_needs_no_file() -> None:
    tone = Item("t", "t", ItemKind.CHIME, signal_media(Signal.TONE, 700, -6.0))
    speech = an_item("a", 5_000)
    first, second = cue_items((tone, speech), 200, {speech.media.sha256: Path("/m/a")}, NoLive(), ZONE)
    assert (first.signal, first.start_ms, first.duration_ms, first.gain_db) == (Sound.TONE, 200, 700, -6.0)
    assert (second.path, second.start_ms, second.duration_ms) == (Path("/m/a"), 0, 5_000)


@pytest.mark.parametrize(
    ("rung", "kind", "length_ms", "wanted"),
    [
        (Rung.PRIORITY, ItemKind.CHIME, 700, 700),
        (Rung.LIVE, ItemKind.CHIME, 9_000, LONGEST_DUCK_MS),
        (Rung.PROGRAMME, ItemKind.CHIME, 700, 0),
        (Rung.EMERGENCY, ItemKind.SIGNAL, 6_000, 0),
        (Rung.EMERGENCY, ItemKind.CHIME, 700, 0),
        (Rung.PRIORITY, ItemKind.SPEECH, 700, 0),
    ],
)
def test_only_a_chime_of_something_urgent_lets_the_rest_go_on_softly(
    rung: Rung, kind: ItemKind, length_ms: int, wanted: int
) -> None:
    assert duck_ms(rung, Item("x", "x", kind, signal_media(Signal.TONE, length_ms))) == wanted
