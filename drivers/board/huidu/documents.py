"""XML documents of Huidu SDK2: what is asked, and a parser that a hostile card cannot hurt.

Source: hardware.md 3.1. Attributes of answers come in any order. A document type is refused outright, so
there are no entities to blow up or to fetch; size, depth and number of elements are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring
from xml.parsers import expat

from drivers.board.huidu.codec import LONGEST_DOCUMENT, MalformedError

PLACEHOLDER = "##GUID"
"""Stands for the session's GUID until the card has told it."""

SUCCESS = "kSuccess"
BUSY = frozenset({"kDownloadingFile", "kProcessing"})
"""Results that ask for patience: ask again."""

_DEEPEST = 32
_MOST_ELEMENTS = 20_000
_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'


class _Limits:
    """Builds a tree and refuses what is deeper or larger than any card needs."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST or self._count > _MOST_ELEMENTS:
            raise MalformedError("document too deep or too large")
        self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def text(self, data: str) -> None:
        self._builder.data(data)

    def root(self) -> Element:
        return self._builder.close()


def _refuse(*_: object) -> int:
    raise MalformedError("document with a document type or entities")


def parse(document: bytes) -> Element:
    """Parse a document from the card; raises MalformedError for whatever is not plain, bounded XML."""
    if len(document) > LONGEST_DOCUMENT:
        raise MalformedError(f"document of {len(document)} bytes")
    parser = expat.ParserCreate()
    limits = _Limits()
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.StartElementHandler = limits.start
    parser.EndElementHandler = limits.end
    parser.CharacterDataHandler = limits.text
    try:
        parser.Parse(document.rstrip(b"\0"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(f"no XML: {error}") from error
    return limits.root()


def ask(guid: str, method: str, children: Iterable[Element] = ()) -> bytes:
    """Build a request; `guid` is that of the session, or `PLACEHOLDER` for the first one."""
    root = Element("sdk", guid=guid)
    SubElement(root, "in", method=method).extend(children)
    return _DECLARATION + tostring(root, encoding="unicode").encode()


def if_version() -> bytes:
    """The request that opens a session: its answer carries the GUID."""
    return ask(PLACEHOLDER, "GetIFVersion", [Element("version", value="1000000")])


def answer(document: bytes, method: str) -> tuple[str, Element]:
    """Find the GUID and the `out` element for `method`; raises MalformedError."""
    root = parse(document)
    if root.tag != "sdk":
        raise MalformedError(f"answer begins with {root.tag[:40]!r}")
    for out in root.iter("out"):
        if out.get("method") == method:
            return root.get("guid", ""), out
    raise MalformedError(f"no answer to {method}")


def value(out: Element, path: str, attribute: str = "value") -> str:
    """Attribute of the first element at `path`, bounded, empty when there is none."""
    found = out.find(path)
    return "" if found is None else (found.get(attribute) or "")[:80]


def whole(text: str) -> int | None:
    """Whole number of at most 18 digits, None when it is something else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004
