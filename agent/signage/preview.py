"""What a board would show, as a file: laid out and painted by the very code that the board's worker runs.

Also a child process of the server, which must neither load fonts nor trust pictures itself:
`python -P -m agent.signage.preview`, one JSON object on standard input, the picture on standard output.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.signage.link import Setup
from agent.signage.preview_file import Document, PreviewError, Wish, read_file, wish_of
from agent.signage.screen import Motion, Screen, TickerBand
from agent.signage.studio import Studio
from agent.signage.theme import ThemeError
from agent.signage.ticker import PIECE_MAX_PX, Tape, pace
from agent.wire.errors import explain
from drivers.api import PixelFormat

REFRESH_HZ = 60
"""Of the board whose ticker a GIF follows."""

FRAME_S = 0.05
"""Of a GIF, while something moves on it."""

MAX_FRAMES = 900
MAX_GIF_PIXELS = 120_000_000
"""Of all frames together: a larger board is shown with fewer frames, then smaller."""

MAX_SHEET_PX = 4_000_000
MAX_SCREENS = 200

_BLINK_S = 0.5
_SHEET_GAP_PX = 8
_SHEET_GROUND = (70, 74, 80)
_INPUT_BYTES = 1024 * 1024
_MEMORY_BYTES = 1024 * 1024 * 1024
_CPU_S = 30
_REFUSED = 2


class Form(StrEnum):
    """What is drawn of a playlist."""

    PNG = "png"
    """The first screen, pixel by pixel; its ticker when its text has reached the left edge."""

    SHEET = "sheet"
    """All screens side by side, PNG."""

    GIF = "gif"
    """All screens one after the other, the ticker running."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered preview.

    Attributes:
        data: PNG or GIF.
        screens: how many there are.
        problems: what the board could not show as wished, as `code detail`: `missing_glyph U+1F600`.
        reduced: the picture is smaller than the board, or not all of it is there, to keep the file small.
    """

    data: bytes
    screens: int
    problems: tuple[str, ...]
    reduced: bool = False


class Show:
    """Screens of a wish with everything needed to draw them.

    Raises:
        PreviewError: the theme cannot be used, or fonts are missing.
    """

    def __init__(self, wish: Wish) -> None:
        setup = Setup(kind="preview", options={}, face=wish.face, theme=wish.theme)
        try:
            self._studio = Studio(setup)
        except ThemeError as error:
            raise PreviewError([f"theme: {problem}" for problem in error.problems]) from error
        self._assets = wish.assets
        self._size = (wish.face.width_px, wish.face.height_px)
        self._tapes: dict[str, _Runner] = {}
        self.problems: list[str] = []
        moment = wish.now
        screens: list[Screen] = []
        for page in wish.pages:
            made = self._studio.compose(page, wish.facts, moment, wish.assets)
            screens += made
            moment += timedelta(seconds=sum(screen.dwell_s for screen in made))
        self.screens = tuple(screens[:MAX_SCREENS])
        self.complete = len(screens) <= MAX_SCREENS

    def still(self, screen: Screen, offset_px: int | None = None, *, lit: bool = True) -> Image.Image:
        """A screen with its ticker at an offset; None: its text begins at the left edge."""
        if lit:
            painted = self._studio.paint(screen, self._assets)
            rgb = painted.rgb
            for problem in painted.problems:
                self._tell(f"{problem.code} {problem.detail}".strip())
            if screen.video:
                self._tell(f"video_not_drawn {screen.video[:80]}")
        else:
            rgb = self._studio.unlit(screen, self._assets)
        if screen.ticker is not None:
            memory = bytearray(rgb)
            self._runner(screen).draw(memory, self._size[0] if offset_px is None else offset_px)
            rgb = bytes(memory)
        return Image.frombytes("RGB", self._size, rgb)

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _runner(self, screen: Screen) -> _Runner:
        """The ticker of a page: it goes on from one of its screens to the next."""
        band = screen.ticker
        if band is None:
            raise ValueError("a screen without a ticker")
        runner = self._tapes.get(screen.page_id)
        if runner is None or runner.band != band:
            runner = self._tapes[screen.page_id] = _Runner(self._studio, band, self._size[0])
        return runner

    def film(self, frame_s: float) -> Iterator[tuple[Screen, Image.Image, float]]:
        """Every frame with its screen and its duration, s; one on which nothing moves is one frame."""
        for page_s, screen in self._timeline():
            if screen.ticker is None and screen.motion is Motion.STILL:
                yield screen, self.still(screen), screen.dwell_s
                continue
            step_s = _BLINK_S if screen.ticker is None else frame_s
            for number in range(max(1, round(screen.dwell_s / step_s))):
                at_s = page_s + number * step_s
                lit = screen.motion is Motion.STILL or int(at_s / _BLINK_S) % 2 == 0
                offset_px = 0 if screen.ticker is None else _offset_px(screen.ticker, at_s)
                yield screen, self.still(screen, offset_px, lit=lit), step_s

    def frames(self, frame_s: float) -> int:
        """How many frames `film` has."""
        return sum(
            1
            if screen.ticker is None and screen.motion is Motion.STILL
            else max(1, round(screen.dwell_s / (_BLINK_S if screen.ticker is None else frame_s)))
            for screen in self.screens
        )

    def _timeline(self) -> Iterator[tuple[float, Screen]]:
        """Each screen with the seconds for which its page has been on before."""
        page_id, page_s = "", 0.0
        for screen in self.screens:
            if screen.page_id != page_id:
                page_id, page_s = screen.page_id, 0.0
            yield page_s, screen
            page_s += screen.dwell_s


class _Runner:
    """A tape that is fed as it is looked at, from left to right."""

    def __init__(self, studio: Studio, band: TickerBand, width_px: int) -> None:
        self.band = band
        self._studio = studio
        self._width_px = width_px
        self._rewind()

    def _rewind(self) -> None:
        self._at_px = 0
        self._tape = Tape(self.band, self._width_px, self._studio.ground(self.band, PixelFormat.RGB))
        self._feed()

    def draw(self, memory: bytearray, offset_px: int) -> None:
        """Draw the band into a frame of RGB."""
        if offset_px < self._at_px:
            self._rewind()
        while self._at_px < offset_px:
            self._at_px = min(offset_px, self._at_px + PIECE_MAX_PX)
            self._feed()
        self._feed()
        self._tape.copy(memoryview(memory), self._width_px * 3, offset_px)

    def _feed(self) -> None:
        while self._tape.wants(self._at_px):
            text = self._tape.next_text()
            if not text:
                self._tape.add_gap(self._at_px)
            for packed, width_px in self._studio.strips(self.band, text, PIECE_MAX_PX, PixelFormat.RGB):
                self._tape.add(packed, width_px, self._at_px)


def _offset_px(band: TickerBand, at_s: float) -> int:
    even = pace(band.speed_px_s, REFRESH_HZ)
    return int(at_s * REFRESH_HZ) // even.frames * even.step_px


def preview(wish: Wish, form: Form) -> Preview:
    """Render what a board would show.

    Raises:
        PreviewError: the theme cannot be used.
    """
    show = Show(wish)
    data, reduced = _DRAWN[form](show)
    return Preview(data, len(show.screens), tuple(show.problems), reduced or not show.complete)


def preview_file(path: Path, out: Path, now: datetime, form: Form | None = None) -> Preview:
    """Render a preview file into a picture file, as `loa board preview` does.

    Args:
        path: TOML, see `preview_file.Document`.
        out: written whole or not at all; `.gif` makes a GIF, everything else a PNG, unless `form` says it.
        now: moment shown by clocks, unless the file names one; aware.
        form: what is drawn.

    Raises:
        PreviewError: the file or its theme cannot be used, or `out` cannot be written.
    """
    chosen = form or (Form.GIF if out.suffix.lower() == ".gif" else Form.PNG)
    result = preview(read_file(path, now), chosen)
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_bytes(result.data)
        part.replace(out)
    except OSError as error:
        raise PreviewError([f"{out}: {error.strerror or error}"]) from error
    return result


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _sheet(show: Show) -> tuple[bytes, bool]:
    width_px, height_px = show.screens[0].width_px, show.screens[0].height_px
    count = len(show.screens)
    # As near to a square as whole screens allow.
    columns = max(1, min(count, round((count * height_px / width_px) ** 0.5)))
    rows = -(-count // columns)
    shrink = max(1.0, (count * width_px * height_px / MAX_SHEET_PX) ** 0.5)
    size = (max(1, int(width_px / shrink)), max(1, int(height_px / shrink)))
    step = (size[0] + _SHEET_GAP_PX, size[1] + _SHEET_GAP_PX)
    sheet = Image.new(
        "RGB", (columns * step[0] + _SHEET_GAP_PX, rows * step[1] + _SHEET_GAP_PX), _SHEET_GROUND
    )
    for number, screen in enumerate(show.screens):
        image = show.still(screen)
        if size != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        place = (number % columns * step[0] + _SHEET_GAP_PX, number // columns * step[1] + _SHEET_GAP_PX)
        sheet.paste(image, place)
    return _png(sheet), shrink > 1


def _gif(show: Show) -> tuple[bytes, bool]:
    width_px, height_px = show.screens[0].width_px, show.screens[0].height_px
    frame_s = FRAME_S
    while show.frames(frame_s) > MAX_FRAMES and frame_s < _BLINK_S:
        frame_s *= 2
    frames = min(MAX_FRAMES, show.frames(frame_s))
    shrink = max(1, round((frames * width_px * height_px / MAX_GIF_PIXELS) ** 0.5 + 0.499))
    cut = show.frames(frame_s) > MAX_FRAMES
    palettes: dict[Screen, Image.Image] = {}
    durations: list[int] = []
    film: list[Image.Image] = []
    for screen, image, duration_s in islice(show.film(frame_s), MAX_FRAMES):
        if screen not in palettes:
            # The same colours for all frames of a screen: then only what moves is written again.
            palettes[screen] = _few_colours(_shrunk(show.still(screen), shrink))
        durations.append(max(20, round(duration_s * 100) * 10))
        film.append(_shrunk(image, shrink).quantize(palette=palettes[screen], dither=Image.Dither.NONE))
    stream = io.BytesIO()
    film[0].save(
        stream, "GIF", save_all=True, append_images=film[1:], duration=durations, loop=0, optimize=False
    )
    return stream.getvalue(), cut or shrink > 1


def _shrunk(image: Image.Image, factor: int) -> Image.Image:
    return image.reduce(factor) if factor > 1 else image


def _few_colours(image: Image.Image) -> Image.Image:
    return image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


_DRAWN: Mapping[Form, Callable[[Show], tuple[bytes, bool]]] = {
    Form.PNG: lambda show: (_png(show.still(show.screens[0])), False),
    Form.SHEET: _sheet,
    Form.GIF: _gif,
}


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    document: Document
    form: Form = Form.PNG
    now: datetime
    theme: str = Field(default="", max_length=1000)
    assets: dict[str, str] = Field(default_factory=dict, max_length=200)


def _limit(memory_bytes: int = _MEMORY_BYTES, cpu_s: int = _CPU_S) -> None:
    """No more memory or time than a preview may take, no files written, no children, no core dump."""
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def _answer(raw: bytes) -> Preview:
    """Render what the server asks for; raises PreviewError."""
    if len(raw) > _INPUT_BYTES:
        raise PreviewError([f"request: larger than {_INPUT_BYTES // 1024} KB"])
    try:
        request = _Request.model_validate_json(raw)
    except ValidationError as error:
        raise PreviewError(explain(error, 20)) from error
    now = request.now if request.now.tzinfo else request.now.replace(tzinfo=UTC)
    if request.document.board.theme:
        raise PreviewError(["document.board.theme: the request itself names the theme"])
    assets: Mapping[str, Path] = {key: Path(path) for key, path in request.assets.items()}
    theme = Path(request.theme) if request.theme else None
    return preview(wish_of(request.document, now, theme, assets), request.form)


def _report(problems: Sequence[str], screens: int = 0, *, reduced: bool = False) -> None:
    row = {"problems": list(problems), "screens": screens, "reduced": reduced}
    sys.stderr.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> int:
    """Child process.

    Standard input: `{"document": ..., "form": "png"|"sheet"|"gif", "now": ..., "theme": path, "assets":
    {key: path}}`. Standard output: the picture. Standard error: one line of JSON, `{"problems": [...],
    "screens": n, "reduced": false}`.

    Returns:
        0; 2 when there is no picture, for the reasons in `problems`. Killed by a signal: it took too long.
    """
    _limit()
    try:
        result = _answer(sys.stdin.buffer.read(_INPUT_BYTES + 1))
    except PreviewError as error:
        _report(error.problems)
        return _REFUSED
    except MemoryError:
        _report(["memory: this preview needs too much of it"])
        return _REFUSED
    sys.stdout.buffer.write(result.data)
    _report(result.problems, result.screens, reduced=result.reduced)
    return 0


if __name__ == "__main__":
    sys.exit(main())
