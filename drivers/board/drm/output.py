"""A display through DRM: two buffers, flipped at the vertical blank."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    PixelFormat,
    TickerKind,
)
from drivers.board.drm import codec
from drivers.board.drm.card import Buffer, Card
from drivers.board.drm.codec import Connector, Crtc, Mode
from drivers.board.drm.kernel import Kernel
from drivers.board.fbdev.driver import kernel_ioctl
from drivers.board.fbdev.memory import FrameBuffer

logger = logging.getLogger(__name__)

_FLIP_LIMIT_S = 0.5
_SLOWEST_HZ, _FASTEST_HZ = 23, 120
_WANTED_HZ = (60, 59, 50)
_HELD = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM})
_DECLINED = frozenset({errno.EINVAL, errno.ERANGE, errno.ENOSPC, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class Wish:
    """Which display and how.

    Attributes:
        card: path of the device; None: the first with a connected display.
        connector: such as `HDMI-A-1`; empty: the first connected one.
        mode: such as `1280x720` or `1920x1080@50`; empty: what the display prefers.
        console: framebuffer of the kernel's own console; gets the last picture when we leave, because the
            kernel shows it as soon as nobody holds the device. None: leave it alone.
    """

    card: Path | None = None
    connector: str = ""
    mode: str = ""
    console: Path | None = None


def open_display(name: str, geometry: BoardGeometry, wish: Wish, kernel: Kernel) -> DrmOutput:
    """Find the display and prepare to show on it.

    Raises:
        FileNotFoundError: this machine has no DRM device.
        DeviceUnavailableError: no display at the cable, or another program has it.
        DeviceRefusedError: the display has no such mode.
    """
    paths = [wish.card] if wish.card is not None else kernel.cards()
    if not paths:
        raise FileNotFoundError(errno.ENOENT, "no display device", "/dev/dri")
    problem: DriverError | None = None
    for path in paths:
        try:
            card = Card(kernel, path)
        except PermissionError:
            problem = DeviceUnavailableError(f"{name}: may not open {path}: add the service to group video")
            continue
        try:
            return DrmOutput(name, geometry, wish, kernel, card)
        except DriverError as error:
            card.close()
            problem = problem or error
        except OSError as error:
            card.close()
            problem = problem or DeviceUnavailableError(f"{name}: {path}: {error}")
        except BaseException:
            card.close()
            raise
    raise problem or DeviceUnavailableError(f"{name}: no display device")


class DrmOutput:
    """The upper left part of a display as an `Output`."""

    pixel_format = PixelFormat.BGRX
    paces = True

    def __init__(self, name: str, geometry: BoardGeometry, wish: Wish, kernel: Kernel, card: Card) -> None:
        self._name = name
        self._geometry = geometry
        self._kernel = kernel
        self._card = card
        self._console = wish.console
        self._connector, self._crtc_id = _choose(name, card, wish)
        self._mode = choose_mode(name, self._connector.modes, wish.mode, geometry)
        self._front: int | None = None
        self._buffers: list[Buffer] = []
        self._be_master()
        try:
            for _ in range(2):
                self._buffers.append(Buffer(card, self._mode.width_px, self._mode.height_px))
        except BaseException:
            self._free()
            raise
        self._stale = [(0, geometry.height_px), (0, geometry.height_px)]
        self._foreign = False
        self._last: memoryview | None = None
        logger.info("board %s: %s on %s at %s", name, self._connector.name, card.path, self._describe_mode())

    @property
    def abilities(self) -> BoardAbilities:
        return BoardAbilities(
            ticker=TickerKind.FRAMES,
            refresh_hz=self._mode.refresh_hz,
            reads_back=True,
            video=True,
            video_output=str(self._card.path),
        )

    def take(self) -> object:
        self._be_master()
        self._front = None
        return self._card.crtc(self._crtc_id)

    def check(self) -> None:
        """Raise when the cable was pulled or another display is at it; notice a picture that is not ours.

        A display that was lost keeps nothing: switched on again when nobody is left to take it away, it would
        show an old text.
        """
        found = self._card.glance(self._connector.id)
        before = self._connector
        if not found.connected:
            self._front = None
            raise DeviceUnavailableError(f"{self._name}: {before.name}: no display at the cable")
        if (found.mode_count, found.size_mm) != (before.mode_count, before.size_mm):
            self._front = None
            raise DeviceUnavailableError(f"{self._name}: {before.name}: another display was connected")
        if self._front is not None:
            shown = self._card.crtc(self._crtc_id).fb_id
            self._foreign = shown != self._buffers[self._front].fb_id

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        del wait
        self._last = picture
        self._stale = [
            (min(top, top_px), max(bottom, bottom_px)) if top < bottom else (top_px, bottom_px)
            for top, bottom in self._stale
        ]
        back = 0 if self._front is None else 1 - self._front
        top, bottom = self._stale[back]
        row_bytes = self._geometry.width_px * self.pixel_format.size_bytes
        self._buffers[back].write_rows(picture[top * row_bytes : bottom * row_bytes], row_bytes, top)
        try:
            self._bring_up(back)
        except OSError as error:
            raise self._translated(error) from error
        self._stale[back] = (0, 0)
        self._front = back

    def brightness(self, level: float) -> None:
        """Nothing: backlights of televisions are not ours to set."""

    def status(self, picture: memoryview) -> BoardStatus:
        del picture
        return BoardStatus(
            model=self._connector.name,
            lost=False,
            foreign=self._foreign,
            detail=f"{self._card.path} {self._describe_mode()}",
        )

    def give_back(self, former: object) -> None:
        """Show what was there before and let another program, such as a player of video, be master."""
        if isinstance(former, Crtc) and self._front is not None:
            ours = tuple(buffer.fb_id for buffer in self._buffers)
            connectors = (self._connector.id,)
            try:
                if former.fb_id and former.fb_id not in ours and former.mode_valid:
                    self._card.set_crtc(former, connectors)
                else:
                    self._card.set_crtc(Crtc(self._crtc_id, 0, 0, 0, mode_valid=False, mode=bytes(68)), ())
            except OSError as error:
                logger.warning("board %s: what was shown before us is gone: %s", self._name, error)
                dark = Crtc(self._crtc_id, 0, 0, 0, mode_valid=False, mode=bytes(68))
                self._card.set_crtc(dark, ())
        self._front = None
        self._last = None
        self._card.ask(codec.DROP_MASTER)

    def close(self) -> None:
        try:
            if self._front is not None:
                self._paint_console()
        finally:
            self._free()
            self._card.close()

    def _free(self) -> None:
        for index, buffer in enumerate(self._buffers):
            buffer.free(shown=index == self._front)

    def _bring_up(self, back: int) -> None:
        fb_id = self._buffers[back].fb_id
        if self._front is None or self._foreign:
            ours = Crtc(self._crtc_id, fb_id, 0, 0, mode_valid=True, mode=self._mode.raw)
            self._card.set_crtc(ours, (self._connector.id,))
            self._foreign = False
            return
        self._card.flip(self._crtc_id, fb_id)
        end_s = time.monotonic() + _FLIP_LIMIT_S
        while (left_s := end_s - time.monotonic()) > 0:
            if codec.EVENT_FLIP in self._card.events(left_s):
                return
        self._front = None
        raise DeviceUnavailableError(f"{self._name}: {self._connector.name} has no vertical blank")

    def _be_master(self) -> None:
        try:
            self._card.ask(codec.SET_MASTER)
        except OSError as error:
            raise self._translated(error) from error

    def _translated(self, error: OSError) -> DriverError:
        if error.errno in _HELD:
            holders = ", ".join(self._kernel.holders(self._card.path)) or "another program"
            return DeviceUnavailableError(
                f"{self._name}: {holders} has {self._card.path}: stop it, such as the desktop with "
                f"`systemctl disable --now display-manager` ({error.strerror})"
            )
        if error.errno in _DECLINED:
            return DeviceRefusedError(f"{self._name}: {self._connector.name} declined: {error.strerror}")
        return DeviceUnavailableError(f"{self._name}: {self._card.path}: {error}")

    def _describe_mode(self) -> str:
        return f"{self._mode.width_px}x{self._mode.height_px}@{self._mode.refresh_hz}"

    def _paint_console(self) -> None:
        """Put the last picture into the console's memory too; only a convenience, so failing is no error."""
        if self._console is None or self._last is None:
            return
        try:
            console = FrameBuffer(self._name, self._console, self._geometry, None, kernel_ioctl)
        except (OSError, DriverError) as error:
            logger.debug("board %s: console is left alone: %s", self._name, error)
            return
        try:
            if console.pixel_format is self.pixel_format:
                console.write(self._last, 0, self._geometry.height_px, wait=False)
        finally:
            console.close()


def choose_mode(name: str, modes: tuple[Mode, ...], wanted: str, geometry: BoardGeometry) -> Mode:
    """Pick the mode wished for, else the one the display prefers, else the largest; at 60 or 50 Hz if it can.

    Raises:
        DeviceRefusedError: the display has no mode that the board fits in, or not the one wished for.
    """
    fitting = [
        mode
        for mode in modes
        if mode.width_px >= geometry.width_px
        and mode.height_px >= geometry.height_px
        and _SLOWEST_HZ <= mode.refresh_hz <= _FASTEST_HZ
    ]
    if wanted:
        size, _, rate = wanted.partition("@")
        fitting = [
            mode
            for mode in fitting
            if f"{mode.width_px}x{mode.height_px}" == size and rate in ("", str(mode.refresh_hz))
        ]
    if not fitting:
        have = (
            ", ".join(f"{mode.width_px}x{mode.height_px}@{mode.refresh_hz}" for mode in modes[:12]) or "none"
        )
        what = wanted or f"at least {geometry.width_px}x{geometry.height_px}"
        raise DeviceRefusedError(f"{name}: the display has no mode {what}; it has {have}")
    return max(fitting, key=lambda mode: (mode.preferred, mode.refresh_hz in _WANTED_HZ, mode.width_px))


def _choose(name: str, card: Card, wish: Wish) -> tuple[Connector, int]:
    crtcs, connector_ids = card.resources()
    found = [card.connector(connector_id) for connector_id in connector_ids]
    named = [connector for connector in found if wish.connector in ("", connector.name)]
    if not named:
        there = ", ".join(connector.name for connector in found) or "none"
        raise DeviceUnavailableError(
            f"{name}: {card.path} has no connector {wish.connector!r}; it has {there}"
        )
    usable = [connector for connector in named if connector.connected]
    if not usable:
        what = ", ".join(connector.name for connector in named)
        raise DeviceUnavailableError(f"{name}: {what}: no display at the cable")
    connector = usable[0]
    used = {
        card.encoder(other.encoder_id)[0] for other in found if other.encoder_id and other.id != connector.id
    }
    if connector.encoder_id and (current := card.encoder(connector.encoder_id)[0]):
        return connector, current
    for encoder_id in connector.encoders:
        possible = card.encoder(encoder_id)[1]
        for index, crtc_id in enumerate(crtcs):
            if possible >> index & 1 and crtc_id not in used:
                return replace(connector, encoder_id=encoder_id), crtc_id
    raise DeviceUnavailableError(f"{name}: {connector.name}: nothing left that could feed it")
