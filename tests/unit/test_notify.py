from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from agent.lifecycle import Progress
from agent.systemd import Notifier, WatchdogFeeder
from tests.support.clock import FakeClock


def _manager(path: Path) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.setblocking(False)
    return manager


def _said(manager: socket.socket) -> list[str]:
    said = []
    with contextlib.suppress(BlockingIOError):
        while True:
            said.append(manager.recv(4096).decode())
    return said


def test_states_reach_the_service_manager(tmp_path: Path) -> None:
    with _manager(tmp_path / "notify") as manager:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).send(READY="1", STATUS="idle")
        assert _said(manager) == ["READY=1\nSTATUS=idle"]


def test_no_service_manager_is_no_error(tmp_path: Path) -> None:
    Notifier({}).send(READY="1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(READY="1")
    assert Notifier({}).watchdog_s == 0


async def test_watchdog_is_fed_only_while_every_watched_service_moves(tmp_path: Path) -> None:
    clock = FakeClock()
    with _manager(tmp_path / "notify") as manager:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        progress = Progress(clock)
        mark = progress.watch("zone main", 15)
        task = asyncio.create_task(WatchdogFeeder(notifier, progress, clock, lambda: "idle").run())
        await clock.pass_(12)
        assert _said(manager).count("WATCHDOG=1") == 2
        await clock.pass_(40)
        starved = _said(manager)
        mark()
        await clock.pass_(10)
        fed = _said(manager)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert starved.count("WATCHDOG=1") <= 1
    assert fed.count("WATCHDOG=1") == 1
