from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.model.board import PageKind
from agent.signage.legibility import LEAST_CONTRAST, contrast
from agent.signage.theme import MAX_BYTES, SHAPES, Theme, ThemeError, load_theme


def theme_of(tmp_path: Path, text: str) -> Theme:
    path = tmp_path / "theme.toml"
    path.write_text(text, encoding="utf-8")
    return load_theme(path)


def problems_of(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ThemeError) as caught:
        theme_of(tmp_path, text)
    return caught.value.problems


def test_the_built_in_theme_has_a_template_for_every_kind_and_shape() -> None:
    theme = load_theme(None)
    for kind in PageKind:
        if kind is not PageKind.PATTERN:
            assert all(theme.template(kind, shape) is not None for shape in SHAPES)


def test_the_built_in_colours_can_be_read() -> None:
    for palette in load_theme(None).colours.values():
        for colour in (palette.title, palette.text, palette.quiet):
            assert contrast(colour, palette.background) >= LEAST_CONTRAST
        assert contrast(palette.ticker, palette.ticker_background) >= LEAST_CONTRAST


def test_a_commune_changes_one_colour_and_keeps_the_rest(tmp_path: Path) -> None:
    theme = theme_of(tmp_path, '[colours.normal]\ntitle = "#00FFFF"\n')
    built_in = load_theme(None)
    assert theme.colours["normal"].title == (0, 255, 255)
    assert theme.colours["normal"].text == built_in.colours["normal"].text
    assert theme.templates == built_in.templates


def test_a_commune_changes_the_fields_of_one_template(tmp_path: Path) -> None:
    theme = theme_of(tmp_path, '[templates.idle.wide]\nmain = ["clock:huge", "station"]\n')
    wide, landscape = theme.template("idle", "wide"), theme.template("idle", "landscape")
    assert wide is not None
    assert wide.main == ("clock:huge", "station")
    assert landscape == load_theme(None).template("idle", "landscape")


def test_a_shape_takes_over_what_it_does_not_say_itself(tmp_path: Path) -> None:
    theme = theme_of(
        tmp_path,
        '[templates.tet.any]\nmain = ["title"]\nalign = "left"\n[templates.tet.tiny]\nmain = ["clock"]\n',
    )
    tiny = theme.template("tet", "tiny")
    assert tiny is not None
    assert (tiny.main, tiny.align) == (("clock",), "left")
    assert theme.template("tet", "portrait") == theme.template("tet", "strip")


def test_a_new_language_takes_the_words_it_lacks_from_vietnamese(tmp_path: Path) -> None:
    theme = theme_of(tmp_path, '[words.tyz]\nlive = "Phát sống"\n')
    assert theme.words_for("tyz").live == "Phát sống"
    assert theme.words_for("tyz-VN").weekdays == theme.words["vi"].weekdays
    assert theme.words_for("khm") == theme.words["vi"]
    assert theme.words_for("") == theme.words["vi"]


def test_the_emblem_is_found_beside_the_theme_file(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"x")
    theme = theme_of(tmp_path, 'emblem = "logo.png"\n')
    assert theme.assets() == {"emblem": tmp_path / "logo.png"}
    assert load_theme(None).assets() == {}


@pytest.mark.parametrize(
    ("text", "field", "known"),
    [
        ("colors = 1", "colors", "colours"),
        ('[colours.normal]\ntitel = "#FFFFFF"', "colours.normal.titel", "title"),
        ("[templates.idle.any]\nheadr = []", "templates.idle.any.headr", "header"),
        ('[templates.idle.any]\nmain = ["clok"]', "templates.idle.any.main.0", "clock"),
        ('[templates.idle.any]\nmain = ["clock:giant"]', "templates.idle.any.main.0", "huge"),
        ('[templates.idle.any]\nside = ["clock"]', "templates.idle.any.side.0", "picture"),
        ('[templates.idle.any]\nheader = ["text"]', "templates.idle.any.header.0", "station"),
        ('[templates.idle.any]\nmain = ["counter"]', "templates.idle.any.main.0", "clock"),
        ('[templates.idle.round]\nmain = ["clock"]', "templates.idle.round", "landscape"),
        ('[templates.idle.any]\ncolours = "gold"', "templates.idle.any.colours", "normal"),
        ('[templates.tet.wide]\nmain = ["clock"]', "templates.tet", "templates.tet.any"),
        ('[fields.clok]\nsize = "huge"', "fields.clok", "clock"),
        ("[sizes]\nsmall = 1.0", "sizes.small", "normal"),
        ('[words.vi]\nclock = "{hour}:{minutes}"', "words.vi.clock", "{minute}"),
        ('[words.vi]\nbye = "x"', "words.vi.bye", "live"),
    ],
)
def test_an_unknown_name_is_refused_together_with_the_known_ones(
    tmp_path: Path, text: str, field: str, known: str
) -> None:
    problems = problems_of(tmp_path, text)
    assert len(problems) == 1
    assert problems[0].startswith(f"{field}: ")
    assert known in problems[0]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[colours.normal]\ntext = "#303030"', "text on background"),
        ('[colours.normal]\nquiet = "#0000FF"', "quiet on background"),
        ('[colours.emergency]\ntitle = "#800000"', "title on background"),
        ('[colours.normal]\nticker_background = "#F0F0F0"', "ticker on ticker_background"),
        ('[colours.normal]\nbackground = "#FFFFFF"', "title on background"),
    ],
)
def test_text_that_cannot_be_read_on_its_background_is_refused_by_role(
    tmp_path: Path, text: str, named: str
) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert named in problem
    assert "4.5:1" in problem


@pytest.mark.parametrize(
    "text",
    [
        '[colours.normal]\ntitle = "yellow"',
        '[colours.normal]\ntitle = "#12345"',
        '[colours.normal]\ntitle = "#+12345"',
        "[colours.normal]\ntitle = 7",
        "[sizes]\nlarge = 0.5",
        "[sizes]\nlarge = nan",
        '[sizes]\nlarge = "2"',
        "templates = 3",
        "[templates]\nidle = 3",
        "[templates.idle]\nany = 3",
        "words = []",
        "[words]\nvi = 1",
        '[words.vi]\nweekdays = ["a"]',
        'emblem = "not-there.png"',
        'fonts = ["not-there.ttf"]',
        "[[[",
        "a = " + "[" * 5000,
        "# " + "x" * MAX_BYTES,
        "[templates.idle.any]\nmain = []",
        "[templates.idle.any]\nside_share = 0.95",
        "[sizes]\nlarge = " + "9" * 5000,
    ],
)
def test_a_bad_file_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    problems = problems_of(tmp_path, text)
    assert problems
    assert all(problem.strip() for problem in problems)


def test_the_example_for_theme_authors_is_a_theme(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/boards/themes.md").read_text(encoding="utf-8")
    (tmp_path / "huy-hieu.png").write_bytes(b"x")
    theme = theme_of(tmp_path, page.partition("```toml")[2].partition("```")[0])
    assert theme.emblem
    assert theme.words["vi"].next == "Mời nghe lúc {time}: {title}"


def test_a_missing_or_binary_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ThemeError, match="No such file"):
        load_theme(tmp_path / "nothing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ThemeError, match="not TOML"):
        load_theme(tmp_path / "binary.toml")
    with pytest.raises(ThemeError):
        load_theme(tmp_path)


@pytest.mark.parametrize("name", ["emergency", "all_clear"])
@pytest.mark.parametrize("shape", ["any", "tiny"])
@pytest.mark.parametrize("main", ['["clock"]', '["title"]', '["text + source"]'])
def test_a_theme_cannot_take_the_words_from_an_emergency(
    tmp_path: Path, name: str, shape: str, main: str
) -> None:
    (problem,) = problems_of(tmp_path, f"[templates.{name}.{shape}]\nmain = {main}\n")
    assert problem.startswith(f"templates.{name}.{shape}.main: ")
    assert "title and text" in problem


def test_a_theme_may_put_words_of_an_emergency_in_another_order(tmp_path: Path) -> None:
    theme = theme_of(tmp_path, '[templates.emergency.any]\nmain = ["source", "title:huge", "text:large"]\n')
    template = theme.template("emergency", "landscape")
    assert template is not None
    assert template.main[0] == "source"


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\\u0000b.png", ".", "../" * 20 + "x"])
def test_a_file_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    assert problems_of(tmp_path, f'emblem = "{name}"\n')[0].startswith("emblem: ")


def test_a_folder_that_may_not_be_looked_into_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    (problem,) = problems_of(tmp_path, 'emblem = "logo.png"\n')
    assert problem.startswith("emblem: ")
    assert "Permission denied" in problem


def test_a_key_of_a_hundred_thousand_parts_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "a" + ".a" * 1_000 + " = 1\n")
    assert "more than 64 dots" in problem


def test_a_file_of_nothing_but_mistakes_is_refused_soon_with_the_first_of_them(tmp_path: Path) -> None:
    began = time.process_time()
    problems = problems_of(tmp_path, "\n".join(f"[templates.t{n}.any]\nx{n} = 1" for n in range(8000)))
    assert len(problems) == 20
    assert time.process_time() - began < 2


def test_a_font_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "thai.ttf").write_bytes(b"<html>404</html>")
    (problem,) = problems_of(tmp_path, 'fonts = ["thai.ttf"]\n')
    assert problem.startswith("fonts.0: ")
    assert "no usable font" in problem


def test_weekdays_are_written_as_the_state_writes_them() -> None:
    """Decree 30/2020 writes `thứ Hai` and `Chủ nhật`; the first letter is large, as it begins the line."""
    assert load_theme(None).words["vi"].weekdays == (
        "Thứ Hai",
        "Thứ Ba",
        "Thứ Tư",
        "Thứ Năm",
        "Thứ Sáu",
        "Thứ Bảy",
        "Chủ nhật",
    )
