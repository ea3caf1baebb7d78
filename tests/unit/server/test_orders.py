"""Orders against a database of their own, without a broker: `pushed` collects what would be sent."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from agent.model.bulletin import LiveSource
from agent.wire.envelope import parse_envelope
from agent.wire.orders import EmergencyEvent, Grant, JobAction, MediaRef, StagedMessage
from agent.wire.topics import down, group_down
from server import app, staging, station
from server.builtin import built_in
from server.issuing import Issuer
from server.media.library import Library
from server.order_book import MOST_HELD, OrderBook
from server.order_drafts import BulletinDraft, CancelDraft, EmergencyDraft, GrantDraft, JobDraft, PartDraft
from server.orders import Orders
from server.problems import Problem, RefusedError, StoreFailedError
from server.pushing import Pusher
from server.schedules import Schedules, Targets
from server.secret import digest
from server.signing import Station, open_signer
from server.staging import stage_missing
from server.station import LanguagesDraft, MessageDraft, MessagesDraft, StationRules, state_of
from server.store import content, devices
from server.store import orders as store
from server.store.content import MediaRow, ScheduleRow
from server.store.database import Database
from server.store.devices import Device

STATION = Station("tan-loc", "ca-mau", "Tân Lộc")
SHA = "a" * 64
FLOOD = EmergencyDraft(event=EmergencyEvent.FLOOD, all=True)


@dataclass
class Room:
    """The order rooms of a server, and a broker that notes what it gets."""

    database: Database
    issuer: Issuer
    up: bool = True
    pushed: list[tuple[str, bytes, bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pusher = Pusher(self.database, self.issuer, self.push)
        self.orders = Orders(self.database, self.issuer, self.pusher)
        self.book = OrderBook(self.database)
        self.schedules = Schedules(self.database, self.issuer, self.pusher)
        self.rules = StationRules(self.database, self.schedules.renew)

    async def push(self, topic: str, payload: bytes, *, retain: bool = True, first: bool = False) -> bool:
        await asyncio.sleep(0)
        if self.up:
            self.pushed.append((topic, payload, retain, first))
        return self.up

    async def box(self, name: str, *groups: str) -> Device:
        now = datetime.now(UTC)
        device = Device(f"box-{name:0>10}", name, "", "", "tan-loc", "ca-mau", groups, digest("x"), "", now)
        await self.database.write(lambda conn: devices.insert_device(conn, device))
        return device

    async def media(self) -> None:
        row = MediaRow(SHA, "01JGT4Z5Y6X7W8V9T0S1R2Q3P4", "Lũ", 100, 1000, datetime.now(UTC), "{}")
        await self.database.write(lambda conn: content.insert_media(conn, row))

    def topics(self) -> list[str]:
        return [one[0] for one in self.pushed]


@asynccontextmanager
async def a_room(data: Path) -> AsyncIterator[Room]:
    database = Database(data / "server.sqlite3")
    await database.open()
    try:
        yield Room(database, Issuer(open_signer(data, STATION, datetime.now(UTC))))
    finally:
        await database.close()


async def refusal(awaitable: Any) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        await awaitable
    return refused.value


async def test_a_box_in_two_named_groups_or_named_besides_hears_one_order_only_if_one_scope_suffices(
    tmp_path: Path,
) -> None:
    async with a_room(tmp_path) as room:
        member, single = await room.box("a", "ap-1"), await room.box("b")
        draft = EmergencyDraft(
            event=EmergencyEvent.FIRE, groups=("ap-1", "ap-1"), devices=(member.id, single.id)
        )
        given = await room.orders.emergency(draft, "lan")
        assert [(one.scope.kind.value, one.scope.id) for one in given.orders] == [
            ("group", "ap-1"),
            ("device", single.id),
        ]
        assert sorted(room.topics()) == sorted(
            [group_down("ap-1", "emergency"), down(single.id, "emergency")]
        )
        assert all((retain, first) == (False, True) for _, _, retain, first in room.pushed)


async def test_a_box_in_two_named_groups_gets_everything_once(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        both, one = await room.box("a", "ap-1", "ap-2"), await room.box("b", "ap-2")
        await room.box("c", "ap-3")
        draft = EmergencyDraft(event=EmergencyEvent.FIRE, groups=("ap-1", "ap-2", "ap-3"), devices=(both.id,))
        given = await room.orders.emergency(draft, "lan")
        assert [(one.scope.kind.value, one.scope.id) for one in given.orders] == [
            ("group", "ap-3"),
            ("device", both.id),
            ("device", one.id),
        ]
        assert len(await room.book.held(both)) == 1
        ended = await room.orders.cancel(given.id, CancelDraft(), "lan")
        assert [order.scope for order in ended.orders] == [order.scope for order in given.orders]
        assert [order.kind for order in await room.book.held(both)] == ["cancel"]


async def test_many_boxes_are_signed_in_slices_and_an_interrupted_request_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_room(tmp_path) as room:
        boxes = [await room.box(str(n)) for n in range(60)]
        write, sizes, fails_at = room.database.write, list[int](), 2

        async def counted(work: Any, **how: bool) -> Any:
            def counting(conn: sqlite3.Connection) -> Any:
                (before,) = conn.execute("SELECT count(*) FROM documents").fetchone()
                result = work(conn)
                sizes.append(conn.execute("SELECT count(*) FROM documents").fetchone()[0] - before)
                if len([one for one in sizes if one]) == fails_at:
                    raise sqlite3.OperationalError("database or disk is full")
                return result

            return await write(counting, **how)

        monkeypatch.setattr(room.database, "write", counted)
        names = tuple(one.id for one in boxes)
        draft = EmergencyDraft(event=EmergencyEvent.FIRE, devices=names, request_id="nut-bam-0001")
        with pytest.raises(StoreFailedError):
            await room.orders.emergency(draft, "lan")
        assert len(room.pushed) == 25, "what is kept is pushed"
        fails_at = 0
        given = await room.orders.emergency(draft, "lan")
        assert max(sizes) == 25
        assert sorted(one.scope.id for one in given.orders) == sorted(names)
        assert given.orders[0].document.id == given.id
        assert sorted(room.topics()) == sorted(down(name, "emergency") for name in names)
        sizes.clear()
        ended = await room.orders.cancel(given.id, CancelDraft(), "lan")
        assert (max(sizes), len(ended.orders)) == (25, 60)
        for box in (boxes[0], boxes[-1]):
            assert [one.kind for one in await room.book.held(box)] == ["cancel"]
        again = await room.orders.emergency(draft, "lan")
        assert (again.id, len(again.orders)) == (given.id, 60)


async def test_what_was_cancelled_meanwhile_is_not_signed_further(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        names = tuple([(await room.box(str(n))).id for n in range(60)])
        push, cancelled = room.push, list[str]()

        async def cancelling(topic: str, payload: bytes, **how: bool) -> bool:
            if not cancelled:
                cancelled.append(topic)
                (given,) = await room.book.recent(("emergency",), 1)
                await room.orders.cancel(given.id, CancelDraft(), "lan")
            return await push(topic, payload, **how)

        room.pusher._push = cancelling
        given = await room.orders.emergency(EmergencyDraft(event=EmergencyEvent.FIRE, devices=names), "lan")
        (ended,) = await room.book.recent(("cancel",), 1)
        assert {one.scope for one in ended.orders} == {one.scope for one in given.orders}
        for name in names:
            device = next(one for one in await room.database.read(devices.all_devices) if one.id == name)
            assert "emergency" not in [one.kind for one in await room.book.held(device)]


async def test_a_schedule_for_many_boxes_is_signed_in_slices(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        for n in range(60):
            await room.box(str(n))
        document = b'{"id":"lich","version":1,"station":"X","timezone":"Asia/Ho_Chi_Minh","programmes":[]}'
        row = ScheduleRow("lich", 1, SHA, len(document), document, datetime.now(UTC))
        await room.database.write(lambda conn: content.insert_schedule(conn, row))
        emergency: list[int] = []

        async def meanwhile() -> None:
            while not (written := len(await room.database.read(content.all_current_desired))):
                await asyncio.sleep(0)
            await room.orders.emergency(FLOOD, "lan")
            emergency.append(written)

        async with asyncio.TaskGroup() as group:
            group.create_task(meanwhile())
            issued = await room.schedules.publish("lich", None, Targets(everyone=True))
        assert len({one.device for one in issued}) == 60
        assert emergency[0] < 60, "seen before all were signed"


async def test_one_wrong_group_refuses_all_of_it(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        await room.box("a", "ap-1")
        draft = EmergencyDraft(event=EmergencyEvent.FIRE, groups=("ap-1", "ap-9"))
        refused = await refusal(room.orders.emergency(draft, "lan"))
        assert (refused.problem, refused.field) == (Problem.NO_TARGET, "groups")
        assert "ap-9" in refused.message["vi"]
        assert (room.pushed, await room.book.recent(("emergency",), 10)) == ([], [])


async def test_a_station_without_boxes_refuses_an_emergency_for_all(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        assert (await refusal(room.orders.emergency(FLOOD, "lan"))).problem is Problem.NO_TARGET


async def test_held_puts_emergencies_and_cancels_first_and_keeps_desired_when_there_are_too_many(
    tmp_path: Path,
) -> None:
    async with a_room(tmp_path) as room:
        box = await room.box("a", "ap-1")
        room.up = False
        for _ in range(MOST_HELD + 20):
            await room.orders.job(JobDraft(devices=(box.id,), action=JobAction.NEXT), "lan")
        await room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan")
        ended = await room.orders.emergency(FLOOD, "lan")
        await room.orders.cancel(ended.id, CancelDraft(), "lan")
        await room.orders.emergency(
            EmergencyDraft(event=EmergencyEvent.FIRE, groups=("ap-1",), author="Hà"), "lan"
        )
        held = await room.book.held(box)
        assert len(held) == MOST_HELD
        assert sorted(one.kind for one in held[:2]) == ["cancel", "emergency"]
        assert [one.kind for one in held[2:4]] == ["desired", "job"]
        jobs = [one.seq for one in held if one.kind == "job"]
        assert jobs == sorted(jobs)
        assert max(jobs) > MOST_HELD, "the newest jobs count"


async def test_cancels_of_bulletins_never_push_out_what_is_in_force(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        room.up = False
        await room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan")
        bulletin = BulletinDraft(devices=(box.id,), parts=(PartDraft(text="Tin"),))
        alive = await room.orders.bulletin(bulletin, "lan")
        for _ in range(MOST_HELD + 5):
            gone = await room.orders.bulletin(bulletin, "lan")
            await room.orders.cancel(gone.id, CancelDraft(), "lan")
        ended = await room.orders.emergency(FLOOD, "lan")
        await room.orders.cancel(ended.id, CancelDraft(), "lan")
        await room.orders.emergency(FLOOD, "lan")
        held = await room.book.held(box)
        assert len(held) == MOST_HELD
        assert [one.kind for one in held[:4]] == ["emergency", "cancel", "desired", "bulletin"]
        assert held[3].id == alive.id
        assert {one.kind for one in held[4:]} == {"cancel"}


async def test_recordings_that_do_not_fit_are_left_out_and_no_setting_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_room(tmp_path) as room:
        await room.box("a")
        await room.media()
        ref = MediaRef(sha256=SHA, size_bytes=1, duration_ms=1, url="/device/v1/media/" + SHA)
        found = [
            StagedMessage(event=event, language="vi", text="ộ" * 18_000, media=ref)
            for event in EmergencyEvent
        ]
        await room.rules.add_messages("vi", found, "server")
        state = await room.database.read(state_of)
        assert 0 < len(state.messages) < len(found)
        assert len(room.pushed) == 1
        monkeypatch.setattr(station, "MAX_ENVELOPE_BYTES", 100_000)
        refused = await refusal(room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan"))
        assert (refused.problem, refused.field) == (Problem.TOO_LARGE, "languages")
        assert await room.rules.get("languages") is None


async def test_a_box_whose_order_cannot_be_made_does_not_keep_the_others_from_theirs(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        await room.box("a", *(f"nhom-{n}" for n in range(40)))  # more than a `desired` may name
        fine = await room.box("b")
        await room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan")
        assert room.topics() == [down(fine.id, "desired")]


async def test_staging_goes_on_after_the_server_was_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    async def busy(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RefusedError(Problem.BUSY, retry_after_s=2)

    async with a_room(tmp_path) as room:
        monkeypatch.setattr(staging, "stage_missing", busy)
        library = Library(tmp_path / "media", tmp_path / "work", room.database)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await staging.keep_staged(room.rules, library, start_after_s=0, retry_after_s=0.01)
        assert len(tries) == 3


async def test_housekeeping_is_put_off_while_the_server_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    async def busy() -> None:
        tries.append(1)
        raise RefusedError(Problem.BUSY, retry_after_s=2)

    async with a_room(tmp_path) as room:
        monkeypatch.setattr(room.schedules, "renew", busy)
        monkeypatch.setattr(app, "HOUSEKEEPING_AGAIN_S", 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await app._housekeeping(room.database, cast(Any, room))
        assert len(tries) > 1


async def test_what_the_broker_did_not_take_is_pushed_later_unless_it_was_cancelled(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        room.up = False
        lost = await room.orders.emergency(FLOOD, "lan")
        gone = await room.orders.emergency(FLOOD, "lan")
        await room.orders.cancel(gone.id, CancelDraft(), "lan")
        await room.orders.job(JobDraft(all=True, action=JobAction.STOP), "lan")
        assert [one.document.pushed for one in lost.orders] == [None]
        room.up = True
        await room.pusher.send_waiting()
        kinds = [topic.rpartition("/")[2] for topic in room.topics()]
        assert sorted(kinds[:2]) == ["cancel", "emergency"]
        assert kinds[2:] == ["job"]
        payloads = [payload for _, payload, _, _ in room.pushed]
        assert (await room.book.document(box, gone.id)) not in payloads
        room.pushed.clear()
        await room.pusher.send_waiting()
        assert room.pushed == []


async def test_an_emergency_that_was_pushed_is_not_refused_because_it_could_not_be_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with a_room(tmp_path) as room:
        await room.box("a")
        with monkeypatch.context() as broken:
            broken.setattr(content, "mark_pushed", full)
            given = await room.orders.emergency(FLOOD, "lan")
        assert len(room.pushed) == 1
        assert given.orders[0].document.pushed is not None
        await room.pusher.send_waiting()
        assert len(room.pushed) == 2, "pushed once more"


async def test_a_number_goes_out_only_after_those_before_it(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        room.up = False
        first = await room.orders.job(JobDraft(devices=(box.id,), action=JobAction.STOP), "lan")
        room.up = True
        second = await room.orders.job(JobDraft(devices=(box.id,), action=JobAction.NEXT), "lan")
        assert [payload for _, payload, _, _ in room.pushed] == [
            await room.book.document(box, first.id),
            await room.book.document(box, second.id),
        ]


async def test_an_announcement_is_fetched_under_the_id_of_its_grant(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        a, b, c = [await room.box(name) for name in "abc"]
        draft = GrantDraft(source=LiveSource.STREAM, speaker="Lan", devices=(a.id, b.id))
        given = await room.orders.grant(draft, "lan")
        for box in (a, b):
            document = await room.book.document(
                box, next(one.document.id for one in given.orders if one.scope.id == box.id)
            )
            assert document is not None
            grant = Grant.read(parse_envelope(document).payload)
            assert grant.address == f"/device/v1/live/{given.id}"
        assert await room.book.held(c) == ()
        await room.orders.end_grant(given.id, "lan")
        assert [one.kind for one in await room.book.held(a)] == ["cancel"]


async def test_media_is_named_by_hash_and_a_missing_file_by_its_field(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        await room.box("a")
        await room.media()
        parts = (PartDraft(media=SHA), PartDraft(language="km", media="b" * 64))
        refused = await refusal(
            room.orders.emergency(EmergencyDraft(event=EmergencyEvent.FIRE, parts=parts, all=True), "lan")
        )
        assert (refused.problem, refused.field) == (Problem.MEDIA_UNKNOWN, "parts[1].media")
        given = await room.orders.emergency(
            EmergencyDraft(event=EmergencyEvent.FIRE, parts=parts[:1], all=True), "lan"
        )
        assert given.body["parts"][0]["media"]["duration_ms"] == 1000
        assert given.body["parts"][0]["title"]


async def test_a_bulletin_ends_after_it_begins(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        await room.box("a")
        now = datetime.now(UTC)
        said = (PartDraft(text="Tin"),)
        for start, until, field_ in (
            (now + timedelta(days=40), None, "start"),
            (now + timedelta(hours=2), now + timedelta(hours=1), "until"),
        ):
            draft = BulletinDraft(all=True, parts=said, start=start, until=until)
            refused = await refusal(room.orders.bulletin(draft, "lan"))
            assert (refused.problem, refused.field) == (Problem.TIME_UNUSABLE, field_)
        given = await room.orders.bulletin(BulletinDraft(all=True, parts=said), "lan")
        assert timedelta(hours=11) < given.batch.expires - now < timedelta(hours=13)


async def test_recordings_of_people_stay_when_the_built_in_ones_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken: list[tuple[str, str]] = []

    async def speech(self: Library, text: str, language: str, title: str) -> MediaRow:
        if title.startswith("Cảnh báo bão"):
            raise RefusedError(Problem.STORAGE_FULL)
        spoken.append((language, title))
        name = digest(text)
        return MediaRow(name, name[:26], title, 100, 1000, datetime.now(UTC), "{}")

    monkeypatch.setattr(Library, "speech", speech)
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        await room.media()
        own = MessageDraft(event=EmergencyEvent.FLOOD, text="Lũ về.", media=SHA)
        await room.rules.set_messages(MessagesDraft(messages=(own,)), "lan")
        library = Library(tmp_path / "media", tmp_path / "work", room.database)
        for _ in range(2):
            await stage_missing(room.rules, library, between_s=0)
        state = await room.database.read(state_of)
        by_event: dict[str, StagedMessage] = {one.event.value: one for one in state.messages}
        assert by_event["flood"].media.sha256 == SHA
        assert "storm" not in by_event, "what cannot be recorded is spoken by the boxes"
        assert {"fire", "all_clear", "test"} <= set(by_event)
        assert len(spoken) == len(set(spoken)), "recorded once"
        wanted = await room.database.read(lambda conn: content.current_desired(conn, box.id))
        assert wanted is not None
        await room.rules.set_languages(LanguagesDraft(languages=("vi", "en", "km")), "lan")
        assert room.rules.languages_changed.is_set()
        await stage_missing(room.rules, library, between_s=0)
        state = await room.database.read(state_of)
        assert state.message(EmergencyEvent.FIRE, "en") is not None
        assert state.message(EmergencyEvent.FIRE, "km") is None


async def test_settings_reach_many_boxes_in_slices_and_each_box_once(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        boxes = [await room.box(str(n)) for n in range(60)]
        await room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan")
        assert sorted(room.topics()) == sorted(down(box.id, "desired") for box in boxes)
        room.pushed.clear()
        await room.schedules.renew()
        assert room.pushed == []


async def test_documents_long_over_are_dropped_and_what_was_ordered_stays(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        await room.media()
        for _ in range(2):
            await room.rules.set_languages(LanguagesDraft(languages=("vi",)), "lan")
        old = await room.orders.emergency(
            EmergencyDraft(event=EmergencyEvent.FIRE, parts=(PartDraft(media=SHA),), all=True), "lan"
        )
        later = datetime.now(UTC) + timedelta(days=500)
        assert not await room.database.write(lambda conn: store.forget_some_orders(conn, later))
        assert await room.book.document(box, old.id) is None
        (listed,) = await room.book.recent(("emergency",), 10)
        assert (listed.id, listed.batch.author, listed.orders) == (old.id, "lan", ())
        newest = await room.database.read(lambda conn: content.current_desired(conn, box.id))
        assert newest is not None
        assert newest.seq == 2


@pytest.mark.slow
async def test_built_in_messages_become_levelled_files_that_boxes_may_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {EmergencyEvent.FIRE, EmergencyEvent.ALL_CLEAR}
    monkeypatch.setattr(
        staging, "built_in", lambda event, language: built_in(event, language) if event in few else None
    )
    async with a_room(tmp_path) as room:
        box = await room.box("a")
        library = Library(tmp_path / "media", tmp_path / "work", room.database)
        await asyncio.to_thread(library.prepare)
        await stage_missing(room.rules, library, between_s=0)
        state = await room.database.read(state_of)
        assert {one.event for one in state.messages} == few
        for one in state.messages:
            assert await asyncio.to_thread(library.path(one.media.sha256).is_file)
            assert one.media.duration_ms > 3000
            given = partial(_given, box.id, one.media.sha256)
            assert await room.database.read(given)


def _given(device: str, sha256: str, conn: sqlite3.Connection) -> bool:
    return content.was_given(conn, device, "media", sha256, datetime.now(UTC))
