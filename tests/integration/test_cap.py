"""CAP documents handed to a running server: what a box hears of them, and who may hand them in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.trust.verify import Accepted
from agent.wire.device_api import EnrolAnswer
from agent.wire.orders import Cancel, Emergency, EmergencyEvent
from agent.wire.topics import down
from tests.integration.test_server import Bench, a_server, first_message
from tests.integration.test_server_orders import held, listen, obeyed
from tests.unit.server.cap_samples import SENDER, a_filter, an_alert, an_info, at

pytestmark = pytest.mark.timeout(120)

CAP = {"Content-Type": "application/cap+xml"}


async def hand_in(
    bench: Bench, data: bytes, *, feed: str = "kttv", expect: int = 200, headers: dict[str, str] | None = None
) -> Any:
    return await bench.call(
        "POST", f"/api/v1/cap/{feed}", data=data, headers={**CAP, **(headers or {})}, expect=expect
    )


async def set_filter(bench: Bench, **changes: Any) -> Any:
    body = a_filter(**changes).model_dump(mode="json")
    return await bench.call("PUT", "/api/v1/cap-filter", json=body)


async def next_order(client: Any, box: EnrolAnswer) -> Emergency | Cancel:
    message = await first_message(client, 10)
    assert message is not None
    assert not message.retain
    accepted = obeyed(box, message.payload)
    assert isinstance(accepted, Accepted), accepted
    assert isinstance(accepted.order, Emergency | Cancel)
    return accepted.order


async def test_a_flood_warning_updated_and_taken_back_is_heard_by_a_box_as_signed_orders(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    first, second = (f"{SENDER},{name},{at(minutes, now)}" for name, minutes in (("VN-1", -5), ("VN-2", -2)))
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        assert (await set_filter(bench))["version"] == 1
        async with bench.mqtt(box) as client:
            await listen(client, box)

            said = await hand_in(bench, an_alert(identifier="VN-1", now=now))
            assert (said["outcome"], said["signed"]) == ("emergency", False)
            flood = await next_order(client, box)
            assert isinstance(flood, Emergency)
            assert (flood.id, flood.event) == (said["emergency"], EmergencyEvent.FLOOD)
            assert flood.parts[0].text.startswith("Mực nước sông Trẹm")

            worse = an_alert(
                an_info(severity="Extreme", headline="Lũ đặc biệt lớn", now=now),
                identifier="VN-2",
                sent=at(-2, now),
                msg_type="Update",
                references=first,
            )
            said = await hand_in(bench, worse)
            assert (said["outcome"], said["cancelled"]) == ("update", [flood.id])
            newer, ended = await next_order(client, box), await next_order(client, box)
            assert isinstance(newer, Emergency)
            assert newer.parts[0].title == "Lũ đặc biệt lớn"
            assert isinstance(ended, Cancel)
            assert ended.cancels == flood.id

            over = an_alert(
                an_info(response="AllClear", description="Lũ đã rút.", now=now),
                identifier="VN-3",
                sent=at(-1, now),
                msg_type="Cancel",
                references=f"{first} {second}",
            )
            assert (await hand_in(bench, over))["reason"] == "all_clear"
            end = await next_order(client, box)
            assert isinstance(end, Cancel)
            assert end.cancels == newer.id
            assert end.all_clear is not None
            assert end.all_clear.text.startswith("Lũ đã rút.")

            again = await hand_in(bench, worse)
            assert again["outcome"] == "ignored"
            assert await first_message(client, 0.5) is None
        assert [one["kind"] for one in await held(bench, box)] == ["cancel", "cancel"]


async def test_a_warning_outlives_a_restart_and_is_issued_once(tmp_path: Path) -> None:
    data = an_alert(now=datetime.now(UTC))
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        await set_filter(bench)
        given = await hand_in(bench, data)
    async with a_server(tmp_path) as bench:
        said = await hand_in(bench, data)
        assert (said["reason"], said["emergency"]) == ("duplicate", given["emergency"])
        assert [one["id"] for one in await held(bench, box)] == [given["emergency"]]
        assert (await bench.call("GET", "/api/v1/cap-filter"))["filter"]["feeds"][0]["name"] == "kttv"
        listed = (await bench.call("GET", "/api/v1/cap?limit=5"))["documents"]
        assert [one["outcome"] for one in listed] == ["ignored", "emergency"]
        kept = await bench.call("GET", f"/api/v1/cap/{listed[1]['id']}/document")
        assert kept == data
        orders = (await bench.call("GET", "/api/v1/emergencies"))["orders"]
        assert [one["author"] for one in orders] == ["cap:kttv"]


async def test_what_is_no_alert_is_refused_with_field_and_fix_and_no_box_hears_of_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    bomb = b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 9000 + b'">]><a>' + b"&x;" * 9000 + b"</a>"
    whole = an_alert(now=now)
    refused: list[tuple[bytes, int, str]] = [
        (b"<html><body>502</body></html>", 422, "body"),
        (b'{"status": "Actual"}', 422, "body"),
        (b"", 422, "body"),
        (bomb, 422, "body"),
        (whole[:-20], 422, "body"),
        (whole.replace(b"cap:1.2", b"cap:1.1"), 422, "body"),
        (whole.replace(b"<severity>Severe", b"<severity>Bad"), 422, "info[0].severity"),
        (
            an_alert(an_info(times=f"<expires>{at(-2, now)}</expires>", now=now), now=now),
            422,
            "info[0].expires",
        ),
        (an_alert(sent=at(30, now), now=now), 422, "sent"),
        (an_alert(sender="ai-do@example.vn", now=now), 422, "sender"),
        (b" " * 600_000, 413, "body"),
    ]
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        await set_filter(bench)
        async with bench.mqtt(box) as client:
            await client.subscribe(down(box.device, "emergency"), qos=1)
            for data, status, field in refused:
                said = await hand_in(bench, data, expect=status)
                assert said["field"] == field, (data[:80], said)
                assert said["message"]["vi"] != said["message"]["en"]
            said = await hand_in(bench, whole, expect=422, headers={"Content-Type": "application/json"})
            assert said["field"] == "Content-Type"
            said = await hand_in(bench, whole, feed="la", expect=422)
            assert (said["error"], said["field"]) == ("cap_refused", "feed")
            assert await first_message(client, 0.5) is None
        listed = (await bench.call("GET", "/api/v1/cap"))["documents"]
        assert {one["outcome"] for one in listed} == {"refused"}


async def test_without_a_filter_a_warning_is_kept_and_sounds_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        await bench.enrol()
        said = await hand_in(bench, an_alert(now=datetime.now(UTC)))
        assert (said["outcome"], said["reason"], said["emergency"]) == ("ignored", "no_filter", None)
        assert (await bench.call("GET", "/api/v1/cap-filter"))["filter"] is None


async def test_the_token_of_a_feed_opens_that_feed_and_nothing_else(tmp_path: Path) -> None:
    data = an_alert(now=datetime.now(UTC))
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        await set_filter(
            bench, feeds=[{"name": "kttv", "senders": [SENDER]}, {"name": "tinh", "senders": ["t"]}]
        )
        await bench.call("POST", "/api/v1/cap/la/token", expect=404)
        token = (await bench.call("POST", "/api/v1/cap/kttv/token"))["token"]
        forwarder = {"Authorization": f"Bearer {token}"}
        await hand_in(bench, data, feed="tinh", expect=401, headers=forwarder)
        for method, path in (
            ("GET", "/api/v1/cap"),
            ("GET", "/api/v1/cap-filter"),
            ("PUT", "/api/v1/cap-filter"),
            ("POST", "/api/v1/emergencies"),
            ("POST", "/api/v1/cap/kttv/token"),
        ):
            await bench.call(method, path, headers=forwarder, json={}, expect=401)
        for nobody in ("", "Bearer ", "Bearer wrong", "Bearer sai-mã", "Basic eDp5"):
            await hand_in(bench, data, expect=401, headers={"Authorization": nobody})
        await hand_in(bench, data, feed="%ff%fe", expect=401, headers=forwarder)
        assert (await hand_in(bench, data, headers=forwarder))["outcome"] == "emergency"
        assert len(await held(bench, box)) == 1


async def test_a_wrong_filter_is_explained_by_its_field(tmp_path: Path) -> None:
    good = a_filter().model_dump(mode="json")
    async with a_server(tmp_path) as bench:
        for changes, field, words in (
            ({"place": None, "geocodes": []}, "body", "geocodes"),
            ({"events": [{"event": "flood"}]}, "events[0]", "texts"),
            ({"min_severity": "bad"}, "min_severity", "Extreme"),
            ({"level": "province"}, "level", "commune"),
            ({"colour": "red"}, "colour", "colour"),
        ):
            said = await bench.call("PUT", "/api/v1/cap-filter", json={**good, **changes}, expect=422)
            assert said["field"] == field
            assert words in said["message"]["vi"]
        assert (await bench.call("GET", "/api/v1/cap-filter"))["version"] == 0
