"""Pixels as a board wants them: packed into bytes, corrected for its LEDs, reduced to its colours.

All of it runs on Pillow's tables, since numpy would cost 16 MiB of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops

from drivers.api import Colours, PixelFormat

ORDERS = ("RGB", "RBG", "GRB", "GBR", "BRG", "BGR")
"""Every order in which a module may have its colours wired."""

LIT = 128
"""From this value up (of 255) a channel of a board without shades is lit."""

_CHANNELS = "RGB"


_HIGH5 = [round(value * 31 / 255) << 3 for value in range(256)]
_LOW5 = [round(value * 31 / 255) for value in range(256)]
_GREEN_HIGH3 = [round(value * 63 / 255) >> 3 for value in range(256)]
_GREEN_LOW3 = [(round(value * 63 / 255) & 7) << 5 for value in range(256)]
_THRESHOLD = [255 if value >= LIT else 0 for value in range(256)]


def pack(image: Image.Image, pixel_format: PixelFormat) -> bytes:
    """Bytes of an RGB image in the memory order of a canvas, rows from the top, without padding.

    Returns:
        width * height * `pixel_format.size_bytes` bytes; the unused byte of BGRX is 0. RGB565 is rounded
        to the nearest level, so that full white stays full white.
    """
    match pixel_format:
        case PixelFormat.RGB:
            return image.tobytes()
        case PixelFormat.BGRX:
            return image.tobytes("raw", "BGRX")
        case PixelFormat.RGB565:
            # Pillow cannot pack 5-6-5. Its two bytes are built as two grey images, whose bits never overlap,
            # and interleaved as grey and alpha.
            red, green, blue = image.split()
            high = ImageChops.add(red.point(_HIGH5), green.point(_GREEN_HIGH3))
            low = ImageChops.add(blue.point(_LOW5), green.point(_GREEN_LOW3))
            return Image.merge("LA", (low, high)).tobytes()


@dataclass(frozen=True, slots=True)
class Correction:
    """What a board's LEDs need so that a colour looks as it was meant.

    Attributes:
        gamma: exponent, 1.0 to 4.0; 1.0 leaves values alone, LEDs want about 2.2.
        order: which colour the board's first, second and third input light up, one of `ORDERS`.

    Raises:
        ValueError: out of range.
    """

    gamma: float = 1.0
    order: str = "RGB"

    def __post_init__(self) -> None:
        if not 1.0 <= self.gamma <= 4.0:  # noqa: PLR2004 - the documented range
            raise ValueError(f"gamma must be between 1.0 and 4.0, not {self.gamma}")
        if self.order not in ORDERS:
            raise ValueError(f"colour order must be one of {', '.join(ORDERS)}, not {self.order!r}")

    def apply(self, image: Image.Image) -> Image.Image:
        """The corrected image; the same object when nothing needs correcting."""
        if self.gamma != 1.0:
            image = image.point(_curve(self.gamma) * 3)
        if self.order != _CHANNELS:
            bands = image.split()
            image = Image.merge("RGB", [bands[_CHANNELS.index(colour)] for colour in self.order])
        return image


@lru_cache(maxsize=4)
def _curve(gamma: float) -> list[int]:
    return [round(255 * (value / 255) ** gamma) for value in range(256)]


def reduce(image: Image.Image, colours: Colours) -> Image.Image:
    """The image in the colours the board has, without shades: text keeps its full strokes.

    MONO: a pixel is lit (written as white, whatever colour the LEDs have) if any of its channels is at least
    `LIT`. DUAL: red, green, amber or black; blue, which such a board lacks, counts as amber if it is alone.
    FULL: the image itself.
    """
    if colours is Colours.FULL:
        return image
    red, green, blue = (band.point(_THRESHOLD) for band in image.split())
    if colours is Colours.MONO:
        lit = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        return Image.merge("RGB", (lit, lit, lit))
    only_blue = ImageChops.subtract(ImageChops.subtract(blue, red), green)
    return Image.merge(
        "RGB",
        (
            ImageChops.lighter(red, only_blue),
            ImageChops.lighter(green, only_blue),
            Image.new("L", image.size),
        ),
    )
