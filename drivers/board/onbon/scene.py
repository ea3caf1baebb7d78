"""From a picture and a ticker to the areas of a card: decided here, sent elsewhere.

Areas must not overlap, each holds at most 300 KB, and a card has few of them. The first always has number 0,
so that going from one scene to the next never leaves the card without any.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from drivers.api import CardTicker, Colours, DeviceRefusedError, Frame
from drivers.board.onbon.areas import (
    AREA_MAX_BYTES,
    Area,
    AreaPage,
    Display,
    RunMode,
    Spot,
    bitmap_bytes,
    encode_bitmap,
)
from drivers.board.onbon.codec import Family

AREAS_MAX = {Family.BX5E: 4, Family.BX6E: 4, Family.BX6Q: 32}
"""Fewest that a card of the family is known to have."""
FASTEST, SLOWEST = 1, 63
_BAND_PX = 32
_STAY_10MS = 60_000
_CLEAR = {Family.BX5E: 0, Family.BX6E: 1, Family.BX6Q: 1}


@dataclass(frozen=True, slots=True)
class Place:
    """Our part of a card's screen.

    Attributes:
        family, colours: of the card.
        x_px, y_px: where we begin on its screen.
        width_px, height_px: how much is ours.
        blank_after_s: the card takes our picture away, or shows the safe one, when it hears nothing for so
            long; 0: never.
        step_ms: how long one pixel takes at the card's fastest speed.
    """

    family: Family
    colours: Colours
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    blank_after_s: int = 0
    step_ms: float = 10.0

    @property
    def ticker_max_px(self) -> int:
        """Longest strip for a band of 32 rows, or a quarter of our height if that is more; 0: none fits."""
        band_px = min(self.height_px, max(_BAND_PX, self.height_px // 4))
        return AREA_MAX_BYTES // self.bytes_of(band_px) * self.width_px

    def bytes_of(self, height_px: int) -> int:
        """Size of one page as wide as our part."""
        return bitmap_bytes(self.family, self.colours, self.x_px, self.width_px, height_px)

    def speed_of(self, speed_px_s: float) -> int:
        """The card's nearest speed, 1 (fastest) to 63: how many steps of time a pixel takes."""
        steps = 1000 / (max(speed_px_s, 0.1) * self.step_ms)
        return min(max(round(steps), FASTEST), SLOWEST)


def scene(
    place: Place, frame: Frame, ticker: CardTicker | None, safe: Frame | None, *, lasting: bool = False
) -> tuple[Area, ...]:
    """The areas that show a picture, and its ticker.

    Args:
        place: our part of the screen.
        frame: of its size.
        ticker: lies on its band instead of the frame.
        safe: what the card shows by itself once it has heard nothing for `blank_after_s`; of the same size.
        lasting: stays until the card loses power, whatever we do.

    Raises:
        DeviceRefusedError: the ticker does not fit, or the picture needs more areas than the card has.
    """
    picture = image_of(frame)
    spare = None if safe is None or lasting or not place.blank_after_s else image_of(safe)
    areas = _areas(place, picture, ticker, spare, lasting=lasting)
    if spare is not None and not _fits(place, areas):
        areas = _areas(place, picture, ticker, None, lasting=lasting)
    if _fits(place, areas):
        return areas
    if ticker is not None and _fits(place, _areas(place, picture, None, None, lasting=lasting)):
        raise DeviceRefusedError(f"a ticker of {ticker.strip.width_px} px is more than an area holds")
    raise DeviceRefusedError(
        f"{place.width_px}x{place.height_px} px need {len(areas)} areas, "
        f"the card has {AREAS_MAX[place.family]}"
    )


def _fits(place: Place, areas: tuple[Area, ...]) -> bool:
    few = len(areas) <= AREAS_MAX[place.family]
    return few and all(area.size_bytes <= AREA_MAX_BYTES for area in areas)


def image_of(frame: Frame) -> Image.Image:
    """The picture of a frame whose length was checked."""
    return Image.frombytes("RGB", (frame.width_px, frame.height_px), frame.rgb)


def _areas(
    place: Place, picture: Image.Image, ticker: CardTicker | None, safe: Image.Image | None, *, lasting: bool
) -> tuple[Area, ...]:
    run_mode, timeout_s = RunMode.LOOP, 0
    if place.blank_after_s and not lasting:
        run_mode = RunMode.LAST_PAGE_WHEN_STALE if safe else RunMode.BLANK_WHEN_STALE
        timeout_s = place.blank_after_s
    parts: list[tuple[int, int, tuple[AreaPage, ...]]] = []

    def still(top_px: int, bottom_px: int) -> None:
        pages = 1 if safe is None else 2
        rows = max(1, AREA_MAX_BYTES // (pages * place.bytes_of(1)))
        for top in range(top_px, bottom_px, rows):
            bottom = min(top + rows, bottom_px)
            parts.append(
                (top, bottom, (_page(place, picture, top, bottom), *_safe(place, safe, top, bottom)))
            )

    if ticker is None:
        still(0, place.height_px)
    else:
        top_px, bottom_px = ticker.y_px, ticker.y_px + ticker.strip.height_px
        still(0, top_px)
        pages = (*_moving(place, ticker), *_safe(place, safe, top_px, bottom_px))
        parts.append((top_px, bottom_px, pages))
        still(bottom_px, place.height_px)
    return tuple(
        Area(
            number,
            Spot(place.x_px, place.y_px + top, place.width_px, bottom - top),
            pages,
            run_mode,
            timeout_s,
        )
        for number, (top, bottom, pages) in enumerate(parts)
    )


def _page(place: Place, picture: Image.Image, top_px: int, bottom_px: int) -> AreaPage:
    part = picture.crop((0, top_px, place.width_px, bottom_px))
    bitmap = encode_bitmap(place.family, place.colours, part, place.x_px)
    return AreaPage(bitmap, Display.STATIC, _CLEAR[place.family], stay_10ms=_STAY_10MS)


def _safe(place: Place, safe: Image.Image | None, top_px: int, bottom_px: int) -> tuple[AreaPage, ...]:
    return () if safe is None else (_page(place, safe, top_px, bottom_px),)


def _moving(place: Place, ticker: CardTicker) -> list[AreaPage]:
    """The strip cut into pages as wide as the area, which the card lets run one behind the other."""
    strip = image_of(ticker.strip)
    pages = []
    for left in range(0, strip.width, place.width_px):
        valid_px = min(place.width_px, strip.width - left)
        part = strip.crop((left, 0, left + place.width_px, strip.height))  # beyond the strip it is black
        pages.append(
            AreaPage(
                encode_bitmap(place.family, place.colours, part, place.x_px),
                Display.CONTINUOUS_LEFT,
                _CLEAR[place.family],
                speed=place.speed_of(ticker.speed_px_s),
                stay_10ms=0,
                valid_px=valid_px,
            )
        )
    return pages
