"""The parts of a theme and what each of them may hold; unknown names and bad values are refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent.signage.legibility import LEAST_CONTRAST, contrast
from agent.signage.screen import Colour


class Text(StrEnum):
    """Fields that are text."""

    TITLE = "title"
    TEXT = "text"
    SOURCE = "source"
    ISSUED = "issued"
    KIND = "kind"
    STATION = "station"
    CLOCK = "clock"
    DATE = "date"
    DATE_SHORT = "date_short"
    LUNAR = "lunar"
    LUNAR_SHORT = "lunar_short"
    NEXT = "next"
    WEATHER = "weather"
    COUNTER = "counter"


class Graphic(StrEnum):
    """Fields that are drawn."""

    EMBLEM = "emblem"
    PICTURE = "picture"
    QR = "qr"
    SYMBOL = "symbol"


Size = Literal["normal", "large", "huge"]
Role = Literal["title", "text", "quiet"]
SIZES: Final[tuple[str, ...]] = get_args(Size)


class Section(BaseModel):
    """Base of every table: frozen, unknown names refused, no silent change of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def _colour(value: object) -> object:
    if isinstance(value, str) and len(value) == 7 and value[0] == "#":  # noqa: PLR2004
        try:
            number = int(value[1:], 16)
        except ValueError:
            number = -1
        if number >= 0:
            return (number >> 16, number >> 8 & 255, number & 255)
    raise ValueError('write a colour as "#RRGGBB", such as "#FFC800"')


Paint = Annotated[Colour, BeforeValidator(_colour)]


class Palette(Section):
    """Colours of a screen by role.

    Attributes:
        background: of the whole screen.
        title: headlines, station, clock, symbols.
        text: what is to be read.
        quiet: date, source, weather and the like.
        ticker: text of the ticker.
        ticker_background: of its band.
        border: frame of an emergency; lines.
    """

    background: Paint
    title: Paint
    text: Paint
    quiet: Paint
    ticker: Paint
    ticker_background: Paint
    border: Paint

    def of(self, role: Role) -> Colour:
        """Colour of text of a role."""
        return {"title": self.title, "text": self.text, "quiet": self.quiet}[role]

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for role in ("title", "text", "quiet", "ticker"):
            ground = "ticker_background" if role == "ticker" else "background"
            ratio = contrast(getattr(self, role), getattr(self, ground))
            if ratio < LEAST_CONTRAST:
                raise ValueError(
                    f"{role} on {ground} has a contrast of {ratio:.1f}:1, text needs {LEAST_CONTRAST}:1; "
                    f"make {role} lighter or {ground} darker (or the other way round)"
                )
        return self


class Units(Section):
    """Font sizes as multiples of the least one that can be read from the viewing distance.

    Attributes:
        normal, large, huge: what fields are given.
        grow: how far text may grow beyond that when all of it fits on one screen.
    """

    normal: float = Field(default=1.0, ge=1, le=8)
    large: float = Field(default=1.4, ge=1, le=8)
    huge: float = Field(default=2.0, ge=1, le=8)
    grow: float = Field(default=3.0, ge=1, le=12)


class FieldStyle(Section):
    """How a text field is set."""

    size: Size = "normal"
    colour: Role = "text"


class TickerStyle(Section):
    """How a ticker runs.

    Attributes:
        size: of its letters.
        speed_em_s: font sizes per second; 4 is about two Vietnamese words. A board's width always takes 3 s.
    """

    size: Size = "normal"
    speed_em_s: float = Field(default=4.0, ge=1, le=10)


def _named(known: tuple[str, ...], allow_size: bool) -> AfterValidator:
    def check(entry: str) -> str:
        names, _, size = entry.partition(":")
        for name in (one.strip() for one in names.split("+")):
            if name not in known:
                raise ValueError(f"there is no field {name!r} here; known: {', '.join(known)}")
        if ":" in entry and (not allow_size or size.strip() not in SIZES):
            raise ValueError(
                f"{size.strip()!r} is no size; known: {', '.join(SIZES) if allow_size else 'none here'}"
            )
        return entry

    return AfterValidator(check)


TEXTS = tuple(str(one) for one in Text)
GRAPHICS = tuple(str(one) for one in Graphic)
RowField = Annotated[str, Field(max_length=40), _named((*TEXTS[2:], "emblem"), allow_size=False)]
MainField = Annotated[str, Field(max_length=80), _named(TEXTS[:-1], allow_size=True)]
SideField = Annotated[str, Field(max_length=40), _named(GRAPHICS, allow_size=False)]


class Template(Section):
    """Where fields go on a screen. Fields without content take no room.

    Attributes:
        header: one row on top of every screen, from left to right.
        main: from top to bottom, on as many screens as it needs; `clock + date` share a line if they fit,
            `title:large` chooses a size.
        side: pictures and the like beside the text; what has no room there gets a screen of its own.
        footer: one row at the bottom of every screen.
        side_at: where the side is; `auto` is above the text on a board higher than wide, else left.
        side_share: of width or height that it gets.
        align: of the text.
        colours: name of the colours.
        ticker: whether the page's ticker runs at the bottom; if not, its text is paged.
        border: whether there is a frame.
        blink: whether that frame blinks, once a second.
    """

    header: tuple[RowField, ...] = Field(default=(), max_length=8, strict=False)
    main: tuple[MainField, ...] = Field(default=("title", "text"), min_length=1, max_length=16, strict=False)
    side: tuple[SideField, ...] = Field(default=(), max_length=4, strict=False)
    footer: tuple[RowField, ...] = Field(default=(), max_length=8, strict=False)
    side_at: Literal["auto", "left", "right", "above"] = "auto"
    side_share: float = Field(default=0.35, ge=0.1, le=0.7)
    align: Literal["left", "centre"] = "centre"
    colours: str = "normal"
    ticker: bool = True
    border: bool = False
    blink: bool = False

    def shows(self, *fields: Text) -> bool:
        """Whether all these fields are in the main part."""
        there = {name.strip() for entry in self.main for name in entry.partition(":")[0].split("+")}
        return there.issuperset(fields)


def _pattern_of(*allowed: str) -> AfterValidator:
    def check(pattern: str) -> str:
        rest = pattern
        for name in allowed:
            rest = rest.replace("{" + name + "}", "")
        if "{" in rest or "}" in rest:
            raise ValueError(f"may hold only {', '.join('{' + name + '}' for name in allowed)}")
        return pattern

    return AfterValidator(check)


_Word = Annotated[str, Field(max_length=80)]


class Words(Section):
    """Words and forms of dates in one language."""

    emergency: _Word
    all_clear: _Word
    live: _Word
    next: Annotated[_Word, _pattern_of("time", "title")]
    issued: Annotated[_Word, _pattern_of("hour", "minute", "day", "month", "year")]
    source: Annotated[_Word, _pattern_of("source")]
    clock: Annotated[_Word, _pattern_of("hour", "minute")]
    date: Annotated[_Word, _pattern_of("weekday", "day", "month", "year")]
    date_short: Annotated[_Word, _pattern_of("weekday", "day", "month", "year")]
    lunar_short: Annotated[_Word, _pattern_of("day", "month", "leap", "year_name", "day_name")]
    lunar: Annotated[_Word, _pattern_of("day", "month", "leap", "year_name", "day_name")]
    leap: _Word
    weekdays: tuple[_Word, ...] = Field(min_length=7, max_length=7, strict=False)
