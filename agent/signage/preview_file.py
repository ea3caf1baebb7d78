"""Files that say what to preview: a board, what is known, and one page or a playlist, as TOML.

docs/boards/examples holds some. Unknown fields are refused by name: a misspelt one would change nothing.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import AgentError, Retry
from agent.model.board import Facts, Page, PageKind
from agent.signage.screen import Face
from agent.wire.errors import explain
from drivers.api import Colours

MAX_FILE_BYTES = 256 * 1024
_EXPLAINED = 20


class PreviewError(AgentError):
    """Nothing can be previewed; `problems` are lines of `field: problem`."""

    retry = Retry.NEVER

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be previewed.

    Attributes:
        pages: in their order.
        face: of the board.
        facts: what templates may show besides.
        now: moment for clock and date, aware.
        theme: file of the theme; None: the built-in one.
        assets: files of pictures by the key that pages name.
    """

    pages: tuple[Page, ...]
    face: Face
    facts: Facts
    now: datetime
    theme: Path | None
    assets: Mapping[str, Path]


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not an IANA time zone such as Asia/Ho_Chi_Minh") from error
    return name


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Board(_Section):
    width_px: int = Field(ge=16, le=7680)
    height_px: int = Field(ge=8, le=4320)
    colours: Colours = Colours.FULL
    pitch_mm: float = Field(default=10.0, gt=0, le=100)
    viewing_m: float = Field(default=15.0, gt=0, le=500)
    moves: bool = True
    theme: str = Field(default="", max_length=500)


class _Facts(_Section):
    station: str = Field(default="", max_length=200)
    next_title: str = Field(default="", max_length=500)
    next_start: datetime | None = None
    clock_known: bool = True
    weather: str = Field(default="", max_length=500)
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Ho_Chi_Minh"


class _Page(_Section):
    id: str = Field(default="", max_length=100)
    kind: PageKind = PageKind.PAGE
    title: str = Field(default="", max_length=2_000)
    text: str = Field(default="", max_length=100_000)
    ticker: str = Field(default="", max_length=10_000)
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "vi"
    source: str = Field(default="", max_length=500)
    event: str = Field(default="", max_length=64)
    picture: str = Field(default="", max_length=500)
    video: str = Field(default="", max_length=500)
    qr: str = Field(default="", max_length=4_000)
    weather: str = Field(default="", max_length=500)
    dwell_s: float = Field(default=0, ge=0, le=3600)
    template: str = Field(default="", max_length=64)
    issued: datetime | None = None


class Document(_Section):
    """A preview file, also what the server sends: then pictures are keys of `assets`, no file is named."""

    board: _Board
    facts: _Facts = _Facts()
    now: datetime | None = None
    page: tuple[_Page, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [page.id for page in self.page if page.id]
        if len(set(ids)) < len(ids):
            raise ValueError("two pages have the same id")
        return self


def read_document(raw: object) -> Document:
    """Check an already parsed document.

    Raises:
        PreviewError: every wrong or unknown field by its path.
    """
    try:
        return Document.model_validate(raw)
    except ValidationError as error:
        raise PreviewError(explain(error, _EXPLAINED)) from error


def read_file(path: Path, now: datetime) -> Wish:
    """Read a preview file; `now` counts where the file names no moment of its own.

    The theme and pictures are files relative to it.

    Raises:
        PreviewError: not readable, no TOML, or wrong and unknown fields.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PreviewError([f"{path}: {error.strerror or error}"]) from error
    if len(raw) > MAX_FILE_BYTES:
        raise PreviewError([f"{path}: larger than {MAX_FILE_BYTES // 1024} KB"])
    try:
        parsed = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise PreviewError([f"{path}: not TOML: {error}"]) from error
    document = read_document(parsed)
    keys, assets = {}, {}
    for page in document.page:
        if page.picture:
            picture = path.parent / page.picture
            keys[page.picture] = _digest(picture)
            assets[keys[page.picture]] = picture
    theme = path.parent / document.board.theme if document.board.theme else None
    return wish_of(document, now, theme, assets, keys)


def wish_of(
    document: Document,
    now: datetime,
    theme: Path | None,
    assets: Mapping[str, Path],
    keys: Mapping[str, str] | None = None,
) -> Wish:
    """Turn a document into values; `keys` are those of pictures by the name in the document."""
    board, facts = document.board, document.facts
    zone = ZoneInfo(facts.timezone)
    known = keys or {}
    return Wish(
        pages=tuple(
            Page(
                **{
                    **page.model_dump(),
                    "id": page.id or f"page-{number}",
                    "picture": known.get(page.picture, page.picture),
                    "issued": _aware(page.issued, zone),
                }
            )
            for number, page in enumerate(document.page, 1)
        ),
        face=Face(**board.model_dump(exclude={"theme"})),
        facts=Facts(**{**facts.model_dump(), "next_start": _aware(facts.next_start, zone)}),
        now=_aware(document.now, zone) or now,
        theme=theme,
        assets=assets,
    )


def _aware(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """A moment without an offset is civil time of the board."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _digest(path: Path) -> str:
    # A file that is not there gets a key as well, and becomes a named problem when it is painted.
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256(str(path).encode()).hexdigest()
