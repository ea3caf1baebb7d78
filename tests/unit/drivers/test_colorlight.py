"""Frames of Colorlight receiver cards, byte for byte, and over a real cable where the machine allows one."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import (
    BoardGeometry,
    DeviceProtocolError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
)
from drivers.board.colorlight import codec, link
from drivers.board.colorlight.driver import ColorlightBoard
from drivers.board.colorlight.emulator import EmulatedCard, EmulatedLink

HEAD = "112233445566222233445566"


def test_brightness_is_the_published_frame() -> None:
    assert codec.brightness(0x80).hex() == HEAD + "0a808080ff" + "00" * 60
    assert len(codec.brightness(0x80)) == 77


def test_a_row_of_two_pixels_is_the_published_frame() -> None:
    heads = codec.row_heads(2, 4)
    assert heads[3][0].hex() == HEAD + "55" + "0003" + "0000" + "0002" + "08" + "88"
    assert heads[3][1:] == (6, 8)
    red_green = bytes.fromhex("0000ff00ff00")
    assert (heads[3][0] + red_green).hex() == HEAD + "550003000000020888" + "0000ff00ff00"


def test_sync_is_the_published_frame() -> None:
    assert codec.sync(0x80).hex() == HEAD + "0107" + "00" * 21 + "8005" + "00" + "808080" + "00" * 71
    assert len(codec.sync(0x80)) == 112


def test_rows_longer_than_a_frame_are_cut() -> None:
    heads = codec.row_heads(1000, 2)
    assert [(start, end) for _, start, end in heads] == [
        (0, 497), (497, 994), (994, 1000), (1000, 1497), (1497, 1994), (1994, 2000)
    ]  # fmt: skip
    assert heads[4][0].hex().endswith("55" + "0001" + "01f1" + "01f1" + "0888")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1100), st.integers(1, 12), st.randoms(use_true_random=False))
def test_a_card_puts_together_what_was_cut_for_any_size(width: int, height: int, random: Random) -> None:
    card = EmulatedCard(width, height)
    blue_first = random.randbytes(3 * width * height)
    for number, (head, start, end) in enumerate(codec.row_heads(width, height)):
        card.receive(head + blue_first[3 * start : 3 * end], number / 1000)
    card.receive(codec.sync(255), 1000.0)
    assert card.complaints == []
    for channel in range(3):
        assert card.shown[channel::3] == blue_first[2 - channel :: 3]


def test_the_answer_of_a_card_is_read_and_anything_else_is_an_error() -> None:
    card = EmulatedCard(256, 128, (13, 5), uptime_s=100)
    answer = card.receive(codec.discover())
    assert answer is not None
    info = codec.parse_reply(answer)
    assert (info.width_px, info.height_px, info.firmware, info.packets) == (256, 128, (13, 5), 1)
    assert info.uptime_ms == pytest.approx(100_000, abs=500)
    for wrong in (b"", answer[:50], b"\0" * 400, bytes(12) + b"\x08\x06" + bytes(300)):
        with pytest.raises(DeviceProtocolError):
            codec.parse_reply(wrong)


def test_the_emulator_complains_of_what_cards_would_not_understand() -> None:
    card = EmulatedCard(16, 8)
    good = codec.row_heads(16, 8)[0][0] + bytes(48)
    for wrong in (good[:-1], good + b"\0", good[:5] + b"\0" + good[6:], HEAD.encode(), b""):
        card.receive(wrong)
    assert len(card.complaints) == 5
    card.receive(good)
    card.receive(codec.sync(255))
    assert card.complaints[-1].startswith("sync too soon")


async def test_the_same_brightness_goes_into_both_frames() -> None:
    card = EmulatedCard(16, 8)
    driver = ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(card))
    async with driver.open() as board:
        await board.show(Frame(16, 8, b"\x40\x80\xc0" * 128), "blue")
        await board.brightness(0.5)
        assert card.levels == (128, 128, 128)
        assert card.shown == b"\x40\x80\xc0" * 128
        await board.brightness(0)
        assert card.levels == (1, 1, 1), "the darkest that is still lit"
    assert card.complaints == []


async def test_garbage_for_an_answer_is_a_protocol_error_of_status() -> None:
    card = EmulatedCard(16, 8)
    driver = ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(card))
    async with driver.open() as board:
        card.garbage = b"\xff" * 40
        with pytest.raises(DeviceProtocolError):
            await board.status()
        card.garbage = b""
        assert (await board.status()).firmware == "11.9"


async def test_a_card_that_never_answered_is_believed_and_one_that_stopped_is_not() -> None:
    silent = EmulatedCard(16, 8)
    silent.answers = False
    async with ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(silent)).open() as board:
        assert (await board.status()).detail == "the card answers no questions"
    talking = EmulatedCard(16, 8)
    async with ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(talking)).open() as board:
        talking.answers = False
        with pytest.raises(DeviceUnavailableError, match="does not answer any more"):
            await board.status()


async def test_a_card_that_answers_only_later_gets_what_its_firmware_needs() -> None:
    """Box and card are switched on together: there is a carrier before the card answers."""
    card = EmulatedCard(16, 8, (13, 5))
    card.answers = False
    picture = Frame(16, 8, b"\x40\x80\xc0" * 128)
    async with ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(card)).open() as board:
        await board.show(picture, "blue")
        first = await board.status()
        assert (first.lost, first.foreign, first.brightness) == (None, None, None)
        assert not board.abilities.reads_back
        card.answers = True
        assert (await board.status()).lost, "it may have begun after our picture"
        await board.show(picture, "blue")
        assert card.shown == picture.rgb
        assert not (await board.status()).lost
    assert card.complaints == []


async def test_a_card_that_never_stops_talking_is_a_protocol_error_in_bounded_time() -> None:
    card = EmulatedCard(16, 8)

    class Flooded(EmulatedLink):
        flood = False

        def receive(self, limit_s: float) -> bytes | None:
            return b"\xff" * 60 if self.flood else super().receive(limit_s)

    cable = Flooded(card)
    async with ColorlightBoard("wall", BoardGeometry(16, 8), lambda: cable).open() as board:
        cable.flood = True
        began = time.monotonic()
        with pytest.raises(DeviceProtocolError):
            await board.status()
        assert time.monotonic() - began < 1.5
        await board.show(Frame(16, 8, b"\x40\x80\xc0" * 128), "blue")
        assert card.shown == b"\x40\x80\xc0" * 128


async def test_a_running_time_that_turns_over_is_no_power_loss() -> None:
    card = EmulatedCard(16, 8, uptime_s=(1 << 32) / 1000 - 0.5)
    async with ColorlightBoard("wall", BoardGeometry(16, 8), lambda: EmulatedLink(card)).open() as board:
        await board.show(Frame(16, 8, bytes(384)), "dark")
        card._began_s -= 1.0
        assert not (await board.status()).lost
        card.power_cycle()
        assert not (await board.status()).lost, "began 1.0 s after it turned over: cannot be told apart"


async def test_no_right_to_send_raw_frames_is_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    fake = SimpleNamespace(
        **{name: getattr(socket, name) for name in ("AF_PACKET", "SOCK_RAW", "SOCK_CLOEXEC", "htons")}
    )
    fake.socket = refuse
    monkeypatch.setattr(link, "socket", fake)
    driver = ColorlightBoard.from_options("wall", {"width_px": 16, "height_px": 8, "interface": "eth9"})
    with pytest.raises(DeviceUnavailableError, match="CAP_NET_RAW"):
        async with driver.open():
            raise AssertionError("opened")


def test_options_are_checked() -> None:
    for wrong in (
        {"width_px": 16, "height_px": 8},
        {"width_px": 0, "height_px": 8, "interface": "eth1"},
        {"width_px": 16, "height_px": 8, "interface": "eth1", "refresh_hz": 60},
        {"width_px": 16, "height_px": 8, "interface": "eth1", "colour": "BGR"},
    ):
        with pytest.raises(DriverSetupError):
            ColorlightBoard.from_options("wall", wrong)


def test_over_a_real_pair_of_interfaces_it_shows_notices_the_lost_link_and_comes_back() -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no unshare or ip command")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "tests.support.colorlight_cable"],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no pair of interfaces in a namespace of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["firmware"] == "13.5"
    assert told["shown"] is True
    assert 0.8 < told["frames_s"] < 2.5, "30 frames at 30 a second"
    assert told["lost"].startswith("wall: no card at the cable")
    assert told["again"] is True
    assert told["safe"] is True, "the safe screen stays when the driver has gone"
    assert told["complaints"] == []
