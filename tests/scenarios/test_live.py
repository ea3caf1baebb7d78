"""Live sound: under a lease, only while a signed order opened it, and back to what is due when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from array import array
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from agent.model.bulletin import LiveInput, LiveSource
from agent.model.report import CutReason, Verdict
from tests.support.onair import COMMUNE, RATE, OnAir, on_air, pitch, sleep_until, soon, tone, write_wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(90),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg"),
]
S = timedelta(seconds=1)


class Radio:
    """A station that streams a pitch as MP3 in real time, and can stall, send HTML or be silent."""

    def __init__(self) -> None:
        self.url = ""
        self.stalled = asyncio.Event()
        self.html = False
        self.listeners = 0
        self._silence = False

    @contextlib.asynccontextmanager
    async def on(self, hertz: int = 1500, gain: float = 1.0) -> AsyncIterator[Radio]:
        app = web.Application()
        source = f"sine=frequency={hertz}:sample_rate=48000" if hertz else "anullsrc=r=48000:cl=mono"

        async def listen(request: web.Request) -> web.StreamResponse:
            if self.html:
                return web.Response(
                    text="<html><body>Đăng nhập Wi-Fi</body></html>", content_type="text/html"
                )
            answer = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
            await answer.prepare(request)
            self.listeners += 1
            child = await asyncio.create_subprocess_exec(
                *("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", source, "-af", f"volume={gain}"),
                *("-ac", "1", "-b:a", "64k", "-f", "mp3", "-flush_packets", "1", "pipe:1"),
                stdout=asyncio.subprocess.PIPE,
            )
            assert child.stdout is not None
            try:
                while data := await child.stdout.read(512):
                    while self.stalled.is_set():
                        await asyncio.sleep(0.05)
                    await answer.write(data)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
            return answer

        app.router.add_get("/nghe", listen)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/nghe"
        try:
            yield self
        finally:
            self.stalled.clear()
            await runner.cleanup()


def with_line_in(folder: Path, samples: array[int]) -> str:
    """Configuration of a line input that hears these samples over and over, and an FM receiver on it."""
    path = write_wav(folder / "line.wav", samples)
    return f"""
[[inputs]]
id = "line"
kind = "simulated"
options = {{ file = "{path}" }}

[tuner]
kind = "simulated"
input = "line"
options = {{ dir = "{folder / "box"}" }}
"""


async def test_granted_stream_is_heard_until_its_lease_ends(box: OnAir) -> None:
    async with Radio().on() as radio:
        carried = box.order(COMMUNE, minutes=0.2)
        order = await box.grant_of(carried, source="stream", address=radio.url, chime=False)
        await box.sounding("Chủ tịch xã")
        heard_at = datetime.now(UTC)
        record = await box.record(order, limit_s=30)
        assert record.segments[-1].cut in (CutReason.EXPIRED, CutReason.NONE)
        assert record.segments[-1].ended is not None
        assert record.segments[-1].ended <= carried["expires"] + S
        assert pitch(box.heard(), heard_at + S) == pytest.approx(1500, abs=60)


async def test_live_announcement_begins_with_a_chime_and_cuts_the_programme(box: OnAir) -> None:
    async with Radio().on() as radio:
        start = box.programme("nhac", soon(1.5), await box.tone(400, 14))
        await sleep_until(start + S)
        order = await box.grant_of(box.order(COMMUNE, minutes=0.1), source="stream", address=radio.url)
        record = await box.record("nhac", limit_s=40)
        live = await box.record(order)
        assert live.first_sound is not None
        assert pitch(box.heard(), live.first_sound + 0.2 * S) == pytest.approx(1000, abs=60)  # the chime
        assert [one.cut for one in record.segments] == [CutReason.PREEMPTED, CutReason.NONE]


async def test_stalled_relay_gives_way_to_what_is_due_and_comes_back_at_the_boundary(box: OnAir) -> None:
    async with Radio().on() as radio:
        start = soon(3)
        relay = LiveInput(LiveSource.STREAM, radio.url, silence_limit_s=30, stall_limit_s=1)
        box.relay("tiep-am", start, relay, 40, normal=False)
        box.programme("du-phong", start, await box.tone(400, 12), await box.tone(600, 30), fallback=True)
        await box.sounding("tiep-am")
        radio.stalled.set()
        await box.sounding("du-phong")
        radio.stalled.clear()
        await box.until("source is back", lambda: any(
            one.back_at is not None for one in box.box.feeds.status.values()
        ), 20)  # fmt: skip
        await asyncio.sleep(0.7)
        view = box.player.view
        assert view.on_air is not None
        assert view.on_air.programme.title == "du-phong"  # not in the middle of an item
        await box.sounding("tiep-am", limit_s=30)
        back = datetime.now(UTC)
        assert back >= start + 11 * S


async def test_silent_live_session_is_ended(box: OnAir) -> None:
    async with Radio().on(hertz=0) as radio:
        order = await box.grant_of(
            box.order(COMMUNE, minutes=5), source="stream", address=radio.url, silence_limit_s=2, chime=False
        )
        record = await box.record(order, limit_s=30)
        assert record.verdict is not Verdict.HEARD
        assert (await box.event("live_ended", 15))["subject"] == order


async def test_stream_that_sends_html_is_never_sounded(box: OnAir) -> None:
    async with Radio().on() as radio:
        radio.html = True
        began = datetime.now(UTC)
        start = box.programme("nhac", soon(1.5), await box.tone(400, 4))
        await box.grant_of(box.order(COMMUNE, minutes=1), source="stream", address=radio.url, chime=False)
        record = await box.record("nhac")
        assert len(record.segments) == 1
        assert pitch(box.heard(), start + 2 * S) == pytest.approx(400, abs=30)
        assert box.heard().first_sound(began) is not None


async def test_blast_of_noise_is_held_by_the_limiter(box: OnAir) -> None:
    async with Radio().on(gain=40.0) as radio:
        order = await box.grant_of(
            box.order(COMMUNE, minutes=0.1), source="stream", address=radio.url, chime=False
        )
        evidence = (await box.record(order, limit_s=30)).evidence
        assert evidence.output_peak_dbfs is not None
        assert evidence.output_peak_dbfs <= -0.99


async def test_line_in_is_heard_only_while_an_order_opens_it(tmp_path: Path) -> None:
    async with on_air(tmp_path / "box", extra=with_line_in(tmp_path, tone(700, 2))) as box:
        began = datetime.now(UTC)
        await asyncio.sleep(2)
        assert box.heard().first_sound(began) is None
        order = await box.grant_of(
            box.order(COMMUNE, minutes=0.1), source="line_in", address="line", chime=False
        )
        await box.sounding("Chủ tịch xã")
        moment = datetime.now(UTC)
        record = await box.record(order, limit_s=20)
        ended = record.segments[-1].ended
        assert ended is not None
        assert pitch(box.heard(), moment + 0.7 * S) == pytest.approx(700, abs=40)
        await asyncio.sleep(2)
        assert box.heard().sounding_ms(ended + 0.3 * S, ended + 2 * S) == 0


async def test_tuner_is_muted_before_and_after_its_grant(tmp_path: Path) -> None:
    async with on_air(tmp_path / "box", extra=with_line_in(tmp_path, tone(700, 2))) as box:
        order = await box.grant_of(box.order(COMMUNE, minutes=0.1), source="fm", address="98.9", chime=False)
        await box.sounding("Chủ tịch xã")
        await box.record(order, limit_s=20)
        await asyncio.sleep(1)
        edges = (box.folder / "tuner.jsonl").read_text(encoding="utf-8")
        assert "98.9" in edges
        assert not box.box.feeds.status


async def test_microphone_unplugged_in_mid_announcement_lets_the_programme_go_on(tmp_path: Path) -> None:
    async with on_air(tmp_path / "box", extra=with_line_in(tmp_path, tone(700, 2))) as box:
        start = box.programme("nhac", soon(1.5), await box.tone(400, 25))
        await sleep_until(start + S)
        await box.grant_of(
            box.order(COMMUNE, minutes=3),
            source="microphone",
            address="line",
            chime=False,
            silence_limit_s=2,
            stall_limit_s=2,
        )
        await box.sounding("Chủ tịch xã")
        write_wav(tmp_path / "line.wav", array("h", bytes(2 * RATE)))  # nothing but silence comes in any more
        (tmp_path / "line.wav").unlink()
        await box.sounding("nhac", limit_s=25)
        record = await box.record("nhac", limit_s=40)
        assert record.segments[0].cut is CutReason.PREEMPTED
        assert abs(record.segments[1].from_ms - record.segments[0].played_ms) <= 100


async def test_emergency_goes_before_a_live_announcement(box: OnAir) -> None:
    async with Radio().on() as radio:
        live = await box.grant_of(box.order(COMMUNE, minutes=1), source="stream", address=radio.url)
        await box.sounding("Chủ tịch xã")
        record = await box.record(await box.emergency(parts=(await box.recording(600, 1.0),)), limit_s=30)
        assert record.verdict is Verdict.HEARD
        await box.sounding("Chủ tịch xã")  # and the announcement goes on after it
        await box.cancel(live)
        assert (await box.record(live)).segments[-1].cut is CutReason.CANCELLED
