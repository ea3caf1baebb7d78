"""How an on-site test is carried out: it refuses, plays, measures, tells, and never outlives its caller."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.field import selftest
from agent.field.controls import Busy, BusyCause, ControlRefusedError, Sample
from agent.field.findings import Finding, Outcome, SelfTestKind
from agent.field.rtc import read_rtc
from agent.field.selftest import Progress, SelfTest
from agent.model.bulletin import Signal
from agent.model.report import CutReason
from tests.unit.field.doubles import NOW, FakeBench, a_test_record

SOUNDING = [one for one in SelfTestKind if one is not SelfTestKind.CLOCK]


class Told:
    """Collects progress."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.samples = 0

    async def __call__(self, progress: Progress) -> None:
        if not self.steps or self.steps[-1] != progress.step:
            self.steps.append(progress.step)
        self.samples += progress.sample is not None


def on_site(bench: FakeBench) -> SelfTest:
    return SelfTest(
        bench, names={"main": "Nhà văn hóa"}, place="Loa thôn Đông", every_s=0.005, off_wait_s=0.01
    )


async def run(bench: FakeBench, kind: SelfTestKind) -> tuple[Finding, Told]:
    told = Told()
    async with asyncio.timeout(20):
        return await on_site(bench).run(kind, "main", told), told


@pytest.mark.parametrize("kind", SelfTestKind)
async def test_every_test_passes_on_a_good_zone(kind: SelfTestKind) -> None:
    bench = FakeBench()
    bench.loud = bench.quiet if kind is SelfTestKind.AMP else bench.loud
    finding, _ = await run(bench, kind)
    assert (finding.kind, finding.zone, finding.outcome) == (kind, "main", Outcome.PASSED)
    assert finding.measures


@pytest.mark.parametrize("kind", SOUNDING)
async def test_a_test_does_not_sound_while_the_zone_is_busy(kind: SelfTestKind) -> None:
    bench = FakeBench()
    bench.why_busy = Busy(BusyCause.ON_AIR, "Bản tin sáng", NOW)
    finding, told = await run(bench, kind)
    assert (finding.outcome, finding.reason) == (Outcome.REFUSED, "busy_on_air")
    assert (finding.title, finding.until) == ("Bản tin sáng", NOW)
    assert (bench.played, bench.spoken, told.steps) == ([], [], [])


async def test_the_clock_can_be_tested_while_on_air() -> None:
    bench = FakeBench()
    bench.why_busy = Busy(BusyCause.ON_AIR, "Bản tin sáng", NOW)
    finding, _ = await run(bench, SelfTestKind.CLOCK)
    assert finding.outcome is Outcome.PASSED


async def test_what_becomes_due_between_asking_and_playing_is_named() -> None:
    bench = FakeBench()
    bench.error = ControlRefusedError("busy")

    async def play(*_: object) -> None:
        bench.why_busy = Busy(BusyCause.SOON, "Bản tin chiều")
        raise ControlRefusedError("busy")

    bench.play = play  # type: ignore[method-assign,assignment]
    finding, _ = await run(bench, SelfTestKind.TONE)
    assert (finding.outcome, finding.reason, finding.title) == (Outcome.REFUSED, "busy_soon", "Bản tin chiều")


async def test_two_tests_never_share_a_zone() -> None:
    bench = FakeBench()
    bench.length_s = 0.3
    box = on_site(bench)
    first = asyncio.create_task(box.run(SelfTestKind.TONE, "main", Told()))
    while not bench.played:
        await asyncio.sleep(0.001)
    second = await box.run(SelfTestKind.SWEEP, "main", Told())
    assert (second.outcome, second.reason) == (Outcome.REFUSED, "busy_test")
    assert (await first).outcome is Outcome.PASSED
    bench.length_s = 0.01
    assert (await box.run(SelfTestKind.SWEEP, "main", Told())).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("kind", "signal", "length_ms"),
    [
        (SelfTestKind.TONE, Signal.TONE, 3_000),
        (SelfTestKind.SWEEP, Signal.SWEEP, 6_000),
        (SelfTestKind.AMP, Signal.SILENCE, 3_000),
        (SelfTestKind.LINE, Signal.TONE, 3_000),
        (SelfTestKind.MIC, Signal.TONE, 3_000),
    ],
)
async def test_each_test_plays_its_own_signal(kind: SelfTestKind, signal: Signal, length_ms: int) -> None:
    bench = FakeBench()
    _, told = await run(bench, kind)
    zone, (item,), title = bench.played[0]
    assert (zone, item.media.signal, item.media.duration_ms) == ("main", signal, length_ms)
    assert title.startswith("Thử")
    assert "playing" in told.steps
    assert told.samples > 0


async def test_line_and_microphone_are_measured_before_they_sound() -> None:
    _, told = await run(FakeBench(), SelfTestKind.LINE)
    assert told.steps == ["listening_before", "playing"]


async def test_the_spoken_test_says_where_it_is() -> None:
    bench = FakeBench()
    await run(bench, SelfTestKind.SPEECH)
    assert bench.spoken == ["Đây là Loa thôn Đông, đang thử loa vùng Nhà văn hóa. Một, hai, ba, bốn, năm."]


async def test_a_box_that_cannot_speak_fails_the_spoken_test_only() -> None:
    bench = FakeBench()
    bench.speech = None
    finding, _ = await run(bench, SelfTestKind.SPEECH)
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, "speech_unavailable")
    assert bench.played == []


async def test_the_amplifier_test_tells_that_it_went_off() -> None:
    bench = FakeBench()
    bench.loud = bench.quiet
    bench.after = Sample(powered=False, muted=True)
    finding, told = await run(bench, SelfTestKind.AMP)
    assert told.steps[-1] == "switching_off"
    assert {one.name: one.value for one in finding.measures}["went_off"] is True


async def test_a_dead_amplifier_driver_is_not_a_passed_test() -> None:
    bench = FakeBench()
    bench.loud = bench.quiet = Sample()
    finding, _ = await run(bench, SelfTestKind.AMP)
    assert (finding.outcome, finding.reason) == (Outcome.UNMEASURED, "no_amplifier")


async def test_a_cut_test_is_not_measurable() -> None:
    bench = FakeBench()
    bench.record = a_test_record(cut=CutReason.PREEMPTED)
    finding, _ = await run(bench, SelfTestKind.TONE)
    assert (finding.outcome, finding.reason) == (Outcome.UNMEASURED, "cut")


async def test_a_sound_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "GRACE_S", 0.05)
    monkeypatch.setattr(selftest, "TONE_MS", 10)
    bench = FakeBench()
    bench.length_s = 3600
    finding, _ = await run(bench, SelfTestKind.TONE)
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, "hung")
    assert bench.cancelled


async def test_the_sound_ends_when_nobody_listens_to_the_progress_any_more() -> None:
    bench = FakeBench()
    bench.length_s = 3600

    async def gone(progress: Progress) -> None:
        if progress.step == "playing":
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await on_site(bench).run(SelfTestKind.TONE, "main", gone)
    assert bench.cancelled


async def test_a_test_ordered_from_afar_answers_with_words_and_values() -> None:
    bench = FakeBench()
    result = await on_site(bench).as_job("line", "main")
    assert result["outcome"] == "passed"
    assert result["text"] == "ĐẠT: Đường dây loa tốt."
    assert result["amps_during"] == 0.5
    assert "fault" not in result
    bench.record = a_test_record(evidence=bench.record.evidence.__class__())
    assert (await on_site(bench).as_job("tone", "main"))["fault"] == "TL-503"
    with pytest.raises(ValueError, match="horn"):
        await on_site(bench).as_job("horn", "main")


def test_the_clock_chip_is_read_from_sysfs(tmp_path: Path) -> None:
    assert read_rtc(tmp_path) is None
    (tmp_path / "since_epoch").write_text("1763848800\n")
    assert read_rtc(tmp_path) == datetime(2025, 11, 22, 22, 0, tzinfo=UTC)
    for nonsense in ("", "x", "99999999999999999999"):
        (tmp_path / "since_epoch").write_text(nonsense)
        assert read_rtc(tmp_path) is None
