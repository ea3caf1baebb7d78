"""QR codes of boards: a reader decodes them, and what cannot be shown has a name."""

from __future__ import annotations

import pytest
import zxingcpp
from PIL import Image

from agent.signage.qr import QUIET_MODULES, QrError, draw_qr

LINK = "https://muonglong.nghean.gov.vn/bantin/2026-11-22"


def read(image: Image.Image) -> str:
    canvas = Image.new("RGB", (image.width + 40, image.height + 40), (0, 0, 0))
    canvas.paste(image, (20, 20))
    found = zxingcpp.read_barcodes(canvas)
    assert len(found) == 1
    return found[0].text


def refused(text: str, room_px: int = 1_000) -> str:
    with pytest.raises(QrError) as caught:
        draw_qr(text, room_px, room_px)
    return caught.value.code


@pytest.mark.parametrize("room_px", [64, 128, 300])
@pytest.mark.parametrize(
    "text", [LINK, "Họp dân 19 giờ 30 tại nhà văn hoá bản Huồi Giảng", "0123456789", "ភាសាខ្មែរ"]
)
def test_a_reader_decodes_what_is_shown(text: str, room_px: int) -> None:
    assert read(draw_qr(text, room_px, room_px)) == text


@pytest.mark.parametrize(("width_px", "height_px"), [(64, 64), (65, 200), (500, 90), (97, 113)])
def test_modules_are_whole_pixels_inside_the_place(width_px: int, height_px: int) -> None:
    image = draw_qr(LINK, width_px, height_px)
    assert image.width == image.height <= min(width_px, height_px)
    assert {colour for _, colour in image.getcolors() or ()} == {(0, 0, 0), (255, 255, 255)}
    edge = next(x for x in range(image.width) if image.getpixel((x, x)) == (0, 0, 0))
    scale = edge // QUIET_MODULES
    assert edge == scale * QUIET_MODULES
    small = image.resize((image.width // scale, image.height // scale), Image.Resampling.NEAREST)
    assert small.resize(image.size, Image.Resampling.NEAREST).tobytes() == image.tobytes()
    assert image.width + small.width > min(width_px, height_px)  # one pixel more per module would not fit


def test_the_quiet_zone_is_light_all_around() -> None:
    image = draw_qr("a", 290, 290)
    scale = image.width // 29
    for box in ((0, 0, image.width, 4 * scale), (0, 0, 4 * scale, image.height)):
        assert image.crop(box).getcolors() == [((box[2] - box[0]) * (box[3] - box[1]), (255, 255, 255))]


def test_a_text_no_code_can_hold_is_refused() -> None:
    assert refused("x" * 1_000_000) == "qr_too_long"
    assert refused("ế" * 1_900) == "qr_too_long"


def test_a_place_with_fewer_pixels_than_modules_is_refused() -> None:
    assert refused(LINK, room_px=20) == "qr_too_small"
    assert refused("a", room_px=28) == "qr_too_small"
    assert refused("a", room_px=0) == "qr_too_small"
    assert draw_qr("a", 29, 29).size == (29, 29)


def test_nothing_and_half_a_character_are_refused() -> None:
    assert refused("") == "qr_empty"
    assert refused("\ud800") == "qr_text"
