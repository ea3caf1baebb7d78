"""Boards of a running box: they follow orders with the horns, and never cost a sound."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.cli.client import AgentUnreachableError, ask
from agent.signage.client import BoardClient
from agent.signage.engine import SignageEngine
from agent.wire.orders import BoardPage, BulletinPart, FileRef, Takeover
from tests.support.onair import COMMUNE, PROVINCIAL, OnAir, on_air, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
S = timedelta(seconds=1)
WHITE = b"\xff" * 3


def box_with_board(
    folder: Path, more: str = "", options: str = "", zones: tuple[str, ...] = ("main",)
) -> AbstractAsyncContextManager[OnAir]:
    where = json.dumps(str(folder / "box"))
    extra = f"""
[[boards]]
id = "board"
kind = "simulated"
width_px = 192
height_px = 64
power_on_s = 0
options = {{ dir = {where} {options} }}
{more}
"""
    return on_air(folder / "box", extra=extra, zones=zones)


def engine(box: OnAir) -> SignageEngine:
    return box.box.boards.engines["board"]


def reason(box: OnAir) -> str:
    view = engine(box).view
    return view.look.reason if view.look is not None and view.answers else ""


async def shows(box: OnAir, what: str, limit_s: float = 15) -> None:
    """Wait until the board is answered for and shows for this reason."""

    def look() -> bool:
        view = engine(box).view
        return reason(box) == what and (bool(view.page) or what in ("off_hours", "handed_back"))

    await box.until(f"the board shows {what}", look, limit_s)


def picture(box: OnAir) -> bytes:
    """RGB of `board.png`, which is written without filters."""
    data, at, body = (box.folder / "board.png").read_bytes(), 8, b""
    width = height = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IHDR":
            width, height = struct.unpack(">II", data[at + 8 : at + 16])
        if kind == b"IDAT":
            body += data[at + 8 : at + 8 + size]
        at += size + 12
    raw = zlib.decompress(body)
    return b"".join(raw[row * (width * 3 + 1) + 1 : (row + 1) * (width * 3 + 1)] for row in range(height))


async def lit(box: OnAir, look: Callable[[bytes], bool], what: str, limit_s: float = 5) -> bytes:
    """Wait until the picture on the board is as `look` wants it."""
    found: list[bytes] = []

    def seen() -> bool:
        try:
            rgb = picture(box)
        except (OSError, struct.error, zlib.error):  # being written, or not there yet
            return False
        found.append(rgb)
        return look(rgb)

    await box.until(what, seen, limit_s)
    return found[-1]


def is_lit(rgb: bytes) -> bool:
    return any(rgb)


def is_dark(rgb: bytes) -> bool:
    return not any(rgb)


async def screens(box: OnAir, *, ended: bool = True) -> list[dict[str, Any]]:
    """As-run reports of whole stays, or of what came up, that wait to be sent, oldest first."""
    waiting = [json.loads(one.payload) for one in await box.store.outbox_next(1000)]
    return [one for one in waiting if one["kind"] == "screen" and one["ended"] is ended]


async def screen_of(box: OnAir, order: str, limit_s: float = 10, *, ended: bool = True) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + limit_s
    while not (found := [one for one in await screens(box, ended=ended) if one["order_id"] == order]):
        assert asyncio.get_running_loop().time() < deadline, f"no screen report of {order}"
        await asyncio.sleep(0.1)
    return found[0]


def worker(box: OnAir) -> int:
    """Process id of the board's worker."""
    client = engine(box)._client
    assert isinstance(client, BoardClient)
    assert client.pid is not None
    return client.pid


async def test_an_emergency_takes_the_board_with_the_horns_and_stays_after_the_sound(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        calm = await lit(box, is_lit, "the board is lit")
        parts = (await box.recording(600, 0.5),)
        asked = datetime.now(UTC)
        order = await box.emergency(parts=parts)
        await shows(box, "emergency")
        since = engine(box).view.since
        assert since is not None
        assert since - asked < S
        first = await box.record(order)  # the sound is over
        assert first.first_sound is not None
        assert abs((since - first.first_sound).total_seconds()) < 1
        await box.quiet()
        await asyncio.sleep(2)
        assert reason(box) == "emergency"
        assert picture(box) != calm
        begun = await screen_of(box, order, ended=False)  # told at once: a power cut takes no proof along
        assert 0 < len(begun["thumbnail"]) <= 8 * 1024
        await box.cancel(order)
        await shows(box, "idle")
        told = await screen_of(box, order)
        assert told["first_shown"] == begun["first_shown"]
        assert told["board"] == "board"
        assert told["reason"] == "emergency"
        assert told["shown_s"] > 2


async def test_an_all_clear_is_shown_after_a_cancel_that_carries_one(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        order = await box.emergency()
        await shows(box, "emergency")
        await box.cancel(order, all_clear=BulletinPart(title="Hết báo động", text="Nước đã rút."))
        await shows(box, "all_clear")
        assert engine(box).view.title == "Hết báo động"
        await box.restart()
        await shows(box, "all_clear")


async def test_an_emergency_is_on_the_board_again_after_a_power_cut(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        order = await box.emergency(minutes=10)
        await shows(box, "emergency")
        os.kill(worker(box), signal.SIGKILL)  # the worker gets no chance to make its board safe
        await box.restart()
        await shows(box, "emergency")
        look = engine(box).view.look
        assert look is not None
        assert [page.order_id for page in look.pages] == [order]


async def test_what_was_shown_until_an_ordered_stop_is_reported(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        order = await box.emergency(minutes=10)
        await shows(box, "emergency")
        await asyncio.sleep(1)
        await box.restart()
        told = await screen_of(box, order)
        assert told["reason"] == "emergency"
        assert 0.9 < told["shown_s"] < 10


async def test_an_agent_that_is_killed_in_an_emergency_shows_it_again_when_it_is_back(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        order = await box.emergency(minutes=10)
        await shows(box, "emergency")
        config = tmp_path / "config.toml"
        config.write_text(box.toml(), encoding="utf-8")
    for _ in range(2):  # the agent as a process of its own, killed the first time
        code = "import sys; from pathlib import Path; from agent.app import run_agent; run_agent(Path(sys.argv[1]))"
        agent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(config))
        try:
            page = await _page_of_running_agent(box.folder / "run" / "loa.sock", "emergency")
            assert page.startswith(order)
            await lit(box, is_lit, "the board is lit")
        finally:
            agent.kill()
            await agent.wait()


async def _page_of_running_agent(path: Path, wanted: str, limit_s: float = 30) -> str:
    deadline = asyncio.get_running_loop().time() + limit_s
    while True:
        board: dict[str, Any] = {}
        with contextlib.suppress(AgentUnreachableError):
            board = (await asyncio.to_thread(ask, path, "/boards"))["boards"][0]
        if board.get("reason") == wanted and board.get("page"):
            return str(board["page"])
        assert asyncio.get_running_loop().time() < deadline, f"no {wanted}: {board}"
        await asyncio.sleep(0.1)


async def test_a_bulletin_on_air_is_on_the_board_with_its_text(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        order = await box.bulletin(parts=(BulletinPart(title="Họp thôn", text="Mời bà con họp lúc 19 giờ."),))
        await shows(box, "bulletin")
        look = engine(box).view.look
        assert look is not None
        assert [(page.title, page.text) for page in look.pages] == [
            ("Họp thôn", "Mời bà con họp lúc 19 giờ.")
        ]
        await box.record(order)
        await shows(box, "idle")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_that_dies_or_hangs_while_a_horn_sounds_costs_no_sound_and_is_replaced(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with box_with_board(tmp_path) as box:
        start = box.programme("Chương trình", soon(2), await box.tone(500, 12))
        await box.sounding("Chương trình")
        await shows(box, "bulletin")
        await asyncio.sleep(1)
        before, struck = worker(box), asyncio.get_running_loop().time()
        os.kill(before, how)
        await box.until(
            "another worker shows the bulletin",
            lambda: (
                engine(box)._client is not None
                and worker(box) != before
                and reason(box) == "bulletin"
                and bool(engine(box).view.page)
            ),
            10,
        )
        took_s = asyncio.get_running_loop().time() - struck
        assert took_s <= 2.0
        await box.record("Chương trình")
        heard = box.heard()
        assert heard.sounding_ms(start + 0.5 * S, start + 11.5 * S) >= 10_990  # no gap


async def test_a_board_that_lost_its_power_is_painted_again(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        before = await lit(box, is_lit, "the board is lit")
        del before
        box.break_(board_power_lost=True)
        await asyncio.sleep(0.5)
        box.break_()
        await lit(box, is_lit, "the board is lit again", 15)


async def test_what_somebody_else_puts_on_a_board_is_told_and_painted_over(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        box.break_(board_changed=True)
        await box.until("it is told", lambda: "TL-602" in box.issues, 30)


async def test_a_board_that_does_not_answer_is_an_issue_and_comes_back(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        box.break_(board_missing=True)
        await box.until("it is told", lambda: "TL-601" in box.issues, 30)
        box.break_()
        await box.until("it is cleared", lambda: "TL-601" not in box.issues, 30)
        await shows(box, "idle")


async def test_a_board_is_dark_at_its_hours_and_an_emergency_lights_it(tmp_path: Path) -> None:
    async with box_with_board(tmp_path, 'off_hours = [{ start = "00:00", end = "24:00" }]') as box:
        await shows(box, "off_hours")
        await lit(box, is_dark, "the board is dark")
        order = await box.emergency()
        await shows(box, "emergency")
        await lit(box, is_lit, "the board is lit")
        await box.cancel(order)
        await shows(box, "off_hours")
        await lit(box, is_dark, "the board is dark again")


async def takeover(box: OnAir, **fields: Any) -> str:
    return await box.give(Takeover(**box.order(COMMUNE, 10), **fields))


async def test_a_commercial_board_is_left_alone_until_taken_over_and_handed_back_as_it_was(
    tmp_path: Path,
) -> None:
    advert = tmp_path / "advert.png"
    advert.write_bytes(_png(192, 64, b"\x00\x80\x40"))
    option = f", commercial_picture = {json.dumps(str(advert))}"
    async with box_with_board(tmp_path, 'owner = "commercial"', option) as box:
        await shows(box, "handed_back")
        theirs = (box.folder / "board.png").read_bytes()
        await box.bulletin()
        await box.sounding("Tin ưu tiên")
        assert reason(box) == "handed_back"
        order = await takeover(box)
        await box.until("the board is taken", lambda: reason(box) not in ("", "handed_back"))
        await box.until("it is ours", lambda: (box.folder / "board.png").read_bytes() != theirs)
        await box.cancel(order)
        await shows(box, "handed_back")
        await box.until("it is theirs", lambda: (box.folder / "board.png").read_bytes() == theirs)
        assert [one["subject"] for one in await box.events("board_handed_back")] == [order]


async def test_an_emergency_takes_a_commercial_board_and_gives_it_back(tmp_path: Path) -> None:
    async with box_with_board(tmp_path, 'owner = "commercial"') as box:
        await shows(box, "handed_back")
        order = await box.emergency()
        await shows(box, "emergency")
        await box.cancel(order)
        await shows(box, "handed_back")


async def test_a_takeover_holds_over_a_restart_and_only_its_like_may_cancel_it(tmp_path: Path) -> None:
    async with box_with_board(tmp_path, 'owner = "commercial"\nemergency_takes = false') as box:
        order = await box.give(Takeover(**box.order(PROVINCIAL, 10)), PROVINCIAL)
        await shows(box, "idle")
        await box.cancel(order)  # by the commune
        await box.refusals(1)
        await box.restart()
        await shows(box, "idle")
        await box.cancel(order, by=PROVINCIAL)
        await shows(box, "handed_back")


async def test_pages_take_turns_and_a_page_for_another_board_is_not_shown(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        order = await box.desired(
            pages=(
                BoardPage(id="lich", title="Lịch tiếp dân", dwell_s=2),
                BoardPage(id="khac", title="Của bảng khác", dwell_s=2, boards=("market",)),
                BoardPage(id="vesinh", title="Ngày vệ sinh", dwell_s=2),
            )
        )
        await shows(box, "playlist")
        seen: set[str] = set()

        def both() -> bool:
            seen.add(engine(box).view.page)
            return {"lich", "vesinh"} <= seen

        await box.until("both pages", both, 15)
        assert "khac" not in seen
        await box.desired()
        await shows(box, "idle")
        assert (await screen_of(box, order))["reason"] == "playlist"


async def test_a_picture_that_comes_late_is_wanted_and_then_shown(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        file = tmp_path / "anh.png"
        file.write_bytes(_png(32, 32, b"\xff\x00\x00"))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        ref = FileRef(sha256=digest, size_bytes=file.stat().st_size, url="/device/v1/media/x")
        await box.desired(pages=(BoardPage(id="anh", title="Ảnh", picture=ref),))
        await shows(box, "playlist")
        await box.until(
            "the picture is wanted",
            lambda: digest in {one.media.sha256 for one in box.box.order_media.needed()},
        )
        await box.box.media.take_in(file)
        box.box.boards.touch()
        red = await lit(box, lambda rgb: b"\xff\x00\x00" * 8 in rgb, "the picture is on the board", 10)
        assert is_lit(red)


def _png(width: int, height: int, colour: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    shape = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + colour * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_technicians_pattern_yields_to_an_emergency(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await box.box.boards.pattern("board", "white", 5, "local:thu")
        await shows(box, "pattern")
        await lit(box, lambda rgb: rgb.count(WHITE) > 192 * 60, "all white")
        order = await box.emergency()
        await shows(box, "emergency")
        await box.cancel(order)
        await shows(box, "pattern")
        await box.box.boards.end_pattern("board", "local:thu")
        await shows(box, "idle")


async def test_jobs_paint_a_pattern_and_fetch_what_is_shown(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        await box.job("board_pattern", pattern="red", minutes=1)
        await shows(box, "pattern")
        await box.job("screenshot")
        await box.until("done", lambda: not box.box.jobs._open, 10)
        deadline = asyncio.get_running_loop().time() + 10
        found: list[dict[str, Any]] = []
        while not found:
            assert asyncio.get_running_loop().time() < deadline
            waiting = [json.loads(one.payload) for one in await box.store.outbox_next(1000)]
            found = [one for one in waiting if one["kind"] == "job" and "png" in one["result"]]
            await asyncio.sleep(0.05)
        assert found[0]["result"]["width_px"] == 192


async def test_dead_modules_are_remembered_and_told(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await box.box.boards.module("board", 2, 3, dead=True, by="local:thu")
        assert "TL-606" in box.issues
        await box.restart()
        assert "TL-606" in box.issues
        assert box.box.reports.health().boards[0].dead_modules == ("2/3",)
        await box.box.boards.module("board", 2, 3, dead=False, by="local:thu")
        assert "TL-606" not in box.issues


async def test_a_box_without_a_horn_shows_emergencies_and_bulletins(tmp_path: Path) -> None:
    async with box_with_board(tmp_path, zones=()) as box:
        await shows(box, "idle")
        await box.bulletin()
        await shows(box, "bulletin")
        order = await box.emergency()
        await shows(box, "emergency")
        await box.cancel(order)
        await shows(box, "bulletin")


async def loa(box: OnAir, *words: str) -> tuple[int, str]:
    """`loa board ...` as a technician types it: exit status and what it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "import sys; from agent.cli.main import main; sys.exit(main(sys.argv[1:]))"),
        *("board", "--socket", str(box.folder / "run" / "loa.sock"), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "LOA_LANG": "en"},
    )
    said, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, said.decode()


async def test_a_technician_does_it_all_by_loa_board(tmp_path: Path) -> None:
    async with box_with_board(tmp_path) as box:
        await shows(box, "idle")
        status, said = await loa(box, "info")
        assert (status, "192 × 64 px" in said) == (0, True)
        status, said = await loa(box, "pattern", "white", "--minutes", "2")
        assert (status, "white until" in said) == (0, True)
        await shows(box, "pattern")
        await lit(box, lambda rgb: rgb.count(WHITE) > 192 * 60, "all white")
        out = tmp_path / "shot.png"
        status, said = await loa(box, "screenshot", "--out", str(out))
        assert (status, out.read_bytes()[:4]) == (0, b"\x89PNG")
        assert (await loa(box, "pattern", "off"))[0] == 0
        await shows(box, "idle")
        status, said = await loa(box, "module", "3", "4", "dead")
        assert (status, "3/4" in said) == (0, True)
        status, said = await loa(box, "info", "--board", "absent", "--json")
        assert json.loads(said)["boards"] == []
        status, said = await loa(box, "pattern", "red", "--board", "absent")
        assert (status, "no such board" in said) == (3, True)
