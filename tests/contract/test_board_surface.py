"""What boards of frame memory share: packing, pacing, calls that hang."""

from __future__ import annotations

import os
import threading
import time

import pytest

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    CardTicker,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    Frame,
    PixelFormat,
    TickerKind,
)
from drivers.board.packing import pack, reorder
from drivers.board.surface import next_due, open_surface

SIZE = BoardGeometry(4, 2)
RED = Frame(4, 2, b"\xff\0\0" * 8)


class Sink:
    """An output of which every call can be made to hang or fail."""

    abilities = BoardAbilities(ticker=TickerKind.FRAMES, refresh_hz=50, reads_back=True)
    paces = False

    def __init__(self, layout: PixelFormat = PixelFormat.RGB) -> None:
        self.pixel_format = layout
        self.memory = bytearray(4 * 2 * layout.size_bytes)
        self.hangs = threading.Event()
        self.hangs.set()
        self.gone = False
        self.closed = 0
        self.writes: list[tuple[int, int]] = []

    def take(self) -> object:
        return "former"

    def check(self) -> None:
        if self.gone:
            raise OSError(19, "No such device")

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        self.hangs.wait(3)
        self.writes.append((top_px, bottom_px))
        row = 4 * self.pixel_format.size_bytes
        self.memory[top_px * row : bottom_px * row] = picture[top_px * row : bottom_px * row]

    def brightness(self, level: float) -> None:
        raise AssertionError("has none")

    def status(self, picture: memoryview) -> BoardStatus:
        return BoardStatus(foreign=bytes(picture) != bytes(self.memory))

    def give_back(self, former: object) -> None:
        assert former == "former"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (PixelFormat.RGB, "ff000000ff000000ff102030"),
        (PixelFormat.BGRX, "0000ff0000ff0000ff00000030201000"),
        (PixelFormat.RGB565, "00f8e0071f000611"),
    ],
)
def test_pixels_are_packed_byte_for_byte(layout: PixelFormat, expected: str) -> None:
    rgb = bytes.fromhex("ff000000ff000000ff102030")
    assert pack(4, 1, rgb, layout).hex() == expected
    assert pack(2, 2, memoryview(rgb), layout).hex() == expected


def test_rgb565_is_right_for_every_value() -> None:
    rgb = os.urandom(3 * 64 * 64)
    packed = pack(64, 64, rgb, PixelFormat.RGB565)
    for at in range(64 * 64):
        red, green, blue = rgb[3 * at : 3 * at + 3]
        assert (
            int.from_bytes(packed[2 * at : 2 * at + 2], "little")
            == (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
        )


def test_unknown_orders_are_refused() -> None:
    assert reorder(1, 1, b"\1\2\3", "BGR") == b"\3\2\1"
    with pytest.raises((ValueError, SystemError)):
        reorder(1, 1, b"\1\2\3", "CMYK;I")


def test_a_late_frame_is_lost_and_the_grid_stays() -> None:
    assert next_due(None, 10.0, 0.02) == pytest.approx(10.02)
    assert next_due(10.0, 10.001, 0.02) == pytest.approx(10.02)
    assert next_due(10.0, 10.05, 0.02) == pytest.approx(10.06)
    assert next_due(10.02, 10.015, 0.02) == pytest.approx(10.04)


async def test_a_call_that_hangs_is_unavailable_in_time_and_leaving_is_bounded() -> None:
    sink = Sink()
    began = time.monotonic()
    async with open_surface("s", SIZE, lambda: sink, limit_s=0.2) as board:
        await board.show(RED, "red")
        sink.hangs.clear()
        with pytest.raises(DeviceUnavailableError, match=r"no answer within 0\.2 s"):
            await board.show(RED, "red")
        with pytest.raises(DeviceUnavailableError):
            await board.status()
    assert time.monotonic() - began < 2.5
    sink.hangs.set()


async def test_after_a_loss_the_whole_picture_is_painted() -> None:
    sinks = [Sink(), Sink()]
    given = iter(sinks)
    async with open_surface("s", SIZE, lambda: next(given)) as board:
        canvas = board.canvas
        assert canvas is not None
        await board.show(RED, "red")
        sinks[0].gone = True
        with pytest.raises(DeviceUnavailableError, match="No such device"):
            await board.status()
        assert sinks[0].closed == 1
        canvas.memory[:] = b"\x07" * len(canvas.memory)
        await canvas.present(0, 1)
        assert sinks[1].memory == b"\x07" * 12 + b"\xff\0\0" * 4
        assert sinks[1].writes == [(0, 2)]
    assert sinks[1].closed == 1


async def test_coming_back_with_other_pixels_is_an_error_and_it_is_closed() -> None:
    sinks = [Sink(), Sink(PixelFormat.BGRX)]
    given = iter(sinks)
    async with open_surface("s", SIZE, lambda: next(given)) as board:
        sinks[0].gone = True
        with pytest.raises(DeviceUnavailableError):
            await board.show(RED, "red")
        with pytest.raises(DeviceProtocolError, match="pixels of bgrx"):
            await board.show(RED, "red")
        given = iter([Sink()])
    assert sinks[1].closed == 1


async def test_rows_outside_of_the_board_and_tickers_are_refused() -> None:
    sink = Sink()
    async with open_surface("s", SIZE, lambda: sink) as board:
        canvas = board.canvas
        assert canvas is not None
        for top, bottom in ((-1, 1), (0, 3), (2, 1)):
            with pytest.raises(DeviceRefusedError):
                await canvas.present(top, bottom)
        with pytest.raises(DeviceRefusedError, match="moves no ticker"):
            await board.show(RED, "red", CardTicker(RED, 0))
        with pytest.raises(DeviceRefusedError):
            await board.set_safe(Frame(3, 2, bytes(18)))
        assert sink.writes == []


async def test_presenting_while_switched_off_stays_dark_and_keeps_its_pace() -> None:
    sink = Sink()
    async with open_surface("s", SIZE, lambda: sink) as board:
        canvas = board.canvas
        assert canvas is not None
        await board.power(False)
        canvas.memory[:] = b"\xff" * len(canvas.memory)
        began = time.monotonic()
        for _ in range(10):
            await canvas.present(0, 2)
        assert time.monotonic() - began > 0.15
        assert not any(sink.memory)
        await board.power(True)
        assert bytes(sink.memory) == b"\xff" * 24


async def test_rows_of_a_frame_nobody_waited_for_are_painted_with_the_next() -> None:
    sink = Sink()
    async with open_surface("s", SIZE, lambda: sink, limit_s=0.2) as board:
        canvas = board.canvas
        assert canvas is not None
        await canvas.present(0, 2)
        sink.hangs.clear()
        canvas.memory[:] = b"\x07" * len(canvas.memory)
        for row in (0, 1):  # the second one is skipped: nobody waits for it any more
            with pytest.raises(DeviceUnavailableError):
                await canvas.present(row, row + 1)
        sink.hangs.set()
        await canvas.present(0, 1)
        assert bytes(sink.memory) == b"\x07" * 24


async def test_what_an_output_cannot_tell_is_not_told() -> None:
    class Blind(Sink):
        def status(self, picture: memoryview) -> BoardStatus:
            del picture
            return BoardStatus()

    async with open_surface("s", SIZE, Blind) as board:
        await board.show(RED, "red")
        status = await board.status()
        assert (status.lost, status.foreign) == (None, None)


async def test_coming_back_without_its_pace_is_an_error_and_no_busy_loop() -> None:
    class Paced(Sink):
        paces = True

    sinks = [Paced(), Sink()]
    given = iter(sinks)
    async with open_surface("s", SIZE, lambda: next(given)) as board:
        await board.show(RED, "red")
        sinks[0].gone = True
        with pytest.raises(DeviceUnavailableError):
            await board.status()
        with pytest.raises(DeviceProtocolError, match="another kind of output"):
            await board.status()
        given = iter([Paced()])
    assert sinks[1].closed == 1
