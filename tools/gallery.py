"""Draws the gallery of boards: `python -m tools.gallery` writes docs/boards, `--check` compares it.

Every picture comes out of the code that the board's worker runs; only then are small boards enlarged to look
like LEDs, and large ones made smaller.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageChops

from agent.signage.preview import Show
from agent.signage.preview_file import Wish
from agent.signage.screen import Face
from agent.signage.symbols import NAMES, draw_symbol
from drivers.api import Colours
from tools.gallery_entries import ENTRIES, NOW, PICTURE, Entry

FOLDER = Path(__file__).parents[1] / "docs" / "boards"
EXAMPLES = FOLDER / "examples"

LED_WIDTH_PX = 768
"""About how wide a board of LEDs is drawn."""

_LED_MM = 2.0
_EDGED_FROM_PX = 3
_EDGE = 110
_LARGE_PX = (640, 640)
_RED: tuple[float, float, float] = (1.0, 0.16, 0.1)
_GROUND = (28, 30, 33)
_GAP_PX = 12


def screens(entry: Entry) -> Iterator[Image.Image]:
    """The screens of an entry exactly as the board gets them."""
    # What a board shows when a file is broken; `none` is not there at all when it is painted.
    assets = {PICTURE: EXAMPLES / PICTURE, "none": EXAMPLES / "none"}
    show = Show(Wish((entry.page,), entry.face, entry.facts, NOW, None, assets))
    for screen in show.screens[: entry.most]:
        yield show.still(screen)


def picture(entry: Entry) -> Image.Image:
    """An entry as it stands in the gallery."""
    looks = [
        _as_leds(image, entry.face) if entry.face.pitch_mm >= _LED_MM else _smaller(image)
        for image in screens(entry)
    ]
    width, height = looks[0].size
    sheet = Image.new("RGB", (width + 2 * _GAP_PX, len(looks) * (height + _GAP_PX) + _GAP_PX), _GROUND)
    for number, look in enumerate(looks):
        sheet.paste(look, (_GAP_PX, _GAP_PX + number * (height + _GAP_PX)))
    return sheet


def _as_leds(image: Image.Image, face: Face) -> Image.Image:
    """Each pixel as a dot with a dark edge; a one-colour board is red, as most of them are."""
    if face.colours is Colours.MONO:
        bands = [
            band.point([round(value * part) for value in range(256)])
            for band, part in zip(image.split(), _RED, strict=True)
        ]
        image = Image.merge("RGB", bands)
    dot = max(2, round(LED_WIDTH_PX / image.width))
    large = image.resize((image.width * dot, image.height * dot), Image.Resampling.NEAREST)
    if dot < _EDGED_FROM_PX:
        return large
    tile = Image.new("L", (dot, dot), 255)
    tile.paste(_EDGE, (dot - 1, 0, dot, dot))
    tile.paste(_EDGE, (0, dot - 1, dot, dot))
    mask = Image.new("L", large.size)
    for x in range(0, large.width, dot):
        mask.paste(tile, (x, 0))
    row = mask.crop((0, 0, large.width, dot))
    for y in range(0, large.height, dot):
        mask.paste(row, (0, y))
    return ImageChops.multiply(large, Image.merge("RGB", (mask, mask, mask)))


def _smaller(image: Image.Image) -> Image.Image:
    image.thumbnail(_LARGE_PX, Image.Resampling.LANCZOS)
    return image


def symbol_sheet() -> Image.Image:
    """All symbols: large, at 24 pixels without shades, and at 24 pixels as they are."""
    columns, step, tall = 7, 112, 164
    rows = -(-len(NAMES) // columns)
    sheet = Image.new("RGB", (columns * step + _GAP_PX, rows * tall + _GAP_PX))
    for number, name in enumerate(NAMES):
        left, top = number % columns * step + _GAP_PX, number // columns * tall + _GAP_PX
        for mask, colour, place in (
            (draw_symbol(name, 96), (255, 224, 0), (left, top)),
            (
                draw_symbol(name, 24, sharp=True).resize((48, 48), Image.Resampling.NEAREST),
                (255, 60, 40),
                (left, top + 104),
            ),
            (draw_symbol(name, 24), (255, 255, 255), (left + 60, top + 116)),
        ):
            sheet.paste(colour, place, mask)
    return sheet


def pictures() -> dict[str, Image.Image]:
    """Everything in the gallery by file name."""
    drawn = {f"{entry.name}.png": picture(entry) for entry in ENTRIES}
    drawn["ky-hieu.png"] = symbol_sheet()
    return drawn


def page() -> str:
    """The gallery's text."""
    lines = [
        "# Bảng tin điện tử · Boards",
        "",
        "Mỗi hình dưới đây do chính phần mềm của bảng vẽ ra, từng điểm một; bảng LED được phóng to",
        "cho dễ xem. Vẽ lại bằng `make gallery`. Muốn xem thử trang của mình:",
        "",
        "Each picture below is painted by the very code that drives the board, pixel by pixel; LED boards",
        "are enlarged. `make gallery` draws them again. To preview pages of your own:",
        "",
        "```",
        "loa board preview docs/boards/examples/ban-tin.toml --out ban-tin.png",
        "loa board preview docs/boards/examples/lich-phat.toml --out lich-phat.gif",
        "```",
        "",
        "[Các trường của tệp xem thử · Fields of a preview file](preview.md) ·",
        "[Nối bảng với cụm loa · Connecting a board](drivers.md) ·",
        "[Giao diện: màu, chữ, mẫu · Themes: colours, words, templates](themes.md)",
        "",
    ]
    for entry in ENTRIES:
        lines += [f"**{entry.vietnamese}**  ", entry.english, "", f"![{entry.english}]({entry.name}.png)", ""]
    lines += [
        "**Ký hiệu: mười một loại khẩn cấp, loa, micrô, đình làng thay cho biểu trưng.**  ",
        "Symbols: eleven kinds of emergency, loudspeaker, microphone, a communal house as an emblem.",
        "",
        "![Symbols](ky-hieu.png)",
        "",
    ]
    return "\n".join(lines)


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the gallery; returns its files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, image in pictures().items():
        path = folder / name
        if not path.exists() or not same(path, image):
            path.write_bytes(_small_png(image))
        written.append(path)
    (folder / "README.md").write_text(page(), encoding="utf-8")
    return [*written, folder / "README.md"]


def same(path: Path, image: Image.Image) -> bool:
    """Whether a file holds just these pixels, however it is compressed."""
    with Image.open(path, formats=("PNG",)) as old:
        return (
            old.size == image.size and old.convert("RGB").tobytes() == _fewer(image).convert("RGB").tobytes()
        )


def _fewer(image: Image.Image) -> Image.Image:
    """At most 256 colours: a third of the size, and no difference to the eye."""
    return image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _small_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    _fewer(image).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def outdated(folder: Path = FOLDER) -> list[str]:
    """Names of files that are missing, different, or no longer part of the gallery."""
    drawn = pictures()
    wrong = [
        name
        for name, image in drawn.items()
        if not (folder / name).exists() or not same(folder / name, image)
    ]
    wrong += [path.name for path in folder.glob("*.png") if path.name not in drawn]
    text = folder / "README.md"
    if not text.exists() or text.read_text(encoding="utf-8") != page():
        wrong.append(text.name)
    return sorted(wrong)


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description="draw docs/boards")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a file is out of date")
    if parser.parse_args().check:
        wrong = outdated()
        print("\n".join(f"out of date: docs/boards/{name}" for name in wrong) or "docs/boards is up to date")
        return 1 if wrong else 0
    files = write()
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files in docs/boards, {size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
