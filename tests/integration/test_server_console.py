"""An officer gives orders in a real browser; the server signs them and a box gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.wire.device_api import EnrolAnswer
from agent.wire.envelope import parse_envelope
from agent.wire.orders import Emergency, Job
from agent.wire.reports import JobReport, JobState
from agent.wire.ulid import new_ulid
from tests.integration.test_server import Bench, a_draft, a_server, first_message, tone
from tests.integration.test_server_orders import held, listen
from tests.support.browser import CHROMIUM, Page, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

EMERGENCY = "document.querySelector('#emergency output').textContent"
IN_FORCE = "document.getElementById('in-force').innerText"


@asynccontextmanager
async def an_officer(folder: Path) -> AsyncIterator[tuple[Bench, EnrolAnswer, Page]]:
    voice = folder / "voice.wav"
    await asyncio.to_thread(voice.write_bytes, tone(0.5))
    async with a_server(folder / "data") as bench:
        box = await bench.enrol("Loa <ấp> 1", ("ap-1",))
        await bench.enrol("Loa ấp 2")
        media = await bench.upload(tone(0.5))
        draft = a_draft(media["id"])
        first = draft["programmes"][0]
        draft["programmes"] = [
            {**first, "id": name, "title": f"Tin {name}", "class": "priority"} for name in ("a", "b", "c")
        ]
        await bench.call("POST", "/api/v1/schedules", json=draft, expect=201)
        await bench.call("POST", "/api/v1/schedules/lich-thuong-ngay/publish", json={"all": True})
        ticket = await bench.call("POST", "/api/v1/console-tickets", expect=201)
        async with chromium(folder, voice) as page:
            await page.send("Page.navigate", url=bench.url + ticket["path"])
            await page.until("location.pathname === '/console' && document.readyState === 'complete'")
            await page.open(f"{bench.url}/console/orders?lang=vi")
            yield bench, box, page
            assert [one for one in page.complaints if "favicon" not in one] == []


async def click(page: Page, selector: str) -> None:
    await page.run(f"document.querySelector({selector!r}).click()")


async def test_an_emergency_is_reviewed_sent_and_ended_by_two_presses(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page):
        shown = await page.run("document.body.innerText")
        assert "Không có lệnh khẩn cấp nào" in shown
        assert "Loa <ấp> 1" in shown
        await page.run(
            "{ const e = document.getElementById('emergency').elements.event;"
            " e.value = 'storm'; e.dispatchEvent(new Event('change')) }"
        )
        assert "Bão" in await page.run("document.getElementById('emergency').elements.text.value")
        await click(page, "#emergency [data-area=group]")
        await click(page, "#emergency [type=submit]")
        review = await page.run("document.querySelector('#emergency .confirm').innerText")
        assert "Bão" in review
        assert "Nhóm ap-1 (1 cụm loa)" in review
        assert await held(bench, box) != [], "desired"
        assert (await bench.call("GET", "/api/v1/emergencies"))["orders"] == [], "nothing before the yes"
        async with bench.mqtt(box) as client:
            await listen(client, box)
            assert await first_message(client, 10) is not None  # the retained desired
            await click(page, "#emergency [data-go]")
            message = await first_message(client, 10)
            assert message is not None
            order = Emergency.read(parse_envelope(message.payload).payload)
            assert (order.event, order.scope.id) == ("storm", "ap-1")
            assert "Bão" in order.parts[0].text
        await page.until(f"{EMERGENCY} === 'Đã ký và gửi.'")
        await page.until(f"{IN_FORCE}.includes('Nhóm') || {IN_FORCE}.includes('ap-1')")
        await page.picture(tmp_path / "orders.png")
        await click(page, "#in-force [data-clear]")
        assert len((await bench.call("GET", "/api/v1/emergencies?state=in_force"))["orders"]) == 1
        await click(page, "#in-force [data-clear]")
        await page.until(f"{IN_FORCE}.includes('Không có lệnh khẩn cấp nào')")
        assert [one["kind"] for one in await held(bench, box)] == ["cancel", "desired"]
        (ended,) = (await bench.call("GET", "/api/v1/emergencies"))["orders"]
        assert (ended["state"], ended["ended"]["author"]) == ("cancelled", "console")


async def test_an_emptied_text_is_reviewed_as_the_station_s_own_message(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (_, __, page):
        await page.run("document.getElementById('emergency').elements.text.value = ''")
        await click(page, "#emergency [data-area=all]")
        await click(page, "#emergency [type=submit]")
        review = await page.run("document.querySelector('#emergency .confirm').innerText")
        assert "Loa sẽ phát tin soạn sẵn của xã cho việc này." in review


async def test_trying_again_after_a_lost_answer_makes_one_order_and_one_recording(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, _, page):
        await page.run(
            "{ const real = window.fetch; window.asked = []; let lost = 0;"
            " window.fetch = async (path, how) => { window.asked.push(path);"
            "  const answer = await real(path, how);"
            "  if (/bulletins$|emergencies$/.test(path) && how && how.method === 'POST' && ++lost % 2)"
            "   throw new Error('lost');"
            "  return answer; };"
            " const f = document.getElementById('bulletin').elements;"
            " f.title.value = 'Họp'; f.text.value = 'Mời họp.';"
            " f.start.step = 1; f.start.value = new Date(Date.now() + 7 * 3600e3 + 3600e3)"
            "  .toISOString().slice(0, 17) + '30'; }"
        )
        await click(page, "#bulletin [data-area=all]")
        await click(page, "#bulletin [type=submit]")
        await page.until("document.querySelector('#bulletin > output').className === 'bad'", 60)
        await click(page, "#bulletin [type=submit]")
        await page.until("document.querySelector('#bulletin > output').className === 'good'", 60)
        (sent,) = (await bench.call("GET", "/api/v1/bulletins"))["orders"]
        assert datetime.fromisoformat(sent["body"]["start"]).second == 30
        assert await page.run("window.asked.filter((one) => one === '/api/v1/speech').length") == 1
        await click(page, "#emergency [data-area=all]")
        for outcome in ("bad", "good"):
            await click(page, "#emergency [type=submit]")  # reviewed afresh each time
            await click(page, "#emergency [data-go]")
            await page.until(f"document.querySelector('#emergency output').className === '{outcome}'")
        assert len((await bench.call("GET", "/api/v1/emergencies"))["orders"]) == 1


async def test_what_is_forgotten_is_said_in_vietnamese(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (_, __, page):
        await click(page, "#emergency [type=submit]")
        await click(page, "#emergency [data-go]")
        await page.until(f"{EMERGENCY}.startsWith('Dữ liệu gửi lên không đúng. Chưa chọn cụm loa nào')")
        page.complaints.clear()  # the browser notes the refusal itself


async def test_a_box_is_stopped_and_its_answer_shown(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page):
        async with bench.mqtt(box) as client:
            await client.subscribe(f"tl/v1/{box.device}/down/job", qos=1)
            await click(page, f"[data-box={box.device}] [data-action=set_volume]")  # an unknown volume
            await click(page, f"[data-box={box.device}] [data-action=stop]")
            message = await first_message(client, 10)
            assert message is not None
            job = Job.read(parse_envelope(message.payload).payload)
            assert job.action == "stop"
            now = datetime.now(UTC)
            report = JobReport(
                id=new_ulid(now), at=now, job=job.id, action=job.action, state=JobState.SUCCEEDED
            )
            await bench.report(box, client, f"job/{job.id}", report)
        await page.until(
            f"document.querySelector('[data-box={box.device}] output').textContent === 'đã xong'"
        )


async def test_priority_and_hours_are_set_by_hand(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, _, page):
        await page.run("document.querySelectorAll('#priority [data-move=up]')[2].click()")
        await click(page, "#priority [type=submit]")
        await page.until("document.querySelector('#priority output').className === 'good'")
        assert (await bench.call("GET", "/api/v1/priority-order"))["order"] == ["a", "c", "b"]
        await click(page, "#hours [data-add]")
        await page.run("document.querySelector('#hours [name=max_minutes]').value = '45'")
        await click(page, "#hours .rows [value='7']")
        await click(page, "#hours [type=submit]")
        await page.until("document.querySelector('#hours output').className === 'good'")
        (window,) = (await bench.call("GET", "/api/v1/hours"))["windows"]
        assert (window["start"], window["end"], window["max_minutes"]) == ("05:00", "21:00", 45)
        assert window["weekdays"] == [1, 2, 3, 4, 5, 6]
        await page.open(f"{bench.url}/console/orders?lang=en")
        order: Any = await page.run("document.getElementById('priority').innerText")
        assert order.index("Tin c") < order.index("Tin b")
        assert "Version 1, saved by console" in await page.run("document.body.innerText")


async def test_a_written_bulletin_is_spoken_and_sent(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, box, page):
        await page.run(
            "{ const f = document.getElementById('bulletin').elements;"
            " f.title.value = 'Tiêm chủng'; f.text.value = 'Mời bà con đi tiêm chủng.';"
            " f.author.value = 'Lan'; }"
        )
        await click(page, "#bulletin [data-area=all]")
        await click(page, "#bulletin [type=submit]")
        await page.until("document.querySelector('#bulletin > output').className === 'good'", 60)
        (sent,) = (await bench.call("GET", "/api/v1/bulletins"))["orders"]
        assert sent["author"] == "Lan (console)"
        assert sent["body"]["parts"][0]["media"]["duration_ms"] > 1000
        assert datetime.fromisoformat(sent["expires"]) - datetime.now(UTC) < timedelta(hours=13)
        assert sorted(one["kind"] for one in await held(bench, box)) == ["bulletin", "desired"]
        await page.until("document.getElementById('bulletins').innerText.includes('Tiêm chủng')")
