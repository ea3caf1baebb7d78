"""Draws the hard strings. `python -m tests.golden.strings.render` writes the PNGs anew and a contact sheet.

Look at the sheet, and at `git diff --stat`, before you commit new pictures.
"""

from __future__ import annotations

import json
import math
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, features

from agent.signage.text import clean
from agent.signage.typeset import Typesetter

HERE = Path(__file__).parent
VERSIONS = HERE / "versions.json"
WHITE = (255, 255, 255)
BLOCK_PX = 8


@dataclass(frozen=True, slots=True)
class Golden:
    """One string and how it is drawn."""

    name: str
    text: str
    size: int = 28
    sharp: bool = False
    regular: bool = False


def goldens() -> list[Golden]:
    return [Golden(**entry) for entry in tomllib.loads((HERE / "strings.toml").read_text())["string"]]


def render(golden: Golden, type_: Typesetter) -> Image.Image:
    """The cleaned string, white on black, in its line box with 4 px around it; mode L."""
    text, bold = clean(golden.text).text, not golden.regular
    width = math.ceil(type_.width(text, golden.size, bold)) + 8
    image = Image.new("RGB", (width, type_.line_height(golden.size) + 8))
    type_.draw(image, 4, 4, text, golden.size, WHITE, bold=bold, sharp=golden.sharp)
    return image.convert("L")


def versions() -> str:
    """Of the libraries bundled with Pillow that decide how a letter looks, as JSON."""
    return (
        json.dumps({name: features.version(name) for name in ("freetype2", "harfbuzz", "raqm")}, indent=1)
        + "\n"
    )


def difference(one: Image.Image, other: Image.Image) -> float:
    """Largest mean difference of any block of 8 x 8 pixels, 0 to 255."""
    apart = ImageChops.difference(one, other).reduce(BLOCK_PX)
    return float(max(apart.tobytes()))


def contact_sheet(names: list[str], width_px: int = 1500) -> Image.Image:
    pictures = [Image.open(HERE / f"{name}.png").convert("RGB") for name in names]
    rows: list[list[Image.Image]] = [[]]
    for picture in pictures:
        if rows[-1] and sum(p.width + 8 for p in rows[-1]) + picture.width > width_px:
            rows.append([])
        rows[-1].append(picture)
    sheet = Image.new("RGB", (width_px, sum(max(p.height for p in row) + 8 for row in rows)), (90, 90, 90))
    y = 0
    for row in rows:
        x = 0
        for picture in row:
            sheet.paste(picture, (x, y))
            x += picture.width + 8
        y += max(p.height for p in row) + 8
    return sheet


def main(sheet: str = "/tmp/strings.png") -> None:
    type_ = Typesetter()
    for golden in goldens():
        render(golden, type_).save(HERE / f"{golden.name}.png", optimize=True)
    VERSIONS.write_text(versions())
    contact_sheet([golden.name for golden in goldens()]).save(sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])
