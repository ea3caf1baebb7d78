from __future__ import annotations

import math
import time
import unicodedata
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFont

from agent.signage import families
from agent.signage.coverage import coverage
from agent.signage.families import FONTS, LATIN
from agent.signage.text import clean
from agent.signage.typeset import FontsMissingError, Typesetter
from tests.golden.strings.render import HERE, VERSIONS, Golden, difference, goldens, render, versions

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
VIETNAMESE = tuple(
    unicodedata.normalize("NFC", vowel + tone) for vowel in "AĂÂEÊIOÔƠUƯYaăâeêioôơuưy" for tone in TONES
) + tuple("BCDĐGHKLMNPQRSTVXFJWZbcdđghklmnpqrstvxfjwz")
HIGHLAND_LETTERS = "ă Ă â Â ĕ Ĕ ĭ Ĭ ŏ Ŏ ŭ Ŭ ê\u0306 Ê\u0306 ô\u0306 Ô\u0306 ơ\u0306 Ơ\u0306 ư\u0306 Ư\u0306 ƀ Ƀ č Č ñ Ñ đ Đ ĕ\u0301 ô\u0301 ŏ\u0300 â\u0306 ɓ Ɓ ɗ Ɗ ’ ʼ"
HIGHLAND = tuple(HIGHLAND_LETTERS.split())
"""Ba Na, Gia Rai, Ê Đê, Xơ Đăng, Mnông, Cơ Ho, Stiêng, Chăm in Latin letters; Tày, Nùng, Thái and Mông need only Vietnamese ones."""

NOTICES = (
    "ប្រយ័ត្ន ទឹកជំនន់ ស្ត្រី ក្រុម ត្រូវ ញ្ញុំ ឡូតូ",
    "Xã Ô Lâm ភូមិអូរលឹម ក្រុម ẪỖ",
    "ꪼꪕꪣꪰꪙ ꪁꪫꪱꪣ ꪀꪸ꪿ ꪀꪷ꫁",
    "ꨌꩌ ꨨꨯꨱꨮ ꨆꨴꨯꨱꩃ ꨃꨩ ꨄꨵ",
    "ກີ້ ກຶ່ ງຸ ຫຼຸ້ ເຊົ້າ",
    "กี่ น้ำ ฎุ ฐู ปี่ ญู",
    "乡人民政府通知，注意防火。",
    "⚠ ☎ ★ → ≤ ①",
)


@pytest.fixture(scope="module")
def type_() -> Typesetter:
    return Typesetter()


def colours(image: Image.Image) -> set[object]:
    return {colour for _, colour in image.getcolors(1_000_000) or ()}


def ink(image: Image.Image) -> tuple[int, int, int, int]:
    box = image.convert("L").point(lambda value: 255 if value else 0).getbbox()
    assert box is not None
    return box


def drawn(
    type_: Typesetter, text: str, size: int, *, bold: bool = True, sharp: bool = False, room: int = 0
) -> Image.Image:
    """White on black in the line box, with `room` pixels around it."""
    image = Image.new(
        "RGB", (math.ceil(type_.width(text, size, bold)) + 2 * room, type_.line_height(size) + 2 * room)
    )
    type_.draw(image, room, room, text, size, WHITE, bold=bold, sharp=sharp)
    return image


@pytest.mark.parametrize("letters", [VIETNAMESE, HIGHLAND], ids=["vietnamese", "highland"])
def test_every_letter_of_the_languages_in_latin_letters_is_there(
    type_: Typesetter, letters: tuple[str, ...]
) -> None:
    assert len(letters) > 30
    assert type_.missing(" ".join(letters)) == ()
    assert all(type_._plan(letter)[0].family == LATIN for letter in letters)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0x1780, 0x17FF),
        (0x19E0, 0x19FF),
        (0xAA80, 0xAADF),
        (0xAA00, 0xAA5F),
        (0x0E80, 0x0EDF),
        (0x0E00, 0x0E5B),
        (0x1EA0, 0x1EF9),
        (0x20, 0x7E),
        (0xA1, 0x17F),
    ],
    ids=["khmer", "khmer symbols", "tai viet", "cham", "lao", "thai", "vietnamese", "ascii", "latin"],
)
def test_every_assigned_character_of_the_scripts_is_there(type_: Typesetter, first: int, last: int) -> None:
    newer_than_the_fonts = {
        0x0E86,
        0x0E89,
        0x0E8C,
        *range(0x0E8E, 0x0E94),
        0x0E98,
        0x0EA0,
        0x0EA8,
        0x0EA9,
        0x0EAC,
        0x0EBA,
    }
    block = [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code))[0] in "LMNPS"]
    lost = [char for char in block if type_.missing(char)]
    assert {ord(char) for char in lost} <= newer_than_the_fonts, [hex(ord(char)) for char in lost]
    assert len(block) - len(lost) > 25


def test_the_3755_common_chinese_characters_are_there(type_: Typesetter) -> None:
    common = [
        bytes((row, cell)).decode("gb2312", "ignore")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
    ]
    assert sum(map(len, common)) == 3755
    assert type_.missing("".join(common)) == ()


def test_coverage_is_what_fonttools_reads() -> None:
    fonts = sorted(FONTS.glob("*.?tf"))
    assert len(fonts) == 15
    for font in fonts:
        assert coverage(font) == set(TTFont(font).getBestCmap() or ()), font.name


@pytest.mark.slow
@pytest.mark.parametrize("bold", [True, False])
@pytest.mark.parametrize("sharp", [True, False])
def test_no_vietnamese_letter_leaves_ink_outside_its_line_box_at_any_size(
    type_: Typesetter, bold: bool, sharp: bool
) -> None:
    """Measured on the font itself, as drawing cuts off at the line box."""
    text = "".join(VIETNAMESE) + "".join(h for h in HIGHLAND if len(h) == 1) + "gjpqy()[]{}|@₫"
    path = FONTS / ("NotoSans-Bold.ttf" if bold else "NotoSans-Regular.ttf")
    for size in range(14, 201):
        font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.RAQM)
        _, top, _, bottom = font.getbbox(text, "1" if sharp else "L", anchor="ls", direction="ltr")
        base, height = type_._set(text, size, bold).base, type_.line_height(size)
        assert height <= math.ceil(1.4 * size)
        assert -top <= base, (size, top, base)
        assert bottom <= height - base, (size, bottom, height - base)


@pytest.mark.parametrize("size", [14, 16, 20, 33, 64, 121, 200])
@pytest.mark.parametrize("text", NOTICES)
def test_no_letter_of_other_scripts_is_cut_off_at_its_line_box(
    type_: Typesetter, text: str, size: int
) -> None:
    line = type_._set(text, size, True)
    for placed in line.placed:
        font = type_._font(placed.piece.family, True, placed.font_size)
        _, top, _, bottom = font.getbbox(placed.piece.text, anchor="ls", direction="ltr")
        assert -top <= line.base + 1
        assert bottom <= type_.line_height(size) - line.base + 1


def test_pictures_have_ink_up_to_the_edge_but_not_beyond(type_: Typesetter) -> None:
    for size in (14, 28, 61):
        for text in ("ẪẴỖẶỊgyqp", *NOTICES):
            left, top, _, bottom = ink(drawn(type_, text, size, room=size))
            assert top >= size
            assert bottom <= size + type_.line_height(size)
            assert left >= size / 2


def test_heaped_marks_never_reach_the_lines_above_and_below(type_: Typesetter) -> None:
    heap = "Ẫ" + "\u0301" * 6 + "g" + "\u0323" * 6
    _, top, _, bottom = ink(drawn(type_, clean(heap).text, 30, room=60))
    assert 60 <= top < bottom <= 60 + type_.line_height(30)


@pytest.mark.parametrize("letter", ["ខ", "ꪀ", "ກ", "ก", "中"])
def test_the_base_line_is_the_same_in_every_script(type_: Typesetter, letter: str) -> None:
    size = 50
    alone, mixed = drawn(type_, "x", size), drawn(type_, f"x{letter}x", size)
    width = alone.width
    left, right = (
        mixed.crop((0, 0, width, mixed.height)),
        mixed.crop((mixed.width - width + 2, 0, mixed.width, mixed.height)),
    )
    middle = mixed.crop((width + 1, 0, mixed.width - width - 1, mixed.height))
    assert ink(left)[3] == ink(right)[3]
    reach = 0.13 if letter == "中" else 0.06
    assert abs(ink(middle)[3] - ink(left)[3]) <= reach * size


def test_digits_and_signs_stay_with_the_script_before_them_and_spaces_too(type_: Typesetter) -> None:
    assert [piece.family for piece in type_._plan("ខ្មែរ, ខែ")] == [1, 1]
    assert [piece.family for piece in type_._plan("Việt 12/11 (a)")] == [0, 0, 0]
    assert [piece.family for piece in type_._plan("(中")] == [0, 9]
    assert [piece.text for piece in type_._plan("ភូមិ 05:30")] == ["ភូមិ ", "05:30"]


def test_brackets_match_even_around_another_script(type_: Typesetter) -> None:
    assert [(piece.family, piece.text) for piece in type_._plan("Ô (ភូមិ), a")] == [
        (0, "Ô "),
        (0, "("),
        (1, "ភូមិ"),
        (0, "), "),
        (0, "a"),
    ]
    assert [(piece.family, piece.text) for piece in type_._plan("ភូមិ (Ô)")] == [
        (1, "ភូមិ "),
        (1, "("),
        (0, "Ô"),
        (1, ")"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chúc 😀 mừng 😀🎉", ("U+1F600", "U+1F389")),
        ("שלום", ("U+05E9", "U+05DC", "U+05D5", "U+05DD")),
        ("مر", ("U+0645", "U+0631")),
        ("\ue000", ("U+E000",)),
        ("a\ud800", ("U+D800",)),
        ("\u0378", ("U+0378",)),
        ("မ", ("U+1019",)),
        ("a\u20dd", ("U+20DD",)),
        ("Tiếng Việt, ភាសាខ្មែរ", ()),
        (
            "".join(map(chr, range(0x1F600, 0x1F640))),
            tuple(f"U+{code:X}" for code in range(0x1F600, 0x1F620)),
        ),
    ],
)
def test_what_no_font_has_is_reported(type_: Typesetter, text: str, expected: tuple[str, ...]) -> None:
    assert type_.missing(text) == expected


@pytest.mark.parametrize("sharp", [True, False])
def test_the_mark_is_a_box_with_a_cross_on_the_base_line(type_: Typesetter, sharp: bool) -> None:
    image = drawn(type_, "😀", 32, sharp=sharp)
    left, top, right, bottom = ink(image)
    assert type_.width("😀", 32) > right
    base = type_._set("😀", 32, True).base
    assert (bottom, bottom - top) == (base, round(0.7 * 32))
    for x, y in [
        (left, top),
        (right - 1, top),
        (left, bottom - 1),
        ((left + right) // 2, (top + bottom) // 2),
    ]:
        assert image.getpixel((x, y)) == WHITE
    assert image.getpixel((left + 4, (top + bottom) // 2)) == BLACK
    assert drawn(type_, "שׁ", 32).tobytes() == drawn(type_, "\ue000\ue001", 32).tobytes()


def test_sharp_letters_have_no_half_tones_and_smooth_ones_have(type_: Typesetter) -> None:
    for text in ("Ễ Ể Thông báo", *NOTICES, "😀"):
        assert colours(drawn(type_, text, 16, sharp=True)) == {
            WHITE,
            BLACK,
        }
    assert len(colours(drawn(type_, "Thông báo", 16))) > 10


def test_sharp_letters_with_one_mark_more_or_less_differ_at_14_px(type_: Typesetter) -> None:
    """The least legible size: every Vietnamese letter has a picture of its own."""
    for bold in (True, False):
        pictures = {
            drawn(type_, letter, 14, bold=bold, sharp=True, room=2).tobytes(): letter for letter in VIETNAMESE
        }
        assert set(pictures.values()) == set(VIETNAMESE)


@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize("text", ["Thông báo khẩn ẪỖy gửi " * 4, " ".join(NOTICES) + " 😀 hết"])
def test_a_long_line_drawn_in_strips_is_the_same_picture(type_: Typesetter, text: str, sharp: bool) -> None:
    whole = drawn(type_, text, 30, sharp=sharp)
    for step in (64, 257):
        strips = Image.new("RGB", whole.size)
        for x in range(0, whole.width, step):
            strip = Image.new("RGB", (min(step, whole.width - x), whole.height))
            type_.draw(strip, -x, 0, text, 30, WHITE, sharp=sharp)
            strips.paste(strip, (x, 0))
        assert ImageChops.difference(whole, strips).getbbox() is None


def test_drawing_lets_the_background_be_and_stays_inside_the_picture(type_: Typesetter) -> None:
    image = Image.new("RGB", (40, 30), (0, 0, 90))
    for x, y in [(-500, 0), (500, 0), (0, -500), (0, 500)]:
        type_.draw(image, x, y, "Ngoài", 20, WHITE)
    assert image.getcolors() == [(1200, (0, 0, 90))]
    type_.draw(image, -10, -10, "Thông báo", 20, (255, 0, 0))
    assert (0, 0, 90) in colours(image)
    assert (255, 0, 0) in colours(image)


def test_a_line_of_20000_letters_is_measured_and_a_part_of_it_drawn_quickly(type_: Typesetter) -> None:
    text = clean("Thông báo ក្រុម 😀 中文 Ẫ\u0301 " * 2000).text
    image = Image.new("RGB", (2000, 80))
    before = time.process_time()
    width = type_.width(text, 40)
    type_.draw(image, -round(width / 2), 0, text, 40, WHITE)
    assert time.process_time() - before < 1.5
    assert ink(image)[2] > 1900


def test_width_is_where_the_next_text_begins(type_: Typesetter) -> None:
    one, other = "Thông báo ", "khẩn ភូមិ"
    assert type_.width(one + other, 24) == pytest.approx(
        type_.width(one, 24) + type_.width(other, 24), abs=0.1
    )
    assert type_.width("", 24) == 0
    assert type_.width("a", 24) < type_.width("a b", 24)
    assert type_.width("Thông báo", 24, bold=False) < type_.width("Thông báo", 24)


@given(st.text(st.characters(), max_size=40), st.integers(1, 60), st.booleans())
@settings(deadline=None)
def test_any_text_even_uncleaned_is_drawn_inside_its_line_box(text: str, size: int, sharp: bool) -> None:
    type_ = SHARED
    image = Image.new("RGB", (200, type_.line_height(size) + 20))
    type_.draw(image, 5, 10, text, size, WHITE, sharp=sharp)
    box = image.getbbox()
    assert box is None or (box[1] >= 10 and box[3] <= 10 + type_.line_height(size))
    assert type_.width(text, size) >= 0


SHARED = Typesetter()


@pytest.mark.slow
def test_every_character_the_fonts_have_can_be_shaped(type_: Typesetter) -> None:
    """raqm refuses paragraph separators, which some fonts list."""
    codes = sorted(set().union(*(family.characters for family in type_._families)))
    assert len(codes) > 7000
    for code in codes:
        assert type_.width(chr(code), 20) >= 0
    type_.draw(Image.new("RGB", (300, 40)), 0, 0, "a\r\nb\x1c\u2029c\x00", 20, WHITE)


def test_memory_of_the_caches_is_bounded() -> None:
    type_ = Typesetter()
    for number in range(3000):
        type_.width(f"chữ {number}", 14 + number % 200)
    for cache in (
        type_._font,
        type_._advance,
        type_._ink,
        type_._short_plan,
        type_._long_plan,
        type_._short_line,
        type_._long_line,
        type_._family_of,
    ):
        info = cache.cache_info()
        assert info.maxsize is not None
        assert info.currsize <= info.maxsize


@pytest.mark.parametrize("size", [0, -3, 2001])
def test_an_impossible_size_is_refused(type_: Typesetter, size: int) -> None:
    with pytest.raises(ValueError, match="font size"):
        type_.width("a", size)
    with pytest.raises(ValueError, match="font size"):
        type_.line_height(size)
    with pytest.raises(ValueError, match="font size"):
        type_.draw(Image.new("RGB", (9, 9)), 0, 0, "a", size, WHITE)


def test_without_raqm_nothing_is_drawn_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    with pytest.raises(FontsMissingError, match="libfribidi0"):
        Typesetter()


def test_a_missing_bundled_font_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(families, "FONTS", tmp_path)
    with pytest.raises(FontsMissingError, match="NotoSans-Regular"):
        Typesetter()


@pytest.mark.parametrize("length", [0, 3, 11, 40, 300, 5000])
def test_a_broken_extra_font_is_left_out_and_named(
    tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes((FONTS / "NotoSansLao-Regular.ttf").read_bytes()[:length])
    type_ = Typesetter([broken])
    assert type_.width("Xã", 16) > 0
    assert type_.missing("😀") == ("U+1F600",)
    assert "broken.ttf" in caplog.text


def test_a_broken_bundled_font_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for font in FONTS.iterdir():
        (tmp_path / font.name).write_bytes(font.read_bytes())
    (tmp_path / "NotoSansLao-Bold.ttf").write_bytes(b"<html>")
    monkeypatch.setattr(families, "FONTS", tmp_path)
    with pytest.raises(FontsMissingError, match="NotoSansLao-Bold"):
        Typesetter()


def test_an_extra_font_with_characters_but_no_letters_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = bytearray((FONTS / "NotoSansThai-Regular.ttf").read_bytes())
    for table in (b"glyf", b"head", b"hhea", b"maxp"):
        at = whole.find(table)
        whole[at : at + 4] = b"zzzz"
    (tmp_path / "hollow.ttf").write_bytes(whole)
    assert Typesetter([tmp_path / "hollow.ttf"]).width("Xã", 16) > 0
    assert "hollow.ttf" in caplog.text


def test_an_extra_font_adds_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "_BUNDLED", families._BUNDLED[:1])
    assert Typesetter().missing("ខ") == ("U+1781",)
    extended = Typesetter([FONTS / "NotoSansKhmer-Regular.ttf"])
    assert extended.missing("ខ") == ()
    assert ink(drawn(extended, "ខ", 30))[2] > 5


@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: golden.name)
def test_a_hard_string_looks_as_it_did(type_: Typesetter, golden: Golden) -> None:
    """Exact where FreeType, HarfBuzz and raqm are those the pictures were made with.

    Other versions may round a stem or a half tone differently: then no block of 8 x 8 pixels may differ by more
    than 24 of 255 on average, which `test_the_tolerance_sees_one_wrong_tone_mark` shows to be small enough.
    """
    kept, now = Image.open(HERE / f"{golden.name}.png"), render(golden, type_)
    if VERSIONS.read_text() == versions():
        assert kept.tobytes() == now.tobytes()
    else:
        assert abs(kept.width - now.width) <= 2
        assert difference(kept, now.crop((0, 0, *kept.size))) <= 24


def test_there_are_at_least_60_hard_strings_and_each_has_its_picture() -> None:
    names = [golden.name for golden in goldens()]
    assert len(set(names)) == len(names) >= 60
    assert {path.stem for path in HERE.glob("*.png")} == set(names)


@pytest.mark.parametrize(
    ("one", "other"), [("Ở", "Ớ"), ("ễ", "ể"), ("ạ", "a"), ("ƀ", "b"), ("ក្រ", "ក"), ("😀", "A"), ("ẫ", "ẩ")]
)
def test_the_tolerance_sees_one_wrong_tone_mark(type_: Typesetter, one: str, other: str) -> None:
    first, second = (render(Golden("", f"xã {letter} ấy"), type_) for letter in (one, other))
    assert difference(first, second.crop((0, 0, *first.size))) > 24
