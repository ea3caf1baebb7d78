"""Pictures from outside: fitted whole and upright, or refused by name, within bounded time and memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from agent.signage.pictures import (
    MAX_FILE_BYTES,
    PictureError,
    fitted_size,
    load_picture,
)

RED = (220, 30, 30)
BLUE = (0, 0, 200)


def saved(path: Path, image: Image.Image, kind: str, **options: object) -> Path:
    image.save(path, kind, **options)
    return path


def refused(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        load_picture(path, 100, 100, (0, 0, 0))
    return caught.value.code


def near(pixel: object, colour: tuple[int, int, int], by: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(have - want) <= by for have, want in zip(pixel, colour, strict=True))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, *before: bytes, colour_type: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(before)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_picture_is_fitted_without_stretching_or_cropping(tmp_path: Path, kind: str) -> None:
    image = Image.new("RGB", (400, 200), RED)
    image.paste(BLUE, (0, 0, 100, 200))
    fitted = load_picture(saved(tmp_path / "a", image, kind), 100, 100, (0, 0, 0))
    assert fitted.size == (100, 50)
    assert fitted.mode == "RGB"
    assert near(fitted.getpixel((10, 25)), BLUE)
    assert near(fitted.getpixel((90, 25)), RED)


def test_a_small_picture_is_enlarged_to_its_place(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("RGB", (10, 20), RED), "PNG")
    assert load_picture(path, 300, 200, (0, 0, 0)).size == (100, 200)


@pytest.mark.parametrize(
    ("size", "room", "fitted"),
    [((10_000, 1), (100, 100), (100, 1)), ((1, 10_000), (64, 32), (1, 32)), ((3, 3), (1, 1), (1, 1))],
)
def test_the_thinnest_picture_keeps_one_pixel(
    size: tuple[int, int], room: tuple[int, int], fitted: tuple[int, int]
) -> None:
    assert fitted_size(*size, *room) == fitted


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_taken_sideways_stands_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), RED)
    upright.paste(BLUE, (0, 0, 20, 20))  # upper left
    back = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if back is None else upright.transpose(back)
    fitted = load_picture(saved(tmp_path / "a", stored, "JPEG", exif=exif, quality=95), 60, 60, (0, 0, 0))
    assert fitted.size == (60, 40)
    assert near(fitted.getpixel((4, 4)), BLUE)
    assert near(fitted.getpixel((50, 30)), RED)


def test_a_damaged_orientation_note_does_not_matter(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a", Image.new("RGB", (60, 40), RED), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff"
    )
    assert load_picture(path, 60, 60, (0, 0, 0)).size == (60, 40)


def test_the_background_shines_through(tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (20, 0, 40, 40))
    fitted = load_picture(saved(tmp_path / "a", image, "PNG"), 40, 40, BLUE)
    assert fitted.getpixel((5, 20)) == BLUE
    assert fitted.getpixel((35, 20)) == (255, 255, 255)


def test_one_transparent_colour_of_a_palette_shines_through_too(tmp_path: Path) -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 255, 255, 255, 0])
    image.paste(1, (20, 0, 40, 40))
    path = saved(tmp_path / "a", image, "GIF", transparency=0)
    fitted = load_picture(path, 40, 40, BLUE)
    assert fitted.getpixel((5, 20)) == BLUE
    assert fitted.getpixel((35, 20)) == (255, 255, 0)


def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    image = Image.new("I;16", (8, 8), 32_768)
    fitted = load_picture(saved(tmp_path / "a", image, "PNG"), 8, 8, (0, 0, 0))
    assert near(fitted.getpixel((4, 4)), (127, 127, 127), by=2)


def test_a_photo_for_print_has_its_colours(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 40), (250, 250, 250)).convert("CMYK")
    fitted = load_picture(saved(tmp_path / "a", image, "JPEG"), 40, 40, (0, 0, 0))
    assert near(fitted.getpixel((20, 20)), (250, 250, 250))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("RGB", (4, 4), RED), "PNG")
    first = load_picture(path, 4, 4, (0, 0, 0)).getpixel((1, 1))
    time.sleep(0.02)
    saved(path, Image.new("RGB", (4, 4), BLUE), "PNG")
    assert first == RED
    assert load_picture(path, 4, 4, (0, 0, 0)).getpixel((1, 1)) == BLUE


def test_a_photo_of_ten_thousand_pixels_is_decoded_small(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("L", (10_000, 10_000), 128), "JPEG")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from agent.signage.pictures import load_picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "size = load_picture(Path(sys.argv[1]), 512, 128, (0, 0, 0)).size\n"
        "print(*size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    width, height, grown_kb = map(int, done.stdout.split())
    assert (width, height) == (128, 128)
    assert grown_kb < 40_000  # the whole picture would be 400 MB


def test_a_drawing_of_ten_thousand_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("1", (10_000, 10_000)), "PNG")
    before = time.process_time()
    assert refused(path) == "picture_too_large"
    assert time.process_time() - before < 0.2


def test_a_long_narrow_drawing_of_ten_thousand_pixels_is_shown(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("1", (10_000, 800), 1), "PNG")
    assert load_picture(path, 500, 500, (0, 0, 0)).size == (500, 40)


@pytest.mark.parametrize("side", [65_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(png(side, side, zlib.compress(bytes(1_000_000), 9)))
    assert refused(path) == "picture_too_large"


def test_a_gif_with_a_huge_canvas_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("P", (2, 2)), "GIF")
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 65_535, 65_535)
    path.write_bytes(data)
    assert refused(path) == "picture_too_large"


def test_a_webp_with_a_huge_canvas_is_refused_before_its_decoder_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "a"
    size = (16_382).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size * 2
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert refused(path) == "picture_too_large"


@pytest.mark.parametrize("lossless", [True, False])
def test_the_size_in_a_plain_webp_is_read_rightly(tmp_path: Path, lossless: bool) -> None:
    path = saved(tmp_path / "a", Image.new("RGB", (6_000, 30), RED), "WEBP", lossless=lossless)
    assert load_picture(path, 600, 600, (0, 0, 0)).size == (600, 3)
    path = saved(tmp_path / "b", Image.new("RGB", (6_000, 4_100)), "WEBP", lossless=lossless)
    assert refused(path) == "picture_too_large"


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_that_unpacks_to_gigabytes_is_refused_or_passed_over(tmp_path: Path, kind: bytes) -> None:
    packed = zlib.compress(bytes(100_000_000), 9)
    bomb = b"note\0\0" + packed if kind == b"zTXt" else b"note\0\1\0\0\0" + packed
    path = tmp_path / "a"
    path.write_bytes(png(2, 2, zlib.compress(bytes(6)), chunk(kind, bomb)))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from agent.signage.pictures import PictureError, load_picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: print(load_picture(Path(sys.argv[1]), 8, 8, (0, 0, 0)).size[0], end=' ')\n"
        "except PictureError as error: print(error.code, end=' ')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    verdict, grown_kb = done.stdout.split()
    assert verdict in {"8", "picture_broken"}
    assert int(grown_kb) < 20_000


def test_of_ten_thousand_frames_only_the_first_is_read(tmp_path: Path) -> None:
    frames = [Image.new("P", (16, 16), 0), Image.new("P", (16, 16), 1)]
    for frame in frames:
        frame.putpalette([220, 30, 30, 0, 0, 200])
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=100)
    data = stream.getvalue()
    second = data.rindex(b"\x21\xf9")  # graphic control extension of the last frame
    path = tmp_path / "a"
    path.write_bytes(data[:second] + data[second:-1] * 10_000 + b";")
    before = time.process_time()
    fitted = load_picture(path, 16, 16, (0, 0, 0))
    assert time.process_time() - before < 0.2
    assert near(fitted.getpixel((8, 8)), RED)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_other_animations_only_the_first_frame_is_shown_too(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)]
    path = tmp_path / "a"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:] * 500, duration=10)
    before = time.process_time()
    fitted = load_picture(path, 16, 16, (0, 0, 0))
    assert time.process_time() - before < 0.2
    assert near(fitted.getpixel((8, 8)), RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_file_cut_off_in_the_middle_is_refused(tmp_path: Path, kind: str, part: float) -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    path = saved(tmp_path / "a", noise, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert refused(path) in {"picture_broken", "picture_format"}


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PDF", "EPS", "ICO", "TGA", "PCX", "PPM"])
def test_other_formats_are_refused_however_good(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", (32, 32), RED), kind)
    assert refused(path) == "picture_format"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b"<html>",
        b"RIFF\x10\x00\x00\x00WEBPXXXX" + bytes(40),
        b"GIF89a",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert refused(path) in {"picture_format", "picture_broken"}


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == "picture_missing"
    assert refused(tmp_path) in {"picture_missing", "picture_broken"}


def test_a_file_of_too_many_bytes_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert refused(path) == "picture_file_too_big"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_damage_anywhere_is_a_named_problem_or_a_picture(tmp_path: Path, kind: str) -> None:
    noise = Image.effect_noise((40, 40), 90).convert("RGB")
    good = saved(tmp_path / "good", noise, kind).read_bytes()
    dice = random.Random(kind)
    verdicts: set[int | str] = set()
    for number in range(300):
        data = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(min(len(data), 80) if number % 2 else len(data))] = dice.randrange(256)
        path = tmp_path / f"{number}"
        path.write_bytes(data)
        try:
            verdicts.add(max(load_picture(path, 20, 20, (0, 0, 0)).size))
        except PictureError as error:
            verdicts.add(error.code)
    assert verdicts <= {20, "picture_broken", "picture_format", "picture_too_large"}
