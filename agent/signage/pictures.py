"""Pictures from outside, fitted for a board: JPEG, PNG, GIF and WebP, and nothing else.

A file may be hostile. Its size is known before a pixel of it is decoded, only four decoders can be reached,
and whatever goes wrong has a name. JPEG is decoded small at once, of animations only the first frame is read.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

# Naming the decoders keeps Pillow from loading all of its forty when it meets a WebP.
from PIL import (
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from agent.signage.screen import Colour

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
"""Decoders that may be used; Pillow's others (EPS runs Ghostscript) are never asked."""

MAX_FILE_BYTES = 32 * 1024 * 1024

MAX_SIDE_PX = 20_000

MAX_DECODED_PIXELS = 24_000_000
"""Pixels held in memory while decoding, 4 bytes each: 96 MB for a moment."""

MAX_JPEG_PIXELS = 120_000_000
"""Of a baseline JPEG, which is decoded at 1/2 to 1/8 of its size: 10,000 x 10,000 and a little more."""

_KEPT = 3

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)

_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
)
"""All that Pillow's decoders raise on damaged files."""


class PictureError(Exception):
    """A picture that cannot be shown.

    Attributes:
        code: `picture_missing`, `picture_file_too_big`, `picture_too_large` (pixels), `picture_format` (none
            of `FORMATS`) or `picture_broken` (damaged or cut off).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def fitted_size(width_px: int, height_px: int, room_width_px: int, room_height_px: int) -> tuple[int, int]:
    """Largest size of the same proportions within the room, at least one pixel each way."""
    scale = min(room_width_px / width_px, room_height_px / height_px)
    return (
        min(room_width_px, max(1, round(width_px * scale))),
        min(room_height_px, max(1, round(height_px * scale))),
    )


def load_picture(path: Path, width_px: int, height_px: int, background: Colour) -> Image.Image:
    """Decode a picture and fit it into a room: whole, in its own proportions, upright.

    Args:
        path: of the file; its name does not matter.
        width_px: of the room, 1 or more.
        height_px: of the room, 1 or more.
        background: what shines through where the picture is transparent.

    Returns:
        RGB, as wide or as high as the room and not more. It is shared: do not draw on it.

    Raises:
        PictureError: the file is missing, too big, no picture, or damaged.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise PictureError("picture_missing", f"cannot read {path.name[:80]!r}") from error
    if stat.st_size > MAX_FILE_BYTES:
        raise PictureError("picture_file_too_big", f"{stat.st_size} bytes, at most {MAX_FILE_BYTES}")
    return _load(path, stat.st_mtime_ns, width_px, height_px, background)


@lru_cache(maxsize=_KEPT)
def _load(path: Path, _changed_ns: int, width_px: int, height_px: int, background: Colour) -> Image.Image:
    # A screen with a clock is painted every minute; its picture is decoded once.
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_webp(file)
            return _decode(file, width_px, height_px, background)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("picture_too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise PictureError(
            "picture_format", "neither JPEG, PNG, GIF nor WebP, or damaged at its start"
        ) from error
    except MemoryError as error:
        raise PictureError("picture_too_large", "no memory to decode it") from error
    except _DECODER_ERRORS as error:
        raise PictureError("picture_broken", f"{type(error).__name__}: {error}"[:200]) from error


def _decode(file: BinaryIO, width_px: int, height_px: int, background: Colour) -> Image.Image:
    with Image.open(file, formats=FORMATS) as image:
        orientation = _orientation(image)
        room = (height_px, width_px) if orientation in _LYING else (width_px, height_px)
        _check_size(image)
        size = fitted_size(*image.size, *room)
        # Decode to twice the wanted size at least, so that the resampling afterwards stays smooth.
        image.draft("RGB", (size[0] * 2, size[1] * 2))
        if image.width * image.height > MAX_DECODED_PIXELS:
            raise PictureError("picture_too_large", f"{image.width} x {image.height} pixels to decode")
        image.load()
        plain = _plain(image, size, background)
    if orientation in _TURNS:
        plain = plain.transpose(_TURNS[orientation])
    return plain


def _check_size(image: Image.Image) -> None:
    pixels = image.width * image.height
    baseline = image.format in {"JPEG", "MPO"} and not image.info.get("progressive")
    if max(image.size) > MAX_SIDE_PX or pixels > (MAX_JPEG_PIXELS if baseline else MAX_DECODED_PIXELS):
        raise PictureError("picture_too_large", f"{image.width} x {image.height} pixels")


def _check_webp(file: BinaryIO) -> None:
    """Refuse a large WebP from its header: its decoder takes memory for two whole pictures when it is opened.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    head = file.read(30)
    file.seek(0)
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":  # noqa: PLR2004 - length of the header
        return
    match head[12:16]:
        case b"VP8X":
            width = 1 + int.from_bytes(head[24:27], "little")
            height = 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width = int.from_bytes(head[26:28], "little") & 0x3FFF
            height = int.from_bytes(head[28:30], "little") & 0x3FFF
        case _:
            raise PictureError("picture_broken", "WebP without a known first chunk")
    if width * height > MAX_DECODED_PIXELS:
        raise PictureError("picture_too_large", f"{width} x {height} pixels")


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return 1  # a damaged note about the picture does not make the picture worse
    return value if isinstance(value, int) else 1


def _plain(image: Image.Image, size: tuple[int, int], background: Colour) -> Image.Image:
    """RGB of that size, transparency laid over the background."""
    if image.mode.startswith("I;16"):
        # Pillow clips 16 bits to 8 instead of scaling them.
        plain: Image.Image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    else:
        plain = image
    if plain.has_transparency_data:
        with_alpha = plain.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
        flat = Image.new("RGB", size, background)
        flat.paste(with_alpha, (0, 0), with_alpha)
        return flat
    return plain.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
