"""The board worker as the agent sees it: a picture soon, proof of it, and another worker when one is lost."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from agent.model.board import Facts, Look, Page, PageKind, PageRank
from agent.signage.brightness import Plan, light_table
from agent.signage.client import BoardClient, Problem, Setup, Shown, open_worker
from agent.signage.link import row_of_setup, setup_of_row
from agent.signage.screen import Face
from drivers.api import DeviceUnavailableError

FACTS = Facts(station="Xã Mường Lống")
EMERGENCY = Look(
    (Page("e1", PageKind.EMERGENCY, title="LŨ QUÉT", text="Sơ tán ngay lên cao", event="flood"),),
    PageRank.EMERGENCY,
    "emergency",
)


def setup(box: Path, width: int = 192, height: int = 64, **options: object) -> Setup:
    face = Face(width, height, pitch_mm=4 if width < 1000 else 0.5)
    return Setup("simulated", {"dir": str(box), "width_px": width, "height_px": height, **options}, face)


def look(*pages: Page) -> Look:
    return Look(pages, PageRank.PAGE, "playlist")


def page(name: str = "p1", text: str = "Tiêm chủng ngày mai", **values: object) -> Page:
    return replace(Page(name, PageKind.PAGE, text=text), **values)  # type: ignore[arg-type]  # fields by name


def record(box: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (box / "board.jsonl").read_text().splitlines()]


def labels(box: Path) -> list[object]:
    return [line["label"] for line in record(box) if "label" in line]


class Watched:
    """A client and what it told so far."""

    def __init__(self, client: BoardClient) -> None:
        self.client = client
        self.shown: list[Shown] = []
        self.problems: list[Problem] = []
        self.lost = asyncio.Event()

    async def follow(self) -> None:
        try:
            async for event in self.client.events():
                if isinstance(event, Shown):
                    self.shown.append(event)
                else:
                    self.problems.append(event)
        except DeviceUnavailableError:
            self.lost.set()

    async def until(self, shown: int = 1, problems: int = 0, page_id: str = "") -> None:
        """Wait until so much was told, and a page was shown."""
        async with asyncio.timeout(12):
            while (
                len(self.shown) < shown
                or len(self.problems) < problems
                or (page_id and all(event.page_id != page_id for event in self.shown))
            ):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(wanted: Setup) -> AsyncIterator[Watched]:
    async with open_worker("bảng", wanted) as client:
        watched = Watched(client)
        task = asyncio.create_task(watched.follow())
        try:
            yield watched
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_a_look_is_on_the_board_when_the_call_comes_back(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        assert (board.client.geometry.width_px, board.client.geometry.height_px) == (192, 64)
        await board.client.look(7, look(page()), FACTS, {})
        assert labels(tmp_path)[-1] == "p1 1/1"
        await board.until()
        event = board.shown[0]
        assert (event.look, event.page_id, event.number, event.count) == (7, "p1", 1, 1)
        assert event.sha256 == record(tmp_path)[-1]["sha256"]
        with Image.open(io.BytesIO(event.thumbnail)) as small:
            assert small.size == (160, 53)
        with Image.open(tmp_path / "board.png") as shown:
            assert hashlib.sha256(shown.convert("RGB").tobytes()).hexdigest() == event.sha256
        with Image.open(io.BytesIO(await board.client.screenshot())) as shot:
            assert hashlib.sha256(shot.tobytes()).hexdigest() == event.sha256
        assert (await board.client.status()).model == "simulated"
    assert labels(tmp_path)[-1] == "safe"
    with Image.open(tmp_path / "board.png") as left:
        assert left.getbbox() is not None, "the safe screen names the commune"


async def test_screens_follow_each_other_after_their_dwell(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        pages = (page("a", "một", dwell_s=0.5), page("b", "hai", dwell_s=0.5))
        await board.client.look(1, look(*pages), FACTS, {})
        await board.until(shown=4)
        assert [event.page_id for event in board.shown[:4]] == ["a", "b", "a", "b"]
        gaps = [(b.at_ns - a.at_ns) / 1e9 for a, b in pairwise(board.shown)]
        assert all(0.3 < gap < 0.8 for gap in gaps[:3])


async def test_the_same_look_again_does_not_begin_again(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.client.look(2, look(page()), FACTS, {})
        await board.until(shown=2)
        assert [event.look for event in board.shown] == [1, 2]
        assert labels(tmp_path) == ["p1 1/1"]


async def _picture_after(board: Watched, wanted: Setup, how: signal.Signals) -> float:
    killed_s = time.monotonic()
    os.kill(board.client.pid or 0, how)
    async with asyncio.timeout(5):
        await board.lost.wait()
    with pytest.raises(DeviceUnavailableError):
        await board.client.screenshot()
    async with running(wanted) as other:
        await other.client.look(2, look(page("again")), FACTS, {})
        return time.monotonic() - killed_s


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_killed_or_hung_worker_is_replaced_within_two_seconds(
    tmp_path: Path, how: signal.Signals
) -> None:
    wanted = setup(tmp_path)
    async with running(wanted) as board:
        await board.client.look(1, look(page(ticker="chữ chạy " * 40)), FACTS, {})
        took_s = await _picture_after(board, wanted, how)
    assert took_s < 2.0
    assert "again 1/1" in labels(tmp_path)


async def test_the_death_of_the_agent_leaves_the_safe_screen(tmp_path: Path) -> None:
    script = f"""
import asyncio
from tests.contract.test_board_worker import *
async def main():
    async with open_worker("b", setup(Path({str(tmp_path)!r}))) as client:
        await client.look(1, look(page()), FACTS, {{}})
        await asyncio.sleep(0.3)
        print(client.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert agent.stdout is not None
        async with asyncio.timeout(20):
            worker = int(await agent.stdout.readline())
    finally:
        agent.kill()
        await agent.wait()
    async with asyncio.timeout(5):
        while Path(f"/proc/{worker}").exists():
            await asyncio.sleep(0.02)
    assert labels(tmp_path)[-1] == "safe"
    with Image.open(tmp_path / "board.png") as left:
        assert left.getbbox() is not None


async def test_sigterm_leaves_the_safe_screen(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await asyncio.sleep(0.3)
        os.kill(board.client.pid or 0, signal.SIGTERM)
        async with asyncio.timeout(5):
            await board.lost.wait()
    assert labels(tmp_path)[-1] == "safe"


async def test_a_missing_board_is_a_state_and_comes_back(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text("board_missing = true\n")
    with pytest.raises(DeviceUnavailableError, match="board_missing"):
        async with open_worker("bảng", setup(tmp_path)):
            pytest.fail("opened a missing board")
    faults.unlink()
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        faults.write_text("board_missing = true\n")
        await asyncio.sleep(0.3)
        with pytest.raises(DeviceUnavailableError, match="board_missing"):
            await board.client.look(2, look(page("other")), FACTS, {})
        assert board.lost.is_set() or await asyncio.wait_for(board.lost.wait(), 5)
    faults.unlink()
    async with running(setup(tmp_path)) as board:
        await board.client.look(3, look(page("back")), FACTS, {})
    assert "back 1/1" in labels(tmp_path)


async def test_an_emergency_cuts_into_a_busy_1080p_board_within_half_a_second(tmp_path: Path) -> None:
    async with running(setup(tmp_path, 1920, 1080)) as board:
        for turn in range(3):
            pages = tuple(
                page(f"p{turn}-{n}", "Nước lên nhanh. " * 60, ticker="chữ chạy " * 200) for n in range(10)
            )
            await board.client.look(turn * 2, look(*pages), FACTS, {})
            await asyncio.sleep(0.05 + 0.1 * turn)
            text = replace(EMERGENCY.pages[0], id=f"e{turn}", text=f"Sơ tán ngay, lần {turn}")
            began_s = time.monotonic()
            await board.client.look(turn * 2 + 1, replace(EMERGENCY, pages=(text,)), FACTS, {})
            assert time.monotonic() - began_s < 0.5
            assert str(labels(tmp_path)[-1]).startswith(f"e{turn} ")


async def test_a_newer_look_wins_over_one_that_is_still_being_laid_out(tmp_path: Path) -> None:
    async with running(setup(tmp_path, 1920, 1080)) as board:
        slow = look(page("slow", "Nước lên nhanh. " * 1200))
        first = asyncio.create_task(board.client.look(1, slow, FACTS, {}))
        await asyncio.sleep(0.01)
        await board.client.look(2, EMERGENCY, FACTS, {})
        await first
        await asyncio.sleep(0.3)
        assert str(labels(tmp_path)[-1]).startswith("e1 ")


async def test_the_border_of_an_emergency_blinks_once_a_second(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, EMERGENCY, FACTS, {})
        corners = []
        for _ in range(24):
            with Image.open(io.BytesIO(await board.client.screenshot())) as shot:
                corners.append(shot.getpixel((0, 0)) != (0, 0, 0))
            await asyncio.sleep(0.1)
        changes = sum(a != b for a, b in pairwise(corners))
        assert 3 <= changes <= 6, corners


async def test_a_ticker_moves_on_a_canvas(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page(ticker="Chữ chạy qua bảng điện tử. " * 8)), FACTS, {})
        await asyncio.sleep(0.3)
        before = await board.client.frames()
        shots = set()
        for _ in range(4):
            await asyncio.sleep(0.4)
            shots.add(await board.client.screenshot())
        assert len(shots) == 4
        assert await board.client.frames() - before > 50


@pytest.mark.parametrize("kind", ["card", "none"])
async def test_a_card_moves_its_ticker_itself_or_pages_it(tmp_path: Path, kind: str) -> None:
    async with running(setup(tmp_path, ticker=kind)) as board:
        await board.client.look(1, look(page(ticker="Chữ chạy dài " * 4)), FACTS, {})
        await board.until()
        assert await board.client.frames() == 0
        line = next(line for line in record(tmp_path) if "label" in line)
        assert ("ticker_width_px" in line) == (kind == "card")
        if kind == "none":
            assert line["label"] != "p1 1/1", "the ticker's text is paged"


async def test_a_card_that_lost_power_is_painted_again(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.until()
        (tmp_path / "faults.toml").write_text("board_power_lost = true\n")
        await board.until(shown=2, problems=1)
        assert [problem.code for problem in board.problems] == ["power_lost"]
        assert board.shown[1].sha256 == board.shown[0].sha256
        with Image.open(tmp_path / "board.png") as shown:
            assert hashlib.sha256(shown.tobytes()).hexdigest() == board.shown[0].sha256


async def test_what_somebody_else_shows_is_painted_over(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.until()
        (tmp_path / "faults.toml").write_text("board_changed = true\n")
        await board.until(shown=2)
        assert [problem.code for problem in board.problems] == ["foreign"]
        with Image.open(tmp_path / "board.png") as shown:
            assert hashlib.sha256(shown.tobytes()).hexdigest() == board.shown[0].sha256


async def test_a_megabyte_of_hostile_text_does_not_stall_the_board(tmp_path: Path) -> None:
    text = ("Nước lên nhanh \u202e\u200b\ud800" * 60_000)[:1_000_000]
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page("good")), FACTS, {})
        hostile = asyncio.create_task(board.client.look(2, look(page("huge", text, ticker=text)), FACTS, {}))
        await asyncio.sleep(0.05)
        began_s = time.monotonic()
        await board.client.screenshot()
        assert time.monotonic() - began_s < 1.0
        async with asyncio.timeout(10):
            await hostile
        began_s = time.monotonic()
        await board.client.look(3, EMERGENCY, FACTS, {})
        assert time.monotonic() - began_s < 0.5
        assert not board.lost.is_set()


async def test_dark_is_off_and_the_next_look_is_on(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.client.look(2, Look((), reason="off_hours"), FACTS, {})
        with Image.open(tmp_path / "board.png") as dark:
            assert dark.getbbox() is None
        await board.client.look(3, look(page()), FACTS, {})
        with Image.open(tmp_path / "board.png") as lit:
            assert lit.getbbox() is not None
        await board.until(shown=3)
        assert (board.shown[1].page_id, board.shown[1].number) == ("", 0)
    assert [line["power"] for line in record(tmp_path) if "power" in line] == [False, True]


async def test_a_commercial_board_is_handed_back_as_it_was(tmp_path: Path) -> None:
    advert = tmp_path / "advert.png"
    Image.new("RGB", (192, 64), (0, 200, 90)).save(advert)
    async with running(setup(tmp_path, commercial_picture=str(advert))) as board:
        assert (tmp_path / "board.png").read_bytes() == advert.read_bytes()
        await board.client.look(1, EMERGENCY, FACTS, {})
        assert (tmp_path / "board.png").read_bytes() != advert.read_bytes()
        await board.client.look(2, Look((), mine=False, reason="handed_back"), FACTS, {})
        assert (tmp_path / "board.png").read_bytes() == advert.read_bytes()
        await asyncio.sleep(0.4)
    assert (tmp_path / "board.png").read_bytes() == advert.read_bytes()


async def test_brightness_follows_orders_and_the_light(tmp_path: Path) -> None:
    wanted = replace(setup(tmp_path), brightness=Plan(0.8, lights=light_table()))
    async with running(wanted) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.client.set_brightness(0.25)
        assert [line["brightness"] for line in record(tmp_path) if "brightness" in line] == [0.8, 0.25]
        (tmp_path / "faults.toml").write_text("board_night = true\n")
        await board.client.set_brightness(None)
        async with asyncio.timeout(12):
            while record(tmp_path)[-1].get("brightness", 1) not in {
                level.level for level in light_table()[:4]
            }:
                await asyncio.sleep(0.1)


async def test_a_clock_is_laid_out_again_when_it_is_set(tmp_path: Path) -> None:
    idle = Look((Page("idle", PageKind.IDLE),))
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, idle, FACTS, {})
        await board.until()
        later = datetime(2030, 2, 3, 4, 5, 59, 500_000, UTC).timestamp()
        await board.client.set_clock(int(later * 1e9) - time.monotonic_ns(), True)
        await board.until(shown=3)
        assert len({event.sha256 for event in board.shown}) == 3, "set, and half a second later a new minute"
        assert (board.shown[2].at_ns - board.shown[1].at_ns) / 1e9 < 1.0


async def test_a_broken_theme_is_told_and_the_built_in_one_taken(tmp_path: Path) -> None:
    theme = tmp_path / "theme.toml"
    theme.write_text("unknown_field = 1\n")
    async with running(replace(setup(tmp_path), theme=theme)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await board.until(problems=1)
        assert board.problems[0].code == "theme"
        assert "unknown_field" in board.problems[0].detail


async def test_a_missing_glyph_and_a_broken_picture_are_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    key = hashlib.sha256(broken.read_bytes()).hexdigest()
    async with running(setup(tmp_path, 512, 256)) as board:
        await board.client.look(1, look(page("p", "Vui \U0001f600", picture=key)), FACTS, {key: broken})
        await board.until(problems=2)
        codes = {problem.code for problem in board.problems}
        assert any("glyph" in code for code in codes)
        assert any("picture" in code for code in codes)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of red, 160x90."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    subprocess.run(
        [
            program,
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=red:s=160x90:r=25:d=2",
            "-pix_fmt",
            "yuv420p",
            str(path),
        ],
        check=True,
    )
    return path


@pytest.mark.parametrize("kind", ["frames", "none"])
async def test_a_video_is_fitted_and_played_or_its_first_frame_shown(
    tmp_path: Path, clip: Path, kind: str
) -> None:
    async with running(setup(tmp_path, ticker=kind)) as board:
        await board.client.look(1, look(page("v", "", video="ab" * 32)), FACTS, {"ab" * 32: clip})
        await board.until()
        with Image.open(io.BytesIO(await board.client.screenshot())) as shot:
            red, green, blue = shot.tobytes()[(32 * 192 + 96) * 3 :][:3]
            assert red > 200
            assert max(green, blue) < 60
            assert shot.getpixel((2, 32)) == (0, 0, 0), "never stretched"
        began_s = time.monotonic()
        await board.client.look(2, EMERGENCY, FACTS, {})
        assert time.monotonic() - began_s < 0.5


async def test_a_video_stays_as_long_as_it_lasts(tmp_path: Path, clip: Path) -> None:
    async with running(setup(tmp_path)) as board:
        pages = (page("v", "", video="ab" * 32), page("after", "sau đó"))
        await board.client.look(1, look(*pages), FACTS, {"ab" * 32: clip})
        await board.until(page_id="after")
        assert 1.5 < (board.shown[1].at_ns - board.shown[0].at_ns) / 1e9 < 3.0
        assert not board.problems


async def test_a_look_that_is_over_gives_way_to_the_safe_screen(
    tmp_path: Path,
) -> None:
    async with running(setup(tmp_path)) as board:
        until = datetime.now(UTC) + timedelta(seconds=0.5)
        await board.client.look(1, replace(EMERGENCY, until=until), FACTS, {})
        await board.until(page_id="safe")
        assert [problem.code for problem in board.problems] == ["expired"]


async def test_a_broken_video_is_skipped_and_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"#EXTM3U\nfile:///etc/passwd\n" * 50)
    async with running(setup(tmp_path)) as board:
        pages = (page("v", "", video="cd" * 32, dwell_s=5), page("after", "sau đó"))
        await board.client.look(1, look(*pages), FACTS, {"cd" * 32: bad})
        await board.until(page_id="after")
        assert board.problems[0].code in {"video_broken", "video_no_player"}


def test_a_worker_without_its_agent_ends_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "agent.signage.worker", str(theirs.fileno()), "1"],
            pass_fds=[theirs.fileno()],
            timeout=20,
            check=False,
        )
    assert done.returncode == 0


def test_a_setup_survives_its_journey() -> None:
    wanted = Setup("simulated", {"dir": "/x"}, Face(64, 32), Path("/t.toml"), 2.2, "GRB", Plan(0.5))
    assert setup_of_row(json.loads(json.dumps(row_of_setup(wanted)))) == wanted
