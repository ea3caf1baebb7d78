"""Boards through the real server: pictures, pages, takeovers, what was shown, previews."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import subprocess
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.trust.verify import Accepted, Refused
from agent.wire.device_api import EnrolAnswer, HeartbeatRequest
from agent.wire.envelope import parse_envelope
from agent.wire.orders import Cancel, Desired, Emergency, JobAction, Takeover
from agent.wire.reports import BoardHealth, IssueReport, JobReport, JobState, ScreenReport
from agent.wire.topics import down
from agent.wire.ulid import new_ulid
from tests.integration.test_server import Bench, a_health, a_server, first_message, until
from tests.integration.test_server_orders import fetched, held, listen, obeyed

pytestmark = pytest.mark.timeout(120)

PAGE = {"id": "chao", "title": "Chào mừng", "text": "Tiếp dân thứ Ba, 8 giờ."}
BOARD = {"width_px": 192, "height_px": 96, "pitch_mm": 10, "viewing_m": 15, "colours": "full"}


def a_picture(
    kind: str = "PNG", size: tuple[int, int] = (64, 32), mode: str = "RGB", **options: Any
) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, (200, 30, 30) if mode == "RGB" else 120).save(stream, kind, **options)
    return stream.getvalue()


def a_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A small PNG that says it is large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 4_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def a_video(
    folder: Path, *options: str, name: str = "video.mp4", size: str = "320x180", s: float = 2
) -> bytes:
    path = folder / name
    arguments = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc=size={size}:rate=10"]
    options = options or ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    subprocess.run([*arguments, *options, "-t", str(s), str(path)], check=True)
    return path.read_bytes()


async def add(bench: Bench, data: bytes, kind: str = "pictures", expect: int = 201) -> Any:
    return await bench.call(
        "POST", f"/api/v1/{kind}", params={"title": "Chợ phiên"}, data=io.BytesIO(data), expect=expect
    )


async def desired(bench: Bench, box: EnrolAnswer) -> Desired:
    (wanted,) = [one for one in await held(bench, box) if one["kind"] == "desired"]
    return Desired.read(parse_envelope(await fetched(bench, box, wanted["url"])).payload)


# --- pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "png"), ("GIF", "png")]
)
async def test_a_picture_becomes_one_plain_file(tmp_path: Path, kind: str, suffix: str) -> None:
    async with a_server(tmp_path) as bench:
        answer = await add(bench, a_picture(kind))
        assert (answer["width_px"], answer["height_px"]) == (64, 32)
        assert answer["content_type"] == f"image/{suffix}"
        data = await bench.call("GET", answer["file"])
        plain = Image.open(io.BytesIO(data))
        assert plain.format == suffix.upper()
        assert plain.size == (64, 32)
        red, green, blue = plain.convert("RGB").getpixel((5, 5))  # type: ignore[misc]  # a pixel of RGB
        assert abs(red - 200) < 12
        assert abs(green - 30) < 12
        assert abs(blue - 30) < 12
        assert (await add(bench, a_picture(kind)))["id"] == answer["id"], "the same content is kept once"
        listed = (await bench.call("GET", "/api/v1/pictures"))["pictures"]
        assert [one["title"] for one in listed] == ["Chợ phiên"]


async def test_a_photograph_is_turned_upright_made_smaller_and_told_of_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held sideways
    exif[0x010F] = "Hiệu máy bí mật"
    async with a_server(tmp_path) as bench:
        answer = await add(bench, a_picture("JPEG", (5000, 2500), exif=exif, comment=b"GPS 10.8"))
        assert (answer["width_px"], answer["height_px"]) == (1920, 3840)
        data = await bench.call("GET", answer["file"])
        assert b"Exif" not in data
        assert b"GPS" not in data


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
async def test_a_picture_of_10000_px_square_is_made_usable(tmp_path: Path, kind: str) -> None:
    async with a_server(tmp_path) as bench:
        data = await asyncio.to_thread(a_picture, kind, (10_000, 10_000))
        answer = await add(bench, data)
        assert (answer["width_px"], answer["height_px"]) == (3840, 3840)


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"", "media_empty", ""),
        (b"%PDF-1.7 no picture", "picture_unusable", "JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_unusable", "JPEG"),
        (a_picture("TIFF"), "picture_unusable", "JPEG"),
        (a_picture("JPEG", (600, 600))[:2000], "picture_unusable", "cắt cụt"),
        (a_picture("PNG", (600, 600))[:200], "picture_unusable", "ảnh"),
        (a_bomb(), "picture_unusable", "điểm ảnh"),
        (a_bomb(9_000, 9_000), "picture_unusable", "ảnh"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 5000, "picture_unusable", "ảnh"),
        (b"GIF89a" + b"\xff" * 5000, "picture_unusable", "ảnh"),
        (b"RIFF\xff\xff\xff\x7fWEBPVP8 " + b"\xff" * 500, "picture_unusable", "ảnh"),
    ],
    ids=[
        "empty",
        "pdf",
        "svg",
        "tiff",
        "cut-jpeg",
        "cut-png",
        "bomb",
        "thin",
        "noise",
        "gif-noise",
        "webp-noise",
    ],
)
async def test_a_hostile_upload_is_refused_in_words_and_leaves_nothing(
    tmp_path: Path, data: bytes, code: str, said: str
) -> None:
    async with a_server(tmp_path) as bench:
        answer = await add(bench, data, expect=422)
        assert answer["error"] == code
        assert said in answer["message"]["vi"]
        assert (await bench.call("GET", "/api/v1/pictures"))["pictures"] == []
        assert list((tmp_path / "work").iterdir()) == []
        assert [one for one in (tmp_path / "media").rglob("*") if one.is_file()] == []


async def test_a_gif_of_many_frames_is_its_first(tmp_path: Path) -> None:
    frames = [Image.new("P", (32, 32), n % 256) for n in range(2000)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=20)
    async with a_server(tmp_path) as bench:
        answer = await add(bench, stream.getvalue())
        assert answer["content_type"] == "image/png"


async def test_a_picture_in_use_stays_and_an_unused_one_goes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        await bench.enrol()
        kept = await add(bench, a_picture())
        other = await add(bench, a_picture(size=(32, 32)))
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": [{**PAGE, "picture": kept["id"]}]})
        refused = await bench.call("DELETE", f"/api/v1/pictures/{kept['id']}", expect=409)
        assert refused["error"] == "in_use"
        await bench.call("DELETE", f"/api/v1/pictures/{other['sha256']}", expect=204)
        await bench.call("GET", other["file"], expect=404)
        await bench.call("DELETE", f"/api/v1/videos/{kept['id']}", expect=404)
        part = {"title": "Cháy", "text": "Cháy ở chợ.", "picture": kept["sha256"]}
        given = await bench.call("POST", "/api/v1/bulletins", json={"all": True, "parts": [part]}, expect=201)
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": []})
        await bench.call("DELETE", f"/api/v1/pictures/{kept['id']}", expect=409)
        await bench.call("POST", f"/api/v1/bulletins/{given['id']}/cancel", json={})
        await bench.call("DELETE", f"/api/v1/pictures/{kept['id']}", expect=204)
        assert [one for one in (tmp_path / "media").rglob("*") if one.is_file()] == []


async def test_a_video_of_h264_is_kept_without_sound_and_everything_else_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sound = ("-f", "lavfi", "-i", "sine=440", "-shortest", "-metadata", "title=bí mật")
    good = a_video(tmp_path, *sound, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    hevc = a_video(tmp_path, "-c:v", "mpeg4")
    large = a_video(tmp_path, size="2560x1440", s=0.5)
    webm = a_video(tmp_path, "-c:v", "libvpx", name="video.webm", s=0.5)
    deep = a_video(tmp_path, "-c:v", "libx264", "-pix_fmt", "yuv444p", s=0.5)
    async with a_server(data) as bench:
        answer = await add(bench, good, "videos")
        assert (answer["width_px"], answer["height_px"]) == (320, 180)
        assert abs(answer["duration_ms"] - 2000) < 200
        plain = await bench.call("GET", answer["file"])
        assert "bí mật".encode() not in plain
        assert b"mp4a" not in plain
        assert (await add(bench, good, "videos"))["id"] == answer["id"]
        for upload, said in (
            (hevc, "H.264"),
            (large, "1920"),
            (webm, "MP4"),
            (deep, "yuv420p"),
            (good[: len(good) * 2 // 3], "cắt cụt"),
            (a_picture(), "MP4"),
            (b"#EXTM3U\nfile:///etc/passwd", "MP4"),
        ):
            refused = await add(bench, upload, "videos", expect=422)
            assert refused["error"] == "video_unusable"
            assert said in refused["message"]["vi"], refused
        assert len((await bench.call("GET", "/api/v1/videos"))["pictures"]) == 1
        assert (await bench.call("GET", "/api/v1/pictures"))["pictures"] == []


# --- pages ---------------------------------------------------------------------------------------------


async def test_pages_reach_every_box_with_files_it_may_fetch_in_parts(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        picture, other = await add(bench, a_picture()), await add(bench, a_picture(size=(8, 8)))
        page = {
            **PAGE,
            "picture": picture["id"],
            "windows": [{"weekdays": [6, 7], "start": "05:00", "end": "24:00"}],
            "valid_until": "2027-01-01T00:00:00+07:00",
            "urgent": True,
            "boards": ["cho"],
            "ticker": "Giữ vệ sinh chung",
        }
        async with bench.mqtt(box) as client:
            await listen(client, box)
            answer = await bench.call("PUT", "/api/v1/board-pages", json={"pages": [page, {"title": "Hai"}]})
            pushed = await first_message(client, 10)
            assert pushed is not None
            assert str(pushed.topic) == down(box.device, "desired")
        assert answer["version"] == 1
        assert answer["author"]
        order = await desired(bench, box)
        first, second = order.pages
        assert (first.id, first.urgent, first.boards) == ("chao", True, ("cho",))
        assert first.windows[0].end == "24:00"
        assert second.id
        assert first.picture is not None
        assert first.picture.sha256 == picture["sha256"]
        whole = await bench.as_box(box, "GET", first.picture.url)
        assert len(whole) == first.picture.size_bytes
        part = await bench.as_box(box, "GET", first.picture.url, expect=206, headers={"Range": "bytes=10-19"})
        assert part == whole[10:20]
        await bench.as_box(box, "GET", f"/device/v1/media/{other['sha256']}", expect=404)
        again = await bench.call("GET", "/api/v1/board-pages")
        assert [one["id"] for one in again["pages"]] == [first.id, second.id]


async def test_two_officers_do_not_overwrite_each_other(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": [PAGE], "if_version": 0})
        late = await bench.call("PUT", "/api/v1/board-pages", json={"pages": [], "if_version": 0}, expect=409)
        assert late["error"] == "changed_meanwhile"
        assert (await bench.call("GET", "/api/v1/board-pages"))["version"] == 1
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": [], "if_version": 1})


@pytest.mark.parametrize(
    ("page", "field"),
    [
        ({}, "pages[0]"),
        ({"title": "a", "picture": "0" * 64}, "pages[0].picture"),
        ({"title": "a", "picture": "x"}, "pages[0].picture"),
        ({"title": "a", "stream": "file:///etc/passwd"}, "pages[0].stream"),
        ({"title": "a", "template": "../x"}, "pages[0].template"),
        ({"title": "a", "dwell_s": 4000}, "pages[0].dwell_s"),
        ({"title": "a", "windows": [{"weekdays": [], "start": "05:00", "end": "06:00"}]}, "weekdays"),
        (
            {"title": "a", "valid_from": "2027-01-02T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
            "pages[0]",
        ),
        ({"title": "a", "tittle": "b"}, "pages[0].tittle"),
        ({"title": "a\u0000"}, "pages[0].title"),
    ],
)
async def test_a_wrong_page_is_refused_by_its_field(tmp_path: Path, page: dict[str, Any], field: str) -> None:
    async with a_server(tmp_path) as bench:
        said = await bench.call("PUT", "/api/v1/board-pages", json={"pages": [page]}, expect=422)
        assert field in said["field"]
        assert "(" not in said["message"]["vi"] or "pages" in said["message"]["vi"]
        assert (await bench.call("GET", "/api/v1/board-pages"))["version"] == 0


async def test_pages_no_order_could_carry_are_refused_before_they_are_kept(tmp_path: Path) -> None:
    pages = [{"id": f"p-{n}", "title": "a", "text": "ơ" * 15_000} for n in range(30)]
    body = json.dumps({"pages": pages}, ensure_ascii=False).encode()
    async with a_server(tmp_path) as bench:
        said = await bench.call("PUT", "/api/v1/board-pages", data=io.BytesIO(body), expect=413)
        assert said["error"] == "too_large"
        twice = [{**PAGE}, {**PAGE}]
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": twice}, expect=422)
        assert (await bench.call("GET", "/api/v1/board-pages"))["version"] == 0


async def test_an_emergency_carries_a_picture_its_boxes_may_fetch(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box, other = await bench.enrol("A", ("ap-1",)), await bench.enrol("B")
        picture = await add(bench, a_picture())
        body = {"event": "flood", "groups": ["ap-1"], "parts": [{"picture": picture["id"]}]}
        await bench.call("POST", "/api/v1/emergencies", json=body, expect=201)
        (one,) = await held(bench, box)
        order = Emergency.read(parse_envelope(await fetched(bench, box, one["url"])).payload)
        shown = order.parts[0].picture
        assert shown is not None
        assert order.parts[0].text, "the station's own message is still said"
        await bench.as_box(box, "GET", shown.url)
        await bench.as_box(other, "GET", shown.url, expect=404)
        body["parts"] = [{"picture": "0" * 64, "text": "Lũ"}]
        said = await bench.call("POST", "/api/v1/emergencies", json=body, expect=422)
        assert (said["error"], said["field"]) == ("picture_unknown", "parts[0].picture")


# --- takeovers -----------------------------------------------------------------------------------------


async def test_a_takeover_reaches_its_box_is_listed_and_handed_back(tmp_path: Path) -> None:
    until_ = datetime.now(UTC) + timedelta(hours=2)
    async with a_server(tmp_path) as bench:
        box, other = await bench.enrol("A"), await bench.enrol("B")
        body = {"devices": [box.device], "boards": ["cho"], "reason": "Bão số 9", "until": until_.isoformat()}
        async with bench.mqtt(box) as client:
            await listen(client, box)
            given = await bench.call(
                "POST", "/api/v1/takeovers", json={**body, "request_id": "lan-dau-tien"}, expect=201
            )
            message = await first_message(client, 10)
            assert message is not None
            accepted = obeyed(box, message.payload)
            assert isinstance(accepted, Accepted), accepted
            assert isinstance(accepted.order, Takeover)
            assert accepted.order.boards == ("cho",)
            assert accepted.order.reason == "Bão số 9"
            assert abs((accepted.order.expires - until_).total_seconds()) < 1
            assert isinstance(obeyed(other, message.payload), Refused)
            again = await bench.call(
                "POST", "/api/v1/takeovers", json={**body, "request_id": "lan-dau-tien"}, expect=201
            )
            assert again["id"] == given["id"]
            listed = (await bench.call("GET", "/api/v1/takeovers?state=in_force"))["orders"]
            assert [one["id"] for one in listed] == [given["id"]]
            await bench.call("POST", f"/api/v1/takeovers/{given['id']}/cancel", json={})
            ended = await first_message(client, 10)
            assert ended is not None
            cancel = Cancel.read(parse_envelope(ended.payload).payload)
            assert cancel.cancels == given["id"]
        assert (await bench.call("GET", f"/api/v1/takeovers/{given['id']}"))["state"] == "cancelled"
        assert (await bench.call("GET", "/api/v1/orders?kind=takeover"))["orders"][0]["id"] == given["id"]


@pytest.mark.parametrize("hours", [-1, 24 * 40])
async def test_a_takeover_ends_within_thirty_days(tmp_path: Path, hours: int) -> None:
    moment = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    async with a_server(tmp_path) as bench:
        await bench.enrol()
        body = {"all": True, "reason": "Thử", "until": moment}
        said = await bench.call("POST", "/api/v1/takeovers", json=body, expect=422)
        assert (said["error"], said["field"]) == ("time_unusable", "until")
        without = {"all": True, "reason": "", "until": moment}
        assert (await bench.call("POST", "/api/v1/takeovers", json=without, expect=422))["field"] == "reason"


# --- what was shown --------------------------------------------------------------------------------------

SHA = "5" * 64


def a_screen(n: int = 0, *, thumbnail: bytes | None = None, board: str = "cho") -> ScreenReport:
    at = datetime.now(UTC) - timedelta(minutes=10 - n)
    text = base64.b64encode(thumbnail).decode() if thumbnail else None
    return ScreenReport(
        id=new_ulid(at), board=board, page=f"p-{n}", title=f"Trang {n}", sha256=SHA, first_shown=at,
        last_shown=at, thumbnail=text,
    )  # fmt: skip


async def test_what_boards_show_is_told_with_faults_takeover_and_thumbnail(tmp_path: Path) -> None:
    small = a_picture(size=(16, 8))
    now = datetime.now(UTC)
    async with a_server(tmp_path) as bench:
        box = await bench.enrol("Loa chợ")
        health = a_health().model_copy(
            update={
                "boards": (
                    BoardHealth(
                        board="cho", page="p-0", title="Trang 0", sha256=SHA, reason="playlist", since=now
                    ),
                    BoardHealth(board="quang-cao", mine=False, reason="handed_back"),
                ),
                "issues": (
                    IssueReport(code="TL-601", subject="cho", since=now),
                    IssueReport(code="TL-604", subject="quang-cao/p-1", since=now),
                    IssueReport(code="TL-301", subject="cho", since=now),
                ),
            }
        )
        reports = [a_screen(0, thumbnail=small), a_screen(1), a_screen(2, board="khac")]
        async with bench.mqtt(box) as client:
            for one in reports:
                await bench.report(box, client, "screen", one)
        await bench.as_box(box, "POST", "/device/v1/heartbeat", data=HeartbeatRequest(health=health).encode())
        until_ = (now + timedelta(hours=1)).isoformat()
        body = {"all": True, "boards": ["quang-cao"], "reason": "Bão", "until": until_}
        taken = await bench.call("POST", "/api/v1/takeovers", json=body, expect=201)

        async def kept() -> Any:
            found = (await bench.call("GET", f"/api/v1/boxes/{box.device}/screens"))["screens"]
            return found if len(found) == 3 else None

        await until(kept)
        mine, theirs = (await bench.call("GET", "/api/v1/boards"))["boards"]
        assert (mine["box_name"], mine["board"]["title"]) == ("Loa chợ", "Trang 0")
        assert [one["code"] for one in mine["issues"]] == ["TL-601"]
        assert [one["code"] for one in theirs["issues"]] == ["TL-604"]
        assert (mine["takeover"], theirs["takeover"]) == (None, taken["id"])
        assert theirs["picture"] is None
        assert await bench.call("GET", mine["picture"]) == small

        path = f"/api/v1/boxes/{box.device}/screens"
        first = await bench.call("GET", path + "?limit=2")
        assert [one["report"]["page"] for one in first["screens"]] == ["p-2", "p-1"]
        assert first["next"] == reports[1].id
        rest = await bench.call("GET", f"{path}?limit=2&before={first['next']}")
        assert [one["report"]["page"] for one in rest["screens"]] == ["p-0"]
        assert rest["next"] is None
        second = first["screens"][1]
        assert second["report"]["thumbnail"] is None
        assert await bench.call("GET", second["picture"]) == small, "that of the same picture sent before"
        only = await bench.call("GET", path + "?board=khac")
        assert [one["report"]["page"] for one in only["screens"]] == ["p-2"]
        await bench.call("GET", path + "?before=x", expect=422)
        await bench.call("GET", "/api/v1/boxes/box-0000000000/screens", expect=404)


async def test_what_came_up_gives_way_to_the_report_of_the_whole_stay(tmp_path: Path) -> None:
    whole, other = a_screen(0), a_screen(1)
    begun = [
        one.model_copy(update={"id": new_ulid(datetime.now(UTC)), "ended": False}) for one in (whole, other)
    ]
    async with a_server(tmp_path) as bench:
        box = await bench.enrol("Loa chợ")

        async def listed(count: int) -> list[str]:
            async def kept() -> Any:
                found = (await bench.call("GET", f"/api/v1/boxes/{box.device}/screens"))["screens"]
                return [one["report"]["id"] for one in found] if len(found) == count else None

            return list(await until(kept))

        async with bench.mqtt(box) as client:
            for one in begun:
                await bench.report(box, client, "screen", one)
            assert await listed(2) == [begun[1].id, begun[0].id]
            await bench.report(box, client, "screen", whole)
            async with asyncio.timeout(10):
                while await listed(2) != [begun[1].id, whole.id]:
                    await asyncio.sleep(0.05)


async def test_a_thumbnail_that_is_no_png_is_not_passed_on(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        report = a_screen(thumbnail=b"<script>alert(1)</script>")
        async with bench.mqtt(box) as client:
            await bench.report(box, client, "screen", report)

        async def kept() -> Any:
            return (await bench.call("GET", f"/api/v1/boxes/{box.device}/screens"))["screens"]

        await until(kept)
        await bench.call("GET", f"/api/v1/boxes/{box.device}/screens/{report.id}/picture", expect=404)
        health = a_health().model_copy(update={"boards": (BoardHealth(board="cho", page="p-0"),)})
        await bench.as_box(box, "POST", "/device/v1/heartbeat", data=HeartbeatRequest(health=health).encode())
        await bench.call("GET", f"/api/v1/boxes/{box.device}/boards/cho/picture", expect=404)
        await bench.call("GET", f"/api/v1/boxes/{box.device}/boards/khac/picture", expect=404)


async def test_a_screenshot_job_brings_its_picture(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        given = await bench.call(
            "POST",
            f"/api/v1/boxes/{box.device}/jobs",
            json={"action": "screenshot", "arguments": {"board": "cho"}},
            expect=201,
        )
        path = f"/api/v1/jobs/{given['id']}/boxes/{box.device}/picture"
        await bench.call("GET", path, expect=404)
        now = datetime.now(UTC)
        report = JobReport(
            id=new_ulid(now),
            at=now,
            job=given["id"],
            action=JobAction.SCREENSHOT,
            state=JobState.SUCCEEDED,
            result={"board": "cho", "page": "p-0", "png": base64.b64encode(a_picture()).decode()},
        )
        async with bench.mqtt(box) as client:
            await bench.report(box, client, f"job/{given['id']}", report)

        async def done() -> Any:
            (one,) = (await bench.call("GET", f"/api/v1/jobs/{given['id']}"))["boxes"]
            return one["state"] == "succeeded"

        await until(done)
        assert await bench.call("GET", path) == a_picture()
        health = a_health().model_copy(update={"boards": (BoardHealth(board="cho", page="p-0"),)})
        await bench.as_box(box, "POST", "/device/v1/heartbeat", data=HeartbeatRequest(health=health).encode())
        (board,) = (await bench.call("GET", "/api/v1/boards"))["boards"]
        assert await bench.call("GET", board["picture"]) == a_picture(), "until a newer one is known"
        await bench.call("GET", "/api/v1/jobs/x/boxes/y/picture", expect=404)


@pytest.mark.parametrize(
    "arguments", [{"pattern": "plaid"}, {"pattern": "grid", "minutes": 61}, {"zone": "a"}, {"minutes": "x"}]
)
async def test_a_test_picture_boards_do_not_know_is_refused_before_signing(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        path = f"/api/v1/boxes/{box.device}/jobs"
        await bench.call("POST", path, json={"action": "board_pattern", "arguments": arguments}, expect=422)
        fine = {"board": "cho", "pattern": "grid", "minutes": 5}
        await bench.call("POST", path, json={"action": "board_pattern", "arguments": fine}, expect=201)


# --- previews --------------------------------------------------------------------------------------------


async def test_a_preview_is_the_page_at_the_boards_size(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        picture = await add(bench, a_picture(size=(400, 300)))
        page = {**PAGE, "picture": picture["id"]}
        body = {"page": page, "board": BOARD, "now": "2026-11-23T05:00:00+07:00"}
        async with bench.http.post(bench.url + "/api/v1/board-preview", json=body) as answer:
            data = await answer.read()
            assert answer.status == 200, data
            assert answer.headers["Content-Type"] == "image/png"
            where = answer.headers["Content-Location"]
            assert '"screens": 1' in answer.headers["X-Preview"]
        image = Image.open(io.BytesIO(data)).convert("RGB")
        assert image.size == (192, 96)
        colours = {colour for _, colour in image.getcolors(192 * 96) or []}
        assert len(colours) > 2, "something is drawn"
        assert any(isinstance(one, tuple) and one[0] > 150 and one[1] < 80 for one in colours), (
            "its picture too"
        )
        assert await bench.call("GET", where) == data
        again = await bench.call("POST", "/api/v1/board-preview", json=body)
        assert again == data, "the same page is the same picture"
        await bench.call("GET", "/api/v1/board-previews/" + "0" * 64, expect=404)


async def test_a_moving_preview_is_a_gif_and_a_missing_letter_is_told(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        page = {"title": "Chữ chạy", "ticker": "Bà con giữ vệ sinh \ue123 chung", "dwell_s": 2}
        board = {**BOARD, "width_px": 96, "height_px": 48}
        async with bench.http.post(
            bench.url + "/api/v1/board-preview", json={"page": page, "board": board, "form": "gif"}
        ) as answer:
            data = await answer.read()
            assert answer.status == 200, data
            assert "missing_glyph U+E123" in answer.headers["X-Preview"]
        film = Image.open(io.BytesIO(data))
        assert film.format == "GIF"
        assert getattr(film, "n_frames", 1) > 10


async def test_previews_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        for body, error in (
            ({"page": {**PAGE, "picture": "0" * 64}}, "picture_unknown"),
            ({"page": PAGE, "theme": "khong-co"}, "invalid"),
            ({"page": PAGE, "theme": "../../secret"}, "invalid"),
            ({"page": PAGE, "board": {**BOARD, "width_px": 100_000}}, "invalid"),
            ({"page": {}}, "invalid"),
        ):
            said = await bench.call("POST", "/api/v1/board-preview", json=body, expect=422)
            assert said["error"] == error, said
        (tmp_path / "themes").mkdir()
        (tmp_path / "themes" / "hong.toml").write_text("[colours\n")
        said = await bench.call(
            "POST", "/api/v1/board-preview", json={"page": PAGE, "theme": "hong"}, expect=422
        )
        assert said["error"] == "preview_failed"


async def test_everything_about_boards_is_described_and_shut_to_strangers(tmp_path: Path) -> None:
    async with a_server(tmp_path) as bench:
        box = await bench.enrol()
        paths = (await bench.call("GET", "/api/v1/openapi.json"))["paths"]
        for path, methods in (
            ("/api/v1/pictures", {"get", "post"}),
            ("/api/v1/videos/{id}", {"get", "delete"}),
            ("/api/v1/board-pages", {"get", "put"}),
            ("/api/v1/takeovers/{id}/cancel", {"post"}),
            ("/api/v1/boards", {"get"}),
            ("/api/v1/boxes/{id}/screens", {"get"}),
            ("/api/v1/board-preview", {"post"}),
        ):
            assert set(paths[path]) == methods
        for method, path in (
            ("GET", "/api/v1/boards"),
            ("GET", "/api/v1/pictures"),
            ("POST", "/api/v1/pictures"),
            ("PUT", "/api/v1/board-pages"),
            ("POST", "/api/v1/board-preview"),
            ("GET", f"/api/v1/boxes/{box.device}/screens"),
            ("GET", "/console/boards"),
        ):
            await bench.call(method, path, headers={"Authorization": ""}, expect=401)
