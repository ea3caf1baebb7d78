"""The one programme that we give to a Huidu card: pictures, none over another, and a moving strip.

Source: hardware.md 3.1. GetProgram writes `resource` where AddProgram wants `resources` (vendor's interface
notes); an altered copy is what is put back. That `fit="center"` leaves a long strip unscaled under effect 26,
and what speed each step of `inSpeed` is, no public document says: both wait for a card.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from dataclasses import dataclass, field
from io import BytesIO
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from drivers.api import BoardGeometry, CardTicker, Frame
from drivers.board.huidu.documents import whole

OUR_PREFIX = "tl-"
"""Names of files that are ours begin with it; what follows is the hash of the content."""

_IMMEDIATE = 0
_ROUND_LEFT = 26
_NAMESPACE = uuid.UUID("b1fd7a0e-5f5c-5d5b-9b1e-6a0c33c2c3c1")
_STAY_TENTHS = 100
_SLOWEST = 10
_FASTEST = 1
_STEP_PX_S = 24.0  # guess: step 1 is 240 px/s, step 10 is 24 px/s


@dataclass(frozen=True, slots=True)
class Piece:
    """A picture and where it lies; a strip wider than its area moves."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int
    png: bytes = field(repr=False)
    name: str
    effect: int = _IMMEDIATE
    speed: int = 4


@dataclass(frozen=True, slots=True)
class Programme:
    """What a card shows; `guid` follows from the content, so that the card itself can tell what it shows."""

    guid: str
    pieces: tuple[Piece, ...]


def speed_step(speed_px_s: float) -> int:
    """Step of `inSpeed` nearest to a wish, 1 (fast) to 10 (slow)."""
    wished = _STEP_PX_S * _SLOWEST / max(speed_px_s, 1.0)
    return max(_FASTEST, min(_SLOWEST, round(wished)))


def step_px_s(step: int) -> float:
    """Speed that we take a step of `inSpeed` for."""
    return _STEP_PX_S * _SLOWEST / step


def _piece(image: Image.Image, y_px: int, width_px: int, effect: int = _IMMEDIATE, speed: int = 4) -> Piece:
    held = BytesIO()
    image.save(held, "PNG")
    png = held.getvalue()
    name = f"{OUR_PREFIX}{hashlib.sha256(png).hexdigest()[:24]}.png"
    return Piece(0, y_px, width_px, image.height, png, name, effect, speed)


def compose(frame: Frame, ticker: CardTicker | None) -> Programme:
    """Cut a frame into the areas of a programme; the rows of a ticker are left to its strip. Takes ms."""
    image = Image.frombytes("RGB", (frame.width_px, frame.height_px), frame.rgb)
    if ticker is None:
        pieces = [_piece(image, 0, frame.width_px)]
    else:
        strip = ticker.strip
        below = ticker.y_px + strip.height_px
        pieces = [
            _piece(image.crop((0, top, frame.width_px, bottom)), top, frame.width_px)
            for top, bottom in ((0, ticker.y_px), (below, frame.height_px))
            if bottom > top
        ]
        picture = Image.frombytes("RGB", (strip.width_px, strip.height_px), strip.rgb)
        speed = speed_step(ticker.speed_px_s)
        pieces.append(_piece(picture, ticker.y_px, frame.width_px, _ROUND_LEFT, speed))
    what = [(p.x_px, p.y_px, p.width_px, p.height_px, p.name, p.effect, p.speed) for p in pieces]
    return Programme(str(uuid.uuid5(_NAMESPACE, repr(what))), tuple(pieces))


def screen(programme: Programme, geometry: BoardGeometry) -> Element:
    """Content of AddProgram."""
    root = Element("screen", width=str(geometry.width_px), height=str(geometry.height_px), timeStamps="0")
    node = SubElement(root, "program", type="normal", guid=programme.guid, name="tieng-lang", flag="0")
    SubElement(node, "playControl", count="1")
    for number, piece in enumerate(programme.pieces):
        guid = uuid.uuid5(_NAMESPACE, f"{programme.guid}/{number}")
        area = SubElement(node, "area", guid=str(guid), alpha="255")
        SubElement(
            area,
            "rectangle",
            x=str(piece.x_px),
            y=str(piece.y_px),
            width=str(piece.width_px),
            height=str(piece.height_px),
        )
        moving = piece.effect != _IMMEDIATE
        image = SubElement(
            SubElement(area, "resources"),
            "image",
            guid=str(uuid.uuid5(guid, piece.name)),
            fit="center" if moving else "stretch",
        )
        SubElement(
            image,
            "effect",
            {
                "in": str(piece.effect),
                "inSpeed": str(piece.speed),
                "out": str(_IMMEDIATE),
                "outSpeed": str(piece.speed),
                "duration": str(_STAY_TENTHS),
            },
        )
        SubElement(image, "file", name=piece.name)
    return root


def held(out: Element) -> list[Element]:
    """Programmes in an answer to GetProgram."""
    return list(out.iter("program"))


def files_of(node: Element) -> frozenset[str]:
    """Names of all files that a programme or screen refers to."""
    return frozenset(name for item in node.iter("file") if (name := item.get("name")))


def is_ours(node: Element) -> bool:
    """Every file of a programme is one of ours, and it has one."""
    names = files_of(node)
    return bool(names) and all(name.startswith(OUR_PREFIX) for name in names)


def shows(node: Element, programme: Programme) -> bool:
    """A programme on the card has exactly the areas and pictures of `programme`, whatever else it says."""
    found = set()
    for area in node.iter("area"):
        rectangle = area.find("rectangle")
        names = files_of(area)
        if rectangle is None or len(names) != 1:
            return False
        numbers = tuple(whole(rectangle.get(key, "")) for key in ("x", "y", "width", "height"))
        found.add((*numbers, next(iter(names))))
    wanted = {(p.x_px, p.y_px, p.width_px, p.height_px, p.name) for p in programme.pieces}
    return found == wanted and node.get("guid") == programme.guid


def restorable(node: Element) -> Element:
    """Copy of what GetProgram told, as AddProgram takes it."""
    again = copy.deepcopy(node)
    for item in again.iter("resource"):
        item.tag = "resources"
    return again
