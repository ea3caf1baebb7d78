"""A box in the middle of a morning bulletin, for tests of what people are shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agent.field.boards import BoardInfo
from agent.field.views import (
    AiringView,
    AmplifierView,
    BoxStatus,
    ClockView,
    HoursView,
    IssueView,
    MediaView,
    MissedView,
    OnAirView,
    OutboxView,
    PlanView,
    PlayLogEntry,
    ScheduleView,
    SourceView,
    StorageView,
    WaitingView,
    WhyView,
    ZonePlan,
    ZoneStatus,
    ZoneWhy,
    play_log_entry,
)
from agent.model.bulletin import AiringId, BulletinClass, ClockTrust, SourceLevel, ZoneId
from agent.model.report import AsRun, CutReason, Evidence, MissedReason, Segment, Verdict

if TYPE_CHECKING:
    from agent.field.server import Box

NOW = datetime(2026, 11, 22, 22, 5, tzinfo=UTC)
"""05:05 on Monday 23 November in Vietnam."""

ON_AIR = OnAirView("sang@1", "Bản tin sáng", "Lịch tiêm chủng", 83_000, "normal")


def a_status() -> BoxStatus:
    """On air, enrolled, with one fault on the line."""
    return BoxStatus(
        version="0.1.0",
        name="Loa thôn Đông",
        boot_id="b00t",
        uptime_s=7 * 3600 + 120,
        timezone="Asia/Ho_Chi_Minh",
        clock=ClockView(NOW, ClockTrust.SYNCHRONISED, 12.0),
        source=SourceView("connected", since=NOW - timedelta(hours=7), url="https://loa.example.vn"),
        device="box-0001",
        enrolled=True,
        zones=(
            ZoneStatus(
                zone="main",
                name="Nhà văn hóa",
                reason="due",
                on_air=ON_AIR,
                sounding=True,
                output_rms_dbfs=-18.24,
                line_active=False,
                amplifier=AmplifierView(powered=True, muted=False),
                next_title="Bản tin chiều",
                next_start=NOW + timedelta(hours=12),
            ),
        ),
        boards=(BoardInfo("board", "simulated", 192, 64, shown="Bản tin sáng", since=NOW),),
        schedule=ScheduleView("xa-hoa-binh", 12, "Đài truyền thanh xã Hòa Bình", NOW - timedelta(days=1)),
        media=MediaView(4, 5, 12_345_678),
        storage=StorageView(11 << 30, 14 << 30),
        outbox=OutboxView(3, 1),
        issues=(IssueView("TL-513", "main", NOW - timedelta(minutes=4), "no sound for 3 s"),),
        mains=True,
        bearer="cellular",
        signal_dbm=-81,
        temperature_c=45.4,
    )


def a_bare_status() -> BoxStatus:
    """First start: nothing enrolled, nothing measured, nothing configured."""
    return BoxStatus(
        version="0.1.0",
        name="",
        boot_id="b00t",
        uptime_s=4,
        timezone="Asia/Ho_Chi_Minh",
        clock=ClockView(NOW, ClockTrust.UNKNOWN),
        source=SourceView("not_enrolled"),
        zones=(ZoneStatus("main", "", "no_schedule"),),
    )


def a_plan(hours: float = 24) -> PlanView:
    """One airing with its media, one without, one missed."""
    start = NOW + timedelta(hours=12)
    return PlanView(
        NOW,
        "Asia/Ho_Chi_Minh",
        hours,
        (
            ZonePlan(
                "main",
                "Nhà văn hóa",
                "due",
                ON_AIR,
                (
                    AiringView(
                        "a@1", "Bản tin chiều", start, start + timedelta(minutes=14), BulletinClass.NORMAL
                    ),
                    AiringView(
                        "b@1",
                        "Thông báo về việc chủ động phòng chống rét đậm, rét hại cho cây trồng và vật nuôi",
                        start + timedelta(hours=1),
                        start + timedelta(hours=1, minutes=3),
                        BulletinClass.PRIORITY,
                        media_ready=False,
                    ),
                ),
                (MissedView("c@1", "Tiếp âm VOV", NOW - timedelta(hours=1), MissedReason.BOX_OFF),),
            ),
            ZonePlan("east", "", "nothing_due"),
        ),
    )


def a_why() -> WhyView:
    """An emergency that cuts the morning programme, and a zone in which somebody works."""
    return WhyView(
        NOW,
        "Asia/Ho_Chi_Minh",
        (
            ZoneWhy(
                "main",
                "Nhà văn hóa",
                "due",
                on_air=OnAirView("e@1", "Báo động lũ", "Báo động lũ", 4_000, "emergency"),
                rung="emergency",
                since=NOW - timedelta(seconds=64),
                sounding=True,
                waiting=(
                    WaitingView("Bản tin sáng", "programme", "preempted"),
                    WaitingView("Tiếp âm VOV", "live", "live_waiting"),
                ),
                hours=HoursView(
                    allowed=True, until=NOW + timedelta(minutes=25), cap_dbfs=-12.0, minutes_left=25
                ),
                next_title="Bản tin chiều",
                next_start=NOW + timedelta(hours=12),
                next_blocked="media_missing",
            ),
            ZoneWhy(
                "east",
                "",
                "safety_stop",
                safety_until=NOW + timedelta(minutes=30),
                paused_until=NOW + timedelta(minutes=5),
                hours=HoursView(allowed=False, until=NOW + timedelta(hours=11, minutes=55)),
            ),
        ),
    )


def a_record() -> AsRun:
    """Heard, with one cut."""
    start = NOW - timedelta(minutes=5)
    return AsRun(
        airing=AiringId("sang@1"),
        zone=ZoneId("main"),
        programme="sang",
        title="Bản tin sáng",
        bulletin_class=BulletinClass.NORMAL,
        level=SourceLevel.COMMUNE,
        schedule_version=12,
        order_id="01J",
        planned_start=start,
        planned_ms=90_000,
        segments=(
            Segment(
                start + timedelta(milliseconds=120),
                start + timedelta(seconds=30),
                0,
                29_880,
                CutReason.RESTART,
            ),
            Segment(start + timedelta(seconds=40), start + timedelta(seconds=90), 40_000, 50_000),
        ),
        evidence=Evidence(-18.2, -3.0, 79_000, 78_500, None, amplifier_on=True),
        verdict=Verdict.HEARD,
        final=True,
    )


def a_play_log() -> tuple[PlayLogEntry, ...]:
    """One airing heard, one missed, one going on."""
    record = a_record()
    missed = replace(
        record, title="Tiếp âm VOV", segments=(), evidence=Evidence(), verdict=Verdict.MISSED,
        missed=MissedReason.CLOCK,
    )  # fmt: skip
    running = replace(record, verdict=Verdict.UNKNOWN, final=False)
    return tuple(play_log_entry(one) for one in (record, missed, running))


class StillBox:
    """A box that says what it is given."""

    def __init__(self) -> None:
        self.now = a_status()
        self.error: Exception | None = None
        self.asked: list[tuple[str, float]] = []

    def status(self) -> BoxStatus:
        return self.now

    def why(self) -> WhyView:
        return a_why()

    async def plan(self, hours: float) -> PlanView:
        self.asked.append(("plan", hours))
        if self.error is not None:
            raise self.error
        return a_plan(hours)

    async def play_log(self, limit: int) -> tuple[PlayLogEntry, ...]:
        self.asked.append(("play_log", limit))
        if self.error is not None:
            raise self.error
        return a_play_log()[:limit]


if TYPE_CHECKING:
    _box: type[Box] = StillBox
