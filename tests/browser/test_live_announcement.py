"""An officer speaks in a real browser; boxes hear it."""

from __future__ import annotations

import array
import asyncio
import math
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from server.api.boundary import COOKIE
from server.console.live import LivePage
from server.console.routes import Console
from server.live.frames import FRAME_BYTES, FRAME_SAMPLES
from tests.support.browser import CHROMIUM, Page, chromium
from tests.support.live_bench import Bench, FakeBoxes, OpenGate, a_bench, grant_of, hear
from tests.support.recorder import RATE, decode, onset, pitch_hz

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]

TONE_HZ = 1000
CLICK = "document.getElementById('talk').click()"
STATE = "document.getElementById('state').textContent"


def a_voice(folder: Path) -> Path:
    """A second of silence and a second of tone, over and over."""
    path = folder / "voice.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        tone = [round(12_000 * math.sin(2 * math.pi * TONE_HZ * n / RATE)) for n in range(RATE)]
        out.writeframes(struct.pack(f"<{2 * RATE}h", *([0] * RATE), *tone))
    return path


@asynccontextmanager
async def an_officer(folder: Path, *flags: str, host: str = "127.0.0.1") -> AsyncIterator[tuple[Bench, Page]]:
    """A server, and a browser that shows its page for live announcements."""
    station, nobody = "Đài truyền thanh xã Tân Lộc", cast(Any, None)
    console = Console(nobody, nobody, station, secure=False).routes()
    page_routes = LivePage(OpenGate(), FakeBoxes(), station).routes()
    page_routes += [one for one in console if one.path.startswith("/console/static/")]
    async with (
        a_bench(more=page_routes) as bench,
        chromium(folder, a_voice(folder), *flags) as page,
    ):
        url = bench.url.replace("127.0.0.1", host)
        await page.send("Network.setCookie", name=COOKIE, value="good-session", url=url, sameSite="Strict")
        await page.open(f"{url}/console/live")
        yield bench, page


async def test_what_an_officer_says_in_the_browser_reaches_a_box_within_a_second(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with an_officer(tmp_path) as (bench, page):
        await page.run("document.getElementById('speaker').value = 'Nguyễn Văn An'")
        await page.run(
            "window.loud = []; let was = 0; setInterval(() => {"
            " const now = document.getElementById('level').value;"
            " if (now > 0.5 && was <= 0.5) loud.push(Date.now() / 1000); was = now; }, 5)"
        )
        clicked_s = loop.time()
        await page.run(CLICK)
        async with asyncio.TaskGroup() as group:
            async with asyncio.timeout(20):
                while not bench.grants.given:
                    await asyncio.sleep(0.01)
            print(f"click to grant: {(loop.time() - clicked_s) * 1000:.0f} ms")
            [one] = bench.grants.given
            box = group.create_task(hear(bench, {"id": grant_of(one.id)}))
            await page.until(f"{STATE} === 'Loa đã nhận tiếng. Hãy nói.'")
            await page.until("loud.length >= 3")
            shown = await page.run("document.body.innerText")
            assert "1 trên 2 cụm loa đang nhận tiếng" in shown
            assert "Còn 9:5" in shown
            await page.picture(tmp_path / "speaking.png")
            await page.run(CLICK)
            await page.until(f"{STATE} === 'Đã dừng.'")
        heard, wall_s = box.result(), asyncio.get_running_loop().time()
        offset_s = await page.run("Date.now() / 1000") - wall_s
        spoken_s = [one - offset_s for one in await page.run("loud")]
        samples = decode(bytes(heard.data))
        came_s = [heard.when_s((n // FRAME_SAMPLES + 1) * FRAME_BYTES - 1) for n in onsets(samples)]
        delays_s = [min((a - s for a in came_s if a - s > -0.1), default=9.9) for s in spoken_s[-2:]]
        print("spoken to received by a box:", [f"{one * 1000:.0f} ms" for one in delays_s])
        assert max(delays_s) < 1.0
        middle = onsets(samples)[-2] + RATE // 4
        assert pitch_hz(samples[middle : middle + RATE // 4]) == pytest.approx(TONE_HZ, rel=0.01)
        assert one.session.reason == "stopped"
        assert [one for one in page.complaints if "favicon" not in one] == []
        assert await page.run("document.getElementById('talk').textContent") == "Nói"


def onsets(samples: array.array[int]) -> list[int]:
    """Every place where a tone begins after half a second of quiet."""
    found, at = [], 0
    while at < len(samples):
        try:
            first = at + onset(samples[at:])
        except StopIteration:
            break
        found.append(first)
        at = first + RATE + RATE // 2
    return found


async def test_a_microphone_line_that_breaks_is_mended_by_the_page(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (bench, page):
        await page.run("document.getElementById('speaker').value = 'Nguyễn Văn An'")
        await page.run(CLICK)
        await page.until("live && live.recorder && live.recorder.state === 'recording'")
        await page.until("live.endsAt > 0")
        async with asyncio.timeout(20):
            while not bench.grants.given:
                await asyncio.sleep(0.02)
        await page.run("window.first = live.line; live.line.close()")
        await page.until("live && live.line !== first && live.line.readyState === WebSocket.OPEN")
        await page.until("live.recorder.state === 'recording'")
        await asyncio.sleep(1.5)
        assert [one["state"] for one in await bench.status()] == ["speaking"]
        assert len(bench.grants.given) == 1
        await page.run(CLICK)
        await page.until(f"{STATE} === 'Đã dừng.'")


async def test_a_page_without_https_says_why_it_cannot_speak(tmp_path: Path) -> None:
    flags = "--host-resolver-rules=MAP loa.example 127.0.0.1"
    async with an_officer(tmp_path, flags, host="loa.example") as (_, page):
        warning = await page.until("document.getElementById('warning').textContent")
        assert "https://" in warning
        assert await page.run("document.getElementById('talk').disabled") is True


async def test_on_a_phone_everything_fits_and_the_button_is_large(tmp_path: Path) -> None:
    async with an_officer(tmp_path) as (_, page):
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=2, mobile=True
        )
        await page.picture(tmp_path / "phone.png")
        assert await page.run("document.documentElement.scrollWidth") <= 360
        size = await page.run(
            "(() => { const box = document.getElementById('talk').getBoundingClientRect();"
            " return [box.width, box.height] })()"
        )
        assert size[0] > 300
        assert size[1] >= 100
        await page.run(CLICK)
        assert await page.run(STATE) == "Hãy ghi tên người nói."
