"""A chain of receiver cards as an `Output`: every picture is sent whole, nothing of it is acknowledged."""

from __future__ import annotations

import logging
import time

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    DeviceProtocolError,
    DeviceUnavailableError,
    PixelFormat,
    TickerKind,
)
from drivers.board.colorlight import codec
from drivers.board.colorlight.codec import CardInfo
from drivers.board.colorlight.link import Link
from drivers.board.packing import reorder

logger = logging.getLogger(__name__)

_SETTLE_S = 0.005
_ANSWER_S = 0.4
_DOUBLE_FROM = 13
_LATE_MAX = 1000
_UPTIME_SLACK_S = 2.0
_UPTIME_TURN_S = (1 << 32) / 1000
_TURN_SLACK_S = 60.0


class ColorlightOutput:
    """Sends brightness, rows, and after a pause the frame that makes the cards show them."""

    pixel_format = PixelFormat.RGB
    paces = False

    def __init__(
        self, name: str, geometry: BoardGeometry, link: Link, *, refresh_hz: int, double: bool | None
    ) -> None:
        """Look for the card.

        Args:
            name: of the board, for messages.
            geometry: of the board.
            link: to the first card.
            refresh_hz: frames a second at most.
            double: send sync and brightness twice; None: as the firmware of the card needs.

        Raises:
            DeviceUnavailableError: nothing at the other end of the cable.
        """
        self._name = name
        self._geometry = geometry
        self._link = link
        self._heads = codec.row_heads(geometry.width_px, geometry.height_px)
        self._level = 255
        self._showing = False
        self._info: CardInfo | None = None
        self.check()
        self._began_s: float | None = None
        if (found := self._ask()) is not None:
            self._info = found
            self._began_anew(found)
        self.abilities = BoardAbilities(
            ticker=TickerKind.FRAMES,
            refresh_hz=refresh_hz,
            brightness=True,
            reads_back=self._info is not None,
        )
        self._double = double
        self._times = self._needed()

    def take(self) -> object:
        return True

    def check(self) -> None:
        if not self._link.carrier():
            raise DeviceUnavailableError(f"{self._name}: no card at the cable (no carrier)")

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        """Send the whole picture: whether a card keeps rows that are not sent again is not known."""
        del top_px, bottom_px, wait
        pixels = reorder(self._geometry.width_px, self._geometry.height_px, picture, "BGR")
        self._link.send([codec.brightness(self._level)] * self._times)
        self._link.send([head + pixels[3 * start : 3 * end] for head, start, end in self._heads])
        time.sleep(_SETTLE_S)
        self._link.send([codec.sync(self._level)] * self._times)
        self._showing = True

    def brightness(self, level: float) -> None:
        """Set all cards, from 1 to 255 of 255; it counts at once for what is shown."""
        self._level = max(1, round(level * 255))
        self._link.send([codec.brightness(self._level)] * self._times)
        if self._showing:
            time.sleep(_SETTLE_S)
            self._link.send([codec.sync(self._level)] * self._times)

    def status(self, picture: memoryview) -> BoardStatus:
        """Ask the first card; one that began anew since the last answer has lost its picture.

        A card that never answered (old firmware) is believed as long as there is a carrier. The first answer
        of one that did not answer before may come from one that began after our picture.
        """
        del picture
        before, found = self._info, self._ask()
        if found is None:
            if before is not None:
                raise DeviceUnavailableError(f"{self._name}: the card does not answer any more")
            return BoardStatus(detail="the card answers no questions")
        lost = self._began_anew(found) or (before is None and self._showing)
        self._info = found
        lost = lost or self._times != self._needed()
        self._times = self._needed()
        major, minor = found.firmware
        size = f"{found.width_px}x{found.height_px}"
        wanted = f"{self._geometry.width_px}x{self._geometry.height_px}"
        return BoardStatus(
            model="Colorlight 5A-75",
            firmware=f"{major}.{minor}",
            lost=lost,
            detail=f"card {found.number} for {size} px" + (f", board has {wanted}" if size != wanted else ""),
        )

    def give_back(self, former: object) -> None:
        """Go dark: what another sender showed cannot be read."""
        del former
        size = self._geometry
        self.write(memoryview(bytes(3 * size.width_px * size.height_px)), 0, size.height_px, wait=False)
        self._showing = False

    def close(self) -> None:
        self._link.close()

    def _needed(self) -> int:
        """How often sync and brightness have to be sent."""
        double = self._double
        if double is None:
            double = self._info is not None and self._info.firmware[0] >= _DOUBLE_FROM
        return 2 if double else 1

    def _began_anew(self, found: CardInfo) -> bool:
        """Whether the card was started again; its 32 bit running time turns over every 50 days."""
        began_s, self._began_s = self._began_s, time.monotonic() - found.uptime_ms / 1000
        if began_s is None:
            return False
        later_s = self._began_s - began_s
        return later_s > _UPTIME_SLACK_S and abs(later_s - _UPTIME_TURN_S) > _TURN_SLACK_S

    def _ask(self) -> CardInfo | None:
        for _ in range(_LATE_MAX):  # thrown away: answers that came too late
            if self._link.receive(0.0001) is None:
                break
        else:
            raise DeviceProtocolError(f"{self._name}: something at the cable never stops talking")
        self._link.send([codec.discover()])
        answer = self._link.receive(_ANSWER_S)
        return None if answer is None else codec.parse_reply(answer)
