"""Orders through the real server and a real broker: who gets them, how fast, and what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from agent.model.bulletin import ClockTrust
from agent.trust.verify import Accepted, BoxPlace, Refused, judge
from agent.wire.device_api import EnrolAnswer, HeartbeatRequest
from agent.wire.envelope import parse_envelope
from agent.wire.orders import ORDER_KINDS, Cancel, Desired, Emergency, Grant, Job, JobAction
from agent.wire.reports import Event, EventType, JobReport, JobState
from agent.wire.root import Root
from agent.wire.schedule import read_schedule
from agent.wire.topics import down, group_down, subscriptions
from agent.wire.ulid import new_ulid
from server.issuing import Outgoing
from server.pushing import Pusher
from tests.integration.test_server import Bench, a_draft, a_health, a_server, first_message, tone, until

pytestmark = pytest.mark.timeout(120)

FLOOD = {"event": "flood", "parts": [{"text": "Nước đang lên nhanh, bà con sơ tán ngay."}]}


async def listen(client: aiomqtt.Client, box: EnrolAnswer) -> None:
    for topic in subscriptions(box.device, box.place.groups):
        await client.subscribe(topic, qos=1)


async def held(bench: Bench, box: EnrolAnswer) -> Any:
    beat = HeartbeatRequest(health=a_health()).encode()
    return (await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat))["hold"]


def obeyed(box: EnrolAnswer, envelope: bytes, now: datetime | None = None) -> Accepted | Refused:
    """What a box fresh from enrolment makes of an envelope."""
    place = box.place
    return judge(
        envelope,
        root=Root.read(parse_envelope(box.root.encode()).payload),
        place=BoxPlace(box.device, place.station, place.province, frozenset(place.groups)),
        sequences={},
        seen=lambda _: None,
        now=now or datetime.now(UTC),
        clock_trust=ClockTrust.SYNCHRONISED,
        floor=None,
        supported=frozenset(ORDER_KINDS),
    )


async def fetched(bench: Bench, box: EnrolAnswer, url: str) -> bytes:
    return json.dumps(await bench.as_box(box, "GET", url), separators=(",", ":")).encode()


# --- who gets it -------------------------------------------------------------------------------------


async def test_an_emergency_for_a_group_reaches_its_boxes_at_once_and_nobody_else(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        member, other = await bench.enrol("A", ("ap-1",)), await bench.enrol("B", ("ap-2",))
        async with bench.mqtt(member) as near, bench.mqtt(other) as far:
            await listen(near, member)
            await listen(far, other)
            given = await bench.call(
                "POST", "/api/v1/emergencies", json={**FLOOD, "groups": ["ap-1"]}, expect=201
            )
            message = await first_message(near, 10)
            assert message is not None
            assert str(message.topic) == group_down("ap-1", "emergency")
            assert not message.retain, "an emergency must not sound again from a retained copy"
            assert await first_message(far, 0.5) is None
        assert [(one["scope"], one["name"], one["pushed"]) for one in given["orders"]] == [
            ("group", "ap-1", True)
        ]
        accepted = obeyed(member, message.payload)
        assert isinstance(accepted, Accepted), accepted
        assert isinstance(accepted.order, Emergency)
        assert accepted.order.id == given["id"]
        assert accepted.order.parts[0].text.startswith("Nước đang lên")
        assert isinstance(obeyed(other, message.payload), Refused)


async def test_an_emergency_for_the_station_is_one_document_for_every_box(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        boxes = [await bench.enrol(f"Loa {n}") for n in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(bench.mqtt(box)) for box in boxes]
            for client, box in zip(clients, boxes, strict=True):
                await listen(client, box)
            given = await bench.call("POST", "/api/v1/emergencies", json={**FLOOD, "all": True}, expect=201)
            got = [await first_message(client, 10) for client in clients]
        payloads = {one.payload for one in got if one is not None}
        assert len(payloads) == 1
        assert {str(one.topic) for one in got if one is not None} == {
            down(box.device, "emergency") for box in boxes
        }
        late = await bench.enrol("Loa mới")
        for box in (*boxes, late):
            listed = await held(bench, box)
            assert [(one["kind"], one["id"]) for one in listed] == [("emergency", given["id"])]
            envelope = await fetched(bench, box, listed[0]["url"])
            assert isinstance(obeyed(box, envelope), Accepted)


async def test_boxes_that_are_named_get_an_order_each_and_only_their_own(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        a, b, c = [await bench.enrol(name) for name in "ABC"]
        body = {**FLOOD, "devices": [a.device, b.device]}
        given = await bench.call("POST", "/api/v1/emergencies", json=body, expect=201)
        assert sorted(one["name"] for one in given["orders"]) == sorted([a.device, b.device])
        assert await held(bench, c) == []
        (mine,) = await held(bench, a)
        await bench.as_box(a, "GET", mine["url"], expect=200)
        for stranger in (b, c):
            await bench.as_box(stranger, "GET", mine["url"], expect=404)


async def test_media_of_an_emergency_can_be_fetched_by_the_boxes_it_is_for(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        member, other = await bench.enrol("A", ("ap-1",)), await bench.enrol("B")
        media = await bench.upload(tone(0.5))
        parts = [{"media": media["id"], "title": "Lũ"}]
        await bench.call(
            "POST",
            "/api/v1/emergencies",
            json={"event": "flood", "parts": parts, "groups": ["ap-1"]},
            expect=201,
        )
        late = await bench.enrol("C", ("ap-1",))
        path = f"/device/v1/media/{media['sha256']}"
        for box, status in ((member, 200), (late, 200), (other, 404)):
            await bench.as_box(box, "GET", path, expect=status)


# --- how fast, and what if ---------------------------------------------------------------------------


async def test_an_emergency_is_at_the_box_quickly_while_the_server_is_busy(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        async with bench.mqtt(box) as client:
            await client.subscribe(down(box.device, "emergency"), qos=1)
            took_ms: list[float] = []

            async def load() -> None:
                while True:
                    await bench.publish_daily(media["sha256"], "lich-ban-ron")

            async with asyncio.TaskGroup() as group:
                busy = group.create_task(load())
                for _ in range(10):
                    began_s = time.monotonic()
                    async with asyncio.TaskGroup() as asked:
                        body = {**FLOOD, "devices": [box.device]}
                        asked.create_task(bench.call("POST", "/api/v1/emergencies", json=body, expect=201))
                        assert await first_message(client, 10) is not None
                        took_ms.append((time.monotonic() - began_s) * 1000)
                busy.cancel()
        print("emergency request to box, ms:", sorted(round(one, 1) for one in took_ms))
        assert sorted(took_ms)[len(took_ms) // 2] < 250  # 50 on a quiet machine


async def test_a_push_the_broker_did_not_confirm_is_found_with_the_next_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_there(self: Pusher, one: Outgoing, *, first: bool = False) -> bool:
        return False

    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        with monkeypatch.context() as broken:
            broken.setattr(Pusher, "_publish", nobody_there)
            given = await bench.call("POST", "/api/v1/emergencies", json={**FLOOD, "all": True}, expect=201)
            assert [one["pushed"] for one in given["orders"]] == [False]
        assert [one["id"] for one in await held(bench, box)] == [given["id"]]


async def test_the_same_request_id_gives_one_order(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        body = {**FLOOD, "all": True, "request_id": "nut-bam-0001"}
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(bench.call("POST", "/api/v1/emergencies", json=body, expect=201))
                for _ in range(4)
            ]
        assert len({one.result()["id"] for one in asked}) == 1
        assert len(await held(bench, box)) == 1
        other = {**body, "event": "fire"}
        refused = await bench.call("POST", "/api/v1/emergencies", json=other, expect=409)
        assert (refused["error"], refused["field"]) == ("request_reused", "request_id")


async def test_orders_outlive_a_restart(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        given = await bench.call(
            "POST", "/api/v1/emergencies", json={**FLOOD, "all": True, "author": "Lan"}, expect=201
        )
        await bench.call("PUT", "/api/v1/priority-order", json={"order": ["b", "a"]})
    async with a_server(tmp_path) as bench:
        (emergency, desired) = await held(bench, box)
        assert emergency["id"] == given["id"]
        assert desired["kind"] == "desired"
        listed = (await bench.call("GET", "/api/v1/emergencies?state=in_force"))["orders"]
        assert [(one["id"], one["author"]) for one in listed] == [(given["id"], "Lan (operator)")]
        assert (await bench.call("GET", "/api/v1/priority-order"))["order"] == ["b", "a"]
        after = await bench.call("POST", "/api/v1/emergencies", json={**FLOOD, "all": True}, expect=201)
        assert after["orders"][0]["seq"] > given["orders"][0]["seq"]


async def test_a_database_of_the_former_server_is_taken_over(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        published = await bench.publish_daily(media["sha256"])
    with contextlib.closing(sqlite3.connect(tmp_path / "server.sqlite3")) as conn:
        for table in ("order_media", "orders", "batches", "settings"):
            conn.execute(f"DROP TABLE {table}")
        for index in ("reports_job", "reports_subject", "documents_waiting", "documents_expires"):
            conn.execute(f"DROP INDEX IF EXISTS {index}")
        conn.execute("PRAGMA user_version = 1")
        conn.commit()
    async with a_server(tmp_path) as bench:
        (kept,) = await held(bench, box)
        assert kept["id"] == published["documents"][0]["id"]
        await bench.as_box(box, "GET", kept["url"])
        await bench.call("PUT", "/api/v1/languages", json={"languages": ["vi"]})
        (newer,) = await held(bench, box)
        assert newer["seq"] == kept["seq"] + 1


# --- the end -----------------------------------------------------------------------------------------


async def test_a_cancel_takes_the_place_of_what_it_ends(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol("A", ("ap-1",))
        given = await bench.call(
            "POST", "/api/v1/emergencies", json={**FLOOD, "groups": ["ap-1"], "minutes": 90}, expect=201
        )
        async with bench.mqtt(box) as client:
            await listen(client, box)
            ended = await bench.call(
                "POST", f"/api/v1/emergencies/{given['id']}/cancel", json={"all_clear": {}}
            )
            message = await first_message(client, 10)
        assert message is not None
        assert str(message.topic) == group_down("ap-1", "cancel")
        order = Cancel.read(parse_envelope(message.payload).payload)
        assert order.cancels == given["id"]
        assert order.all_clear is not None
        assert order.all_clear.text
        assert order.expires > datetime.fromisoformat(given["expires"])
        assert isinstance(obeyed(box, message.payload), Accepted)
        assert [(one["kind"], one["id"]) for one in await held(bench, box)] == [("cancel", ended["id"])]
        now = await bench.call("GET", f"/api/v1/emergencies/{given['id']}")
        assert (now["state"], now["ended"]["id"]) == ("cancelled", ended["id"])
        assert (await bench.call("GET", "/api/v1/emergencies?state=in_force"))["orders"] == []
        again = await bench.call("POST", f"/api/v1/emergencies/{given['id']}/cancel", json={})
        assert again["id"] == ended["id"]
        await bench.call("POST", f"/api/v1/bulletins/{given['id']}/cancel", json={}, expect=404)
        await bench.call("POST", f"/api/v1/emergencies/{new_ulid(order.expires)}/cancel", json={}, expect=404)


async def test_all_orders_of_one_request_end_together(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        a, b = await bench.enrol("A"), await bench.enrol("B")
        given = await bench.call(
            "POST", "/api/v1/emergencies", json={**FLOOD, "devices": [a.device, b.device]}, expect=201
        )
        second = given["orders"][1]["id"]
        ended = await bench.call("POST", f"/api/v1/emergencies/{second}/cancel", json={})
        assert len(ended["orders"]) == 2
        for box in (a, b):
            assert [one["kind"] for one in await held(bench, box)] == ["cancel"]


# --- bulletins, jobs, sessions ------------------------------------------------------------------------


async def test_a_normal_bulletin_is_kept_and_not_sent_unless_asked_for(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        body = {"class": "normal", "parts": [{"text": "Lịch tiêm chủng."}], "all": True}
        kept = await bench.call("POST", "/api/v1/bulletins", json=body, expect=201)
        assert (kept["state"], kept["orders"]) == ("kept", [])
        assert await held(bench, box) == []
        sent = await bench.call("POST", "/api/v1/bulletins", json={**body, "send": True}, expect=201)
        (listed,) = await held(bench, box)
        assert listed["id"] == sent["id"]
        accepted = obeyed(box, await fetched(bench, box, listed["url"]))
        assert isinstance(accepted, Accepted)
        assert (await bench.call("POST", f"/api/v1/bulletins/{kept['id']}/cancel", json={}))["orders"] == []
        states = {one["id"]: one["state"] for one in (await bench.call("GET", "/api/v1/bulletins"))["orders"]}
        assert states == {kept["id"]: "cancelled", sent["id"]: "in_force"}


async def test_a_job_comes_back_with_its_result(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        async with bench.mqtt(box) as client:
            await listen(client, box)
            asked = await bench.call(
                "POST",
                f"/api/v1/boxes/{box.device}/jobs",
                json={"action": "set_volume", "arguments": {"volume_db": -6}},
                expect=201,
            )
            assert [one["state"] for one in asked["boxes"]] == [None]
            message = await first_message(client, 10)
            assert message is not None
            assert isinstance(obeyed(box, message.payload), Accepted)
            job = Job.read(parse_envelope(message.payload).payload)
            assert (job.action, job.arguments) == (JobAction.SET_VOLUME, {"volume_db": -6})
            now = datetime.now(UTC)
            for n, state in enumerate((JobState.RUNNING, JobState.SUCCEEDED, JobState.RUNNING)):
                report = JobReport(
                    id=new_ulid(now),
                    at=now + timedelta(seconds=n),
                    job=job.id,
                    action=job.action,
                    state=state,
                    result={"volume_db": -6.0},
                )
                await bench.report(box, client, f"job/{job.id}", report)

        async def done() -> Any:
            answer = await bench.call("GET", f"/api/v1/jobs/{asked['id']}")
            return answer if answer["boxes"][0]["state"] == "succeeded" else None

        answer = await until(done)
        assert answer["boxes"][0]["result"] == {"volume_db": -6.0}
        assert not answer["overdue"]


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("fm", "99.5"),
        ("line_in", ""),
        ("microphone", "usb"),
        ("multicast", "239.1.2.3:5004"),
        ("stream", "https://vov.example.vn/vov1.mp3"),
    ],
)
async def test_a_live_session_from_any_source_is_opened_and_closed(
    tmp_path: Path, source: str, address: str
) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        body = {"source": source, "address": address, "speaker": "Lan", "all": True, "minutes": 5}
        given = await bench.call("POST", "/api/v1/grants", json=body, expect=201)
        (listed,) = await held(bench, box)
        accepted = obeyed(box, await fetched(bench, box, listed["url"]))
        assert isinstance(accepted, Accepted)
        assert isinstance(accepted.order, Grant)
        assert (accepted.order.source, accepted.order.address) == (source, address)
        for path in ("/api/v1/grants?state=in_force", "/api/v1/orders?kind=grant"):
            assert [one["id"] for one in (await bench.call("GET", path))["orders"]] == [given["id"]]
        await bench.call("POST", f"/api/v1/grants/{given['id']}/cancel", json={})
        assert (await bench.call("GET", f"/api/v1/grants/{given['id']}"))["state"] == "cancelled"
        assert [one["kind"] for one in await held(bench, box)] == ["cancel"]
        paths = (await bench.call("GET", "/api/v1/openapi.json"))["paths"]
        assert {"post", "get"} <= set(paths["/api/v1/grants"])
        assert "post" in paths["/api/v1/grants/{id}/cancel"]


async def test_jobs_reach_a_box_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        async with bench.mqtt(box) as client:
            await listen(client, box)
            async with asyncio.TaskGroup() as group:
                for _ in range(12):
                    path = f"/api/v1/boxes/{box.device}/jobs"
                    group.create_task(bench.call("POST", path, json={"action": "next"}, expect=201))
            got = [await first_message(client, 10) for _ in range(12)]
        numbers = [Job.read(parse_envelope(one.payload).payload).seq for one in got if one is not None]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 12


async def test_what_a_box_said_of_an_emergency_is_shown_with_it(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        given = await bench.call("POST", "/api/v1/emergencies", json={**FLOOD, "all": True}, expect=201)
        now = datetime.now(UTC)
        async with bench.mqtt(box) as client:
            for kind in (EventType.ORDER_ACCEPTED, EventType.EMERGENCY_BEGUN):
                event = Event(id=new_ulid(now), at=now, type=kind, subject=given["id"])
                await bench.report(box, client, "event", event)

        async def told() -> Any:
            answers = (await bench.call("GET", f"/api/v1/emergencies/{given['id']}"))["answers"]
            return answers if len(answers.get(box.device, ())) == 2 else None

        assert await until(told) == {box.device: ["order_accepted", "emergency_begun"]}


async def test_every_order_is_listed_with_its_author(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        given = await bench.call(
            "POST", "/api/v1/emergencies", json={**FLOOD, "all": True, "author": "Lan"}, expect=201
        )
        await bench.call("POST", f"/api/v1/emergencies/{given['id']}/cancel", json={"author": "Hà"})
        await bench.call("POST", f"/api/v1/boxes/{box.device}/jobs", json={"action": "stop"}, expect=201)
        listed = (await bench.call("GET", "/api/v1/orders"))["orders"]
        assert sorted((one["kind"], one["author"]) for one in listed) == [
            ("cancel", "Hà (operator)"),
            ("emergency", "Lan (operator)"),
            ("job", "operator"),
        ]
        jobs = (await bench.call("GET", "/api/v1/orders?kind=job"))["orders"]
        assert [one["kind"] for one in jobs] == ["job"]


# --- the station -------------------------------------------------------------------------------------


async def test_what_the_station_sets_reaches_every_box_with_and_without_a_schedule(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        planned, bare = await bench.enrol("A"), await bench.enrol("B")
        media = await bench.upload(tone(0.5))
        await bench.call("POST", "/api/v1/schedules", json=a_draft(media["id"]), expect=201)
        await bench.call(
            "POST", "/api/v1/schedules/lich-thuong-ngay/publish", json={"devices": [planned.device]}
        )
        window = {"start": "05:00", "end": "21:00", "max_minutes": 60, "max_dbfs": -6}
        hours = await bench.call("PUT", "/api/v1/hours", json={"windows": [window]})
        assert (hours["version"], hours["author"]) == (1, "operator")
        recording = {"event": "flood", "language": "vi", "text": "Lũ về.", "media": media["id"]}
        await bench.call("PUT", "/api/v1/messages", json={"messages": [recording]})
        await bench.call("PUT", "/api/v1/languages", json={"languages": ["vi", "km"]})
        await bench.call("PUT", "/api/v1/priority-order", json={"order": ["tin-b", "tin-a"]})
        late = await bench.enrol("C")
        for box in (planned, bare, late):
            (listed,) = await held(bench, box)
            accepted = obeyed(box, await fetched(bench, box, listed["url"]))
            assert isinstance(accepted, Accepted)
            desired = accepted.order
            assert isinstance(desired, Desired)
            assert (desired.schedule is not None) == (box is planned)
            assert (desired.hours_version, desired.hours[0].max_minutes) == (1, 60)
            assert desired.languages == ("vi", "km")
            assert desired.priority_order == ("tin-b", "tin-a")
            assert desired.messages[0].media.sha256 == media["sha256"]
            await bench.as_box(box, "GET", f"/device/v1/media/{media['sha256']}")
            async with bench.mqtt(box) as client:
                await listen(client, box)
                retained = await first_message(client, 10)
                assert retained is not None
                assert Desired.read(parse_envelope(retained.payload).payload).id == desired.id
        assert (await bench.call("GET", "/api/v1/hours"))["windows"][0]["start"] == "05:00"
        known = await bench.call("GET", "/api/v1/messages")
        assert {one["event"] for one in known["built_in"]} >= {"flood", "storm", "all_clear"}


async def test_an_emergency_without_text_uses_the_recording_of_its_event(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        recording = {"event": "flood", "text": "Lũ về.", "media": media["id"]}
        await bench.call("PUT", "/api/v1/messages", json={"messages": [recording]})
        given = await bench.call(
            "POST", "/api/v1/emergencies", json={"event": "flood", "all": True}, expect=201
        )
        (part,) = given["body"]["parts"]
        assert part["media"]["sha256"] == media["sha256"]
        storm = await bench.call(
            "POST", "/api/v1/emergencies", json={"event": "storm", "all": True}, expect=201
        )
        assert "media" not in storm["body"]["parts"][0]
        assert "Bão" in storm["body"]["parts"][0]["text"]
        refused = await bench.call(
            "POST", "/api/v1/emergencies", json={"event": "other", "all": True}, expect=422
        )
        assert (refused["error"], refused["field"]) == ("nothing_to_say", "parts[0].text")
        assert len(await held(bench, box)) == 3


async def test_a_schedule_may_relay_another_station(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        draft = a_draft("0" * 64)
        relay = {"source": "stream", "address": "https://vov.example.vn/vov1.mp3", "duration_ms": 600_000}
        draft["programmes"][0] |= {
            "items": [{"relay": relay, "title": "Tiếp sóng VOV"}],
            "resume": "clock",
            "window_minutes": 0,
            "fallback": True,
        }
        await bench.call("POST", "/api/v1/schedules", json=draft, expect=201)
        await bench.call("POST", "/api/v1/schedules/lich-thuong-ngay/publish", json={"all": True})
        (listed,) = await held(bench, box)
        accepted = obeyed(box, await fetched(bench, box, listed["url"]))
        assert isinstance(accepted, Accepted)
        assert isinstance(accepted.order, Desired)
        assert accepted.order.schedule is not None
        document = await bench.call("GET", "/api/v1/schedules/lich-thuong-ngay")
        programme = read_schedule(json.dumps(document).encode()).programmes[0]
        assert programme.fallback
        assert programme.items[0].live is not None
        assert programme.items[0].live.address == relay["address"]


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("/api/v1/emergencies", {"event": "flood"}, "invalid", "body"),
        ("/api/v1/emergencies", {**FLOOD, "event": "meteor", "all": True}, "invalid", "event"),
        ("/api/v1/emergencies", {**FLOOD, "all": True, "minutes": 0}, "invalid", "minutes"),
        ("/api/v1/emergencies", {**FLOOD, "all": True, "level": "province"}, "level_too_high", "level"),
        ("/api/v1/emergencies", {**FLOOD, "groups": ["khong-co"]}, "no_target", "groups"),
        ("/api/v1/emergencies", {**FLOOD, "devices": ["box-khongco00"]}, "no_target", "devices"),
        (
            "/api/v1/emergencies",
            {"event": "fire", "all": True, "parts": [{"media": "0" * 64}]},
            "media_unknown",
            "parts[0].media",
        ),
        (
            "/api/v1/emergencies",
            {"event": "fire", "all": True, "parts": [{"text": "x" * 100_000}]},
            "invalid",
            "parts[0].text",
        ),
        (
            "/api/v1/emergencies",
            {"event": "fire", "all": True, "parts": [{"text": "Chạy\x07ngay"}]},
            "invalid",
            "parts[0].text",
        ),
        (
            "/api/v1/emergencies",
            {
                "event": "fire",
                "all": True,
                "parts": [
                    {"language": one, "text": "ộ" * 20_000} for one in ("vi", "en", "km", "tyz", "hmn")
                ],
            },
            "too_large",
            "body",
        ),
        (
            "/api/v1/bulletins",
            {"all": True, "parts": [{"text": "Tin"}], "start": "2020-01-01T00:00:00Z"},
            "time_unusable",
            "start",
        ),
        ("/api/v1/bulletins", {"all": True, "parts": [{"text": "  "}]}, "nothing_to_say", "parts[0].text"),
        (
            "/api/v1/jobs",
            {"all": True, "action": "set_volume", "arguments": {"volume_db": 40}},
            "invalid",
            "body",
        ),
        ("/api/v1/bulletins", {"all": True, "parts": [{"text": "a"}, {"text": "b"}]}, "invalid", "parts"),
        ("/api/v1/jobs", {"all": True, "action": "explode"}, "invalid", "action"),
        ("/api/v1/grants", {"all": True, "speaker": "Lan", "source": "stream"}, "invalid", "body"),
        ("/api/v1/grants", {"all": True, "speaker": "Lan", "source": "fm"}, "invalid", "body"),
        (
            "/api/v1/grants",
            {"all": True, "speaker": "Lan", "source": "fm", "address": "120.5"},
            "invalid",
            "address",
        ),
        ("/api/v1/grants", {"speaker": "Lan", "source": "line_in"}, "invalid", "body"),
    ],
)
async def test_a_wrong_order_names_its_field_and_nothing_is_kept(
    tmp_path: Path, path: str, body: dict[str, Any], code: str, field: str
) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        refused = await bench.call("POST", path, json=body, expect=413 if code == "too_large" else 422)
        assert (refused["error"], refused["field"]) == (code, field)
        assert refused["message"]["vi"] != refused["message"]["en"]
        assert await held(bench, box) == []
        for kind in ("emergencies", "bulletins"):
            assert (await bench.call("GET", f"/api/v1/{kind}"))["orders"] == []
