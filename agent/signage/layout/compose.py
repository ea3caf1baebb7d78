"""Turns a page into screens: pure, in pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent.model.board import Facts, Page, PageKind
from agent.signage.layout import graphics, pattern
from agent.signage.layout.alarm import Body, alarms, headline, is_whole, with_headline
from agent.signage.layout.colours import on_board
from agent.signage.layout.flow import ALARM_SCREENS, SCREENS, Block, Flowed, Placed, Type, flow
from agent.signage.layout.rows import Row, lay_row
from agent.signage.layout.shape import shape_of
from agent.signage.layout.timing import stay_s, with_video, with_whole_ticker
from agent.signage.layout.words import Said, row_of, said
from agent.signage.legibility import least
from agent.signage.screen import (
    Colour,
    Element,
    Face,
    Fill,
    Motion,
    Rect,
    Screen,
    TickerBand,
)
from agent.signage.theme import EMBLEM, Theme
from agent.signage.theme_parts import Graphic, Palette, Template, Text

_SCROLL_S: Final = 3.0
"""A ticker takes at least so long to cross the board."""
_SLOWEST_PX_S: Final = 12.0
_FEW_LINES: Final = 3
"""A board of fewer lines, or too small for the headline, turns the screens of an emergency faster."""
_LINES_OF_TEXT: Final = 3
"""Header and footer leave at least so many lines to the text."""
_NAMED_GLYPHS: Final = 10
_TIMED: Final = frozenset({Text.CLOCK, Text.DATE, Text.DATE_SHORT, Text.LUNAR, Text.LUNAR_SHORT, Text.NEXT})


def compose(  # noqa: PLR0917 - the agreed call
    page: Page,
    face: Face,
    theme: Theme,
    facts: Facts,
    now: datetime,
    type_: Type,
    has: Callable[[str], bool] = lambda _key: True,
) -> tuple[Screen, ...]:
    """Lay out a page.

    Args:
        page: what to show.
        face: the board.
        theme: colours, templates and words.
        facts: what the board knows besides the page.
        now: for clock and date.
        type_: measures text.
        has: whether the picture or video with a SHA-256 is on the box.

    Returns:
        At least one screen, at most 60 and some of graphics alone, 200 of an emergency; the same for the
        same input.
    """
    if page.kind is PageKind.PATTERN:
        return (pattern.screen(page, face, type_),)
    return _Page(page, face, theme, facts, now, type_, has).screens()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is on every screen of a page: rows, band, and the room between them."""

    elements: tuple[Element, ...]
    header: Rect | None
    footer: Rect | None
    band: TickerBand | None
    room: Rect


class _Page:
    def __init__(  # noqa: PLR0917 - as `compose`
        self,
        page: Page,
        face: Face,
        theme: Theme,
        facts: Facts,
        now: datetime,
        type_: Type,
        has: Callable[[str], bool],
    ) -> None:
        self._page, self._face, self._theme, self._type, self._has = page, face, theme, type_, has
        self._complaints: list[str] = []
        self._alarms = alarms(page.kind)
        self._still = False
        legible = least(face, type_.line_height(100) / 100)
        self._em_px = legible.size_px
        self._line_px = type_.line_height(self._em_px)
        if not legible.served:
            self._complaints.append("too_small_for_distance")
        if self._line_px > face.height_px:
            self._complaints.append("too_low_for_text")
        self._brisk = self._alarms and face.height_px < _FEW_LINES * self._line_px
        words = theme.words_for(page.language)
        self._said: Said = said(page, facts, words, now)
        self._complaints.extend(self._said.complaints)
        self._complain_of_glyphs()
        self._template = self._choose_template()
        self._palette: Palette = on_board(theme.colours[self._template.colours], face.colours)
        self._border_px = 0
        if self._template.border and face.height_px >= self._line_px + 2:
            spare = (face.height_px - self._line_px) // 2
            self._border_px = max(1, min(spare, min(face.width_px, face.height_px) // 32))

    def screens(self) -> tuple[Screen, ...]:
        """All screens of the page."""
        found = graphics.present(self._page, self._template, self._theme, self._has, self._complaints)
        blocks = self._blocks()
        if self._alarms and not self._shows_headline(blocks, self._frame(blocks, found, counter=False).room):
            self._still = True
            blocks = self._blocks()
        frame, flowed, shared = self._laid(blocks, found)
        self._brisk = self._brisk or (self._alarms and not is_whole(flowed, headline(blocks)))
        if flowed.cut:
            self._complaints.append("cut text")
        bodies: list[Body] = [(shared.elements, placed) for placed in flowed.screens]
        bodies.extend(self._alone(shared.homeless, frame.room))
        title = headline(blocks)
        if self._alarms and title is not None and len(bodies) > 1:
            again = self._flow([title], shared.text).screens
            bodies = with_headline(bodies, [(shared.elements, one) for one in again], self._body_dwell)
        if not bodies:
            bodies = [(shared.elements, Placed((), frozenset()))]
        screens = [self._screen(n, len(bodies), frame, *body) for n, body in enumerate(bodies, 1)]
        screens = with_whole_ticker(screens, self._page, self._type)
        return tuple(with_video(screens, self._page, self._has))

    def _laid(
        self, blocks: Sequence[Block], found: Sequence[Graphic]
    ) -> tuple[_Frame, Flowed, graphics.Beside]:
        """The page without, and if it has several screens with, their number."""
        frame = self._frame(blocks, found, counter=False)
        flowed, shared = self._fill(frame, blocks, found)
        if len(flowed.screens) > 1:
            counted = self._frame(blocks, found, counter=True)
            if counted != frame:
                frame = counted
                flowed, shared = self._fill(frame, blocks, found)
        return frame, flowed, shared

    def _complain_of_glyphs(self) -> None:
        everything = "\n".join([*self._said.fields.values(), self._said.ticker])
        missing = self._type.missing(everything)
        self._complaints.extend(f"missing_glyph {code}" for code in missing[:_NAMED_GLYPHS])

    def _choose_template(self) -> Template:
        shape = shape_of(self._face, self._line_px, self._em_px)
        named = self._theme.template(self._page.template, shape) if self._page.template else None
        if self._page.template and named is None:
            self._complaints.append(f"unknown_template {self._page.template[:64]}")
        if named is not None and self._alarms and not named.shows(Text.TITLE, Text.TEXT):
            self._complaints.append(f"unfit_template {self._page.template[:64]}")
            named = None
        return named or self._theme.template(self._page.kind, shape) or Template()

    def _colour(self, field: Text) -> Colour:
        return self._palette.of(self._theme.style(field).colour)

    def _factor(self, size: str) -> float:
        factor: float = getattr(self._theme.sizes, size)
        return factor

    def _blocks(self) -> list[Block]:
        """Text that flows, in the template's order; a paged ticker last."""
        blocks = []
        for entry in self._template.main:
            names, _, size = entry.partition(":")
            fields = [Text(one.strip()) for one in names.split("+")]
            parts = tuple(self._said.fields[field] for field in fields if field in self._said.fields)
            if not parts:
                continue
            first = next(field for field in fields if field in self._said.fields)
            blocks.append(
                Block(
                    parts,
                    self._factor(size.strip() or self._theme.style(first).size),
                    self._colour(first),
                    heading=first is not Text.TEXT,
                    leads=first in (Text.TITLE, Text.KIND),
                    compact=first not in (Text.TITLE, Text.TEXT),
                    tag=",".join(field for field in fields if field in self._said.fields),
                )
            )
        if self._pages_ticker(blocks):
            factor = self._factor(self._theme.ticker.size)
            alone = bool(blocks) and self._page.kind is not PageKind.EMERGENCY
            blocks.append(Block((self._said.ticker,), factor, self._palette.text, alone=alone, tag="ticker"))
        if not blocks and not self._pictured():
            station = self._said.fields.get(Text.STATION, "")
            blocks.append(Block((station,), self._factor("large"), self._palette.title, tag=Text.STATION))
        return blocks

    def _pictured(self) -> bool:
        return bool(self._page.picture) and "picture" in self._template.side and self._has(self._page.picture)

    def _runs_ticker(self) -> bool:
        """Whether there is a band: something moves, and a line of text has room above it."""
        if self._still or not (self._said.ticker and self._template.ticker and self._face.moves):
            return False
        room_px = self._face.height_px - 2 * self._border_px
        return room_px >= 2 * self._line_px or not (self._page.title or self._page.text or self._page.picture)

    def _pages_ticker(self, blocks: Sequence[Block]) -> bool:
        """Whether the ticker's text is on still screens too: nothing moves it, or it is an emergency."""
        ticker = self._said.ticker
        if not ticker:
            return False
        if not self._runs_ticker():
            return True
        shown = {row_of(part) for block in blocks for part in block.parts}
        return self._page.kind is PageKind.EMERGENCY and ticker not in shown

    def _frame(self, blocks: Sequence[Block], found: Sequence[Graphic], *, counter: bool) -> _Frame:
        """Share the height: ticker first, then header, then footer; two lines of text remain."""
        width, height, line_px = self._face.width_px, self._face.height_px, self._line_px
        roomy = height >= 6 * line_px
        edge = self._border_px
        side_px = edge + (max(2, self._em_px // 3) if roomy else 1)
        top, bottom = edge, height - edge
        band = None
        if self._runs_ticker():
            size_px = max(self._em_px, round(self._em_px * self._factor(self._theme.ticker.size)))
            band_px = self._type.line_height(size_px)
            if bottom - top - band_px < line_px:
                size_px, band_px = self._em_px, line_px
            if bottom - top - band_px < line_px:
                band_px = bottom - top
            bottom -= band_px
            band = self._band(bottom, band_px, size_px)
        header = footer = None
        inner = width - 2 * side_px
        needed = _LINES_OF_TEXT * line_px if blocks or found else 0
        if self._has_content(self._template.header, counter=counter) and bottom - top - line_px >= needed:
            header = Rect(side_px, top, inner, line_px)
            top += line_px
        if self._has_content(self._template.footer, counter=counter) and bottom - top - line_px >= needed:
            bottom -= line_px
            footer = Rect(side_px, bottom, inner, line_px)
        elements: list[Element] = []
        if self._border_px:
            elements.append(Fill(Rect(0, 0, width, height), self._palette.border, self._border_px))
        if roomy:
            rule_px = max(1, self._em_px // 14)
            if header is not None:
                elements.append(Fill(Rect(side_px, top, inner, rule_px), self._palette.border))
                top += rule_px + self._em_px // 4
            if footer is not None:
                bottom -= rule_px
                elements.append(Fill(Rect(side_px, bottom, inner, rule_px), self._palette.border))
            bottom -= self._em_px // 4
        room = Rect(side_px, top, inner, max(0, bottom - top))
        return _Frame(tuple(elements), header, footer, band, room)

    def _has_content(self, names: Sequence[str], *, counter: bool) -> bool:
        return any(
            (name == Text.COUNTER and counter)
            or (name == EMBLEM and bool(self._theme.emblem))
            or (name != EMBLEM and bool(self._said.fields.get(Text(name))))
            for name in names
        )

    def _band(self, y_px: int, height_px: int, size_px: int) -> TickerBand:
        speed = min(self._theme.ticker.speed_em_s * size_px, self._face.width_px / _SCROLL_S)
        return TickerBand(
            y_px,
            height_px,
            self._said.ticker,
            size_px,
            self._palette.ticker,
            self._palette.ticker_background,
            max(_SLOWEST_PX_S, speed),
        )

    def _fill(
        self, frame: _Frame, blocks: Sequence[Block], found: Sequence[Graphic]
    ) -> tuple[Flowed, graphics.Beside]:
        """Flow text beside graphics; without text the graphics have all the room."""
        if frame.band is not None and frame.room.height_px < self._line_px:
            return Flowed(()), graphics.Beside((), frame.room, tuple(found))
        if not blocks:
            return Flowed(()), graphics.Beside((), frame.room, tuple(found))
        shared = graphics.beside(
            found,
            self._page,
            self._template,
            frame.room,
            self._line_px,
            self._em_px,
            self._palette.title,
        )
        if (
            self._alarms
            and shared.elements
            and not self._shows_headline(blocks, shared.text)
            and self._shows_headline(blocks, frame.room)
        ):
            shared = graphics.Beside((), frame.room, tuple(found))
        return self._flow(blocks, shared.text), shared

    def _shows_headline(self, blocks: Sequence[Block], room: Rect) -> bool:
        """Whether the headline is whole on one screen of such a room; the text behind it is not looked at."""
        title = headline(blocks)
        return title is None or is_whole(self._flow([title], room), title)

    def _flow(self, blocks: Sequence[Block], room: Rect) -> Flowed:
        return flow(
            blocks,
            room,
            self._em_px,
            self._theme.sizes.grow,
            self._type,
            centred=self._template.align == "centre",
            first_whole=self._alarms,
            most=ALARM_SCREENS if self._brisk else SCREENS,
        )

    def _alone(self, homeless: Sequence[Graphic], room: Rect) -> list[Body]:
        """Screens of graphics that found no room beside the text; an emblem is not worth one."""
        bodies: list[Body] = []
        for graphic in homeless:
            if graphic is Graphic.EMBLEM:
                continue
            if graphic is Graphic.QR and not graphics.fits(graphic, self._page, room, self._line_px):
                self._complaints.append("qr_too_small")
                continue
            element = graphics.draw(graphic, self._page, room, self._palette.title)
            bodies.append(((element,), Placed((), frozenset({graphic}))))
        return bodies

    def _screen(
        self, number: int, count: int, frame: _Frame, drawn: tuple[Element, ...], placed: Placed
    ) -> Screen:
        texts = dict(self._said.fields)
        if count > 1:
            texts[Text.COUNTER] = f"{number}/{count}"
        colours = {field: self._colour(field) for field in Text}
        rows = [
            lay_row(names, texts, colours, rect, self._em_px, self._type, emblem=bool(self._theme.emblem))
            for names, rect in ((self._template.header, frame.header), (self._template.footer, frame.footer))
            if rect is not None
        ]
        elements = (*frame.elements, *(one for row in rows for one in row.elements), *drawn, *placed.lines)
        return Screen(
            page_id=self._page.id,
            number=number,
            count=count,
            width_px=self._face.width_px,
            height_px=self._face.height_px,
            background=self._palette.background,
            elements=elements,
            dwell_s=self._body_dwell((drawn, placed)),
            ticker=frame.band,
            motion=Motion.BORDER if self._template.blink and self._border_px else Motion.STILL,
            refresh_s=self._refresh(rows, placed),
            complaints=tuple(dict.fromkeys(self._complaints)),
        )

    def _body_dwell(self, body: Body) -> float:
        return stay_s(self._page, body[1].lines, brisk=self._brisk)

    def _refresh(self, rows: Sequence[Row], placed: Placed) -> float:
        fields = {name for row in rows for name in row.fields}
        fields.update(name for tag in placed.tags for name in tag.split(","))
        next_s = self._said.next_s if Text.NEXT in fields else math.inf
        if Text.CLOCK in fields:
            return min(next_s, self._said.minute_s)
        return min(next_s, self._said.day_s) if fields & _TIMED else 0
