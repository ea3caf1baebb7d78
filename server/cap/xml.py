"""XML of unknown origin into a small tree, or a refusal: bounded, no DTD, entities or instructions; pure.

Expat checks the well-formedness; what makes XML dangerous is refused before it sees any of it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from xml.parsers import expat

from server.reasons import BODY, Phrase

MAX_BYTES = 512 * 1024
MAX_DEPTH = 12
MAX_ELEMENTS = 5000
MAX_TEXT = 20_000
"""Characters of the text of one element."""

LONGEST_NAME = 60
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_HINTS = (f"{_XSI} schemaLocation", f"{_XSI} noNamespaceSchemaLocation")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# A handler that raises does not stop expat: it goes on to the end, expanding what a DTD defines.
_FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY", b"<!ELEMENT", b"<!ATTLIST", b"<!NOTATION")


class CapError(Exception):
    """What was sent is no CAP 1.2 document.

    Attributes:
        field: path such as `info[0].area[1].polygon[0]`, `body` for the whole.
        why: what is wrong and how to mend it, as a phrase of the catalogue.
    """

    def __init__(self, field: str, key: str, **values: object) -> None:
        self.field = field
        self.why = Phrase(key, {"field": field, **values})
        super().__init__(f"{field}: {key}")


@dataclass(slots=True)
class Element:
    """One element.

    Attributes:
        text: of the element itself, NFC, without that of its children.
        attributes: names without those that say where a schema is.
    """

    namespace: str
    name: str
    attributes: tuple[str, ...] = ()
    text: str = ""
    children: list[Element] = field(default_factory=list)


def read_xml(data: bytes) -> Element:
    """The root element.

    Raises:
        CapError: not UTF-8, not well formed, beyond a limit, or with a DTD or a processing instruction.
    """
    if len(data) > MAX_BYTES:
        raise CapError(BODY, "cap.too_large", limit=MAX_BYTES // 1024)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise CapError(BODY, "wrong.not_utf8", byte=error.start + 1) from error
    if any(one in data for one in _FORBIDDEN):
        raise CapError(BODY, "cap.doctype")
    return _Builder().build(data)


class _Builder:
    """Collects what expat reports; the first thing wrong ends it."""

    def __init__(self) -> None:
        self._open: list[tuple[Element, list[str]]] = []
        self._root: Element | None = None
        self._elements = 0
        self._characters = 0

    def build(self, data: bytes) -> Element:
        parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.XmlDeclHandler = _declaration
        parser.StartDoctypeDeclHandler = _doctype
        parser.EntityDeclHandler = _doctype
        parser.ExternalEntityRefHandler = _doctype
        parser.SkippedEntityHandler = _doctype
        parser.ProcessingInstructionHandler = _instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise CapError(BODY, "cap.not_xml", line=error.lineno, column=error.offset + 1) from error
        if self._root is None:
            raise CapError(BODY, "cap.not_xml", line=1, column=1)
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise CapError(BODY, "cap.many_elements", limit=MAX_ELEMENTS)
        if len(self._open) >= MAX_DEPTH:
            raise CapError(BODY, "cap.deep", limit=MAX_DEPTH)
        namespace, _, local = name.rpartition(" ")
        others = tuple(one[:LONGEST_NAME] for one in attributes if one not in _HINTS)
        element = Element(namespace, local[:LONGEST_NAME], others)
        if self._open:
            self._open[-1][0].children.append(element)
        else:
            self._root = element
        self._open.append((element, []))
        self._characters = 0

    def _end(self, _: str) -> None:
        element, pieces = self._open.pop()
        element.text = _clean("".join(pieces), element.name)
        self._characters = sum(len(one) for one in self._open[-1][1]) if self._open else 0

    def _text(self, text: str) -> None:
        self._characters += len(text)
        element, pieces = self._open[-1]
        if self._characters > MAX_TEXT:
            raise CapError(element.name, "wrong.long_text", limit=MAX_TEXT)
        pieces.append(text)


def _clean(text: str, name: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if _CONTROL.search(text):
        raise CapError(name, "wrong.control")
    if len(text) > MAX_TEXT:
        raise CapError(name, "wrong.long_text", limit=MAX_TEXT)
    return text


def _declaration(version: str, encoding: str | None, _: int) -> None:
    if version != "1.0" or (encoding or "utf-8").lower() != "utf-8":
        raise CapError(BODY, "cap.encoding")


def _doctype(*_: object) -> int:
    raise CapError(BODY, "cap.doctype")


def _instruction(*_: object) -> None:
    raise CapError(BODY, "cap.instruction")
