"""Previews: identical to what the board shows, strict about their file, bounded as a child process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from agent.model.board import Facts, Page, PageKind
from agent.signage.link import Setup
from agent.signage.preview import MAX_FRAMES, Form, Show, preview, preview_file
from agent.signage.preview_file import Document, PreviewError, Wish, read_document, read_file
from agent.signage.screen import Face
from agent.signage.studio import Studio
from drivers.api import Colours

EXAMPLES = Path(__file__).parents[3] / "docs" / "boards" / "examples"
NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
P10 = Face(192, 64)
SIMPLE = """
[board]
width_px = 192
height_px = 64
[[page]]
title = "Họp dân"
"""


def wish(*pages: Page, face: Face = P10) -> Wish:
    return Wish(pages, face, Facts(station="Xã Mường Lống"), NOW, None, {})


def shown(data: bytes) -> Iterator[Image.Image]:
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield image.convert("RGB")


def lasting(data: bytes) -> list[int]:
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(image.info["duration"])
        return found


def ask(request: object, timeout_s: float = 40) -> tuple[int, bytes, dict[str, object]]:
    raw = request if isinstance(request, bytes) else json.dumps(request).encode()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent.signage.preview"],
        input=raw,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    return done.returncode, done.stdout, json.loads(done.stderr.decode().splitlines()[-1])


@pytest.mark.parametrize("colours", list(Colours))
def test_a_preview_is_what_the_worker_gives_to_the_board(colours: Colours) -> None:
    face = Face(192, 64, colours=colours)
    page = Page("a", PageKind.BULLETIN, title="Tiêm phòng", text="Từ 7 giờ 30 thứ Ba.", source="UBND xã")
    studio = Studio(Setup("simulated", {}, face))
    screens = studio.compose(page, Facts(station="Xã Mường Lống"), NOW, {})
    images = list(shown(preview(wish(page, face=face), Form.PNG).data))
    assert images[0].tobytes() == studio.paint(screens[0], {}).rgb


@pytest.mark.parametrize(("colours", "off"), [(Colours.MONO, 0), (Colours.DUAL, 0), (Colours.FULL, 12)])
def test_every_screen_is_in_the_gif_for_as_long_as_on_the_board(colours: Colours, off: int) -> None:
    page = Page("a", PageKind.PAGE, title="Họp dân", text="Đề nghị bà con đến đúng giờ. " * 6)
    face = Face(192, 64, colours=colours)
    show = Show(wish(page, face=face))
    data = preview(wish(page, face=face), Form.GIF).data
    assert len(show.screens) > 2
    frames = list(shown(data))
    assert len(frames) == len(show.screens)
    for frame, screen in zip(frames, show.screens, strict=True):
        difference = ImageChops.difference(frame, show.still(screen))
        assert max(max(band.tobytes()) for band in difference.split()) <= off  # a GIF has 256 colours
    assert lasting(data) == [round(screen.dwell_s * 100) * 10 for screen in show.screens]


def test_a_ticker_runs_from_right_to_left_as_fast_as_on_the_board() -> None:
    page = Page("a", PageKind.PAGE, title="Họp dân", ticker="Chữ chạy")
    show = Show(wish(page))
    band = show.screens[0].ticker
    assert band is not None
    edges = []
    for number, (_, frame, _) in enumerate(show.film(0.05)):
        strip = frame.crop((0, band.y_px, 192, band.y_px + band.height_px))
        lit = strip.convert("L").point([255 if value > 128 else 0 for value in range(256)]).getbbox()
        if lit is not None and number < 20:
            edges.append(lit[0])
    assert len(edges) > 10
    steps = {before - after for before, after in pairwise(edges[2:])}
    assert min(steps) > 0
    assert abs((edges[2] - edges[-1]) / (len(edges) - 3) / 0.05 - band.speed_px_s) < 0.3 * band.speed_px_s


def test_a_still_preview_shows_the_beginning_of_the_ticker() -> None:
    page = Page("a", PageKind.PAGE, title="Họp dân", ticker="Chữ chạy " * 30)
    show = Show(wish(page))
    band = show.screens[0].ticker
    assert band is not None
    first = show.still(show.screens[0]).crop((0, band.y_px, 40, band.y_px + band.height_px))
    assert first.convert("L").point([255 if value > 128 else 0 for value in range(256)]).getbbox()


def test_the_border_of_an_emergency_blinks_once_a_second() -> None:
    page = Page("a", PageKind.EMERGENCY, title="LŨ QUÉT", event="flash_flood")
    data = preview(wish(page), Form.GIF).data
    corners = [frame.getpixel((0, 0)) for frame in shown(data)]
    assert corners[0] == (255, 0, 0)
    assert corners[1] != corners[0]
    assert lasting(data)[:2] == [500, 500]


def test_a_video_is_not_drawn_and_that_is_told() -> None:
    clip = "ab" * 32
    made = preview(
        Wish((Page("a", PageKind.PAGE, video=clip),), P10, Facts(), NOW, None, {clip: Path("clip.mp4")}),
        Form.PNG,
    )
    assert made.problems == (f"video_not_drawn {clip}",)


def test_a_contact_sheet_has_all_screens() -> None:
    page = Page("a", PageKind.PAGE, title="Họp dân", text="Đề nghị bà con đến đúng giờ. " * 6)
    made = preview(wish(page), Form.SHEET)
    image = next(shown(made.data))
    assert image.width * image.height > made.screens * 192 * 64
    assert made.screens > 2


def test_a_huge_playlist_makes_a_bounded_gif_and_says_so() -> None:
    pages = [
        Page(f"{n}", PageKind.PAGE, title="Họp dân", ticker="Chữ chạy " * 200, dwell_s=60) for n in range(4)
    ]
    made = preview(wish(*pages, face=Face(64, 32, viewing_m=8)), Form.GIF)
    assert made.reduced
    with Image.open(io.BytesIO(made.data)) as image:
        assert getattr(image, "n_frames", 1) <= MAX_FRAMES


def test_what_could_not_be_shown_is_told_once() -> None:
    page = Page("a", PageKind.PAGE, title="Chào 😀", text="Xin chào các bạn. " * 20)
    problems = preview(wish(page), Form.SHEET).problems
    assert [problem for problem in problems if "U+1F600" in problem] == ["missing_glyph U+1F600"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_drawn_without_a_problem(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    made = preview_file(path, out, NOW, Form.SHEET)
    assert made.problems == ()
    assert out.read_bytes() == made.data
    assert list(tmp_path.iterdir()) == [out]


def test_the_ending_of_the_file_chooses_the_form(tmp_path: Path) -> None:
    source = tmp_path / "a.toml"
    source.write_text(SIMPLE, encoding="utf-8")
    assert preview_file(source, tmp_path / "a.gif", NOW).data[:6] == b"GIF89a"
    assert preview_file(source, tmp_path / "a.png", NOW).data[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("", "board"),
        (SIMPLE.replace("title", "titel"), "page[0].titel"),
        (SIMPLE.replace("width_px = 192", "width_px = 9999"), "board.width_px"),
        (SIMPLE.replace("width_px = 192", "width = 192"), "board.width"),
        (SIMPLE + '[facts]\ntimezone = "Mars/Olympus"\n', "facts.timezone"),
        (SIMPLE + 'kind = "news"\n', "page[0].kind"),
        (SIMPLE + "dwell_s = nan\n", "page[0].dwell_s"),
        (SIMPLE + 'id = "x"\n[[page]]\nid = "x"\n', "same id"),
        (SIMPLE.replace("[board]", "[board]\ntheme = 'none.toml'"), "none.toml"),
        ("a = [", "not TOML"),
        ("a" * 300_000, "larger"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, document: str, named: str) -> None:
    source = tmp_path / "a.toml"
    source.write_text(document, encoding="utf-8")
    with pytest.raises(PreviewError) as caught:
        preview_file(source, tmp_path / "a.png", NOW)
    assert any(named in problem for problem in caught.value.problems)
    assert not (tmp_path / "a.png").exists()


def test_a_missing_file_and_an_impossible_output_are_named(tmp_path: Path) -> None:
    with pytest.raises(PreviewError, match=r"none\.toml"):
        read_file(tmp_path / "none.toml", NOW)
    with pytest.raises(PreviewError, match="nowhere"):
        preview_file(EXAMPLES / "ban-tin.toml", tmp_path / "nowhere" / "a.png", NOW)


def test_a_missing_picture_is_a_problem_and_the_rest_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "a.toml"
    source.write_text(SIMPLE + 'picture = "none.jpg"\n', encoding="utf-8")
    made = preview_file(source, tmp_path / "a.png", NOW)
    assert any("picture" in problem for problem in made.problems)


def test_times_without_offset_are_civil_times_of_the_board() -> None:
    read = read_file(EXAMPLES / "ban-tin.toml", NOW)
    assert read.now == datetime(2026, 11, 22, 10, 5, tzinfo=UTC)


@pytest.mark.slow
def test_a_child_draws_the_same_picture(tmp_path: Path) -> None:
    document = {
        "board": {"width_px": 192, "height_px": 64},
        "facts": {"station": "Xã Mường Lống"},
        "page": [{"id": "a", "title": "Họp dân", "text": "19 giờ thứ Tư", "picture": "k"}],
    }
    picture = tmp_path / "p"
    Image.new("RGB", (20, 20), (255, 0, 0)).save(picture, "PNG")
    code, data, told = ask({"document": document, "now": NOW.isoformat(), "assets": {"k": str(picture)}})
    page = Page("a", PageKind.PAGE, title="Họp dân", text="19 giờ thứ Tư", picture="k")
    here = preview(Wish((page,), P10, Facts(station="Xã Mường Lống"), NOW, None, {"k": picture}), Form.PNG)
    assert code == 0
    assert data == here.data
    assert told == {"problems": [], "screens": here.screens, "reduced": False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (b"", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "document"),
        (b"x" * 2_000_000, "larger"),
        (
            {"document": {"board": {"width_px": 192, "height_px": 64}}, "now": NOW.isoformat()},
            "document.page",
        ),
        (
            {
                "document": {
                    "board": {"width_px": 192, "height_px": 64, "theme": "/etc/passwd"},
                    "page": [{}],
                },
                "now": NOW.isoformat(),
            },
            "theme",
        ),
        (
            {
                "document": {"board": {"width_px": 192, "height_px": 64}, "page": [{"title": "a"}]},
                "now": NOW.isoformat(),
                "theme": "/etc/passwd",
            },
            "theme",
        ),
    ],
)
def test_a_child_refuses_a_bad_request_by_name(request_: object, named: str) -> None:
    code, data, told = ask(request_)
    assert (code, data) == (2, b"")
    assert named in str(told["problems"])


@pytest.mark.slow
def test_a_child_that_gets_hostile_text_and_pictures_ends_in_time(tmp_path: Path) -> None:
    bomb = tmp_path / "p"
    Image.new("1", (10_000, 10_000)).save(bomb, "PNG")
    nasty = "\u202e" + "a\u0301" * 20_000 + "\u200b" * 10_000 + "ế" * 10_000
    document = {
        "board": {"width_px": 1920, "height_px": 1080, "pitch_mm": 0.6, "viewing_m": 5},
        "page": [
            {
                "title": nasty[:2_000],
                "text": nasty,
                "picture": "k",
                "qr": "x" * 4_000,
                "ticker": "😀" * 10_000,
            }
        ],
    }
    request = {"document": document, "now": NOW.isoformat(), "assets": {"k": str(bomb)}}
    code, data, told = ask(request)
    assert code == 0
    assert next(shown(data)).size == (1920, 1080)
    assert "picture_too_large k" in str(told["problems"])


@pytest.mark.slow
def test_the_largest_board_stays_inside_the_limits_of_a_child() -> None:
    document = {
        "board": {"width_px": 7680, "height_px": 4320, "pitch_mm": 1, "viewing_m": 20},
        "page": [{"title": "Họp dân", "text": "Đề nghị bà con đến đúng giờ. " * 200}],
    }
    code, data, _ = ask({"document": document, "now": NOW.isoformat(), "form": "sheet"})
    assert code == 0
    assert data[:4] == b"\x89PNG"


@pytest.mark.slow
def test_a_child_cannot_take_more_memory_than_a_preview_may_need() -> None:
    code = "from agent.signage.preview import _limit; _limit(); bytearray(2 << 30)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


@pytest.mark.slow
def test_a_child_that_runs_on_and_on_is_ended() -> None:
    code = "from agent.signage.preview import _limit; _limit(cpu_s=1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert done.returncode < 0


def test_every_field_of_a_preview_file_is_explained() -> None:
    text = (EXAMPLES.parent / "preview.md").read_text(encoding="utf-8")
    schema = Document.model_json_schema()
    tables = [schema, *schema["$defs"].values()]
    fields = {field for table in tables for field in table.get("properties", {})} - {"board", "facts", "page"}
    assert {field for field in fields if f"`{field}`" not in text} == set()


def test_unknown_fields_are_refused_in_every_table() -> None:
    with pytest.raises(PreviewError) as caught:
        read_document(
            {
                "board": {"width_px": 64, "height_px": 32, "a": 1},
                "facts": {"b": 1},
                "page": [{"c": 1}],
                "d": 1,
            }
        )
    fields = {problem.split(":")[0] for problem in caught.value.problems}
    assert {"board.a", "facts.b", "page[0].c", "d"} <= fields
