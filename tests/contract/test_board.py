"""What every board owes, over every driver and its emulator; see `tests/support/boards.py`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.api import (
    Board,
    BoardStatus,
    Canvas,
    CardTicker,
    Colours,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    Frame,
    TickerKind,
)
from tests.support.boards import (
    EXPECTED,
    Bench,
    BenchFactory,
    Fault,
    benches,
    corners,
    dark,
    gradient,
    is_dark,
    keeps,
    plain,
    settled,
)

RED = (255, 0, 0)
WHITE = (255, 255, 255)


@pytest.fixture(
    params=[
        pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.slow else []) for each in benches()
    ]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    factory: BenchFactory = request.param
    async with factory.make(tmp_path) as made:
        yield made


def needs(bench: Bench, fault: Fault) -> None:
    if fault not in bench.faults:
        pytest.skip(f"the emulator has no {fault.value}")


async def eventually_lost(board: Board, bench: Bench) -> BoardStatus:
    """Ask until the board says that its picture is lost, at most the bench's limit."""
    end = time.monotonic() + bench.limit_s
    while not (status := await board.status()).lost and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return status


def left(bench: Bench, safe: Frame) -> Frame:
    """What is on the board after leaving with a safe screen."""
    return bench.expected(safe) if keeps(bench) else dark(bench.geometry)


async def present_for_ever(canvas: Canvas, height_px: int) -> None:
    while True:
        await canvas.present(0, height_px)


async def test_it_shows_what_it_is_given(bench: Bench) -> None:
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        assert board.geometry == bench.geometry
        assert board.name
        await board.show(picture, "corners")
        assert bench.shown() == bench.expected(picture)
        assert not is_dark(bench.shown())


async def test_shades_are_kept_on_a_board_of_all_colours(bench: Bench) -> None:
    async with bench.driver().open() as board:
        if board.abilities.colours is not Colours.FULL:
            pytest.skip("a board of few colours")
        await board.show(gradient(bench.geometry), "gradient")
        assert bench.shown() == bench.expected(gradient(bench.geometry))


async def test_a_second_picture_replaces_all_of_the_first(bench: Bench) -> None:
    first, second = plain(bench.geometry, WHITE), corners(bench.geometry, 3)
    async with bench.driver().open() as board:
        await board.show(first, "white")
        assert bench.shown() == bench.expected(first)
        await board.show(second, "corners")
        assert bench.shown() == bench.expected(second)
        await board.show(dark(bench.geometry), "dark")
        assert is_dark(bench.shown())


async def test_a_picture_of_another_size_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    width, height = bench.geometry.width_px, bench.geometry.height_px
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        await board.show(picture, "corners")
        for wrong in (
            Frame(height, width + 1, bytes(3 * height * (width + 1))),
            Frame(width, height, bytes(10)),
            Frame(width, height, b""),
            Frame(width, height, bytes(3 * width * height + 3)),
        ):
            with pytest.raises(DeviceRefusedError):
                await board.show(wrong, "wrong")
        assert bench.shown() == bench.expected(picture)
        await board.show(plain(bench.geometry, RED), "and works on")
        assert bench.shown() == bench.expected(plain(bench.geometry, RED))


async def test_brightness_is_taken_and_bad_levels_do_not_break_it(bench: Bench) -> None:
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        for level in (0.0, 0.5, 1.0):
            await board.brightness(level)
            status = await board.status()
            if board.abilities.brightness and status.brightness is not None:
                assert status.brightness == pytest.approx(level, abs=0.15)
        assert bench.shown() == bench.expected(corners(bench.geometry))


async def test_setting_the_brightness_of_a_board_that_was_handed_back_shows_nothing_of_ours(
    bench: Bench,
) -> None:
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        await board.hand_back()
        after = bench.shown()
        await board.brightness(0.5)
        await board.status()
        assert bench.shown() == after
        await board.show(corners(bench.geometry), "corners")
        assert bench.shown() == bench.expected(corners(bench.geometry))


async def test_switched_off_it_is_dark_and_switched_on_it_shows_the_picture_again(bench: Bench) -> None:
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        await board.power(False)
        assert is_dark(bench.shown())
        await board.power(True)
        assert bench.shown() == bench.expected(corners(bench.geometry))


async def test_status_answers(bench: Bench) -> None:
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        status = await board.status()
        assert not status.lost
        assert not status.foreign


async def test_a_card_that_lost_power_says_so_and_is_painted_again(bench: Bench) -> None:
    needs(bench, Fault.POWER_LOSS)
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        await board.show(picture, "corners")
        await bench.inflict(Fault.POWER_LOSS)
        assert bench.shown() != bench.expected(picture)
        if board.abilities.reads_back:
            assert (await eventually_lost(board, bench)).lost
        end = time.monotonic() + bench.limit_s
        while bench.shown() != bench.expected(picture) and time.monotonic() < end:
            try:
                await board.show(picture, "corners")
            except DeviceUnavailableError:
                await asyncio.sleep(0.05)
        assert bench.shown() == bench.expected(picture)
        assert not (await board.status()).lost


async def test_a_foreign_picture_is_noticed_and_painted_over(bench: Bench) -> None:
    needs(bench, Fault.FOREIGN)
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        await board.show(picture, "corners")
        await bench.inflict(Fault.FOREIGN)
        if board.abilities.reads_back:
            assert (await board.status()).foreign
        await board.show(picture, "corners")
        assert bench.shown() == bench.expected(picture)
        assert not (await board.status()).foreign


async def test_a_card_of_another_model_is_noticed(bench: Bench) -> None:
    needs(bench, Fault.OTHER_MODEL)
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        before = await board.status()
        await bench.inflict(Fault.OTHER_MODEL)
        after: BoardStatus | None = None
        with contextlib.suppress(DriverError):
            after = await board.status()
        assert after != before


async def test_leaving_shows_the_safe_screen(bench: Bench) -> None:
    safe = corners(bench.geometry, 5)
    async with bench.driver().open() as board:
        await board.set_safe(safe)
        await board.show(plain(bench.geometry, RED), "red")
        assert bench.shown() == bench.expected(plain(bench.geometry, RED))
    assert bench.shown() == left(bench, safe)


async def test_leaving_without_a_safe_screen_is_dark(bench: Bench) -> None:
    async with bench.driver().open() as board:
        await board.set_safe(corners(bench.geometry))
        await board.show(plain(bench.geometry, RED), "red")
        await board.set_safe(None)
    assert is_dark(bench.shown())


async def test_a_failing_user_leaves_the_safe_screen(bench: Bench) -> None:
    safe = corners(bench.geometry, 2)

    async def user() -> None:
        async with bench.driver().open() as board:
            await board.set_safe(safe)
            await board.show(plain(bench.geometry, RED), "red")
            raise RuntimeError("user")

    with pytest.raises(RuntimeError, match="user"):
        await user()
    assert bench.shown() == left(bench, safe)


async def test_a_cancelled_user_leaves_the_board_dark(bench: Bench) -> None:
    showing = asyncio.Event()

    async def user() -> None:
        async with bench.driver().open() as board:
            await board.show(plain(bench.geometry, RED), "red")
            showing.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(user())
    await asyncio.wait_for(showing.wait(), bench.limit_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_dark(bench.shown())


async def test_cancelled_in_the_middle_of_showing_it_still_ends_safe(bench: Bench) -> None:
    opened = asyncio.Event()

    async def user() -> None:
        async with bench.driver().open() as board:
            opened.set()
            for number in range(10_000):
                await board.show(corners(bench.geometry, number), f"frame {number}")
                await asyncio.sleep(0)

    task = asyncio.create_task(user())
    await asyncio.wait_for(opened.wait(), bench.limit_s)
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_dark(bench.shown())


async def test_cancelled_again_while_it_is_made_safe_it_still_ends_safe(bench: Bench) -> None:
    """Service managers signal twice: the whole group, and again when the parent of a process ends."""
    showing, leaving = asyncio.Event(), asyncio.Event()

    async def user() -> None:
        async with bench.driver().open() as board:
            await board.show(plain(bench.geometry, RED), "red")
            showing.set()
            try:
                await asyncio.sleep(30)
            finally:
                leaving.set()

    task = asyncio.create_task(user())
    await asyncio.wait_for(showing.wait(), bench.limit_s)
    task.cancel()
    await leaving.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.001)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_dark(bench.shown())


async def test_a_board_that_could_not_be_handed_back_is_left_safe(bench: Bench) -> None:
    needs(bench, Fault.VANISH)
    async with bench.driver().open() as board:
        await board.show(plain(bench.geometry, WHITE), "ours")
        await bench.inflict(Fault.VANISH)
        with pytest.raises(DeviceUnavailableError):
            await board.hand_back()
        await bench.mend()
    assert bench.shown() != bench.expected(plain(bench.geometry, WHITE))


async def test_handing_back_brings_what_was_there_and_leaving_does_not_touch_it(bench: Bench) -> None:
    before = bench.shown()
    async with bench.driver().open() as board:
        await board.set_safe(plain(bench.geometry, WHITE))
        await board.show(plain(bench.geometry, RED), "red")
        await board.hand_back()
        after = bench.shown()
        assert after == before if bench.former else is_dark(after) or after == before
        await board.hand_back()
    assert bench.shown() == after


async def test_a_board_handed_back_is_taken_again_by_showing(bench: Bench) -> None:
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        await board.show(plain(bench.geometry, RED), "red")
        await board.hand_back()
        await board.show(picture, "corners")
        assert bench.shown() == bench.expected(picture)
    assert is_dark(bench.shown())


async def test_opened_again_it_works_again(bench: Bench) -> None:
    for shift in range(3):
        async with bench.driver().open() as board:
            await board.show(corners(bench.geometry, shift), "corners")
            assert bench.shown() == bench.expected(corners(bench.geometry, shift))
    assert is_dark(bench.shown())


async def test_a_board_that_vanished_is_unavailable_in_bounded_time_and_works_once_it_is_back(
    bench: Bench,
) -> None:
    needs(bench, Fault.VANISH)
    picture = corners(bench.geometry)
    async with AsyncExitStack() as stack:
        board = await stack.enter_async_context(bench.driver().open())
        await board.show(plain(bench.geometry, RED), "red")
        await bench.inflict(Fault.VANISH)
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(DeviceUnavailableError):
                await board.show(picture, "corners")
            with pytest.raises(DeviceUnavailableError):
                await board.status()
            assert time.monotonic() - began < 2 * bench.limit_s
        await bench.mend()
        end = time.monotonic() + 2 * bench.limit_s
        while time.monotonic() < end:
            try:
                await board.show(picture, "corners")
                break
            except DeviceUnavailableError:
                await asyncio.sleep(0.05)
        assert bench.shown() == bench.expected(picture)


async def test_a_cable_pulled_in_the_middle_of_a_picture_is_noticed_and_the_next_one_is_whole(
    bench: Bench,
) -> None:
    needs(bench, Fault.VANISH)
    picture = corners(bench.geometry, 4)

    async def show_for_ever(board: Board) -> None:
        for number in range(1_000_000):
            await board.show(corners(bench.geometry, number % 8), f"frame {number}")
            await asyncio.sleep(0)

    async with bench.driver().open() as board:
        task = asyncio.create_task(show_for_ever(board))
        await asyncio.sleep(0.03)
        await bench.inflict(Fault.VANISH)
        with pytest.raises(DeviceUnavailableError):
            await asyncio.wait_for(task, 2 * bench.limit_s)
        await bench.mend()
        end = time.monotonic() + 2 * bench.limit_s
        while time.monotonic() < end:
            with contextlib.suppress(DeviceUnavailableError):
                await board.show(picture, "whole")
                break
            await asyncio.sleep(0.05)
        assert bench.shown() == bench.expected(picture)


async def test_leaving_while_the_board_is_gone_does_not_hang_or_raise(bench: Bench) -> None:
    needs(bench, Fault.VANISH)
    began = time.monotonic()
    async with bench.driver().open() as board:
        await board.set_safe(plain(bench.geometry, RED))
        await board.show(corners(bench.geometry), "corners")
        await bench.inflict(Fault.VANISH)
        assert board.name
    assert time.monotonic() - began < 3 * bench.limit_s


async def test_a_missing_board_is_a_state_and_opens_once_it_is_there(bench: Bench) -> None:
    """Either `open` says so or the first call does: not all protocols ask anything when they begin."""
    needs(bench, Fault.VANISH)
    await bench.inflict(Fault.VANISH)
    began = time.monotonic()
    with pytest.raises(DeviceUnavailableError):
        async with bench.driver().open() as board:
            await board.show(corners(bench.geometry), "corners")
    assert time.monotonic() - began < 3 * bench.limit_s
    await bench.mend()
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
        assert bench.shown() == bench.expected(corners(bench.geometry))


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.GARBAGE, Fault.HALF, Fault.NACK], ids=str)
async def test_a_bad_answer_is_the_right_error_and_no_hang(bench: Bench, fault: Fault) -> None:
    needs(bench, fault)
    picture = corners(bench.geometry)
    async with bench.driver().open() as board:
        await board.show(plain(bench.geometry, RED), "red")
        await bench.inflict(fault)
        began = time.monotonic()
        with pytest.raises(EXPECTED[fault]):
            await board.show(picture, "corners")
        assert time.monotonic() - began < bench.limit_s
        await bench.mend()
        end = time.monotonic() + 2 * bench.limit_s
        while time.monotonic() < end:
            try:
                await board.show(picture, "corners")
                break
            except DriverError:
                await asyncio.sleep(0.05)
        assert bench.shown() == bench.expected(picture)


async def test_nothing_is_sent_after_closing(bench: Bench) -> None:
    async with bench.driver().open() as board:
        await board.show(corners(bench.geometry), "corners")
    await asyncio.sleep(0.05)
    count, last = bench.received(), bench.shown()
    for late in (
        board.show(plain(bench.geometry, RED), "late"),
        board.status(),
        board.power(False),
        board.brightness(0.5),
        board.hand_back(),
    ):
        with pytest.raises(DeviceUnavailableError):
            await late
    await asyncio.sleep(0.1)
    assert bench.received() == count
    assert bench.shown() == last


async def test_a_canvas_is_black_at_first_and_keeps_what_is_written(bench: Bench) -> None:
    async with bench.driver().open() as board:
        canvas = board.canvas
        if board.abilities.ticker is not TickerKind.FRAMES:
            assert canvas is None
            pytest.skip("no canvas")
        assert canvas is not None
        width, height = bench.geometry.width_px, bench.geometry.height_px
        size = canvas.pixel_format.size_bytes
        assert canvas.stride_bytes >= width * size
        assert len(canvas.memory) == height * canvas.stride_bytes
        assert not canvas.memory.readonly
        assert not any(canvas.memory.tobytes())
        white = b"\xff" * size
        await canvas.present(0, height)
        await settled(bench)
        assert is_dark(bench.shown())
        for x, y in ((0, 0), (width - 1, 0), (3, height // 2), (width - 1, height - 1)):
            at = y * canvas.stride_bytes + x * size
            canvas.memory[at : at + size] = white
            await canvas.present(y, y + 1)
            await canvas.present(y, y + 1)
            await settled(bench)
            assert bench.shown().rgb[3 * (y * width + x) :][:3] == b"\xff\xff\xff"
        assert sum(bench.shown().rgb) == 4 * 3 * 255


async def test_a_canvas_and_whole_pictures_take_turns(bench: Bench) -> None:
    async with bench.driver().open() as board:
        canvas = board.canvas
        if canvas is None:
            pytest.skip("no canvas")
        picture = corners(bench.geometry)
        await board.show(picture, "corners")
        canvas.memory[:] = b"\xff" * len(canvas.memory)
        for _ in range(3):
            await canvas.present(0, bench.geometry.height_px)
        await settled(bench)
        assert bench.shown() == plain(bench.geometry, WHITE)
        await board.show(picture, "corners")
        assert bench.shown() == bench.expected(picture)


async def test_a_canvas_is_paced_at_the_rate_it_says(bench: Bench) -> None:
    async with bench.driver().open() as board:
        canvas = board.canvas
        if canvas is None:
            assert board.abilities.refresh_hz == 0
            pytest.skip("no canvas")
        rate = board.abilities.refresh_hz
        assert 10 <= rate <= 240
        await canvas.present(0, bench.geometry.height_px)
        began = time.monotonic()
        for _ in range(rate // 4):
            await canvas.present(0, 4)
        took = time.monotonic() - began
        assert took > 0.8 * 0.25
        assert took < 5 * 0.25


async def test_presenting_on_a_board_that_vanished_says_so(bench: Bench) -> None:
    needs(bench, Fault.VANISH)
    async with bench.driver().open() as board:
        canvas = board.canvas
        if canvas is None:
            pytest.skip("no canvas")
        await canvas.present(0, bench.geometry.height_px)
        await bench.inflict(Fault.VANISH)
        with pytest.raises(DeviceUnavailableError):
            await asyncio.wait_for(present_for_ever(canvas, bench.geometry.height_px), 2 * bench.limit_s)


async def test_presenting_after_closing_sends_nothing(bench: Bench) -> None:
    async with bench.driver().open() as board:
        canvas = board.canvas
        if canvas is None:
            pytest.skip("no canvas")
        await canvas.present(0, bench.geometry.height_px)
    count = bench.received()
    with pytest.raises(DeviceUnavailableError):
        await canvas.present(0, bench.geometry.height_px)
    assert bench.received() == count


async def test_a_card_moves_a_ticker_and_forgets_it_with_the_next_picture(bench: Bench) -> None:
    async with bench.driver().open() as board:
        if board.abilities.ticker is not TickerKind.CARD:
            pytest.skip("the card moves nothing itself")
        assert board.abilities.ticker_max_px >= bench.geometry.width_px
        height = 16
        width = min(board.abilities.ticker_max_px, bench.geometry.width_px * 3)
        top = bench.geometry.height_px - height
        strip = Frame(width, height, b"\xff\0\0" * (width * height))
        await board.show(corners(bench.geometry), "with ticker", CardTicker(strip, top, 60.0))
        moved = bench.ticker()
        assert moved is not None
        assert moved.strip.height_px == height
        assert moved.strip.width_px >= width
        assert moved.y_px == top
        assert any(moved.strip.rgb)
        assert moved.speed_px_s > 0
        still = 3 * bench.geometry.width_px * top
        assert bench.shown().rgb[:still] == bench.expected(corners(bench.geometry)).rgb[:still]
        await board.show(corners(bench.geometry), "without")
        assert bench.ticker() is None
        assert bench.shown() == bench.expected(corners(bench.geometry))


async def test_a_ticker_that_the_card_cannot_move_is_refused(bench: Bench) -> None:
    async with bench.driver().open() as board:
        height = 8
        longest = board.abilities.ticker_max_px
        width = longest + 1 if longest else 64
        strip = Frame(width, height, bytes(3 * width * height))
        with pytest.raises(DeviceRefusedError):
            await board.show(corners(bench.geometry), "too long", CardTicker(strip, 0, 60.0))


async def test_two_users_of_one_board_do_not_mix(bench: Bench) -> None:
    """Calls made at the same time happen one after the other: no frame is made of two."""
    pictures = [plain(bench.geometry, WHITE), corners(bench.geometry, 1)]
    async with bench.driver().open() as board:
        async with asyncio.TaskGroup() as group:
            for picture in pictures * 2:
                group.create_task(board.show(picture, "at once"))
            group.create_task(board.status())
        assert bench.shown() in [bench.expected(picture) for picture in pictures]
