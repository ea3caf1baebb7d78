"""What is on a board of frame memory: emergencies first, honest screenshots, nothing old, nothing lost."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from agent.model.board import Facts, Look, Page, PageKind, PageRank
from agent.signage import projector, video
from agent.signage.crawl import Crawl
from agent.signage.link import BoardEvent, Problem, Setup, Shown
from agent.signage.screen import Face, TickerBand
from agent.signage.stage import Stage
from agent.signage.studio import Studio
from drivers.api import BoardAbilities, BoardGeometry, BoardStatus, PixelFormat, TickerKind
from drivers.board.packing import pack
from drivers.board.surface import SurfaceBoard, open_surface

FACTS = Facts(station="Xã Mường Lống")
EMERGENCY = Look(
    (Page("e1", PageKind.EMERGENCY, title="LŨ QUÉT", text="Sơ tán ngay", event="flood"),),
    PageRank.EMERGENCY,
    "emergency",
)


class Panel:
    """Frame memory that remembers every picture that was on it."""

    abilities = BoardAbilities(ticker=TickerKind.FRAMES, refresh_hz=60, reads_back=True)
    paces = False

    def __init__(self, size: BoardGeometry, form: PixelFormat = PixelFormat.BGRX) -> None:
        self.pixel_format = form
        self.size = size
        self.memory = bytearray(size.width_px * size.height_px * form.size_bytes)
        self.history: list[bytes] = []

    def take(self) -> object:
        return None

    def check(self) -> None: ...

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        del wait
        row = self.size.width_px * self.pixel_format.size_bytes
        self.memory[top_px * row : bottom_px * row] = picture[top_px * row : bottom_px * row]
        self.history.append(bytes(self.memory))

    def brightness(self, level: float) -> None: ...

    def status(self, picture: memoryview) -> BoardStatus:
        del picture
        return BoardStatus()

    def give_back(self, former: object) -> None: ...

    def close(self) -> None: ...


class Playing:
    """A stage that runs on a panel."""

    def __init__(self, stage: Stage, studio: Studio, panel: Panel, board: SurfaceBoard) -> None:
        self.stage, self.studio, self.panel, self.board = stage, studio, panel, board
        self.events: list[BoardEvent] = []

    def problems(self) -> list[Problem]:
        return [event for event in self.events if isinstance(event, Problem)]

    def shown(self) -> list[Shown]:
        return [event for event in self.events if isinstance(event, Shown)]

    async def shot(self) -> bytes:
        """The screenshot as the panel would hold it."""
        with Image.open(io.BytesIO(await self.stage.screenshot())) as image:
            size = self.panel.size
            return pack(size.width_px, size.height_px, image.tobytes(), self.panel.pixel_format)


@asynccontextmanager
async def playing(width: int = 192, height: int = 64) -> AsyncIterator[Playing]:
    size = BoardGeometry(width, height)
    panel = Panel(size)
    studio = Studio(Setup("test", {}, Face(width, height, pitch_mm=4)))
    async with open_surface("bảng", size, lambda: panel) as board:
        studio.fit(board.geometry, board.abilities)
        events: list[BoardEvent] = []
        stage = Stage(board, studio, events.append)
        run = asyncio.create_task(stage.run())
        found = Playing(stage, studio, panel, board)  # type: ignore[arg-type]  # open_surface gives one
        found.events = events
        try:
            yield found
            assert not run.done(), run
        finally:
            run.cancel()
            await asyncio.wait([run])


def page(name: str = "p1", **values: object) -> Page:
    return replace(Page(name, PageKind.PAGE, text="Tiêm chủng ngày mai"), **values)  # type: ignore[arg-type]  # fields by name


def look(*pages: Page) -> Look:
    return Look(pages, PageRank.PAGE, "playlist")


async def test_a_screenshot_is_what_is_on_a_board_that_stands_still() -> None:
    async with playing() as found:
        await found.stage.look(1, look(page()), FACTS, {})
        assert await found.shot() == bytes(found.panel.memory)
        assert any(found.panel.memory)


async def test_a_screenshot_after_a_ticker_holds_nothing_of_it() -> None:
    async with playing() as found:
        await found.stage.look(1, look(page(ticker="Chữ chạy " * 9)), FACTS, {})
        await asyncio.sleep(1.0)
        shot = await found.shot()
        assert shot in found.panel.history, "a picture that was on the panel as it is"
        await found.stage.look(2, look(page("p2", text="Đứng yên")), FACTS, {})
        assert await found.shot() == bytes(found.panel.memory)


async def test_a_screenshot_of_an_emergency_holds_its_text_in_both_halves_of_blinking() -> None:
    async with playing() as found:
        await found.stage.look(1, EMERGENCY, FACTS, {})
        for _ in range(4):
            assert await found.shot() in found.panel.history
            await asyncio.sleep(0.3)
        assert len(set(found.panel.history[-3:])) > 1


async def test_switched_on_again_a_board_shows_nothing_of_what_was_on_it_before() -> None:
    async with playing() as found:
        await found.stage.look(1, look(page("old", text="Hôm qua")), FACTS, {})
        old = bytes(found.panel.memory)
        await found.stage.look(2, Look((), reason="off_hours"), FACTS, {})
        assert not any(found.panel.memory)
        before = len(found.panel.history)
        await found.stage.look(3, look(page("new", text="Hôm nay")), FACTS, {})
        assert old not in found.panel.history[before:]


async def test_an_emergency_does_not_wait_for_looks_that_take_long_to_lay_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with playing() as found:
        compose = found.studio.compose

        def slow(one: Page, *rest: object) -> object:
            if one.kind is PageKind.PAGE:
                time.sleep(1.5)
            return compose(one, *rest)  # type: ignore[arg-type]  # as given

        monkeypatch.setattr(found.studio, "compose", slow)
        busy = [asyncio.create_task(found.stage.look(n, look(page(f"p{n}")), FACTS, {})) for n in (1, 2, 3)]
        await asyncio.sleep(0.05)
        began_s = time.monotonic()
        await found.stage.look(4, EMERGENCY, FACTS, {})
        assert time.monotonic() - began_s < 0.5
        await asyncio.wait(busy)
        await asyncio.sleep(0.2)
        assert found.shown()[-1].page_id == "e1"


async def test_an_emergency_that_cannot_be_laid_out_is_shown_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing() as found:

        def fails(*_: object) -> None:
            raise ZeroDivisionError("a theme nobody thought of")

        monkeypatch.setattr(found.studio, "compose", fails)
        await found.stage.look(1, EMERGENCY, FACTS, {})
        await asyncio.sleep(0.3)
        assert found.shown()[0].page_id == "e1"
        assert any(found.panel.memory)
        assert {problem.code for problem in found.problems()} == {"layout"}


async def test_a_picture_that_fails_in_an_unforeseen_way_leaves_the_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a decoder nobody thought of")

    monkeypatch.setattr("agent.signage.paint.load_picture", fails)
    async with playing(512, 256) as found:
        await found.stage.look(1, look(page(picture="ab" * 32)), FACTS, {"ab" * 32: tmp_path})
        await asyncio.sleep(0.3)
        assert any(found.panel.memory)
        assert [problem.code for problem in found.problems()] == ["paint"]


async def test_a_ticker_that_cannot_be_painted_leaves_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing() as found:

        def fails(*_: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr(found.studio, "strips", fails)
        await found.stage.look(1, look(page(ticker="Chữ chạy")), FACTS, {})
        await asyncio.sleep(0.4)
        assert [problem.code for problem in found.problems()] == ["ticker"]
        monkeypatch.setattr(found.studio, "ground", fails)
        await found.stage.look(2, look(page("p2", ticker="Khác")), FACTS, {})
        await asyncio.sleep(0.2)
        assert found.shown()[-1].page_id == "p2"


async def test_a_clock_set_while_pages_are_still_laid_out_is_laid_out_again() -> None:
    async with playing() as found:
        idle = Page("idle", PageKind.IDLE)
        task = asyncio.create_task(found.stage.look(1, Look((idle, page(text="Dài " * 900))), FACTS, {}))
        await task
        found.stage.set_clock(time.time_ns() - time.monotonic_ns() + 3600 * 10**9, known=True)
        before = len(found.shown())
        async with asyncio.timeout(8):
            while len(found.shown()) == before:
                await asyncio.sleep(0.05)
        assert found.shown()[-1].page_id == "idle"


# --- tickers in any place ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(PixelFormat))
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (193, 65), (17, 9), (640, 33)])
async def test_a_ticker_fits_any_canvas_and_one_outside_of_it_is_left_out(
    form: PixelFormat, width: int, height: int
) -> None:
    size = BoardGeometry(width, height)
    panel = Panel(size, form)
    studio = Studio(Setup("test", {}, Face(33, 22)))
    async with open_surface("bảng", size, lambda: panel) as board:
        studio.fit(board.geometry, board.abilities)
        told: list[Problem] = []
        crawl = Crawl(board, studio, told.append)
        canvas = board.canvas
        assert canvas is not None
        black = bytes(width * height * 3)
        bands = [(0, height), (height - 1, 1), (1, height - 1), (0, 7), (height - 3, 9), (-1, 5), (height, 4)]
        for number, (y_px, height_px) in enumerate(bands):
            text = "Uỷ ban nhân dân xã Mường Lống " * 3 if number % 2 else "W" * 300
            band = TickerBand(y_px, height_px, text, 7 + number, (255,) * 3, (0, 0, 9), 900.0)
            for turn in range(40):
                if turn % 20 == 0:
                    rgb, _ = await crawl.dress(band, black)
                    assert len(rgb) == len(black)
                crawl.draw(canvas, time.monotonic() + turn)
                await asyncio.sleep(0)
        crawl.close()
        assert told == []


# --- video --------------------------------------------------------------------------------------------------


def _player(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


async def test_a_decoder_that_complains_without_end_does_not_stall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "_STALL_S", 1.5)
    complain = "head -c 400000 /dev/zero | tr '\\0' x >&2"
    _player(tmp_path, monkeypatch, f"head -c 49152 /dev/zero; {complain}; head -c 49152 /dev/zero; sleep 30")
    async with playing() as found:
        stop, frames = asyncio.Event(), []

        async def first(rgb: bytes) -> None:
            frames.append(rgb)

        before = len(found.panel.history)
        try:
            async with asyncio.timeout(6):
                with pytest.raises(video.VideoError, match="no frame"):
                    await video.play(found.board, tmp_path / "x.mp4", first, stop, lambda: float("inf"))
        finally:
            stop.set()
        assert len(found.panel.history) - before == 2, "both frames came"


async def test_a_stream_that_was_lost_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "STREAM_AGAIN_S", 1.0)
    _player(tmp_path, monkeypatch, f"test -e {tmp_path}/up && while :; do head -c 49152 /dev/zero; done")
    async with playing() as found:
        await found.stage.look(1, look(page("v", text="", video="https://x.example/a.m3u8")), FACTS, {})
        await asyncio.sleep(0.3)
        assert [problem.code for problem in found.problems()] == ["video_broken"]
        (tmp_path / "up").touch()
        before = len(found.panel.history)
        async with asyncio.timeout(5):
            while len(found.panel.history) < before + 10:
                await asyncio.sleep(0.05)
        began_s = time.monotonic()
        await found.stage.look(2, EMERGENCY, FACTS, {})
        assert time.monotonic() - began_s < 0.5
        assert await found.shot() in found.panel.history


async def test_a_video_of_one_frame_starts_no_decoder_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _player(tmp_path, monkeypatch, f"touch {tmp_path}/start.$$; head -c 49152 /dev/zero")
    clip = tmp_path / "clip.mp4"
    clip.touch()
    async with playing() as found:
        await found.stage.look(1, look(page("v", text="", video="ab" * 32)), FACTS, {"ab" * 32: clip})
        await asyncio.sleep(2.5)
        assert 2 <= len(list(tmp_path.glob("start.*"))) <= 4
        assert found.problems() == []
