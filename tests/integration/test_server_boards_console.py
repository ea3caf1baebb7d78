"""An officer looks after the boards in a real browser: what they show, pages with a preview, takeovers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.wire.device_api import EnrolAnswer, HeartbeatRequest
from agent.wire.envelope import parse_envelope
from agent.wire.orders import Job, JobAction, Takeover
from agent.wire.reports import BoardHealth, IssueReport, JobReport, JobState
from agent.wire.ulid import new_ulid
from tests.integration.test_server import Bench, a_health, a_server, first_message, tone
from tests.integration.test_server_boards import SHA, a_picture, a_screen, desired
from tests.integration.test_server_orders import fetched, held, listen
from tests.support.browser import CHROMIUM, Page, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

NOW = "document.getElementById('now').innerText"
LIST = "document.querySelector('#pages ol').innerText"
SAVED = "document.querySelector('#pages > output').textContent"
TOLD = "document.querySelector('.preview output').textContent"
SHOWN = "(() => { const i = document.querySelector('.preview img'); return !i.hidden && i.naturalWidth })()"
TWO_PAGES = [
    {"id": "chao", "title": "UBND xã Tân Lộc", "text": "Tiếp dân: thứ Ba hằng tuần, 8 giờ đến 11 giờ."},
    {
        "id": "cho",
        "title": "Chợ phiên",
        "text": "Thứ Bảy và Chủ nhật, từ 6 giờ.",
        "ticker": "Mời bà con giữ gìn vệ sinh chung.",
        "windows": [{"weekdays": [6, 7], "start": "05:00", "end": "21:00"}],
        "urgent": True,
    },
]


@asynccontextmanager
async def an_officer(
    folder: Path, shown: bytes | None = None
) -> AsyncIterator[tuple[Bench, EnrolAnswer, Page]]:
    voice = folder / "voice.wav"
    await asyncio.to_thread(voice.write_bytes, tone(0.5))
    async with a_server(folder / "data") as bench:
        box = await bench.enrol("Loa <chợ> 1")
        await say_health(bench, box)
        async with bench.mqtt(box) as client:
            await bench.report(
                box,
                client,
                "screen",
                a_screen(thumbnail=shown or a_picture(size=(160, 80))).model_copy(update={"page": "chao"}),
            )
        await bench.call("PUT", "/api/v1/board-pages", json={"pages": TWO_PAGES})
        ticket = await bench.call("POST", "/api/v1/console-tickets", expect=201)
        async with chromium(folder, voice) as page:
            await page.send("Page.navigate", url=bench.url + ticket["path"])
            await page.until("location.pathname === '/console' && document.readyState === 'complete'")
            await page.open(f"{bench.url}/console/boards?lang=vi")
            yield bench, box, page
            assert [one for one in page.complaints if "favicon" not in one] == []


async def say_health(bench: Bench, box: EnrolAnswer, *, mine: bool = False) -> None:
    now = datetime.now(UTC)
    update = {
        "boards": (
            BoardHealth(
                board="cho", page="chao", title="UBND <xã>", sha256=SHA, reason="playlist", since=now, on=True
            ),
            BoardHealth(board="quang-cao", mine=mine, reason="playlist" if mine else "handed_back"),
        ),
        "issues": (IssueReport(code="TL-604", subject="cho/p-1", since=now),),
    }
    beat = HeartbeatRequest(health=a_health().model_copy(update=update))
    await bench.as_box(box, "POST", "/device/v1/heartbeat", data=beat.encode())


async def click(page: Page, selector: str) -> None:
    await page.run(f"document.querySelector({selector!r}).click()")


async def write(page: Page, name: str, text: str) -> None:
    await page.run(
        f"(() => {{ const e = document.querySelector('#editor form').elements[{json.dumps(name)}];"
        f" e.value = {json.dumps(text)}; e.dispatchEvent(new Event('input', {{ bubbles: true }})) }})()"
    )


async def test_the_page_says_what_boards_show_and_what_is_wrong(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (_, _, page):
        shown = await page.run(NOW)
        for text in ("Bảng cho", "Loa <chợ> 1", "UBND <xã>", "trang của bảng", "để cho chủ bảng"):
            assert text in shown, text
        assert "không hiện được đúng như soạn" in shown
        assert await page.until("document.querySelector('#now img')?.naturalWidth") == 160
        assert "Chợ phiên" in await page.run(LIST)
        assert "gấp" in await page.run(LIST)
        assert "T7, CN" in await page.run(LIST)


async def test_a_page_is_written_with_its_preview_moved_and_saved(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page):
        await click(page, "#pages [data-add]")
        assert await page.run("document.activeElement.name") == "title"
        await write(page, "title", "Tiêm phòng")
        await write(page, "text", "Sáng thứ Năm tại trạm y tế.")
        await page.until(SHOWN)
        assert "Số màn hình: 1" in await page.until(TOLD)
        await write(page, "text", "Ký tự lạ: \ue123")
        await page.until("document.querySelector('.preview .notes').innerText.includes('U+E123')")
        await write(page, "text", "Sáng thứ Năm tại trạm y tế.")
        data = base64.b64encode(a_picture(size=(80, 60))).decode()
        await page.run(
            "(async () => { const bytes = Uint8Array.from(atob("
            f"{data!r}), (c) => c.charCodeAt(0)); const files = new DataTransfer();"
            " files.items.add(new File([bytes], 'tiêm.png'));"
            " const input = document.querySelector('[name=picture_file]'); input.files = files.files;"
            " input.dispatchEvent(new Event('change')) })()"
        )
        await page.until("document.querySelector('[name=picture]').value.length === 64")
        await click(page, "#editor [data-add-window]")
        await click(page, "#editor [type=submit]")
        assert "chưa lưu" in await page.run(SAVED)
        assert (await bench.call("GET", "/api/v1/board-pages"))["version"] == 1, "nothing before the press"
        await click(page, '#pages [data-n="2"][data-do="up"]')
        assert await page.run("document.activeElement.dataset.n + document.activeElement.dataset.do") == "1up"
        await click(page, "#pages [data-save]")
        await page.until(f"{SAVED}.includes('Đã lưu')")
        first, second, third = (await desired(bench, box)).pages
        assert [first.title, second.title, third.title] == ["UBND xã Tân Lộc", "Tiêm phòng", "Chợ phiên"]
        assert second.picture is not None
        assert (second.windows[0].start, second.windows[0].end) == ("06:00", "21:00")
        assert third.urgent
        assert third.ticker == "Mời bà con giữ gìn vệ sinh chung."


async def test_a_wrong_picture_is_refused_in_vietnamese_beside_its_field(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (_, _, page):
        await click(page, "#pages [data-add]")
        await page.run(
            "(() => { const files = new DataTransfer(); files.items.add(new File(['%PDF'], 'a.pdf'));"
            " const input = document.querySelector('[name=picture_file]'); input.files = files.files;"
            " input.dispatchEvent(new Event('change')) })()"
        )
        said = await page.until("document.querySelector('.picture output.bad')?.textContent")
        assert "không phải là ảnh" in said
        page.complaints.clear()  # the browser notes every answer of 422


async def test_a_commercial_board_is_taken_over_by_two_presses_and_handed_back(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page):
        await click(page, "[data-take]")
        await page.run("document.querySelector('#take [name=reason]').value = 'Bão số 9'")
        await click(page, "#take [type=submit]")
        assert (await bench.call("GET", "/api/v1/takeovers"))["orders"] == []
        await click(page, "#take [type=submit]")
        await page.until("document.querySelector('#take output').textContent.includes('Đã ký')")
        (one,) = [one for one in await held(bench, box) if one["kind"] == "takeover"]
        order = Takeover.read(parse_envelope(await fetched(bench, box, one["url"])).payload)
        assert (order.boards, order.reason) == (("quang-cao",), "Bão số 9")
        await say_health(bench, box, mine=True)
        await page.run("document.activeElement.blur()")
        await page.until(f"{NOW}.includes('Đang được trưng dụng')")
        await click(page, "[data-board=quang-cao] [data-end]")
        await click(page, "[data-board=quang-cao] [data-end]")

        async def ended() -> Any:
            (takeover,) = (await bench.call("GET", "/api/v1/takeovers"))["orders"]
            return takeover["state"] == "cancelled"

        async with asyncio.timeout(10):
            while not await ended():
                await asyncio.sleep(0.1)


async def test_a_screenshot_is_shown_under_its_board(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page), bench.mqtt(box) as client:
        await listen(client, box)
        await click(page, "[data-board=cho] [data-shot]")
        while True:
            message = await first_message(client, 10)
            assert message is not None
            if str(message.topic).endswith("/job"):
                break
        job = Job.read(parse_envelope(message.payload).payload)
        assert (job.action, job.arguments) == (JobAction.SCREENSHOT, {"board": "cho"})
        now = datetime.now(UTC)
        report = JobReport(
            id=new_ulid(now),
            at=now,
            job=job.id,
            action=job.action,
            state=JobState.SUCCEEDED,
            result={"board": "cho", "png": base64.b64encode(a_picture(size=(96, 48))).decode()},
        )
        await bench.report(box, client, f"job/{job.id}", report)
        assert await page.until("document.querySelector('.taken-shot')?.naturalWidth") == 96


async def test_the_page_speaks_english_and_shuts_out_strangers(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, _, page):
        await page.open(f"{bench.url}/console/boards?lang=en")
        shown = await page.run("document.body.innerText")
        assert "Electronic boards" in shown
        assert "left to its owner" in shown
        async with bench.http.get(bench.url + "/console/boards", headers={"Authorization": ""}) as answer:
            assert answer.status == 401
