from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.model.bulletin import BulletinClass, SourceLevel
from agent.model.report import MissedReason, Verdict
from agent.model.text import Language, say
from agent.wire.reports import AsRunReport, Birth, Health, IssueReport, Reported, ZoneHealth
from agent.wire.ulid import new_ulid
from server.console.orders_page import Desk, whole
from server.console.page import tables
from server.console.words import Words
from server.fleet import Box
from server.order_book import OrderAnswerRow
from server.store.content import DocumentRow
from server.store.devices import Device
from server.store.orders import BatchRow

NOW = datetime(2026, 11, 21, 22, 10, tzinfo=UTC)  # 05:10 on 22/11 in Việt Nam
SHA = "a" * 64


def a_report(verdict: Verdict = Verdict.HEARD, missed: MissedReason | None = None) -> AsRunReport:
    planned = NOW - timedelta(minutes=10)
    return AsRunReport.model_validate(
        {
            "id": new_ulid(NOW),
            "airing": "ban-tin@20261121T220000Z",
            "zone": "square",
            "programme": "ban-tin",
            "title": "Bản tin <sáng>",
            "class": BulletinClass.NORMAL,
            "level": SourceLevel.COMMUNE,
            "schedule_version": 1,
            "planned_start": planned,
            "planned_ms": 60_000,
            "first_sound": planned + timedelta(milliseconds=240),
            "played_ms": 60_000,
            "output_rms_dbfs": -18.26,
            "verdict": verdict,
            "missed": missed,
        }
    )


def a_box(*, confirmed_sha: str = SHA, issues: tuple[IssueReport, ...] = (), online: bool = True) -> Box:
    device = Device("box-aaaaaaaaaa", "Loa <ấp> 1", "", "", "tan-loc", "ca-mau", (), "", "", NOW)
    zone = ZoneHealth(
        zone="square",
        on_air="ban-tin@20261121T220000Z",
        sounding=True,
        output_rms_dbfs=-18.26,
        next_airing="chieu@20261122T100000Z",
        next_start=NOW + timedelta(hours=12),
    )
    return Box(
        device=device,
        online=online,
        contact=NOW - timedelta(seconds=70),
        birth=Birth(boot_id="b", at=NOW, version="0.1"),
        health=Health(boot_id="b", at=NOW, uptime_s=1, clock="rtc", zones=(zone,), issues=issues),
        reported=Reported(
            boot_id="b", at=NOW, schedule_id="lich", schedule_version=2, schedule_sha256=confirmed_sha
        ),
        wanted=DocumentRow(
            new_ulid(NOW),
            "desired",
            device.id,
            "xa-tan-loc",
            2,
            "lich",
            2,
            SHA,
            b"",
            NOW,
            NOW + timedelta(days=30),
        ),
        last_airing=a_report(),
        titles={"ban-tin": "Bản tin sáng thứ hai"},
    )


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_says_what_is_on_air_and_what_was_heard() -> None:
    text = text_of(tables(Words("vi", NOW), [a_box()], [("box-aaaaaaaaaa", a_report())]))
    for wanted in (
        "● đang kết nối",
        "tin gần nhất: 1 phút trước",
        "✔ đã nhận đúng lịch",
        "đang có tiếng, −18,3 dBFS",
        "17:10:00",
        "Bản tin sáng thứ hai",
        "chieu",
        "05:00:00,2 (+0,2 s)",
        f"✔ {say('verdict.heard')}",
        "✔ không có lỗi",
    ):
        assert wanted in text


def test_names_from_outside_cannot_become_html() -> None:
    html = tables(Words("vi", NOW), [a_box()], [("box-aaaaaaaaaa", a_report())])
    assert "Loa &lt;ấp&gt; 1" in html
    assert "Bản tin &lt;sáng&gt;" in html
    assert "<ấp>" not in html
    assert "<sáng>" not in html


def test_another_schedule_than_the_wanted_one_is_not_green() -> None:
    html = tables(Words("vi", NOW), [a_box(confirmed_sha="b" * 64)], [])
    assert "chờ cụm loa xác nhận" in html
    assert "đã nhận đúng lịch" not in html


def test_faults_are_said_in_words_with_what_to_do() -> None:
    issue = IssueReport(code="TL-513", subject="square", since=NOW)
    text = text_of(tables(Words("vi", NOW), [a_box(issues=(issue,))], []))
    assert say("fault.TL-513.what").split("{")[0] in text
    assert say("fault.TL-513.do").split("{")[0] in text
    assert "1 trên 1 cụm loa cần xem lại" in text
    unknown = IssueReport(code="TL-999", subject="square", since=NOW)
    assert "TL-999 square" in text_of(tables(Words("vi", NOW), [a_box(issues=(unknown,))], []))


def test_a_box_without_a_schedule_is_not_counted_as_fine() -> None:
    bare = replace(a_box(), wanted=None)
    alone = text_of(tables(Words("vi", NOW), [bare], []))
    assert "1 cụm loa chưa có lịch phát" in alone
    assert "hoạt động tốt" not in alone
    assert "hoạt động tốt" in text_of(tables(Words("vi", NOW), [a_box()], []))
    both = text_of(tables(Words("vi", NOW), [bare, a_box(online=False)], []))
    assert "1 trên 2 cụm loa cần xem lại" in both
    assert "1 cụm loa chưa có lịch phát" in both


def test_a_zone_says_why_it_is_quiet_how_loud_it_is_and_that_somebody_works_at_it() -> None:
    zone = ZoneHealth(
        zone="square",
        reason="outside_hours",
        volume_db=-6.0,
        safety_until=NOW + timedelta(minutes=10),
        supply_volts=24.04,
        supply_amps=0.2,
    )
    health = Health(boot_id="b", at=NOW, uptime_s=1, clock="rtc", zones=(zone,))
    text = text_of(tables(Words("vi", NOW), [replace(a_box(), health=health)], []))
    assert say("reason.outside_hours") in text
    assert "square · âm lượng −6,0 dB · 24,0 V · 0,2 A" in text
    assert "⚠ khóa an toàn đến 05:20:00" in text
    on_air = zone.model_copy(
        update={"on_air": "bao-lu@20261121T220000Z", "rung": "emergency", "sounding": True}
    )
    health = health.model_copy(update={"zones": (on_air,)})
    assert "khẩn cấp: bao-lu" in text_of(tables(Words("vi", NOW), [replace(a_box(), health=health)], []))
    unheard_of = health.model_copy(update={"zones": (zone.model_copy(update={"reason": "moon"}),)})
    assert "moon" in text_of(tables(Words("vi", NOW), [replace(a_box(), health=unheard_of)], []))


def test_a_hostile_box_cannot_take_the_console_down() -> None:
    zone = ZoneHealth.read(
        b'{"zone":"square","volume_db":1e300,"output_rms_dbfs":-1e300,"supply_amps":1e300,"on_air":"x@y",'
        b'"sounding":true,"safety_until":"9999-12-31T23:59:59Z","next_start":"0001-01-01T00:00:00Z"}'
    )
    assert (zone.zone, zone.sounding, zone.volume_db, zone.safety_until) == ("square", True, None, None)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    loud = zone.model_copy(update={"volume_db": 1e300, "output_rms_dbfs": 1e300, "safety_until": last})
    issue = IssueReport(code="TL-513", subject="square", since=last)
    report = a_report().model_copy(
        update={"planned_start": last, "first_sound": NOW, "played_ms": 10**400, "output_rms_dbfs": 1e300}
    )
    for said in (zone, loud):
        health = Health(boot_id="b", at=last, uptime_s=1, clock="rtc", zones=(said,), issues=(issue,))
        box = replace(a_box(), health=health, last_airing=report)
        assert "Loa &lt;ấp&gt; 1" in tables(Words("vi", NOW), [box], [(box.device.id, report)])
        page = whole(Words("vi", NOW), "Tân Lộc", Desk(boxes=[box]), "", NOW)
        assert ('value="100"' in page) == (said is loud)


@pytest.mark.parametrize("edge", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_words_never_fail_at_the_ends_of_the_calendar(edge: datetime) -> None:
    words = Words("vi", NOW)
    assert words.moment(edge)
    assert words.first_sound(edge, NOW)


def test_an_emergency_in_force_stands_above_everything() -> None:
    batch = BatchRow(
        new_ulid(NOW), "emergency", NOW, NOW + timedelta(hours=1), "lan", None, "", '{"event": "flood"}', "{}"
    )
    text = text_of(tables(Words("vi", NOW), [a_box()], [], [OrderAnswerRow(batch, ())]))
    assert text.strip().startswith("⚠ Lệnh khẩn cấp đang có hiệu lực: Lũ lụt, đến 06:10:00")


def test_a_lost_box_is_not_shown_as_sounding() -> None:
    text = text_of(tables(Words("vi", NOW), [a_box(online=False)], []))
    assert "○ mất kết nối" in text
    assert "đang có tiếng" not in text


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_symbol_and_words(language: Language, verdict: Verdict) -> None:
    html = tables(Words(language, NOW), [], [("box-aaaaaaaaaa", a_report(verdict, None))])
    assert say(f"verdict.{verdict.value}", language) in html
    assert re.search(r'class="mark \w+"><span aria-hidden="true">.</span>', html)


@pytest.mark.parametrize("missed", list(MissedReason))
def test_every_reason_of_a_missed_airing_is_said(missed: MissedReason) -> None:
    assert say(f"missed.{missed.value}") in text_of(
        tables(Words("vi", NOW), [], [("box-aaaaaaaaaa", a_report(Verdict.MISSED, missed))])
    )
