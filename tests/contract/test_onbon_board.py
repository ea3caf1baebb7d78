"""What the Onbon driver does beyond the contract of all boards: areas, time limits, refusals, reconnecting."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivers.api import (
    Board,
    BoardGeometry,
    CardTicker,
    Colours,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    DriverSetupError,
    Frame,
    TickerKind,
)
from drivers.board.onbon import codec
from drivers.board.onbon.board import OpenOnbonBoard, Plan
from drivers.board.onbon.codec import Family, Splitter
from drivers.board.onbon.driver import OnbonBoard
from drivers.board.onbon.emulated_network import CardServer
from drivers.board.onbon.emulator import OnbonCard
from drivers.board.onbon.link import Link, SerialLink, TcpLink, UdpLink
from tests.support.boards import corners, plain

LIMIT_S = 0.3
SIZE = BoardGeometry(64, 32)
RED = plain(SIZE, (255, 0, 0))
GREEN = plain(SIZE, (0, 255, 0))
AMBER = plain(SIZE, (255, 255, 0))
DARK = plain(SIZE, (0, 0, 0))
UPDATE, DELETE = (0xA7, 0x00), (0xA7, 0x01)


class Clock:
    """Seconds of the emulated card."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """An emulated card of 64x32 px, two colours, that can be reached by TCP."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.card = OnbonCard("6e", 64, 32, "dual", clock=self.clock)
        self.server = CardServer(self.card)

    def driver(
        self, blank_after_s: int = 120, family: Family | None = Family.BX6E, size: BoardGeometry = SIZE
    ) -> OnbonBoard:
        plan = Plan(size, family=family, blank_after_s=blank_after_s)
        return OnbonBoard("sign", plan, lambda: TcpLink("sign", "127.0.0.1", self.server.tcp_port, LIMIT_S))

    def shows(self, frame: Frame) -> bool:
        return self.card.render() == frame.rgb

    def count(self, request: tuple[int, int]) -> int:
        return self.card.requests.count(request)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.card.programs[b"P000"] = GREEN.rgb
    await made.server.listen_tcp()
    yield made
    await made.server.close()


def ticker(width: int = 200, y: int = 8, height: int = 16, speed: float = 100.0) -> CardTicker:
    return CardTicker(corners(BoardGeometry(width, height)), y, speed)


async def test_the_card_blanks_by_itself_when_the_box_falls_silent(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        assert world.card.areas[0].run_mode == 2
        world.clock.now_s += 119
        assert world.shows(RED)
        world.clock.now_s += 2
        assert world.shows(GREEN)  # what is in its flash


async def test_the_card_shows_the_safe_screen_by_itself_when_the_box_falls_silent(world: World) -> None:
    async with world.driver().open() as board:
        await board.set_safe(AMBER)
        await board.show(RED, "red", ticker())
        assert {area.run_mode for area in world.card.areas.values()} == {3}
        assert not world.shows(AMBER)
        world.clock.now_s += 121
        assert world.shows(AMBER)


async def test_without_a_limit_the_card_keeps_the_picture(world: World) -> None:
    async with world.driver(blank_after_s=0).open() as board:
        await board.show(RED, "red")
        world.clock.now_s += 1e6
        assert world.shows(RED)


async def test_asking_for_status_refreshes_the_picture_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.driver(blank_after_s=10).open() as board:
        await board.show(RED, "red")
        sent = world.count(UPDATE)
        await board.status()
        assert world.count(UPDATE) == sent
        began = time.monotonic()
        monkeypatch.setattr("drivers.board.onbon.board.time.monotonic", lambda: began + 6)
        world.clock.now_s += 6
        assert not (await board.status()).lost
        assert world.count(UPDATE) == sent + 1
        world.clock.now_s += 6
        assert world.shows(RED)


async def test_a_ticker_lies_in_its_band_and_moves_left_at_the_cards_speed(world: World) -> None:
    strip = ticker()
    async with world.driver().open() as board:
        assert board.abilities.ticker is TickerKind.CARD
        await board.show(RED, "red", strip)
        rows = world.card.render()
        assert rows[: 8 * 192] == RED.rgb[: 8 * 192]
        assert rows[24 * 192 :] == RED.rgb[24 * 192 :]
        assert not any(rows[8 * 192 : 24 * 192])
        world.clock.now_s += 0.645  # 64 px at 100 px/s: the whole band is filled
        seen = world.card.render()[8 * 192 : 9 * 192]
        first = strip.strip.rgb[: 64 * 3]
        assert bytes(seen[at] for at in range(0, 192, 3)) == bytes(
            255 if first[at] or (first[at + 2] and not first[at + 1]) else 0 for at in range(0, 192, 3)
        )


async def test_a_ticker_on_its_way_does_not_begin_anew_when_the_picture_changes(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red", ticker())
        before = world.card.areas[1].since_s
        world.clock.now_s += 1
        await board.show(AMBER, "amber", ticker())
        assert world.card.areas[1].since_s == before
        assert world.card.render()[: 8 * 192] == AMBER.rgb[: 8 * 192]
        await board.show(AMBER, "amber", ticker(width=220))
        assert world.card.areas[1].since_s > before


@pytest.mark.parametrize("bands", [(8, 0), (0, 16), (16, 8), (0, 0)])
async def test_bands_may_move_and_areas_never_overlap_meanwhile(world: World, bands: tuple[int, int]) -> None:
    async with world.driver().open() as board:
        for y in bands:
            await board.show(RED, "red", ticker(y=y))
        await board.show(RED, "red", ticker(y=0, height=32))
        await board.show(RED, "red")
        assert world.shows(RED)
        assert world.card.complaints == []


async def test_the_flash_programs_never_show_between_two_pictures(world: World) -> None:
    seen: list[bytes] = []
    settle = world.card._do

    def watched(group: int, command: int, data: bytes) -> None:
        settle(group, command, data)
        seen.append(world.card.render())

    async with world.driver().open() as board:
        await board.show(RED, "red")
        world.card._do = watched  # type: ignore[method-assign]
        for y, height in ((8, 16), (0, 0), (0, 32), (16, 16), (0, 0)):
            strip = plain(BoardGeometry(100, height), (255, 0, 0))
            await board.show(RED, "red", CardTicker(strip, y) if height else None)
    assert len(seen) > 10
    green = [rgb[at : at + 3] == b"\0\xff\0" for rgb in seen for at in range(0, len(rgb), 3)]
    assert not any(green)


async def test_one_area_refused_takes_all_away_and_tries_once_more(world: World) -> None:
    world.card.faults.refused_areas[2] = 1
    async with world.driver().open() as board:
        await board.show(RED, "red", ticker())
        assert len(world.card.areas) == 3
        assert world.count(DELETE) == 1
        assert world.count(UPDATE) == 6


async def test_an_area_refused_twice_is_an_error_and_the_next_picture_is_whole(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.refused_areas[1] = 2
        with pytest.raises(DeviceRefusedError, match="error 4, out of memory"):
            await board.show(RED, "red", ticker())
        assert (await board.status()).lost
        await board.show(AMBER, "amber")
        assert world.shows(AMBER)
        assert not (await board.status()).lost


async def test_a_foreign_area_in_the_way_is_taken_away(world: World) -> None:
    other = World()
    other.card = world.card
    async with world.driver().open() as board:
        await board.show(RED, "red")
        world.card.areas[3] = world.card.areas.pop(0)
        world.card.areas[3].number = 3
        await board.show(AMBER, "amber")
        assert world.shows(AMBER)
        assert set(world.card.areas) == {0}


@pytest.mark.parametrize("busy", [1, 3])
async def test_a_busy_card_is_asked_again(world: World, busy: int) -> None:
    async with world.driver().open() as board:
        world.card.faults.busy = busy
        await board.show(RED, "red")
        assert world.shows(RED)
        assert world.count(UPDATE) == busy + 1


async def test_a_card_that_stays_busy_is_unavailable_in_bounded_time(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.busy = 1_000_000
        began = time.monotonic()
        with pytest.raises(DeviceUnavailableError, match="busy, asked 4 times"):
            await board.show(RED, "red")
        assert time.monotonic() - began < 2
        world.card.faults.busy = 0
        await board.show(RED, "red")
        assert world.shows(RED)


async def test_a_connection_dropped_in_the_middle_is_made_again_at_once(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(AMBER, "amber")
        world.card.faults.drop = 1
        await board.show(RED, "red")
        assert world.shows(RED)
        assert not (await board.status()).lost


async def test_after_every_reconnection_the_picture_counts_as_lost(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        world.server.reset()
        await asyncio.sleep(0.01)
        assert (await board.status()).lost
        await board.show(RED, "red")
        assert not (await board.status()).lost


async def test_a_reply_with_a_wrong_check_is_a_protocol_error_and_the_next_call_works(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.bad_check = 1
        with pytest.raises(DeviceProtocolError, match="check"):
            await board.show(RED, "red")
        await board.show(RED, "red")
        assert world.shows(RED)


async def test_a_late_reply_is_not_taken_for_that_of_the_next_question(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.late_s = 1.3 * LIMIT_S
        with pytest.raises(DeviceUnavailableError, match=r"no answer within 0\.3 s"):
            await board.show(RED, "red")
        world.card.faults.late_s = 0
        world.card.faults.nack = 10
        with pytest.raises(DeviceRefusedError):
            await board.show(AMBER, "amber")


async def test_an_answer_cut_at_any_byte_is_an_error_at_once_and_never_a_wrong_answer() -> None:
    whole = OnbonCard("6e", 64, 32, "dual").answer(codec.ping(codec.Header.C6).encode()[8:-1])
    assert whole is not None
    asked, cuts = 0, [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\x5a")
        writer.write(whole[: cuts[0]])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for cuts[0] in range(0, len(whole), 5):
        link = TcpLink("sign", "127.0.0.1", port, LIMIT_S)
        began = time.monotonic()
        with pytest.raises(DeviceUnavailableError):
            await OpenOnbonBoard("sign", link, Plan(SIZE, family=Family.BX6E)).attach()
        assert time.monotonic() - began < LIMIT_S
    server.close()
    await server.wait_closed()
    assert asked == 2 * len(range(0, len(whole), 5))


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.booleans())
def test_whatever_a_card_answers_the_driver_raises_its_own_errors_only(
    answers: list[bytes], framed: bool
) -> None:
    class Babble(Link):
        async def _open(self) -> None:
            return

        async def _exchange(self, question: bytes) -> bytes:
            data = answers[self.asked % len(answers)]
            self.asked += 1
            found = Splitter().feed(b"\xa5" + data + b"\x5a")
            return data if framed or not found else found[0]

        def _close(self) -> None:
            return

        asked = 0

    async def use() -> None:
        link = Babble("sign", LIMIT_S)
        board = OpenOnbonBoard("sign", link, Plan(SIZE))
        for call in (board.attach(), board.show(RED, "red"), board.status(), board.hand_back()):
            with contextlib.suppress(DriverError):
                await call
        await board.leave()
        assert 0 < link.asked < 40

    asyncio.run(use())


async def test_a_picture_too_large_for_a_datagram_is_refused_with_the_way_out(world: World) -> None:
    await world.server.listen_udp()
    world.card.become("6q", 512, 128, "full")
    size = BoardGeometry(512, 128)
    driver = OnbonBoard(
        "sign", Plan(size), lambda: UdpLink("sign", "127.0.0.1", world.server.udp_port, LIMIT_S)
    )
    async with driver.open() as board:
        with pytest.raises(DeviceRefusedError, match="use tcp"):
            await board.show(plain(size, (255, 0, 0)), "red")


async def test_cancelled_while_waiting_for_an_answer_the_next_call_gets_its_own(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.late_s = 0.2
        task = asyncio.create_task(board.show(RED, "red"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.card.faults.late_s = 0
        assert (await board.status()).model == "BX-6E2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("on", "switched off"),
        ("programs", "programs instead of"),
    ],
)
async def test_what_somebody_else_changed_is_named_and_undone(world: World, change: str, words: str) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        if change == "programs":
            world.card.load_program(b"P001", AMBER.rgb)
        else:
            setattr(world.card, change, not getattr(world.card, change))
        status = await board.status()
        assert status.foreign
        assert words in status.detail
        assert (await board.status()).foreign
        await board.show(RED, "red")
        assert world.shows(RED)
        assert not (await board.status()).foreign


async def test_handing_back_restores_brightness_and_switch(world: World) -> None:
    world.card.on = False
    world.card.brightness_mode, world.card.brightness = 0, [4] * 48
    async with world.driver().open() as board:
        await board.show(RED, "red")
        lit = world.card.on
        await board.brightness(1.0)
        assert world.card.brightness == [15] * 48
        await board.hand_back()
        assert (lit, world.card.on) == (True, False)
        assert world.card.brightness == [4] * 48
        assert world.card.areas == {}
        asked = len(world.card.requests)
    assert len(world.card.requests) == asked


async def test_areas_of_an_agent_that_crashed_are_handed_back_too(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red", ticker())
        left = dict(world.card.areas)
    world.card.areas.update(left)
    async with world.driver().open() as board:
        await board.hand_back()
        assert world.shows(GREEN)


async def test_switched_off_it_stays_off_when_pictures_change_and_leaves_its_safe_screen_lit(
    world: World,
) -> None:
    async with world.driver().open() as board:
        await board.set_safe(AMBER)
        await board.show(RED, "red")
        await board.power(False)
        await board.show(RED, "red")
        assert world.shows(DARK)
        assert not world.card.on
    assert world.shows(AMBER)


async def test_the_safe_screen_left_behind_has_no_time_limit(world: World) -> None:
    async with world.driver().open() as board:
        await board.set_safe(AMBER)
        await board.show(RED, "red")
    world.clock.now_s += 1e6
    assert world.shows(AMBER)
    async with world.driver().open() as board:
        await board.show(RED, "red")
    world.clock.now_s += 1e6
    assert world.shows(DARK)


async def test_the_clock_of_the_card_is_set(world: World) -> None:
    async with world.driver().open() as board:
        assert isinstance(board, OpenOnbonBoard)
        await board.set_clock(datetime(2026, 11, 22, 1, 39, 26))  # noqa: DTZ001
    assert world.card.rtc.hex(" ") == "26 20 11 22 01 39 26 07"


@pytest.mark.parametrize(
    ("family", "width", "words"), [("6e", 32, "our part is 64x32"), ("6q", 64, "a 6e is configured")]
)
async def test_a_card_that_does_not_fit_the_configuration_is_refused(
    world: World, family: str, width: int, words: str
) -> None:
    world.card.become(family, width, 32, "full" if family == "6q" else "dual")
    with pytest.raises(DeviceRefusedError, match=words):
        await world.driver().open().__aenter__()
    assert world.count(UPDATE) == 0


async def test_a_card_of_the_other_generation_does_not_answer_a_configured_one(world: World) -> None:
    world.card.become("5e", 64, 32, "dual")
    with pytest.raises(DeviceUnavailableError):
        await world.driver().open().__aenter__()
    assert world.count(UPDATE) == 0


async def test_a_card_replaced_meanwhile_is_reported_and_not_painted(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        world.card.become("6e", 192, 64, "dual")
        world.server.reset()
        await asyncio.sleep(0.01)
        status = await board.status()
        assert (status.foreign, status.lost) == (True, True)
        assert "192x64" in status.detail
        asked = world.count(UPDATE)
        with pytest.raises(DeviceRefusedError, match="192x64"):
            await board.show(RED, "red")
        assert world.count(UPDATE) == asked


@pytest.mark.parametrize(
    ("family", "colours"), [("5e", Colours.MONO), ("6e", Colours.DUAL), ("6q", Colours.FULL)]
)
async def test_model_and_colours_are_learnt_from_the_card(
    world: World, family: str, colours: Colours
) -> None:
    world.card.become(family, 64, 32, colours.value)
    async with world.driver(family=None).open() as board:
        assert board.abilities.colours is colours
        assert board.abilities.ticker_max_px >= 64
        await board.show(RED, "red")
        assert world.shows(RED)
    assert world.card.complaints == []


async def test_a_board_on_a_serial_adapter_that_was_renumbered_is_found_by_its_name(tmp_path: Path) -> None:
    async with serial_card() as one, serial_card() as two:
        name = tmp_path / "usb-adapter"
        name.symlink_to(one.serial_port)
        driver = OnbonBoard(
            "sign", Plan(SIZE, family=Family.BX6E), lambda: SerialLink("sign", str(name), 57_600, LIMIT_S)
        )
        async with driver.open() as board:
            await board.show(RED, "red")
            assert one.card.render() == RED.rgb
            await one.unplug()
            name.unlink()
            with pytest.raises(DeviceUnavailableError):
                await board.show(AMBER, "amber")
            with pytest.raises(DeviceUnavailableError, match="usb-adapter"):
                await board.show(AMBER, "amber")
            name.symlink_to(two.serial_port)
            assert (await board.status()).lost
            await board.show(AMBER, "amber")
            assert two.card.render() == AMBER.rgb


async def test_cancelled_while_a_serial_card_is_silent_the_board_is_still_left_dark() -> None:
    async with serial_card() as server:
        driver = OnbonBoard(
            "sign",
            Plan(SIZE, family=Family.BX6E),
            lambda: SerialLink("sign", server.serial_port, 57_600, 1.5),
        )

        async def use() -> None:
            async with driver.open() as board:
                await board.show(RED, "red")
                server.card.faults.silent = 1
                await board.show(AMBER, "amber")

        task = asyncio.create_task(use())
        while server.card.render() != RED.rgb or server.card.faults.silent:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        assert server.card.render() == DARK.rgb


@asynccontextmanager
async def serial_card() -> AsyncIterator[CardServer]:
    server = CardServer(OnbonCard("6e", 64, 32, "dual"))
    server.listen_serial()
    try:
        yield server
    finally:
        await server.close()


@pytest.mark.parametrize(
    "options",
    [
        {"model": "5q"},
        {"transport": "radio"},
        {"transport": "serial"},
        {"transport": "serial", "port": "/dev/serial/by-id/x", "baud": 19_200},
        {"transport": "serial", "port": "/dev/serial/by-id/x", "host": "192.168.100.1"},
        {"host": "192.168.100.1", "baud": 9600},
        {"host": ""},
        {},
        {"host": "192.168.100.1", "port": 0},
        {"host": "192.168.100.1", "blank_after_s": 29},
        {"host": "192.168.100.1", "colours": "blue"},
        {"host": "192.168.100.1", "model": "6q", "colours": "mono"},
        {"transport": "serial", "port": "/dev/serial/by-id/x", "model": "6q"},
        {"host": "192.168.100.1", "x": -1},
        {"host": "192.168.100.1", "volume": 3},
        {"host": "192.168.100.1", "width_px": 4096},
    ],
    ids=str,
)
def test_a_bad_option_is_named_before_anything_is_sent(options: dict[str, object]) -> None:
    with pytest.raises(DriverSetupError, match="sign"):
        OnbonBoard.from_options("sign", {"width_px": 64, "height_px": 32, **options})


async def test_all_options_together_make_a_working_board(world: World) -> None:
    driver = OnbonBoard.from_options(
        "sign",
        {
            "width_px": 32, "height_px": 16, "x": 32, "y": 16, "model": "6e", "colours": "dual",
            "transport": "tcp", "host": "127.0.0.1", "port": world.server.tcp_port, "blank_after_s": 0,
            "ticker_step_ms": 5,
        },
    )  # fmt: skip
    async with driver.open() as board:
        await board.show(plain(BoardGeometry(32, 16), (255, 0, 0)), "red")
        area = world.card.areas[0]
        assert (area.x, area.y, area.width, area.height) == (32, 16, 32, 16)


async def test_the_emulator_runs_as_a_tool_and_draws_what_it_shows(tmp_path: Path, world: World) -> None:
    out = tmp_path / "board.png"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "drivers.board.onbon.emulator",
        "--port", "0", "--udp-port", "0", "--width", "64", "--height", "32", "--out", str(out),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
        port = int(line.split("tcp ")[1].split(",")[0])
        driver = OnbonBoard("sign", Plan(SIZE), lambda: TcpLink("sign", "127.0.0.1", port, 5.0))
        async with driver.open() as board:
            await board.show(RED, "red")
            await picture_is(out, RED)
        await picture_is(out, DARK)
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def picture_is(path: Path, frame: Frame) -> None:
    async with asyncio.timeout(10):
        while not path.exists() or Image.open(path).convert("RGB").tobytes() != frame.rgb:
            await asyncio.sleep(0.05)


async def test_boards_of_one_card_wait_for_each_other(world: World) -> None:
    async with world.driver().open() as board:
        await asyncio.gather(*(flip(board, number) for number in range(8)))
        assert world.card.complaints == []
        assert world.shows(RED) or world.shows(AMBER)


async def flip(board: Board, number: int) -> None:
    await board.show(AMBER if number % 2 else RED, "flip")
    await board.status()


async def test_a_ticker_older_than_its_picture_does_not_run_out_before_it_is_refreshed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Time:
        monotonic = world.clock

    for module in ("board", "painter"):
        monkeypatch.setattr(f"drivers.board.onbon.{module}.time", Time)
    async with world.driver().open() as board:
        await board.show(RED, "red", ticker())
        world.clock.now_s += 59
        await board.show(AMBER, "amber", ticker())
        for step_s in (4, *(5,) * 14):
            world.clock.now_s += step_s
            assert not any(world.card._stale(area, world.clock()) for area in world.card.areas.values())
            await board.status()


@pytest.mark.parametrize("what", ["screen", "program"])
async def test_what_somebody_locked_stays_a_fault_until_it_is_unlocked(world: World, what: str) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        setattr(world.card, f"{what}_locked", True)
        for _ in range(2):
            await board.show(AMBER, "amber")
            status = await board.status()
            assert status.foreign, "what is locked may show anything"
            assert status.detail == f"{what} locked"
        setattr(world.card, f"{what}_locked", False)
        await board.show(AMBER, "amber")
        assert not (await board.status()).foreign


async def test_after_handing_back_nothing_is_foreign(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
        world.card.load_program(b"P001", AMBER.rgb)
        assert (await board.status()).foreign
        await board.hand_back()
        assert not (await board.status()).foreign


async def test_half_a_picture_is_not_left_on_a_card_that_takes_no_more(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.refused_areas[1] = 2
        with pytest.raises(DeviceRefusedError):
            await board.show(RED, "red", ticker())
        assert world.card.areas == {}


async def test_without_a_connection_a_loss_of_power_is_unknown_and_not_denied(world: World) -> None:
    await world.server.listen_udp()
    link = UdpLink("sign", "127.0.0.1", world.server.udp_port, LIMIT_S)
    async with OnbonBoard("sign", Plan(SIZE), lambda: link).open() as board:
        await board.show(RED, "red")
        assert (await board.status()).lost is None


async def test_a_name_that_is_not_found_in_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    link = UdpLink("sign", "sign.example", 5007, LIMIT_S)
    async with asyncio.timeout(5):
        with pytest.raises(DeviceUnavailableError, match=r"within 0\.3 s"):
            await link.ask(b"")


async def test_an_answer_nobody_asked_for_is_not_taken_for_that_of_the_next_question() -> None:
    """Taken so, each command would be judged by the answer to the one before it, for ever."""
    card = OnbonCard("6e", 64, 32, "dual")
    nod = card._framed(bytes.fromhex("00a00000000000000000")[:9], 0xF0, b"")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                content = (await reader.readuntil(b"\x5a")).lstrip(b"\xa5")[:-1]
                writer.write(card.answer(content) or b"")
                await writer.drain()
                await asyncio.sleep(0.005)
                writer.write(nod)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]

    def connect() -> Link:
        return SlowLink("sign", "127.0.0.1", port, LIMIT_S)

    class SlowLink(TcpLink):
        async def _exchange(self, question: bytes) -> bytes:
            await asyncio.sleep(0.03)
            return await super()._exchange(question)

    async with server, OnbonBoard("sign", Plan(SIZE), connect).open() as board:
        await board.show(RED, "red")
        assert card.render() == RED.rgb
        assert not (await board.status()).lost
        card.faults.nack = 2
        with pytest.raises(DeviceRefusedError):
            await board.show(AMBER, "amber")
        await board.show(AMBER, "amber")
        assert card.render() == AMBER.rgb


async def test_a_card_that_tells_of_impossible_brightness_is_still_handed_back(world: World) -> None:
    world.card.brightness_mode, world.card.brightness = 9, [200] * 48
    async with world.driver().open() as board:
        assert (await board.status()).brightness == 1.0
        await board.show(RED, "red")
        await board.brightness(0.2)
        await board.hand_back()
        assert world.shows(GREEN)
        assert world.card.brightness == [15] * 48
