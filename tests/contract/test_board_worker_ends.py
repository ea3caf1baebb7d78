"""How a board worker ends, and what its agent makes of strange answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import replace
from datetime import time as daytime
from pathlib import Path

import pytest

from agent.signage.brightness import Plan, Step
from agent.signage.client import BoardClient, open_worker
from drivers.api import DeviceUnavailableError
from tests.contract.test_board_worker import FACTS, labels, look, page, running, setup


async def _slow_board(box: Path) -> None:
    (box / "faults.toml").write_text("board_slow = true\n")
    await asyncio.sleep(0.3)


async def test_a_slow_card_gets_its_safe_screen_when_the_agent_stops(tmp_path: Path) -> None:
    async with open_worker("bảng", setup(tmp_path)) as client:
        await client.look(1, look(page()), FACTS, {})
        await asyncio.sleep(0.3)
        await _slow_board(tmp_path)
    assert labels(tmp_path)[-1] == "safe"


async def test_a_slow_card_gets_its_safe_screen_on_sigterm(tmp_path: Path) -> None:
    async with running(setup(tmp_path)) as board:
        await board.client.look(1, look(page()), FACTS, {})
        await asyncio.sleep(0.3)
        await _slow_board(tmp_path)
        pid = board.client.pid or 0
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(3):
            await board.lost.wait()
        assert labels(tmp_path)[-1] != "safe", "told before it is safe, so that nobody kills it meanwhile"
        async with asyncio.timeout(9):
            while Path(f"/proc/{pid}").exists() and labels(tmp_path)[-1] != "safe":
                await asyncio.sleep(0.05)
    assert labels(tmp_path)[-1] == "safe"


async def test_setting_the_clock_does_not_wait_for_a_slow_card(tmp_path: Path) -> None:
    wanted = replace(setup(tmp_path), brightness=Plan(1.0, steps=(Step(daytime(), 0.5),)))
    async with running(wanted) as board:
        await _slow_board(tmp_path)
        showing = asyncio.create_task(board.client.look(1, look(page()), FACTS, {}))
        await asyncio.sleep(0.2)
        began_s = time.monotonic()
        await board.client.set_clock(time.time_ns() - time.monotonic_ns(), known=False)
        assert time.monotonic() - began_s < 1.0
        (tmp_path / "faults.toml").unlink()
        await showing


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b"{}",
        b"5",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"ev":"strange"}',
        b'{"ev":"done"}',
        b'{"ev":"done","id":[]}',
        b'{"ev":"fatal"}',
        b'{"ev":"problem","page_id":1,"code":"x","detail":""}',
        b'{"ev":"shown","look":"1","page_id":"","number":0,"count":0,"sha256":"","at_ns":0,"thumbnail":""}',
        b'{"ev":"shown","look":1,"page_id":"","number":0,"count":0,"sha256":"","at_ns":0,"thumbnail":7}',
    ],
)
async def test_a_strange_line_loses_the_worker_and_nothing_else(line: bytes) -> None:
    client = BoardClient("bảng")
    client.on_line(line)
    with pytest.raises(DeviceUnavailableError):
        await anext(client.events())


@pytest.mark.parametrize("verb", ["status", "frames", "screenshot"])
@pytest.mark.parametrize("answer", [{}, {"status": 5, "frames": "x", "png": 5}, {"status": {"a": 1}}])
async def test_a_strange_answer_is_an_unavailable_board(verb: str, answer: dict[str, object]) -> None:
    client = BoardClient("bảng")
    asking = asyncio.create_task(getattr(client, verb)())
    await asyncio.sleep(0)
    client.on_line(json.dumps({"ev": "done", "id": 1, **answer}).encode())
    with pytest.raises(DeviceUnavailableError, match="strange"):
        await asking


async def test_a_player_dies_with_the_worker_that_started_it(tmp_path: Path) -> None:
    script = """
import subprocess, sys, time
from agent.signage.leash import leashed
child = subprocess.Popen(leashed(["/bin/sleep", "60"]), start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert worker.stdout is not None
    player = int(await worker.stdout.readline())
    async with asyncio.timeout(5):
        while b"sleep" not in Path(f"/proc/{player}/cmdline").read_bytes()[:12]:
            await asyncio.sleep(0.02)
    worker.kill()
    await worker.wait()
    async with asyncio.timeout(5):
        while _alive(player):
            await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
