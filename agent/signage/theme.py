"""Themes: colours, words and templates of boards as data; a commune's file is laid over the built-in one.

A theme file may hold any part of `themes/default.toml`: tables are merged, everything else is replaced. Names
that do not exist are refused, with those that do; so is text that could not be read on its background.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, model_validator

from agent.model.board import PageKind
from agent.signage.coverage import coverage
from agent.signage.theme_parts import (
    TEXTS,
    FieldStyle,
    Palette,
    Section,
    Template,
    Text,
    TickerStyle,
    Units,
    Words,
)

BUILT_IN: Final = Path(__file__).parent / "themes" / "default.toml"
MAX_BYTES: Final = 256 * 1024

EMBLEM: Final = "emblem"
"""Key of the emblem among the pictures of a screen."""

BASE_SHAPE: Final = "any"
SHAPES: Final = ("tiny", "strip", "wide", "landscape", "portrait")
_ALARMS: Final = (PageKind.EMERGENCY, PageKind.ALL_CLEAR)
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
_MERGE_DEPTH: Final = 6
_MOST_DOTS: Final = 64
"""In one line: the time and memory of `tomllib` grow with the square of the parts of a dotted key."""


class ThemeError(Exception):
    """A theme file cannot be used.

    Attributes:
        problems: one line each: field, what is wrong, what would be right.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def _file(value: str, info: ValidationInfo) -> str:
    if not value:
        return value
    base = Path(info.context["base"]) if info.context else Path()
    path = base / value
    try:
        there = path.is_file()
    except OSError as error:
        raise ValueError(f"{error.strerror or error}: {value[:64]}") from error
    if not there:
        raise ValueError(f"there is no file {path}")
    return str(path)


def _font(value: str) -> str:
    if value:
        try:
            coverage(Path(value))
        except OSError as error:
            raise ValueError(f"{error.strerror or error}: {value[:64]}") from error
    return value


_File = Annotated[str, Field(max_length=1000), AfterValidator(_file)]
_Font = Annotated[_File, AfterValidator(_font)]


class Theme(Section):
    """Everything that a commune may change about its boards.

    Attributes:
        emblem: file of the emblem or logo, relative to the theme file; empty: none.
        fonts: files of more fonts.
        colours: by name; `normal`, `emergency` and `all_clear` exist always.
        templates: by name, then by shape of board. A page finds the one that it names, or that of its kind.
        words: by language; `vi` is used for every language that is not there.
    """

    emblem: _File = ""
    fonts: tuple[_Font, ...] = Field(default=(), max_length=16, strict=False)
    sizes: Units = Units()
    ticker: TickerStyle = TickerStyle()
    colours: dict[Annotated[str, Field(pattern=_NAME)], Palette]
    fields: dict[Annotated[Text, Field(strict=False)], FieldStyle]
    templates: dict[Annotated[str, Field(pattern=_NAME)], dict[str, Template]]
    words: dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], Words]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, shapes in self.templates.items():
            for shape, template in shapes.items():
                if shape not in (BASE_SHAPE, *SHAPES):
                    raise ValueError(
                        f"templates.{name}.{shape}: no such shape of board; "
                        f"known: {', '.join((BASE_SHAPE, *SHAPES))}"
                    )
                if template.colours not in self.colours:
                    raise ValueError(
                        f"templates.{name}.{shape}.colours: no colours {template.colours!r}; "
                        f"known: {', '.join(sorted(self.colours))}"
                    )
                if name in _ALARMS and not template.shows(Text.TITLE, Text.TEXT):
                    raise ValueError(
                        f"templates.{name}.{shape}.main: needs both title and text, "
                        "so that nobody is left without the words of an emergency"
                    )
        return self

    def template(self, name: str, shape: str) -> Template | None:
        """The template for a shape of board; None when the theme has none of that name."""
        shapes = self.templates.get(name)
        return None if shapes is None else shapes.get(shape, shapes[BASE_SHAPE])

    def words_for(self, language: str) -> Words:
        """Words of a BCP 47 language, Vietnamese if it has none."""
        return self.words.get(language.partition("-")[0].lower()) or self.words["vi"]

    def style(self, field: Text) -> FieldStyle:
        """How a field is set."""
        return self.fields.get(field) or FieldStyle()

    def assets(self) -> dict[str, Path]:
        """Files that screens name by a key of their own instead of a SHA-256."""
        return {EMBLEM: Path(self.emblem)} if self.emblem else {}

    def font_files(self) -> tuple[Path, ...]:
        """Files of more fonts."""
        return tuple(Path(one) for one in self.fonts)


def load_theme(path: Path | None) -> Theme:
    """Read a theme file over the built-in theme.

    Args:
        path: None for the built-in theme alone.

    Raises:
        ThemeError: names the fields that are wrong and what would be right.
    """
    document = _read(BUILT_IN)
    base = BUILT_IN.parent
    if path is not None:
        own = _read(path)
        _check_known_templates(own)
        document = _merged(document, own, 0)
        base = path.parent
    try:
        return Theme.model_validate(_with_words(_with_shapes(document)), context={"base": str(base)})
    except ValidationError as error:
        raise ThemeError(_explain(error)) from error


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ThemeError([f"{path}: {error.strerror or error}"]) from error
    if len(raw) > MAX_BYTES:
        raise ThemeError([f"{path}: larger than {MAX_BYTES // 1024} KB"])
    if any(line.count(b".") > _MOST_DOTS for line in raw.splitlines()):
        raise ThemeError([f"{path}: a line with more than {_MOST_DOTS} dots"])
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ThemeError([f"{path}: not TOML: {error}"]) from error


def _merged(under: dict[str, object], over: dict[str, object], depth: int) -> dict[str, object]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and depth < _MERGE_DEPTH:
            result[key] = _merged(below, value, depth + 1)
        else:
            result[key] = value
    return result


def _check_known_templates(own: dict[str, object]) -> None:
    """A template of the commune's own needs a table for boards of any shape."""
    templates = own.get("templates")
    if not isinstance(templates, dict):
        return
    kinds = {str(kind) for kind in PageKind}
    problems = [
        f"templates.{name}: a new template needs a table [templates.{name}.{BASE_SHAPE}]; "
        f"built in are {', '.join(sorted(kinds - {'pattern'}))}"
        for name, shapes in templates.items()
        if isinstance(shapes, dict) and name not in kinds and BASE_SHAPE not in shapes
    ]
    if problems:
        raise ThemeError(problems)


def _with_shapes(document: dict[str, object]) -> dict[str, object]:
    """Each shape of a template takes over from `any` what it does not say itself."""
    templates = document.get("templates")
    if not isinstance(templates, dict):
        return document
    result: dict[str, object] = {}
    for name, shapes in templates.items():
        base = shapes.get(BASE_SHAPE) if isinstance(shapes, dict) else None
        if not isinstance(shapes, dict) or not isinstance(base, dict):
            result[name] = shapes
            continue
        result[name] = {
            shape: {**base, **one} if isinstance(one, dict) else one for shape, one in shapes.items()
        }
    return {**document, "templates": result}


def _with_words(document: dict[str, object]) -> dict[str, object]:
    """A language of the commune's own takes over from Vietnamese what it does not say itself."""
    words = document.get("words")
    vietnamese = words.get("vi") if isinstance(words, dict) else None
    if not isinstance(words, dict) or not isinstance(vietnamese, dict):
        return document
    known = {name: word for name, word in vietnamese.items() if name in Words.model_fields}
    filled = {language: {**known, **one} if isinstance(one, dict) else one for language, one in words.items()}
    return {**document, "words": filled}


_TABLES: Final[dict[str, tuple[int, type[BaseModel]]]] = {
    "colours": (2, Palette),
    "sizes": (1, Units),
    "ticker": (1, TickerStyle),
    "fields": (2, FieldStyle),
    "templates": (3, Template),
    "words": (2, Words),
}
"""For each table of a theme: how deep its values lie, and what they are."""


def _explain(error: ValidationError, limit: int = 20) -> list[str]:
    lines: list[str] = []
    wrong: set[tuple[str, ...]] = set()
    for detail in error.errors(include_url=False):
        if len(lines) == limit:
            break
        where = [str(part) for part in detail["loc"]]
        if where[:1] == ["templates"] and len(where) > 3:  # noqa: PLR2004 - a shape repeats what `any` says
            same = ("templates", where[1], *where[3:])
            if same in wrong or same[:3] in {one[:3] for one in wrong}:
                continue
            wrong.add(same)
        name, problem = ".".join(where), detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            model = Theme if len(where) == 1 else _TABLES.get(where[0], (0, Theme))[1]
            problem = f"unknown; known here: {', '.join(model.model_fields)}"
        elif where and where[-1] == "[key]":
            known = f"; known: {', '.join(TEXTS)}" if where[0] == "fields" else ""
            name, problem = ".".join(where[:-1]), f"no such name{known}"
        lines.append(f"{name}: {problem}" if name else problem)
    return lines
