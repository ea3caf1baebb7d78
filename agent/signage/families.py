"""The bundled fonts, one family a script, in the order in which they are asked for a character."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import ImageFont

from agent.errors import AgentError, Retry
from agent.signage.coverage import coverage

logger = logging.getLogger(__name__)

FONTS = Path(__file__).parent / "fonts"

_TRIAL_PX: Final = 16

LATIN = 0
"""Number of the family that Vietnamese is written with."""

_BUNDLED = (
    ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf", 1.0, 0.25),
    ("NotoSansKhmer-Regular.ttf", "NotoSansKhmer-Bold.ttf", 0.88, 0.5),
    ("NotoSansTaiViet-Regular.ttf", "NotoSansTaiViet-Regular.ttf", 1.0, 0.3),
    ("NotoSansCham-Regular.ttf", "NotoSansCham-Bold.ttf", 0.88, 0.34),
    ("NotoSansLao-Regular.ttf", "NotoSansLao-Bold.ttf", 0.92, 0.3),
    ("NotoSansThai-Regular.ttf", "NotoSansThai-Bold.ttf", 1.0, 0.28),
    ("NotoSansSymbols2-Subset.ttf", "NotoSansSymbols2-Subset.ttf", 1.0, 0.25),
    ("NotoSansSymbols-Subset.ttf", "NotoSansSymbols-Subset.ttf", 1.0, 0.25),
    ("NotoSansMath-Subset.ttf", "NotoSansMath-Subset.ttf", 1.0, 0.25),
    ("NotoSansSC-Subset.otf", "NotoSansSC-Subset.otf", 1.0, 0.25),
)


class FontsMissingError(AgentError):
    """Text cannot be drawn: a bundled font is missing or broken, or Pillow cannot shape text."""

    retry = Retry.NEVER


@dataclass(frozen=True, slots=True)
class Family:
    """Fonts of one script.

    Attributes:
        scale: font size over the one asked for, so that what is usual in the script fits the line box.
        below: ink below the base line that is usual, in font sizes asked for.
        characters: code points that both weights have.
    """

    regular: Path
    bold: Path
    scale: float
    below: float
    characters: frozenset[int]


def families(extra_fonts: Sequence[Path] = ()) -> tuple[Family, ...]:
    """The bundled families, then one for each extra font; a broken extra one is logged and left out.

    Raises:
        FontsMissingError: a bundled font is missing or broken.
    """
    bundled = [_family(FONTS / regular, FONTS / bold, *figures) for regular, bold, *figures in _BUNDLED]
    return (*bundled, *_extra(extra_fonts))


def _extra(fonts: Sequence[Path]) -> Iterator[Family]:
    for font in fonts:
        try:
            family = _family(font, font, 1.0, 0.25)
            ImageFont.truetype(font, _TRIAL_PX, layout_engine=ImageFont.Layout.RAQM).getbbox("a")
        except (FontsMissingError, OSError) as error:
            logger.warning("extra font %r is left out: %s", str(font)[:200], error)
        else:
            yield family


def _family(regular: Path, bold: Path, scale: float, below: float) -> Family:
    try:
        characters = coverage(regular) & coverage(bold) if bold != regular else coverage(regular)
    except (OSError, ValueError) as error:
        raise FontsMissingError(f"a font cannot be read: {error}") from error
    return Family(regular, bold, scale, below, characters)
