"""Lays out and paints for the board worker; heavy libraries are loaded where they are first needed.

Everything here may be called from any thread. Setting type is done in turns of one call, so that an emergency
never waits for longer than one line of something else.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.model.board import Facts, Page, PageKind
from agent.signage.link import THUMBNAIL_BYTES, Problem, Setup
from agent.signage.screen import Colour, Fill, Screen, TickerBand
from drivers.api import BoardAbilities, BoardGeometry, Frame, PixelFormat, TickerKind

if TYPE_CHECKING:
    from PIL import Image

    from agent.signage.theme import Theme
    from agent.signage.typeset import Typesetter

logger = logging.getLogger(__name__)

_CACHE_MAX_BYTES = 32 * 1024 * 1024
_THUMBNAIL_PX = 160
_RAW = {PixelFormat.RGB: "RGB", PixelFormat.BGRX: "BGRX", PixelFormat.RGB565: "BGR;16"}


@dataclass(frozen=True, slots=True)
class Painted:
    """A screen as RGB bytes, and what went wrong with it."""

    screen: Screen
    rgb: bytes = field(repr=False)
    problems: tuple[Problem, ...] = ()


class _Turns:
    """A typesetter that several threads may use: one call at a time."""

    def __init__(self, type_: Typesetter) -> None:
        self._type = type_
        self._lock = threading.Lock()

    def width(self, text: str, size_px: int, bold: bool = True) -> float:
        with self._lock:
            return self._type.width(text, size_px, bold)

    def line_height(self, size_px: int) -> int:
        with self._lock:
            return self._type.line_height(size_px)

    def missing(self, text: str) -> tuple[str, ...]:
        with self._lock:
            return self._type.missing(text)

    def draw(  # noqa: PLR0917  as typesetters have it
        self,
        image: Image.Image,
        x_px: int,
        y_px: int,
        text: str,
        size_px: int,
        colour: Colour,
        bold: bool = True,
        sharp: bool = False,
    ) -> None:
        with self._lock:
            self._type.draw(image, x_px, y_px, text, size_px, colour, bold, sharp)


class Studio:
    """Turns pages into pixels for one board."""

    def __init__(self, setup: Setup) -> None:
        """Load theme and fonts; raises ThemeError, FontsMissingError, ValueError."""
        from agent.signage.layout import compose  # noqa: PLC0415  loaded in a thread while the board is opened
        from agent.signage.pixels import Correction  # noqa: PLC0415
        from agent.signage.theme import load_theme  # noqa: PLC0415
        from agent.signage.typeset import Typesetter  # noqa: PLC0415

        self._face = setup.face
        self._theme: Theme = load_theme(setup.theme)
        self._type = _Turns(Typesetter((*setup.fonts, *self._theme.font_files())))
        self._compose = compose
        self._correction = Correction(setup.gamma, setup.colour_order)
        self._cache: OrderedDict[Screen, Painted] = OrderedDict()
        self._lock = threading.Lock()
        self._own_assets = self._theme.assets()

    def fit(self, geometry: BoardGeometry, abilities: BoardAbilities) -> None:
        """Take size and abilities from the board itself."""
        self._face = replace(
            self._face,
            width_px=geometry.width_px,
            height_px=geometry.height_px,
            colours=abilities.colours,
            moves=abilities.ticker is not TickerKind.NONE,
        )

    # --- layout --------------------------------------------------------------------------------------

    def compose(
        self, page: Page, facts: Facts, now: datetime, assets: Mapping[str, Path]
    ) -> tuple[Screen, ...]:
        """Screens of one page, at least one."""
        return self._compose(page, self._face, self._theme, facts, now, self._type, assets.__contains__)

    def plain(self, page: Page, facts: Facts, now: datetime) -> tuple[Screen, ...]:
        """Screens of the text of a page in the built-in theme, for a page or a theme that fails."""
        from agent.signage.theme import load_theme  # noqa: PLC0415

        bare = replace(page, picture="", video="", qr="", weather="", template="")
        known = Facts(station=facts.station, clock_known=False)
        return self._compose(bare, self._face, load_theme(None), known, now, self._type, lambda _key: False)

    def safe(self, facts: Facts, now: datetime) -> Frame:
        """What is left on the board when the worker ends: without a clock, since it would stand still."""
        page = Page(id="safe", kind=PageKind.SAFE)
        try:
            screen = self.compose(page, replace(facts, clock_known=False), now, {})[0]
        except Exception:
            logger.exception("the theme's safe screen cannot be laid out")
            screen = self.plain(page, facts, now)[0]
        return self.frame(self._paint(screen, {}).rgb)

    # --- paint ---------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many screens may be kept painted; at least two."""
        return max(2, min(16, _CACHE_MAX_BYTES // (self._face.width_px * self._face.height_px * 3)))

    def kept(self, screen: Screen) -> Painted | None:
        """The screen if it is painted already."""
        with self._lock:
            painted = self._cache.get(screen)
            if painted is not None:
                self._cache.move_to_end(screen)
            return painted

    def forget(self) -> None:
        """Drop what is painted: assets changed."""
        with self._lock:
            self._cache.clear()

    def paint(self, screen: Screen, assets: Mapping[str, Path]) -> Painted:
        """Paint a screen, or take it from those that are kept."""
        painted = self.kept(screen)
        if painted is None:
            painted = self._paint(screen, assets)
            with self._lock:
                self._cache[screen] = painted
                while len(self._cache) > self.room:
                    self._cache.popitem(last=False)
        return painted

    def _paint(self, screen: Screen, assets: Mapping[str, Path]) -> Painted:
        from agent.signage.paint import paint_screen  # noqa: PLC0415

        result = paint_screen(screen, self._type, {**self._own_assets, **assets}, self._face.colours)
        told = (*screen.complaints, *result.problems)
        problems = tuple(Problem(screen.page_id, *_halves(text)) for text in told)
        return Painted(screen, self._correction.apply(result.image).tobytes(), problems)

    def unlit(self, screen: Screen, assets: Mapping[str, Path]) -> bytes:
        """A screen in the dark half of its blinking: its border in the colour of the background."""
        elements = tuple(
            replace(one, colour=screen.background) if isinstance(one, Fill) and one.line_px > 0 else one
            for one in screen.elements
        )
        return self._paint(replace(screen, elements=elements), assets).rgb

    def strip(self, band: TickerBand, text: str) -> Image.Image:
        """A piece of a ticker, as the board wants its colours."""
        from agent.signage.paint import paint_strip  # noqa: PLC0415

        return self._correction.apply(paint_strip(band, text, self._type, self._face.colours))

    def strip_width(self, band: TickerBand, text: str) -> float:
        """Its width in pixels."""
        return self._type.width(text, band.size_px, band.bold)

    def strips(self, band: TickerBand, text: str, most_px: int, form: PixelFormat) -> list[tuple[bytes, int]]:
        """A piece of a ticker, packed, cut into parts of at most `most_px`, each with its width."""
        from agent.signage.pixels import pack  # noqa: PLC0415

        image = self.strip(band, text)
        parts = []
        for left in range(0, image.width, most_px):
            width = min(most_px, image.width - left)
            part = image if width == image.width else image.crop((left, 0, left + width, image.height))
            parts.append((pack(part, form), width))
        return parts

    def ground(self, band: TickerBand, form: PixelFormat) -> bytes:
        """One pixel of the background of a ticker, packed."""
        from agent.signage.pixels import pack  # noqa: PLC0415

        return pack(self.strip(band, " ").crop((0, 0, 1, 1)), form)

    # --- pixels --------------------------------------------------------------------------------------

    def frame(self, rgb: bytes) -> Frame:
        """RGB bytes as a frame of the board."""
        return Frame(self._face.width_px, self._face.height_px, rgb)

    def packed(self, rgb: bytes, form: PixelFormat) -> bytes:
        """RGB bytes of the board's size in the format of its canvas."""
        from agent.signage.pixels import pack  # noqa: PLC0415

        return rgb if form is PixelFormat.RGB else pack(self._image(rgb), form)

    def unpacked(self, rows: bytes, form: PixelFormat, stride_bytes: int) -> bytes:
        """RGB bytes of whole rows of a canvas."""
        from PIL import Image  # noqa: PLC0415

        size = (self._face.width_px, len(rows) // stride_bytes)
        return Image.frombytes("RGB", size, rows, "raw", _RAW[form], stride_bytes).tobytes()

    def thumbnail(self, rgb: bytes) -> bytes:
        """PNG of at most 160 px; fewer colours, then fewer pixels, until a photograph is small enough."""
        image = self._image(rgb)
        for side_px in (_THUMBNAIL_PX, _THUMBNAIL_PX * 3 // 4, _THUMBNAIL_PX // 2):
            image.thumbnail((side_px, side_px))
            for made in (image, image.quantize(64), image.quantize(16)):
                small = _png(made)
                if len(small) <= THUMBNAIL_BYTES:
                    return small
        return b""

    def png(self, rgb: bytes) -> bytes:
        """PNG of a whole frame."""
        return _png(self._image(rgb))

    def _image(self, rgb: bytes) -> Image.Image:
        from PIL import Image  # noqa: PLC0415

        return Image.frombytes("RGB", (self._face.width_px, self._face.height_px), rgb)


def digest(rgb: bytes) -> str:
    """SHA-256 of a frame, hexadecimal."""
    return hashlib.sha256(rgb).hexdigest()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _halves(text: str) -> Sequence[str]:
    code, _, detail = text.partition(" ")
    return code, detail
