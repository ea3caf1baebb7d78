"""Packs RGB frames into the pixel layouts of displays; Pillow's C code does the work."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageChops

from drivers.api import BoardGeometry, DeviceRefusedError, Frame, PixelFormat

_HIGH_RED = [value & 0xF8 for value in range(256)]
_HIGH_GREEN = [value >> 5 for value in range(256)]
_LOW_GREEN = [(value & 0x1C) << 3 for value in range(256)]
_LOW_BLUE = [value >> 3 for value in range(256)]


def require_size(name: str, geometry: BoardGeometry, frame: Frame) -> None:
    """Raise DeviceRefusedError unless the frame has exactly the size of the board, and its bytes."""
    width, height = geometry.width_px, geometry.height_px
    if (frame.width_px, frame.height_px) != (width, height) or len(frame.rgb) != 3 * width * height:
        raise DeviceRefusedError(
            f"{name}: frame of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
            f"the board has {width}x{height} px"
        )


def pack(width_px: int, height_px: int, rgb: bytes | bytearray | memoryview, layout: PixelFormat) -> bytes:
    """Pack rows of R G B into `layout`, without gaps between rows; the unused byte of BGRX is 0.

    Args:
        width_px: of the picture.
        height_px: of the picture.
        rgb: width_px * height_px * 3 bytes.
        layout: what the display wants.
    """
    if layout is PixelFormat.RGB:
        return bytes(rgb)
    picture = _picture(width_px, height_px, rgb)
    if layout is PixelFormat.BGRX:
        return picture.tobytes("raw", "BGRX")
    red, green, blue = picture.split()
    high = ImageChops.add(red.point(_HIGH_RED), green.point(_HIGH_GREEN))
    low = ImageChops.add(green.point(_LOW_GREEN), blue.point(_LOW_BLUE))
    return Image.merge("LA", (low, high)).tobytes()


def reorder(width_px: int, height_px: int, rgb: bytes | bytearray | memoryview, raw: str) -> bytes:
    """Pack rows of R G B in an order of bytes as Pillow names it: `BGR`, `RGBX`, `XRGB`, `XBGR` ...

    Raises:
        ValueError: Pillow does not know this order.
    """
    if raw == "RGB":
        return bytes(rgb)
    picture = _picture(width_px, height_px, rgb)
    return picture.tobytes("raw", raw)


def _picture(width_px: int, height_px: int, rgb: bytes | bytearray | memoryview) -> Image.Image:
    data: Any = rgb  # Pillow takes any buffer; its types name only those with an array interface
    return Image.frombuffer("RGB", (width_px, height_px), data, "raw", "RGB", 0, 1)
