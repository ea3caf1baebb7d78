"""DRM: choice of display and mode, masters, pitch, flips, and what is left behind, before an emulated kernel."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from drivers.api import (
    BoardGeometry,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
)
from drivers.board.drm import codec
from drivers.board.drm.driver import DrmBoard
from drivers.board.drm.emulated_parts import emulated_mode
from drivers.board.drm.emulator import EmulatedKernel
from drivers.board.drm.output import Wish, choose_mode
from drivers.board.fbdev.emulator import EmulatedFramebuffer

SIZE = BoardGeometry(40, 20)
RED = Frame(40, 20, b"\xff\0\0" * 800)


def board(kernel: EmulatedKernel, wish: Wish | None = None, geometry: BoardGeometry = SIZE) -> DrmBoard:
    return DrmBoard("screen", geometry, wish, fallback=None, kernel=kernel)


def test_structs_have_the_sizes_that_their_request_numbers_say() -> None:
    for request, layout in (
        (codec.GET_RESOURCES, codec.RESOURCES), (codec.GET_CONNECTOR, codec.CONNECTOR),
        (codec.GET_ENCODER, codec.ENCODER), (codec.GET_CRTC, codec.CRTC), (codec.SET_CRTC, codec.CRTC),
        (codec.CREATE_DUMB, codec.DUMB), (codec.MAP_DUMB, codec.DUMB_MAP), (codec.ADD_FB, codec.FB),
        (codec.PAGE_FLIP, codec.FLIP),
    ):  # fmt: skip
        assert request >> 16 & 0x3FFF == layout.size
    assert codec.MODE.size == 68


async def test_the_upper_left_part_is_ours_and_rows_are_longer_than_the_picture() -> None:
    kernel = EmulatedKernel()
    async with board(kernel).open() as screen:
        await screen.show(RED, "red")
        wide = kernel.picture(41, 21)
        assert wide[: 40 * 3] == b"\xff\0\0" * 40
        assert wide[40 * 3 : 41 * 3] == b"\0\0\0"
        assert wide[20 * 41 * 3 :] == bytes(41 * 3)


async def test_a_board_as_large_as_the_display_and_one_larger() -> None:
    kernel = EmulatedKernel()
    full = BoardGeometry(1280, 720)
    async with board(kernel, geometry=full).open() as screen:
        await screen.show(Frame(1280, 720, b"\1\2\3" * (1280 * 720)), "full")
        assert kernel.picture(1280, 720) == b"\1\2\3" * (1280 * 720)
    with pytest.raises(DeviceRefusedError, match="no mode at least 1281x720; it has 1280x720@60"):
        async with board(kernel, geometry=BoardGeometry(1281, 720)).open():
            raise AssertionError("opened")


async def test_motion_flips_between_two_buffers_without_losing_rows() -> None:
    kernel = EmulatedKernel()
    async with board(kernel).open() as screen:
        canvas = screen.canvas
        assert canvas is not None
        assert screen.abilities.refresh_hz == 60
        for row in range(20):
            at = row * canvas.stride_bytes
            canvas.memory[at : at + canvas.stride_bytes] = bytes([row + 1]) * canvas.stride_bytes
            await canvas.present(row, row + 1)
        assert kernel.picture(40, 20) == b"".join(bytes([row + 1]) * 120 for row in range(20))
        assert kernel.mode_sets == 1
        assert kernel.flips == 19


async def test_another_master_is_named_and_can_be_waited_for() -> None:
    kernel = EmulatedKernel()
    kiosk = kernel.open(Path("/dev/dri/card0"))
    with pytest.raises(DeviceUnavailableError, match="kiosk has /dev/dri/card0: stop it"):
        async with board(kernel).open():
            raise AssertionError("opened")
    kernel.close(kiosk)
    async with board(kernel).open() as screen:
        await screen.show(RED, "red")
        assert kernel.picture(40, 20) == RED.rgb


async def test_handing_back_lets_a_player_be_master_and_showing_takes_the_display_again() -> None:
    kernel = EmulatedKernel()
    async with board(kernel).open() as screen:
        assert screen.abilities.video_output == "/dev/dri/card0"
        await screen.show(RED, "red")
        await screen.hand_back()
        player = kernel.open(Path("/dev/dri/card0"))
        assert kernel.master == player
        with pytest.raises(DeviceUnavailableError, match="stop it"):
            await screen.show(RED, "while the player has it")
        kernel.close(player)
        await screen.show(RED, "red")
        assert kernel.picture(40, 20) == RED.rgb


async def test_no_right_to_open_the_device_says_which_group_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = EmulatedKernel()

    def refuse(path: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(kernel, "open", refuse)
    with pytest.raises(DeviceUnavailableError, match="/dev/dri/card0: add the service to group video"):
        async with board(kernel).open():
            raise AssertionError("opened")


async def test_the_wished_connector_and_mode_are_taken() -> None:
    kernel = EmulatedKernel(connectors=2)
    kernel.connectors[1].connected = True
    async with board(kernel, Wish(connector="HDMI-A-2", mode="640x480@60")).open() as screen:
        await screen.show(RED, "red")
        assert kernel.picture(40, 20, connector=1) == RED.rgb
        assert not any(kernel.picture(40, 20, connector=0))
        assert (await screen.status()).model == "HDMI-A-2"
        assert "640x480@60" in (await screen.status()).detail


@pytest.mark.parametrize(
    ("wish", "error", "says"),
    [
        (Wish(connector="DP-1"), DeviceUnavailableError, "no connector 'DP-1'; it has HDMI-A-1, HDMI-A-2"),
        (Wish(connector="HDMI-A-2"), DeviceUnavailableError, "HDMI-A-2: no display at the cable"),
        (Wish(mode="1920x1080"), DeviceRefusedError, "no mode 1920x1080; it has 1280x720@60"),
        (Wish(card=Path("/dev/dri/card7")), DeviceUnavailableError, "card7"),
    ],
)
async def test_what_is_not_there_is_named(wish: Wish, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        async with board(EmulatedKernel(), wish).open():
            raise AssertionError("opened")


async def test_an_old_kernel_turns_the_output_off_when_we_leave() -> None:
    kernel = EmulatedKernel(closes_softly=False)
    async with board(kernel).open() as screen:
        await screen.set_safe(RED)
        await screen.show(RED, "red")
    assert not any(kernel.picture(40, 20))
    assert kernel._files == set()


async def test_nothing_is_left_in_the_kernel_but_the_picture_shown() -> None:
    kernel = EmulatedKernel()
    for _ in range(3):
        async with board(kernel).open() as screen:
            await screen.set_safe(RED)
            await screen.show(RED, "red")
    assert kernel._files == set()
    assert kernel._dumbs == {}
    assert kernel.picture(40, 20) == RED.rgb


async def test_a_display_that_answers_again_is_set_up_afresh() -> None:
    kernel = EmulatedKernel()
    async with board(kernel).open() as screen:
        await screen.show(RED, "red")
        kernel.connectors[0].connected = False
        with pytest.raises(DeviceUnavailableError, match="HDMI-A-1: no display at the cable"):
            await screen.status()
        kernel.connectors[0].connected = True
        assert (await screen.status()).lost
        await screen.show(RED, "red")
        assert kernel.mode_sets == 2
        assert not (await screen.status()).lost


async def test_a_lost_display_keeps_nothing_of_ours_for_when_it_is_switched_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = EmulatedFramebuffer(tmp_path / "fb0", 64, 32)
    before = memory.memory()
    monkeypatch.setattr("drivers.board.drm.output.kernel_ioctl", memory.ioctl)
    kernel = EmulatedKernel()
    async with board(kernel, Wish(console=memory.path)).open() as screen:
        await screen.show(RED, "red")
        kernel.connectors[0].connected = False
        with pytest.raises(DeviceUnavailableError):
            await screen.status()
    kernel.connectors[0].connected = True
    assert not any(kernel.picture(40, 20)), "nobody is left to take an old text away"
    assert memory.memory() == before
    assert kernel._files == set()


async def test_a_configured_device_that_is_away_is_not_replaced_by_some_framebuffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = EmulatedFramebuffer(tmp_path / "fb0", 64, 32)
    monkeypatch.setattr("drivers.board.drm.driver.kernel_ioctl", memory.ioctl)
    kernel = EmulatedKernel()
    wish = Wish(card=Path("/dev/dri/card7"))
    with pytest.raises(DeviceUnavailableError, match="card7"):
        async with DrmBoard("screen", SIZE, wish, fallback=memory.path, kernel=kernel).open():
            raise AssertionError("opened")
    async with DrmBoard("screen", SIZE, fallback=memory.path, kernel=kernel).open() as screen:
        await screen.show(RED, "red")
        kernel.absent = True
        for _ in range(2):
            with pytest.raises(DeviceUnavailableError):
                await screen.show(RED, "red")
    assert not any(memory.picture(40, 20))


async def test_without_any_drm_the_framebuffer_is_taken_if_wished(tmp_path: Path) -> None:
    kernel = EmulatedKernel()
    kernel.absent = True
    with pytest.raises(DeviceUnavailableError, match="no display device"):
        async with board(kernel).open():
            raise AssertionError("opened")
    memory = EmulatedFramebuffer(tmp_path / "fb0", 64, 32)
    with pytest.raises(DeviceUnavailableError, match="is no framebuffer"):
        async with DrmBoard("screen", SIZE, fallback=memory.path, kernel=kernel).open():
            raise AssertionError("a plain file is no framebuffer")


async def test_the_framebuffer_stands_in_for_drm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = EmulatedKernel()
    kernel.absent = True
    memory = EmulatedFramebuffer(tmp_path / "fb0", 64, 32)
    monkeypatch.setattr("drivers.board.drm.driver.kernel_ioctl", memory.ioctl)
    async with DrmBoard("screen", SIZE, fallback=memory.path, kernel=kernel).open() as screen:
        await screen.show(RED, "red")
        assert memory.picture(40, 20) == RED.rgb
        assert not screen.abilities.video


async def test_the_console_gets_the_last_picture_when_we_leave_but_not_after_handing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = EmulatedFramebuffer(tmp_path / "fb0", 64, 32)
    memory.scribble()
    before = memory.memory()
    monkeypatch.setattr("drivers.board.drm.output.kernel_ioctl", memory.ioctl)
    wish = Wish(console=memory.path)
    async with board(EmulatedKernel(), wish).open() as screen:
        await screen.show(RED, "red")
        await screen.hand_back()
    assert memory.memory() == before
    async with board(EmulatedKernel(), wish).open() as screen:
        await screen.set_safe(RED)
        await screen.show(Frame(40, 20, bytes(2400)), "dark")
    assert memory.picture(40, 20) == RED.rgb
    memory.unplug()
    kernel = EmulatedKernel()
    async with board(kernel, wish).open() as screen:
        await screen.set_safe(RED)
        await screen.show(RED, "red")
    assert kernel.picture(40, 20) == RED.rgb


async def test_a_flip_takes_its_time_from_the_display() -> None:
    kernel = EmulatedKernel()
    async with board(kernel).open() as screen:
        canvas = screen.canvas
        assert canvas is not None
        await canvas.present(0, 20)
        began = time.monotonic()
        for _ in range(12):
            await canvas.present(0, 1)
        assert 0.15 < time.monotonic() - began < 1.5
        assert kernel.flips == 12


def test_the_preferred_mode_wins_then_the_largest() -> None:
    small, large = emulated_mode(800, 600, 60), emulated_mode(1920, 1080, 60)
    slow = emulated_mode(3840, 2160, 15, preferred=True)
    modes = tuple(codec.parse_mode(raw) for raw in (small, large, slow))
    assert choose_mode("s", modes, "", SIZE).name == "1920x1080"
    preferred = codec.parse_mode(emulated_mode(800, 600, 60, preferred=True))
    assert choose_mode("s", (*modes, preferred), "", SIZE).width_px == 800


@pytest.mark.parametrize(
    "data",
    [b"\0", b"\2\0\0\0\0\0\0\0", b"\2\0\0\0\xff\xff\0\0" + bytes(24), b"\x63\0\0\0\x20\0\0\0" + bytes(24)],
)
def test_events_that_no_kernel_sends_are_an_error_and_no_endless_loop(data: bytes) -> None:
    with pytest.raises(DeviceProtocolError):
        codec.event_types(data)


def test_the_emulated_kernel_is_strict() -> None:
    kernel = EmulatedKernel()
    file = kernel.open(Path("/dev/dri/card0"))
    with pytest.raises(OSError, match="struct has 4"):
        kernel.ioctl(file, codec.GET_CRTC, bytearray(4))
    other = kernel.open(Path("/dev/dri/card0"))
    with pytest.raises(OSError, match="not the master") as refused:
        kernel.ioctl(other, codec.SET_CRTC, bytearray(104))
    assert refused.value.errno == errno.EACCES
    with pytest.raises(OSError, match="busy"):
        kernel.ioctl(other, codec.SET_MASTER, None)
    flip = bytearray(codec.FLIP.pack(51, 1, 1, 0, 0))
    with pytest.raises(OSError, match="Invalid"):
        kernel.ioctl(file, codec.PAGE_FLIP, flip)


def test_options_are_checked() -> None:
    assert DrmBoard.from_options(
        "s", {"width_px": 8, "height_px": 8, "connector": "HDMI-A-1", "fallback": False}
    )
    for wrong in (
        {"width_px": 8},
        {"width_px": 8, "height_px": 8, "fallback": "yes"},
        {"width_px": 8, "height_px": 8, "output": 1},
    ):
        with pytest.raises(DriverSetupError):
            DrmBoard.from_options("s", wrong)


def test_this_machine_has_a_display_to_try() -> None:
    if not list(Path("/dev/dri").glob("card*")):
        pytest.skip("no /dev/dri here (no display, no vkms): the real kernel is untested")
    from drivers.board.drm.card import Card
    from drivers.board.drm.kernel import LinuxKernel

    kernel = LinuxKernel()
    card = Card(kernel, kernel.cards()[0])
    crtcs, connectors = card.resources()
    assert all(card.connector(one).name for one in connectors)
    assert isinstance(crtcs, tuple)
    card.close()
