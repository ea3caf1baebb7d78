"""CAP documents against a database of their own: orders given, once, and what is kept of each document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.wire.envelope import parse_envelope
from agent.wire.orders import Cancel, Emergency
from server.cap import desk as desk_module
from server.cap.desk import CapDesk
from server.problems import Problem, RefusedError
from server.store import cap
from server.store.cap import KEPT_DOCUMENTS, CapRow
from tests.unit.server.cap_samples import FAR, SENDER, a_filter, an_alert, an_area, an_info, at
from tests.unit.server.test_orders import Room, a_room

ALERT, UPDATE, CANCEL = "VN-1", "VN-2", "VN-3"


@dataclass
class Office:
    """A desk with its room; documents are written for now."""

    room: Room
    desk: CapDesk

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)

    def alert(self, *infos: str, identifier: str = ALERT, minutes: float = -5, **said: Any) -> bytes:
        infos = infos or (self.info(),)
        sent = at(minutes, self.now)
        return an_alert(*infos, identifier=identifier, sent=sent, now=self.now, **said)

    def info(self, **said: Any) -> str:
        return an_info(now=self.now, **said)

    def naming(self, identifier: str = ALERT, minutes: float = -5) -> str:
        return f"{SENDER},{identifier},{at(minutes, self.now)}"

    def orders(self) -> list[Emergency | Cancel]:
        found: list[Emergency | Cancel] = []
        for _, payload, _, _ in self.room.pushed:
            envelope = parse_envelope(payload)
            kind = Emergency if envelope.kind == "emergency" else Cancel
            found.append(kind.read(envelope.payload))
        return found

    async def standing(self) -> list[str]:
        return [one.id for one in await self.room.book.recent(("emergency",), 50, in_force=True)]


@asynccontextmanager
async def an_office(data: Path, **changes: Any) -> AsyncIterator[Office]:
    async with a_room(data) as room:
        if not await room.database.read(lambda conn: conn.execute("SELECT 1 FROM devices").fetchone()):
            await room.box("a", "ap-1")
        desk = CapDesk(room.database, room.orders)
        if await desk.rules() is None:
            await desk.set_rules(a_filter(**changes), "lan")
        yield Office(room, desk)


async def refused(office: Office, data: bytes, feed: str = "kttv") -> RefusedError:
    with pytest.raises(RefusedError) as error:
        await office.desk.receive(feed, data)
    return error.value


async def test_an_alert_becomes_a_signed_order_given_by_the_feed(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        row = await office.desk.receive("kttv", office.alert())
        (order,) = office.orders()
        assert isinstance(order, Emergency)
        assert (row.outcome, row.emergency, row.filter_version) == ("emergency", order.id, 1)
        assert order.parts[0].title.startswith("Cảnh báo lũ")
        (given,) = await office.room.book.recent(("emergency",), 5)
        assert given.batch.author == "cap:kttv"
        assert "khẩn cấp" in row.message["vi"]


async def test_the_same_alert_sounds_once_even_after_a_restart(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        data = office.alert()
        first = await office.desk.receive("kttv", data)
        again = [await office.desk.receive("kttv", data) for _ in range(3)]
        assert {(one.outcome, one.reason, one.emergency) for one in again} == {
            ("ignored", "duplicate", first.emergency)
        }
    async with an_office(tmp_path) as office:
        later = await office.desk.receive("kttv", data)
        assert (later.reason, later.times, later.emergency) == ("duplicate", 4, first.emergency)
        assert office.orders() == []
        kept = await office.desk.recent(10)
        assert [(one.outcome, one.times) for one in kept] == [("ignored", 4), ("emergency", 1)]


async def test_the_same_message_in_other_bytes_is_the_same_message(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        await office.desk.receive("kttv", office.alert())
        row = await office.desk.receive("kttv", office.alert(office.info(headline="Khác")))
        assert row.reason == "duplicate"
        assert len(office.orders()) == 1


async def test_the_same_alert_by_two_ways_at_once_sounds_once(tmp_path: Path) -> None:
    ways = [{"name": "kttv", "senders": [SENDER]}, {"name": "tinh", "senders": [SENDER]}]
    async with an_office(tmp_path, feeds=ways) as office:
        data = office.alert()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(office.desk.receive(way, data)) for way in ("kttv", "tinh") * 4]
        rows = [one.result() for one in asked]
        assert sorted(one.outcome for one in rows) == ["emergency", *["ignored"] * 7]
        assert len({one.emergency for one in rows}) == 1
        assert len(office.orders()) == 1


async def test_an_update_sounds_and_ends_the_former(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        first = await office.desk.receive("kttv", office.alert())
        data = office.alert(identifier=UPDATE, minutes=-1, msg_type="Update", references=office.naming())
        row = await office.desk.receive("kttv", data)
        assert (row.outcome, row.cancelled) == ("update", (first.emergency,))
        assert await office.standing() == [row.emergency]
        sounded, newer, ended = office.orders()
        assert isinstance(newer, Emergency)
        assert isinstance(ended, Cancel)
        assert ended.cancels == sounded.id


async def test_a_cancel_ends_what_the_update_issued(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        await office.desk.receive("kttv", office.alert())
        data = office.alert(identifier=UPDATE, minutes=-2, msg_type="Update", references=office.naming())
        await office.desk.receive("kttv", data)
        both = f"{office.naming()} {office.naming(UPDATE, -2)}"
        row = await office.desk.receive(
            "kttv", office.alert(" ", identifier=CANCEL, minutes=-1, msg_type="Cancel", references=both)
        )
        assert row.outcome == "cancel"
        assert await office.standing() == []


async def test_an_all_clear_is_said_once(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        for name in ("VN-A", "VN-B"):
            await office.desk.receive("kttv", office.alert(identifier=name))
        clear = office.info(response="AllClear", headline="Báo yên", description="Lũ đã rút.")
        named = f"{office.naming('VN-A')} {office.naming('VN-B')}"
        row = await office.desk.receive(
            "kttv", office.alert(clear, identifier=CANCEL, minutes=-1, msg_type="Update", references=named)
        )
        assert (row.outcome, row.reason) == ("cancel", "all_clear")
        ends = [one for one in office.orders() if isinstance(one, Cancel)]
        said = [one.all_clear.text for one in ends if one.all_clear]
        assert len(ends) == 2
        assert len(said) == 1
        assert said[0].startswith("Lũ đã rút.")


async def test_a_cancel_that_comes_first_holds_after_a_restart(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        data = office.alert()
        row = await office.desk.receive(
            "kttv",
            office.alert(" ", identifier=CANCEL, minutes=-1, msg_type="Cancel", references=office.naming()),
        )
        assert (row.outcome, row.reason) == ("ignored", "nothing_to_end")
    async with an_office(tmp_path) as office:
        late = await office.desk.receive("kttv", data)
        assert (late.outcome, late.reason) == ("ignored", "superseded")
        assert office.orders() == []


async def test_a_drill_that_cancels_first_does_not_silence_what_is_meant(tmp_path: Path) -> None:
    async with an_office(tmp_path, allow_tests=True) as office:
        named = office.naming()
        drill = office.alert(
            " ", identifier=CANCEL, minutes=-1, msg_type="Cancel", status="Test", references=named
        )
        await office.desk.receive("kttv", drill)
        assert (await office.desk.receive("kttv", office.alert())).outcome == "emergency"


async def test_an_update_cut_off_by_a_power_cut_is_finished_when_it_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office(tmp_path) as office:
        first = await office.desk.receive("kttv", office.alert())
        data = office.alert(identifier=UPDATE, minutes=-1, msg_type="Update", references=office.naming())

        async def power_cut(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as cut:
            cut.setattr(office.room.orders, "cancel", power_cut)
            with pytest.raises(KeyboardInterrupt):
                await office.desk.receive("kttv", data)
        assert len(await office.standing()) == 2
        row = await office.desk.receive("kttv", data)
        assert (row.reason, row.cancelled) == ("duplicate", (first.emergency,))
        assert await office.standing() == [row.emergency]


async def test_what_could_not_be_given_is_refused_by_name_and_works_later(tmp_path: Path) -> None:
    async with an_office(tmp_path, audience={"groups": ["ap-9"]}) as office:
        data = office.alert()
        error = await refused(office, data)
        assert (error.problem, error.field) == (Problem.NO_TARGET, "groups")
        (kept,) = await office.desk.recent(5)
        assert (kept.outcome, kept.reason, kept.identifier) == ("refused", "order", ALERT)
        await office.room.box("b", "ap-9")
        assert (await office.desk.receive("kttv", data)).outcome == "emergency"


async def test_without_a_filter_nothing_happens_and_it_is_said(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        office = Office(room, CapDesk(room.database, room.orders))
        row = await office.desk.receive("kttv", office.alert())
        assert (row.outcome, row.reason, row.filter_version) == ("ignored", "no_filter", 0)
        assert "chưa đặt bộ lọc" in row.message["vi"]


async def test_a_refused_document_is_kept_with_field_and_reason(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        error = await refused(office, b"<rss/>")
        assert (error.problem, error.field) == (Problem.CAP_REFUSED, "body")
        assert "không phải là cảnh báo CAP 1.2" in error.message["vi"]
        error = await refused(office, office.alert(sender="la@example.vn"))
        assert error.field == "sender"
        newest, oldest = await office.desk.recent(5)
        assert (oldest.outcome, oldest.reason, oldest.field) == ("refused", "not_alert", "body")
        assert (newest.reason, newest.sender) == ("sender", "la@example.vn")
        assert newest.message == error.message
        assert await office.desk.document(oldest.id) == b"<rss/>"


async def test_a_changed_filter_is_a_new_version_and_judges_anew(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        data = office.alert(office.info(area=an_area(FAR)))
        assert (await office.desk.receive("kttv", data)).reason == "elsewhere"
        row = await office.desk.set_rules(a_filter(place={"latitude": 21.03, "longitude": 105.82}), "tu")
        assert (row.version, row.author) == (2, "tu")
        assert (await office.desk.receive("kttv", data)).outcome == "emergency"
        assert [one.filter_version for one in await office.desk.recent(5)] == [2, 1]


async def test_a_feed_gone_wild_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MOST_PER_HOUR", 3)
    async with an_office(tmp_path) as office:
        for n in range(3):
            await office.desk.receive("kttv", office.alert(identifier=f"VN-{n}"))
        error = await refused(office, office.alert(identifier="VN-99"))
        assert (error.problem, error.retry_after_s) == (Problem.TOO_MANY, 600)
        assert len(await office.standing()) == 3


async def test_only_the_last_five_hundred_documents_are_kept(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:

        def fill(conn: Any) -> None:
            for n in range(KEPT_DOCUMENTS + 20):
                cap.insert_document(
                    conn, CapRow(0, "kttv", office.now, f"{n:064x}", 1, "ignored", "x", "", {}, 1)
                )

        await office.room.database.write(fill)
        kept = await office.desk.recent(1000)
        assert len(kept) == KEPT_DOCUMENTS
        assert kept[0].sha256 == f"{KEPT_DOCUMENTS + 19:064x}"


async def test_a_document_too_large_to_keep_is_kept_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_KEPT_BODY", 100)
    async with an_office(tmp_path) as office:
        row = await office.desk.receive("kttv", office.alert())
        assert len(row.sha256) == 64
        with pytest.raises(RefusedError) as error:
            await office.desk.document(row.id)
        assert error.value.problem is Problem.NOT_FOUND
