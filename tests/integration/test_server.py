"""The server with a real broker, database, decoder and sockets, in this process."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import re
import signal
import struct
import subprocess
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.wire.base import Document
from agent.wire.device_api import EnrolAnswer, HeartbeatRequest
from agent.wire.envelope import key_id, parse_envelope, valid_signers
from agent.wire.orders import Desired
from agent.wire.reports import Birth, Event, EventType, Health, Online, Reported, State
from agent.wire.root import Root
from agent.wire.schedule import read_schedule
from agent.wire.topics import down, up
from agent.wire.ulid import new_ulid
from server.app import Settings, running
from server.broker.link import Message
from server.intake import Intake
from server.problems import StoreFailedError
from server.signing import Station

pytestmark = pytest.mark.timeout(120)

ENGLISH = re.compile(r"\b(is|not|should|required|permitted|Input|Value|Invalid|supported)\b")
STATION = Station("tan-loc", "ca-mau", "Đài truyền thanh xã Tân Lộc")


@dataclass
class Bench:
    """A running server as its users see it."""

    url: str
    data: Path
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, *, expect: int = 200, **options: Any) -> Any:
        async with self.http.request(method, self.url + path, **options) as answer:
            body = await answer.read()
            assert answer.status == expect, (answer.status, body[:500])
            return json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body

    @property
    def broker(self) -> tuple[str, int]:
        said = json.loads((self.data / "server.json").read_text())["broker"]
        return said["host"], said["port"]

    async def enrol(self, name: str = "Loa ấp 1", groups: tuple[str, ...] = ()) -> EnrolAnswer:
        code = (await self.call("POST", "/api/v1/enrolment-codes", expect=201, json={"groups": groups}))[
            "code"
        ]
        answer = await self.call(
            "POST", "/device/v1/enrol", json={"code": code, "name": name}, headers={"Authorization": ""}
        )
        return EnrolAnswer.model_validate(answer)

    async def upload(self, data: bytes, title: str = "Bản tin", expect: int = 201) -> Any:
        return await self.call("POST", "/api/v1/media", params={"title": title}, data=data, expect=expect)

    async def publish_daily(self, media: str, schedule: str = "lich-thuong-ngay") -> Any:
        await self.call("POST", "/api/v1/schedules", json=a_draft(media, schedule), expect=201)
        return await self.call("POST", f"/api/v1/schedules/{schedule}/publish", json={"all": True})

    async def as_box(
        self, box: EnrolAnswer, method: str, path: str, *, expect: int = 200, **options: Any
    ) -> Any:
        options.setdefault("headers", {})["Authorization"] = aiohttp.encode_basic_auth(box.device, box.secret)
        return await self.call(method, path, expect=expect, **options)

    @asynccontextmanager
    async def mqtt(self, box: EnrolAnswer) -> AsyncIterator[aiomqtt.Client]:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        host, port = self.broker
        async with aiomqtt.Client(
            host,
            port,
            username=box.device,
            password=box.secret,
            identifier=box.device,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            timeout=10,
        ) as client:
            yield client

    async def report(self, box: EnrolAnswer, client: aiomqtt.Client, kind: str, document: Document) -> None:
        await client.publish(
            up(box.device, kind), document.encode(), qos=1, retain=kind in {"birth", "state"}
        )


def basic(box: EnrolAnswer) -> str:
    return aiohttp.encode_basic_auth(box.device, box.secret)


@asynccontextmanager
async def a_server(data: Path) -> AsyncIterator[Bench]:
    settings = Settings(data=data, station=STATION, port=0, broker_port=0, stage_messages=False)
    async with running(settings) as url:
        token = (data / "operator.token").read_text().strip()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            yield Bench(url, data, http)


def tone(seconds: float, level: float = 0.2, frequency: float = 440, rate: int = 16_000) -> bytes:
    """A WAV file in memory."""
    frames = b"".join(
        struct.pack("<h", round(32767 * level * math.sin(2 * math.pi * frequency * n / rate)))
        for n in range(round(seconds * rate))
    )
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(frames)
    return file.getvalue()


def a_draft(media: str, schedule: str = "lich-thuong-ngay", **recurrence: Any) -> dict[str, Any]:
    return {
        "id": schedule,
        "programmes": [
            {
                "id": "ban-tin-sang",
                "title": "Bản tin sáng",
                "items": [{"media": media, "title": "Tin"}],
                "recurrences": [{"start": "2026-11-01T05:00:00", "rrule": "FREQ=DAILY", **recurrence}],
            }
        ],
    }


def an_event(detail: str = "") -> Event:
    now = datetime.now(UTC)
    return Event(id=new_ulid(now), at=now, type=EventType.STARTED, detail=detail)


def a_health(boot: str = "boot-1") -> Health:
    return Health(boot_id=boot, at=datetime.now(UTC), uptime_s=5, clock="synchronised")


async def until(condition: Any, limit_s: float = 20.0) -> Any:
    """Wait for a condition, by asking it."""
    async with asyncio.timeout(limit_s):
        while not (value := await condition()):
            await asyncio.sleep(0.05)
        return value


async def first_message(client: aiomqtt.Client, limit_s: float) -> aiomqtt.Message | None:
    try:
        async with asyncio.timeout(limit_s):
            return await anext(client.messages)
    except TimeoutError:
        return None


# --- enrolment ---------------------------------------------------------------------------------------


async def test_a_code_makes_a_box_that_may_use_http_and_the_broker_at_once(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol(groups=("ap-1",))
        assert re.fullmatch(r"box-[a-z0-9]{10}", box.device)
        assert box.place.station == "tan-loc"
        assert box.place.groups == ("ap-1",)
        assert (box.broker.host, box.broker.port) == bench.broker
        async with bench.mqtt(box):
            pass
        beat = HeartbeatRequest(health=a_health())
        answer = await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat.encode())
        assert answer["hold"] == []


async def test_the_root_names_the_station_as_issuer_and_is_signed_by_itself(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        envelope = parse_envelope(box.root.encode())
        root = Root.read(envelope.payload)
        assert envelope.kind == "root"
        assert len(valid_signers(envelope, root.public_keys(root.root))) == 1
        issuer = root.issuer("xa-tan-loc")
        assert issuer is not None
        assert "emergency" in issuer.kinds
        assert [(scope.kind, scope.id) for scope in issuer.scopes] == [("station", "tan-loc")]


async def test_a_code_works_once(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        made = await bench.call("POST", "/api/v1/enrolment-codes", expect=201, json={})
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", made["code"])
        typed = made["code"].lower().replace("-", " ")
        await bench.call("POST", "/device/v1/enrol", json={"code": typed})
        refused = await bench.call("POST", "/device/v1/enrol", json={"code": made["code"]}, expect=403)
        assert refused["error"] == "code_refused"
        assert refused["field"] == "code"


async def test_five_wrong_codes_shut_an_address_out_even_with_the_right_one(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        right = (await bench.call("POST", "/api/v1/enrolment-codes", expect=201, json={}))["code"]
        for n in range(5):
            await bench.call("POST", "/device/v1/enrol", json={"code": f"0000-000{n}"}, expect=403)
        async with bench.http.post(bench.url + "/device/v1/enrol", json={"code": right}) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 60


# --- authority ---------------------------------------------------------------------------------------


async def test_nobody_unknown_gets_in(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        wrong = {"Authorization": aiohttp.encode_basic_auth(box.device, "x" * 43)}
        for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": ""}, wrong):
            await bench.call("GET", "/api/v1/boxes", headers=headers, expect=401)
            await bench.call("POST", "/device/v1/heartbeat", headers=headers, data=b"{}", expect=401)
        await bench.as_box(box, "GET", "/api/v1/boxes", expect=401)
        host, port = bench.broker
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(host, port, username=box.device, password="wrong", timeout=5):
                pass
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(host, port, timeout=5):
                pass


async def test_a_box_neither_hears_nor_speaks_for_another(tmp_path: Path) -> None:
    """Proved by delivery: Mosquitto answers a forbidden subscription as granted."""
    async with a_server(tmp_path) as bench:
        a, b = await bench.enrol("A"), await bench.enrol("B")
        async with bench.mqtt(a) as client_a, bench.mqtt(b) as client_b:
            for topic in (
                down(a.device, "#"),
                "tl/v1/#",
                "#",
                f"tl/v1/g/{a.device}/down/#",
                up(a.device, "event"),
            ):
                await client_b.subscribe(topic, qos=1)
            await client_a.subscribe(down(a.device, "#"), qos=1)
            forged = an_event("forged")
            await client_b.publish(up(a.device, "event"), forged.encode(), qos=1)
            await client_b.publish(down(a.device, "desired"), b"forged", qos=1)
            genuine = an_event("genuine")
            await bench.report(a, client_a, "event", genuine)
            media = await bench.upload(tone(0.5))
            await bench.publish_daily(media["sha256"])

            got = await first_message(client_a, 10)
            assert got is not None
            assert Desired.read(parse_envelope(got.payload).payload).scope.id == a.device
            heard = set()
            while message := await first_message(client_b, 2):
                heard.add(str(message.topic))
            assert heard == {down(b.device, "desired")}

            async def events() -> Any:
                return (await bench.call("GET", f"/api/v1/boxes/{a.device}/events"))["events"]

            await until(events)
            assert [one["detail"] for one in await events()] == ["genuine"]


async def test_a_box_with_anothers_client_id_does_not_take_its_session(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        a, b = await bench.enrol("A"), await bench.enrol("B")
        host, port = bench.broker
        async with bench.mqtt(a) as client_a:
            await client_a.subscribe(down(a.device, "#"), qos=1)
            async with aiomqtt.Client(host, port, username=b.device, password=b.secret, identifier=a.device):
                await asyncio.sleep(0.2)
            media = await bench.upload(tone(0.5))
            await bench.publish_daily(media["sha256"])
            assert await first_message(client_a, 10) is not None


async def test_a_group_reaches_its_members_only(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        member, other = await bench.enrol("A", ("ap-1",)), await bench.enrol("B")
        passwords = (bench.data / "broker" / "acl").read_text()
        assert f"user {member.device}\ntopic read tl/v1/g/ap-1/down/#" in passwords
        media = await bench.upload(tone(0.5))
        await bench.call("POST", "/api/v1/schedules", json=a_draft(media["id"]), expect=201)
        published = await bench.call(
            "POST", "/api/v1/schedules/lich-thuong-ngay/publish", json={"groups": ["ap-1"]}
        )
        assert [one["device"] for one in published["documents"]] == [member.device]
        wanted = await bench.call("GET", f"/api/v1/boxes/{other.device}")
        assert wanted["schedule"]["wanted"] is None


# --- media -------------------------------------------------------------------------------------------


def measured(flac: Path) -> tuple[float, float]:
    said = subprocess.run(
        ["ffmpeg", "-hide_banner", "-i", str(flac), "-af", "ebur128=peak=true", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1]), float(
        re.findall(r"Peak:\s+(-?[\d.]+)", said)[-1]
    )


@pytest.mark.slow
async def test_two_minutes_of_mp3_come_out_at_the_target(tmp_path: Path) -> None:
    mp3 = tmp_path / "two.mp3"
    spoken = tmp_path / "spoken.wav"
    subprocess.run(
        ["espeak-ng", "-v", "vi", "-w", spoken, "Kính thưa bà con, đây là bản tin sáng."], check=True
    )
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(spoken), "-t", "120"),
            *("-af", "volume=-12dB", "-b:a", "64k", "-metadata", "title=secret tag", str(mp3)),
        ],
        check=True,
    )
    async with a_server(tmp_path / "data") as bench:
        made = await bench.upload(mp3.read_bytes(), "Bản tin sáng")
        flac = bench.data / "media" / made["sha256"][:2] / f"{made['sha256']}.flac"
        assert made["duration_ms"] == pytest.approx(120_000, abs=60)
        assert made["size_bytes"] == flac.stat().st_size
        lufs, peak = await asyncio.to_thread(measured, flac)
        assert lufs == pytest.approx(-16.0, abs=1.0)
        assert peak <= -1.0
        assert b"secret tag" not in flac.read_bytes()


async def test_the_length_is_exact_to_the_sample(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        made = await bench.upload(tone(1.23456, rate=44_100))
        flac = bench.data / "media" / made["sha256"][:2] / f"{made['sha256']}.flac"
        said = subprocess.run(
            ["ffprobe", "-v", "error", "-of", "json", "-show_streams", flac], capture_output=True, check=True
        )
        stream = json.loads(said.stdout)["streams"][0]
        assert (stream["codec_name"], stream["sample_rate"], stream["channels"]) == ("flac", "48000", 1)
        assert stream["bits_per_raw_sample"] == "16"
        assert stream["duration_ts"] == made["duration_ms"] * 48
        assert made["duration_ms"] == 1235


async def test_bad_uploads_are_refused_in_both_languages_and_leave_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp3"
    wav = tone(4)
    (tmp_path / "tone.wav").write_bytes(wav)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "tone.wav", whole], check=True)
    mp3 = whole.read_bytes()
    text = "Đây là văn bản, không phải âm thanh.\n".encode() * 200
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    concat = b"ffconcat version 1.0\nfile '" + os.fsencode(whole) + b"'\n"
    broken = bytearray(mp3)
    for n in range(2000, len(mp3), 7):
        broken[n] ^= 0x5A
    cases = {
        b"": "media_empty",
        text: "media_not_audio",
        playlist: "media_not_audio",
        concat: "media_not_audio",
        mp3[: len(mp3) // 2]: "media_truncated",
        wav[: len(wav) // 2]: "media_truncated",
        bytes(broken): "media_corrupt",
        os.urandom(50_000): "media_not_audio",
    }
    async with a_server(tmp_path / "data") as bench:
        for data, code in cases.items():
            refused = await bench.upload(data, "hỏng.mp3", expect=422)
            assert refused["error"] == code, (code, data[:40])
            assert refused["message"]["vi"]
            assert refused["message"]["vi"] != refused["message"]["en"]
        assert not list((bench.data / "media").rglob("*.flac"))
        assert not list((bench.data / "work").iterdir())
        assert (await bench.call("GET", "/api/v1/media"))["media"] == []


async def test_the_same_sound_is_kept_once(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        first, second = await bench.upload(tone(0.5)), await bench.upload(tone(0.5), "Khác")
        assert first["sha256"] == second["sha256"]
        assert len((await bench.call("GET", "/api/v1/media"))["media"]) == 1


async def test_vietnamese_text_becomes_speech_at_the_target(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        body = {"text": "UBND xã thông báo lịch tiêm chủng. Xem https://x.vn/a", "title": "Tiêm chủng"}
        made = await bench.call("POST", "/api/v1/speech", json=body, expect=201)
        assert made["loudness_lufs"] == pytest.approx(-16.0, abs=1.0)
        assert made["peak_dbtp"] <= -1.0
        for text, code in ((" https://x.vn ", "speech_empty"), ("a" * 20_001, "invalid")):
            refused = await bench.call("POST", "/api/v1/speech", json={"text": text}, expect=422)
            assert (refused["error"], refused["field"]) == (code, "text")


# --- schedules ---------------------------------------------------------------------------------------


async def test_a_wrong_schedule_names_its_field_and_changes_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        media = (await bench.upload(tone(0.5)))["sha256"]
        unknown = "0" * 64
        cases: list[tuple[dict[str, Any], str, str]] = [
            (
                a_draft(media, rrule="FREQ=SOMETIMES"),
                "schedule_invalid",
                "programmes[0].recurrences[0].rrule",
            ),
            (a_draft(unknown), "media_unknown", "programmes[0].items[0].media"),
            (a_draft(media, start="at five"), "invalid", "programmes[0].recurrences[0].start"),
            (a_draft(media, starts="2026-01-01T05:00:00"), "invalid", "programmes[0].recurrences[0].starts"),
            (a_draft(media) | {"timezone": "Asia/Nowhere"}, "schedule_invalid", "timezone"),
        ]
        for draft, code, field in cases:
            refused = await bench.call("POST", "/api/v1/schedules", json=draft, expect=422)
            assert (refused["error"], refused["field"]) == (code, field)
            assert not ENGLISH.search(refused["message"]["vi"]), refused["message"]["vi"]
        await bench.call("GET", "/api/v1/schedules/lich-thuong-ngay", expect=404)
        for broken in (b"{not json", b'{"id": "\xff"}'):
            refused = await bench.call("POST", "/api/v1/schedules", data=broken, expect=422)
            assert (refused["error"], refused["field"]) == ("invalid", "body")
        for limit in ("abc", "0", "9" * 5000):
            refused = await bench.call("GET", f"/api/v1/media?limit={limit}", expect=422)
            assert refused["field"] == "limit"
            assert "từ 1 đến 1000" in refused["message"]["vi"]


async def test_a_published_schedule_is_retained_signed_and_fetchable(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box, stranger = await bench.enrol("A", ("ap-1",)), await bench.enrol("B")
        media = await bench.upload(tone(0.5))
        await bench.call("POST", "/api/v1/schedules", json=a_draft(media["id"]), expect=201)
        again = await bench.call("POST", "/api/v1/schedules", json=a_draft(media["id"]), expect=201)
        assert again["version"] == 2
        published = await bench.call(
            "POST", "/api/v1/schedules/lich-thuong-ngay/publish", json={"devices": [box.device]}
        )
        assert published["version"] == 2
        assert [one["pushed"] for one in published["documents"]] == [True]

        async with bench.mqtt(box) as client:
            await client.subscribe(down(box.device, "#"), qos=1)
            message = await first_message(client, 10)
        assert message is not None
        assert message.retain
        envelope = parse_envelope(message.payload)
        root = Root.read(parse_envelope(box.root.encode()).payload)
        desired = Desired.read(envelope.payload)
        issuer = root.issuer(desired.issuer)
        assert issuer is not None
        assert valid_signers(envelope, root.public_keys(issuer)) == set(issuer.keys)
        assert desired.scope.id == box.device
        assert desired.groups == ("ap-1",)
        assert timedelta(days=29) < desired.expires - datetime.now(UTC) <= timedelta(days=30)
        assert desired.schedule is not None

        beat = HeartbeatRequest(health=a_health()).encode()
        held = (await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat))["hold"]
        assert [one["id"] for one in held] == [desired.id]
        assert await bench.as_box(box, "GET", held[0]["url"]) == json.loads(message.payload)
        document = await bench.call("GET", desired.schedule.url, headers={"Authorization": basic(box)})
        schedule = read_schedule(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
        item = schedule.programmes[0].items[0]
        assert item.media.sha256 == media["sha256"]
        assert item.media.duration_ms == media["duration_ms"]

        for path in (held[0]["url"], desired.schedule.url, item.media.url):
            await bench.as_box(stranger, "GET", path, expect=404)


async def test_media_answers_ranges_and_etags(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        await bench.publish_daily(media["sha256"])
        url = f"{bench.url}/device/v1/media/{media['sha256']}"
        authority = {"Authorization": basic(box)}
        async with bench.http.get(url, headers=authority) as answer:
            whole = await answer.read()
            etag = answer.headers["ETag"]
            assert answer.headers["Accept-Ranges"] == "bytes"
        assert len(whole) == media["size_bytes"]
        async with bench.http.get(url, headers={**authority, "Range": "bytes=100-"}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
            assert await answer.read() == whole[100:]
        async with bench.http.get(url, headers={**authority, "Range": f"bytes={len(whole)}-"}) as answer:
            assert answer.status == 416
        async with bench.http.get(url, headers={**authority, "If-None-Match": etag}) as answer:
            assert answer.status == 304
        async with bench.http.get(
            url, headers={**authority, "Range": "bytes=5-9", "If-Range": '"other"'}
        ) as answer:
            assert answer.status == 200


async def test_a_newer_order_has_a_higher_number_and_replaces_the_retained_one(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        first = await bench.publish_daily(media["sha256"])
        second = await bench.publish_daily(media["sha256"])
        assert second["documents"][0]["seq"] == first["documents"][0]["seq"] + 1
        async with bench.mqtt(box) as client:
            await client.subscribe(down(box.device, "#"), qos=1)
            message = await first_message(client, 10)
            assert message is not None
            assert Desired.read(parse_envelope(message.payload).payload).id == second["documents"][0]["id"]


# --- reports -----------------------------------------------------------------------------------------


async def test_a_box_is_green_only_when_it_confirmed_the_wanted_hash(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        published = await bench.publish_daily(media["sha256"])

        async def seen() -> Any:
            return await bench.call("GET", f"/api/v1/boxes/{box.device}")

        assert (await seen())["state"] == "offline"
        async with bench.mqtt(box) as client:
            now = datetime.now(UTC)
            await bench.report(box, client, "birth", Birth(boot_id="boot-1", at=now, version="0.1"))
            await bench.report(box, client, "state", State(state=Online.ONLINE, boot_id="boot-1"))
            other = Reported(
                boot_id="boot-1",
                at=now,
                schedule_id="lich-thuong-ngay",
                schedule_version=1,
                schedule_sha256="0" * 64,
            )
            await bench.report(box, client, "reported", other)

            async def holds() -> Any:
                return (await seen())["schedule"]["in_force"] is not None

            await until(holds)
            assert (await seen())["state"] == "online"
            assert not (await seen())["schedule"]["confirmed"]
            right = other.model_copy(update={"schedule_sha256": published["sha256"]})
            await bench.report(box, client, "reported", right)

            async def confirmed() -> bool:
                return bool((await seen())["schedule"]["confirmed"])

            await until(confirmed)
            await bench.report(box, client, "state", State(state=Online.OFFLINE, boot_id="boot-0"))
            await bench.report(box, client, "event", an_event("after"))

            async def arrived() -> bool:
                return bool((await bench.call("GET", f"/api/v1/boxes/{box.device}/events"))["events"])

            await until(arrived)
            assert (await seen())["state"] == "online", "a last will of the former boot is too late"
            await bench.report(box, client, "state", State(state=Online.OFFLINE, boot_id="boot-1"))

            async def offline() -> Any:
                return (await seen())["state"] == "offline"

            await until(offline)


async def test_a_report_is_kept_once_and_its_receipt_comes_with_the_heartbeat(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        event, lost = an_event("một"), new_ulid(datetime.now(UTC))
        async with bench.mqtt(box) as client:
            for _ in range(3):
                await bench.report(box, client, "event", event)
            await client.publish(up(box.device, "event"), b"{broken", qos=1)
            await bench.report(box, client, "event", an_event("hai"))
        beat = HeartbeatRequest(health=a_health(), awaiting_receipt=(event.id, lost)).encode()

        async def received() -> Any:
            return (await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat))["received"]

        assert await until(received) == [event.id]

        async def both() -> Any:
            events = (await bench.call("GET", f"/api/v1/boxes/{box.device}/events"))["events"]
            return events if len(events) > 1 else None

        assert sorted(one["detail"] for one in await until(both)) == ["hai", "một"]


async def test_a_report_that_could_not_be_stored_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged only after the durable insert: a full disk loses nothing."""
    keep = Intake.keep
    failures = 2

    async def fails_at_first(self: Intake, batch: list[Message]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreFailedError("disk full")
        await keep(self, batch)

    monkeypatch.setattr(Intake, "keep", fails_at_first)
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        async with bench.mqtt(box) as client:
            await bench.report(box, client, "event", an_event("kept"))

        async def events() -> Any:
            return (await bench.call("GET", f"/api/v1/boxes/{box.device}/events"))["events"]

        assert [one["detail"] for one in await until(events)] == ["kept"]
        assert failures == 0


async def test_watchers_hear_reports_as_they_arrive(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        a, b = await bench.enrol("A"), await bench.enrol("B")
        async with bench.http.get(f"{bench.url}/api/v1/boxes/{a.device}/watch") as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            async with bench.mqtt(a) as client_a, bench.mqtt(b) as client_b:
                await bench.report(b, client_b, "event", an_event("of b"))
                await bench.report(a, client_a, "event", an_event("of a"))
                async with asyncio.timeout(10):
                    lines: list[str] = []
                    while not lines or not lines[-1].startswith("data:"):
                        lines.append((await stream.content.readline()).decode().strip())
        assert "event: event" in lines
        said = json.loads(lines[-1].removeprefix("data:"))
        assert (said["device"], said["report"]["detail"]) == (a.device, "of a")


async def test_the_broker_comes_back_and_messages_flow(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        await bench.publish_daily(media["sha256"])
        await asyncio.sleep(1.5)  # autosave
        conf = str(bench.data / "broker" / "mosquitto.conf")
        os.kill(await asyncio.to_thread(broker_pid, conf), signal.SIGKILL)

        async def connects() -> bool:
            try:
                async with bench.mqtt(box) as client:
                    await client.subscribe(down(box.device, "#"), qos=1)
                    kept = await first_message(client, 5)
                    await bench.report(box, client, "event", an_event("after"))
                    return kept is not None
            except aiomqtt.MqttError:
                return False

        await until(connects)

        async def events() -> Any:
            return (await bench.call("GET", f"/api/v1/boxes/{box.device}/events"))["events"]

        await until(events)
        published = await bench.publish_daily(media["sha256"])
        assert published["documents"][0]["pushed"]


def broker_pid(conf: str) -> int:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if conf.encode() in words and b"mosquitto" in words[0]:
            return int(entry.parent.name)
    raise LookupError("no broker runs")


# --- console and documents ---------------------------------------------------------------------------


async def test_the_console_opens_once_by_its_link_and_needs_csrf_to_change_things(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol("<b>Loa ấp 1</b>")
        ticket = await bench.call("POST", "/api/v1/console-tickets", expect=201)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            async with browser.get(bench.url + "/console") as answer:
                assert answer.status == 401
            async with browser.get(bench.url + ticket["path"], allow_redirects=False) as answer:
                assert answer.status == 303
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
            async with browser.get(bench.url + "/console") as answer:
                page = await answer.text()
                assert answer.status == 200
                assert "script-src" not in answer.headers["Content-Security-Policy"]
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "&lt;b&gt;Loa ấp 1&lt;/b&gt;" in page
            assert "<b>" not in page
            assert box.device in page
            assert "mất kết nối" in page
            async with browser.get(bench.url + "/console/tables?lang=en") as answer:
                assert "not connected" in await answer.text()
            async with browser.post(bench.url + "/api/v1/enrolment-codes", json={}) as answer:
                assert answer.status == 403
            csrf = re.search(r'name="csrf-token" content="([0-9a-f]+)"', page)
            assert csrf is not None
            headers = {"X-CSRF-Token": csrf[1]}
            async with browser.post(
                bench.url + "/api/v1/enrolment-codes", json={}, headers=headers
            ) as answer:
                assert answer.status == 201
        async with aiohttp.ClientSession() as other, other.get(bench.url + ticket["path"]) as answer:
            assert answer.status == 403


async def test_every_route_is_in_the_openapi_document(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        document = await bench.call("GET", "/api/v1/openapi.json", headers={"Authorization": ""})
        assert document["openapi"] == "3.1.0"
        references = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', json.dumps(document)))
        assert references <= set(document["components"]["schemas"])
        for path, operations in document["paths"].items():
            for method in operations:
                known = path.replace("{id}", "x").replace("{sha256}", "x").replace("{name}", "x")
                async with bench.http.request(method, bench.url + known, allow_redirects=False) as answer:
                    assert answer.status != 405, (method, path)
                    if answer.status == 404:
                        assert "{" in path, (method, path)


async def test_errors_of_any_kind_are_json_with_headers(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        async with bench.http.get(bench.url + "/nowhere") as answer:
            assert answer.status == 404
            assert (await answer.json())["error"] == "not_found"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        await bench.call("PUT", "/api/v1/boxes", expect=405)
        large = b'{"name": "' + b"x" * 2_000_000 + b'"}'
        await bench.call("POST", "/api/v1/enrolment-codes", data=io.BytesIO(large), expect=413)
        assert (await bench.call("GET", "/healthz"))["status"] == "ok"


async def test_what_was_kept_outlives_a_restart(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        media = await bench.upload(tone(0.5))
        published = await bench.publish_daily(media["sha256"])
        public = Root.read(parse_envelope(box.root.encode()).payload).keys
    assert not (tmp_path / "server.json").exists()
    async with a_server(tmp_path) as bench:
        again = await bench.enrol("B")
        root = Root.read(parse_envelope(again.root.encode()).payload)
        assert root.keys == public
        assert all(key_id(bytes.fromhex(key.public)) == keyid for keyid, key in root.keys.items())
        beat = HeartbeatRequest(health=a_health()).encode()
        held = (await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat))["hold"]
        assert held[0]["id"] == published["documents"][0]["id"]
        async with bench.mqtt(box) as client:
            await client.subscribe(down(box.device, "#"), qos=1)
            assert await first_message(client, 10) is not None
