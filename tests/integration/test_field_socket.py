"""The local API over a real Unix socket, and `loa` talking to it."""

from __future__ import annotations

import asyncio
import getpass
import json
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.cli.client import AgentRefusedError, AgentUnreachableError, ask, send, stream
from agent.cli.main import main
from agent.errors import StoreError
from agent.field import hands
from agent.field import server as server_module
from agent.field.controls import Busy, BusyCause, ControlRefusedError, Sample
from agent.field.selftest import SelfTest
from agent.field.server import FieldServer, FieldSocketError
from agent.field.views import to_json
from tests.unit.field.builders import StillBox, a_status, a_why
from tests.unit.field.doubles import NOW, FakeBench, FakeControls


@asynccontextmanager
async def serving(
    box: StillBox,
    folder: Path,
    controls: FakeControls | None = None,
    bench: FakeBench | None = None,
) -> AsyncIterator[Path]:
    """A field server that runs inside the block."""
    self_test = SelfTest(bench or FakeBench(), place="Loa thôn Đông", every_s=0.005, off_wait_s=0.01)
    server = FieldServer(box, folder, controls, self_test)
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


# --- what changes something ----------------------------------------------------------------------

ME = f"local:{getpass.getuser()}"


async def ask_for(path: Path, method: str, target: str, body: object) -> dict[str, Any]:
    return await asyncio.to_thread(send, path, method, target, body)


async def test_why_is_answered_and_told_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(StillBox(), tmp_path) as path:
        assert await get(path, "/why") == to_json(a_why())
        assert await loa("why", "--socket", str(path), "--zone", "main") == 0
        shown = capsys.readouterr().out
        assert "ĐANG PHÁT: Báo động lũ (khẩn cấp)" in shown
        assert "east" not in shown
        assert await loa("why", "--socket", str(path), "--zone", "west") == 2
        assert "chỉ có: main, east" in capsys.readouterr().err.replace("\n", " ")


async def test_a_safety_stop_is_audited_with_the_user_the_kernel_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controls = FakeControls(("main", "east"))
    async with serving(StillBox(), tmp_path, controls) as path:
        assert await loa("safety", "stop", "--minutes", "45", "--socket", str(path)) == 0
        shown = capsys.readouterr().out.replace("\n", " ")
        assert "ĐÃ KHÓA AN TOÀN vùng phát main, east" in shown
        assert "đến 05:35 23/11" in shown
        assert await loa("safety", "release", "--zone", "east", "--socket", str(path)) == 0
        assert await loa("safety", "status", "--socket", str(path)) == 0
    assert controls.done == [
        ("safety_stop", ("main", "east"), 45, ME),
        ("safety_release", ("east",), ME),
    ]
    assert "Vùng phát east: đang khóa an toàn đến 05:35 23/11" in capsys.readouterr().out


async def test_each_control_reaches_its_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    controls = FakeControls(("main", "east"))
    async with serving(StillBox(), tmp_path, controls) as path:
        for line in (
            ["volume", "main", "-12.5"],
            ["stop", "--zone", "main"],
            ["next", "--zone", "east"],
            ["pause", "--minutes", "5", "--zone", "main"],
            ["resume"],
            ["reset-amplifier", "--zone", "east"],
        ):
            assert await loa(*line, "--socket", str(path)) == 0
        await ask_for(path, "POST", "/control", {"action": "restart_worker", "zone": "main"})
        await ask_for(path, "POST", "/control", {"action": "reboot"})
    assert controls.done == [
        ("set_volume", "main", -12.5, ME),
        ("stop", "main", ME),
        ("next", "east", ME),
        ("pause", "main", 5, ME),
        ("resume", "main", ME),
        ("resume", "east", ME),
        ("reset_amplifier", "east", ME),
        ("restart_worker", "main", ME),
        ("reboot", ME),
    ]
    shown = capsys.readouterr().out
    assert "Vùng phát main: âm lượng −12,5 dB" in shown
    assert "đã dừng “Bản tin sáng”" in shown


async def test_stopping_where_nothing_is_on_air_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controls = FakeControls()
    controls.title = ""
    async with serving(StillBox(), tmp_path, controls) as path:
        assert await loa("stop", "--socket", str(path)) == 0
    assert "không có gì đang phát" in capsys.readouterr().out


async def test_the_order_of_priorities_is_shown_and_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controls = FakeControls()
    async with serving(StillBox(), tmp_path, controls) as path:
        assert await loa("priority", "--socket", str(path)) == 0
        shown = capsys.readouterr().out
        assert shown.index("Tiêm chủng") < shown.index("Họp thôn")
        assert await loa("priority", "p2", "p1", "--socket", str(path)) == 0
        shown = capsys.readouterr().out
        assert shown.index("Họp thôn") < shown.index("Tiêm chủng")
        assert await loa("priority", "p9", "--socket", str(path)) == 3
    assert controls.done == [("priority", ("p2", "p1"), ME)]
    assert "ids[0]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "target", "body", "field"),
    [
        ("POST", "/safety", {"action": "stop", "hours": 3}, "hours"),
        ("POST", "/safety", {"action": "stop", "zones": ["west"]}, "zones"),
        ("POST", "/control", {"action": "volume", "zone": "main", "volume_db": 40}, "volume_db"),
        ("PUT", "/priorities", {"ids": ["nope"]}, "ids[0]"),
        ("POST", "/test", {"kind": "tone", "zone": "west"}, "zone"),
    ],
)
async def test_a_wrong_request_is_refused_by_field_and_changes_nothing(
    tmp_path: Path, method: str, target: str, body: object, field: str
) -> None:
    controls, bench = FakeControls(), FakeBench()
    async with serving(StillBox(), tmp_path, controls, bench) as path:
        with pytest.raises(AgentRefusedError) as refused:
            await ask_for(path, method, target, body)
    assert refused.value.field == field
    assert (controls.done, bench.played) == ([], [])


async def test_a_body_too_large_is_refused(tmp_path: Path) -> None:
    controls = FakeControls()
    async with serving(StillBox(), tmp_path, controls) as path:
        with pytest.raises(AgentUnreachableError, match="exceeded"):
            await ask_for(path, "PUT", "/priorities", {"ids": ["p" * 60] * 1000})
        with pytest.raises(AgentRefusedError, match="not_json"):
            await ask_for(path, "POST", "/safety", ["stop"])
    assert controls.done == []


async def test_a_box_that_declines_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controls = FakeControls()
    controls.error = ControlRefusedError("safety_local", "set by button")
    async with serving(StillBox(), tmp_path, controls) as path:
        assert await loa("safety", "release", "--socket", str(path)) == 3
    assert "chỉ mở được tại loa" in capsys.readouterr().err.replace("\n", " ")


async def test_a_box_without_zones_can_only_be_read(tmp_path: Path) -> None:
    async with serving(StillBox(), tmp_path, None) as path:
        with pytest.raises(AgentUnreachableError, match="404"):
            await ask_for(path, "POST", "/safety", {"action": "stop"})


# --- on-site tests -------------------------------------------------------------------------------


async def test_a_test_tells_its_progress_and_ends_in_a_verdict(tmp_path: Path) -> None:
    bench = FakeBench()
    async with serving(StillBox(), tmp_path, FakeControls(), bench) as path:
        lines = await asyncio.to_thread(list, stream(path, "/test", {"kind": "line"}))
    assert lines[0]["progress"]["step"] == "listening_before"
    assert lines[-1]["result"]["outcome"] == "passed"
    assert bench.played[0][0] == "main"


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        ("tone", 0, "Thử loa: âm 1 kHz · main: ĐẠT"),
        ("speech", 0, "ĐẠT"),
        ("clock", 0, "Thử đồng hồ: ĐẠT"),
        ("mic", 2, "KHÔNG ĐO ĐƯỢC"),
        ("amp", 1, "Tăng âm báo lỗi"),
        ("line", 3, "CHƯA THỬ"),
    ],
)
async def test_loa_test_says_its_verdict_and_answers_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, status: int, told: str
) -> None:
    bench = FakeBench()
    if kind == "mic":
        bench.quiet, bench.loud = Sample(), Sample(output_rms_dbfs=-15.0)
    if kind == "amp":
        bench.loud = Sample(powered=True, fault=True)
    if kind == "line":
        bench.why_busy = Busy(BusyCause.ON_AIR, "Bản tin sáng", NOW)
    async with serving(StillBox(), tmp_path, FakeControls(), bench) as path:
        assert await loa("test", kind, "--socket", str(path)) == status
        shown = capsys.readouterr().out
        assert told in shown
        assert await loa("test", kind, "--json", "--socket", str(path)) == status
    assert json.loads(capsys.readouterr().out)["kind"] == kind
    if kind == "line":
        assert "(Bản tin sáng)" in shown
        assert "Thử lại sau 05:05:00" in shown.replace("\n", " ")


async def test_a_test_that_cannot_be_run_is_an_error_and_not_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = FakeBench()
    bench.error = StoreError("disk I/O error")
    async with serving(StillBox(), tmp_path, FakeControls(), bench) as path:
        assert await loa("test", "tone", "--socket", str(path)) == 1
    assert "disk I/O error" in capsys.readouterr().err


async def test_a_test_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hands, "TEST_TIMEOUT_S", 0.1)
    bench = FakeBench()
    bench.length_s = 3600
    async with serving(StillBox(), tmp_path, FakeControls(), bench) as path:
        assert await loa("test", "tone", "--socket", str(path)) == 1
    assert bench.cancelled


async def test_the_tone_ends_when_the_technician_gives_up(tmp_path: Path) -> None:
    bench = FakeBench()
    bench.length_s = 3600
    async with serving(StillBox(), tmp_path, FakeControls(), bench) as path:
        program = "import sys; from agent.cli.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, "test", "tone", "--socket", str(path)]
        caller = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            async with asyncio.timeout(30):
                while not bench.played:
                    await asyncio.sleep(0.02)
                caller.kill()
                while not bench.cancelled:
                    await asyncio.sleep(0.02)
        finally:
            caller.kill()
            await asyncio.to_thread(caller.wait)
        assert (await get(path, "/version"))["api"] == 1
