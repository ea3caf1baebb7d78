"""QR codes: whole pixels per module, with the quiet zone a reader needs."""

from __future__ import annotations

import io
from functools import lru_cache

import segno
from PIL import Image

QUIET_MODULES = 4
"""Light modules around the code. Source: ISO/IEC 18004, section 9.1."""

MAX_TEXT = 2_000
"""Characters; the standard ends at 2,953 bytes, and nobody reads such a code from a street."""

_LEVELS = ("m", "l")


class QrError(Exception):
    """A QR code that cannot be shown.

    Attributes:
        code: `qr_empty`, `qr_too_long` (no code holds so much), `qr_too_small` (the place has fewer pixels
            than the code has modules) or `qr_text` (no Unicode text).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@lru_cache(maxsize=8)
def draw_qr(text: str, width_px: int, height_px: int) -> Image.Image:
    """Draw a QR code, black on white with its quiet zone, as large as whole modules allow.

    Error correction is M (15 %), or more where it costs no space; L (7 %) only where M does not fit at all or
    would make each module smaller.

    Returns:
        RGB, square, not larger than the place. It is shared: do not draw on it.

    Raises:
        QrError: it cannot be shown there.
    """
    if not text:
        raise QrError("qr_empty", "no text")
    if len(text) > MAX_TEXT:
        raise QrError("qr_too_long", f"{len(text)} characters, at most {MAX_TEXT}")
    room_px = min(width_px, height_px)
    candidates = [code for level in _LEVELS if (code := _make(text, level)) is not None]
    if not candidates:
        raise QrError("qr_too_long", f"{len(text)} characters fit into no QR code")
    # The first of equals wins: M.
    code = max(candidates, key=lambda made: room_px // _modules(made))
    scale = room_px // _modules(code)
    if scale < 1:
        raise QrError("qr_too_small", f"{_modules(code)} modules need as many pixels, there are {room_px}")
    file = io.BytesIO()
    code.save(file, kind="png", scale=scale, border=QUIET_MODULES)
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as image:
        return image.convert("RGB")


def _make(text: str, level: str) -> segno.QRCode | None:
    try:
        return segno.make_qr(text, error=level, boost_error=True)
    except segno.DataOverflowError:
        return None
    except ValueError as error:  # UnicodeError too: half a surrogate pair
        raise QrError("qr_text", f"cannot be encoded: {error}"[:200]) from error


def _modules(code: segno.QRCode) -> int:
    width, _ = code.symbol_size(border=QUIET_MODULES)
    return int(width)
