"""The local API over a real Unix socket, and `loa` talking to it."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.cli.client import AgentUnreachableError, ask
from agent.cli.main import main
from agent.errors import StoreError
from agent.field import server as server_module
from agent.field.server import FieldServer, FieldSocketError
from agent.field.views import to_json
from tests.unit.field.builders import StillBox, a_status


@asynccontextmanager
async def serving(box: StillBox, folder: Path) -> AsyncIterator[Path]:
    """A field server that runs inside the block."""
    server = FieldServer(box, folder)
    task = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(20):
            while not task.done():
                try:
                    _, writer = await asyncio.open_unix_connection(str(server.path))
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        if task.done():
            await task
        yield server.path
    finally:
        task.cancel()
        await asyncio.wait([task])


async def get(path: Path, target: str) -> dict[str, Any]:
    return await asyncio.to_thread(ask, path, target)


async def test_status_plan_play_log_and_version_are_answered(tmp_path: Path) -> None:
    box = StillBox()
    async with serving(box, tmp_path / "run") as path:
        assert await get(path, "/status") == to_json(a_status())
        assert (await get(path, "/plan?hours=6"))["hours"] == 6
        log = await get(path, "/play-log?limit=2")
        assert log["timezone"] == "Asia/Ho_Chi_Minh"
        assert len(log["entries"]) == 2
        assert await get(path, "/version") == {"version": "0.1.0", "api": 1}
    assert box.asked == [("plan", 6.0), ("play_log", 2)]


async def test_only_owner_and_group_may_talk_and_the_socket_goes_with_the_server(tmp_path: Path) -> None:
    async with serving(StillBox(), tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


@pytest.mark.parametrize(
    "target",
    [
        "/plan?hours=0",
        "/plan?hours=337",
        "/plan?hours=nan",
        "/plan?hours=x",
        "/play-log?limit=0",
        "/play-log?limit=501",
        "/play-log?limit=1.5",
    ],
)
async def test_a_query_out_of_range_is_refused(tmp_path: Path, target: str) -> None:
    box = StillBox()
    async with serving(box, tmp_path) as path:
        with pytest.raises(AgentUnreachableError, match="must be"):
            await get(path, target)
    assert box.asked == []


async def test_an_unknown_path_is_not_found(tmp_path: Path) -> None:
    async with serving(StillBox(), tmp_path) as path:
        with pytest.raises(AgentUnreachableError, match="404"):
            await get(path, "/reboot")


async def test_a_broken_store_is_told_and_the_status_still_answers(tmp_path: Path) -> None:
    box = StillBox()
    box.error = StoreError("disk I/O error")
    async with serving(box, tmp_path) as path:
        with pytest.raises(AgentUnreachableError, match="disk I/O error"):
            await get(path, "/play-log")
        assert (await get(path, "/status"))["device"] == "box-0001"


async def test_an_answer_that_never_comes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(StillBox):
        async def plan(self, hours: float) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.05)
    async with serving(Stuck(), tmp_path) as path:
        with pytest.raises(AgentUnreachableError, match="no answer within"):
            await get(path, "/plan")


async def test_the_socket_of_a_dead_agent_is_replaced(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "loa.sock"))
    dead.close()
    async with serving(StillBox(), tmp_path) as path:
        assert (await get(path, "/version"))["version"] == "0.1.0"


async def test_the_socket_of_a_living_agent_is_not_stolen(tmp_path: Path) -> None:
    async with serving(StillBox(), tmp_path) as path:
        with pytest.raises(FieldSocketError, match="another agent is running"):
            await FieldServer(StillBox(), tmp_path).run()
        assert (await get(path, "/version"))["version"] == "0.1.0"


async def test_a_file_that_is_not_a_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "loa.sock").write_text("letters", encoding="utf-8")
    with pytest.raises(FieldSocketError, match="not a socket"):
        await FieldServer(StillBox(), tmp_path).run()
    assert (tmp_path / "loa.sock").read_text(encoding="utf-8") == "letters"


async def test_a_path_too_long_for_a_socket_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(FieldSocketError, match="too long"):
        await FieldServer(StillBox(), tmp_path / ("x" * 120)).run()


async def loa(*words: str) -> int:
    return await asyncio.to_thread(main, words)


async def test_loa_status_finds_the_socket_through_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[box]\nruntime_dir = '{tmp_path / 'run'}'\n", encoding="utf-8")
    async with serving(StillBox(), tmp_path / "run"):
        assert await loa("status", "--config", str(config)) == 0
        shown = capsys.readouterr().out
        assert "Loa thôn Đông · box-0001" in shown
        assert "TL-513" in shown
        assert await loa("status", "--config", str(config), "--json") == 0
        assert json.loads(capsys.readouterr().out) == to_json(a_status())


async def test_loa_plan_and_play_log_pass_their_limits_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = StillBox()
    async with serving(box, tmp_path) as path:
        assert await loa("plan", "--socket", str(path), "--hours", "3") == 0
        assert await loa("play-log", "--socket", str(path), "--limit", "2", "--lang", "en") == 0
    assert box.asked == [("plan", 3.0), ("play_log", 2)]
    assert "heard" in capsys.readouterr().out


async def test_loa_says_when_the_box_cannot_answer_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = StillBox()
    box.error = StoreError("disk I/O error")
    async with serving(box, tmp_path) as path:
        assert await loa("play-log", "--socket", str(path)) == 1
    assert "Cụm loa chưa trả lời được: disk I/O error" in capsys.readouterr().err


async def test_a_second_simulated_box_in_the_same_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(StillBox(), tmp_path / "run"):
        assert await loa("simulate", "--dir", str(tmp_path)) == 1
    assert "đang chạy trong thư mục này" in capsys.readouterr().err
