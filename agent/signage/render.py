"""Draws one screen: JSON on standard input, raw RGB on standard output.

Runs as a short-lived child (`python -m agent.signage.render`), so that a picture never delays sound
and Pillow never stays in the agent's memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from agent.signage.layout import lay_out

FONT = Path(__file__).parent / "fonts" / "NotoSans-Bold.ttf"
BLACK = (0, 0, 0)
MAX_PIXELS = 7680 * 4320


def draw(text: str, width_px: int, height_px: int, colour: tuple[int, int, int]) -> bytes:
    """One screen with `text` centred on black.

    Returns:
        height_px * width_px * 3 bytes, rows from the top.

    Raises:
        ValueError: an impossible size.
        RuntimeError: Pillow cannot shape text (the system library libfribidi0 is missing).
    """
    if not 0 < width_px * height_px <= MAX_PIXELS:
        raise ValueError(f"a board of {width_px} x {height_px} pixels cannot be drawn")
    if not features.check("raqm"):
        raise RuntimeError("Pillow has no raqm: install the system package libfribidi0")
    sizes: dict[int, ImageFont.FreeTypeFont] = {}

    def font(size: int) -> ImageFont.FreeTypeFont:
        if size not in sizes:
            sizes[size] = ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.RAQM)
        return sizes[size]

    layout = lay_out(text, width_px, height_px, lambda line, size: font(size).getlength(line))
    image = Image.new("RGB", (width_px, height_px), BLACK)
    pen = ImageDraw.Draw(image)
    for line in layout.lines:
        pen.text((line.x_px, line.y_px), line.text, font=font(layout.font_px), fill=colour)
    return image.tobytes()


def main() -> int:
    """Draw what standard input asks for."""
    wish = json.load(sys.stdin)
    red, green, blue = wish["colour"]
    picture = draw(wish["text"], wish["width_px"], wish["height_px"], (red, green, blue))
    sys.stdout.buffer.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
