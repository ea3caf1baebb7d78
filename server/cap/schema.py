"""The schema of CAP 1.2 and elements checked against it: known, in order, as often as allowed; pure.

Source: OASIS CAP-v1.2-os section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from server.cap.alert import Pair
from server.cap.xml import CapError, Element
from server.reasons import BODY

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_NAME = 256
MAX_LINE = 1000
MAX_TEXT_VALUE = 4000

ONCE, MAYBE, SOME, ANY = (1, 1), (0, 1), (1, None), (0, None)
Occurs = tuple[int, int | None]
PAIR: Mapping[str, Occurs] = {"valueName": ONCE, "value": ONCE}
ALERT: Mapping[str, Occurs] = {
    "identifier": ONCE,
    "sender": ONCE,
    "sent": ONCE,
    "status": ONCE,
    "msgType": ONCE,
    "source": MAYBE,
    "scope": ONCE,
    "restriction": MAYBE,
    "addresses": MAYBE,
    "code": ANY,
    "note": MAYBE,
    "references": MAYBE,
    "incidents": MAYBE,
    "info": ANY,
}
INFO: Mapping[str, Occurs] = {
    "language": MAYBE,
    "category": SOME,
    "event": ONCE,
    "responseType": ANY,
    "urgency": ONCE,
    "severity": ONCE,
    "certainty": ONCE,
    "audience": MAYBE,
    "eventCode": ANY,
    "effective": MAYBE,
    "onset": MAYBE,
    "expires": MAYBE,
    "senderName": MAYBE,
    "headline": MAYBE,
    "description": MAYBE,
    "instruction": MAYBE,
    "web": MAYBE,
    "contact": MAYBE,
    "parameter": ANY,
    "resource": ANY,
    "area": ANY,
}
RESOURCE: Mapping[str, Occurs] = {
    "resourceDesc": ONCE,
    "mimeType": MAYBE,
    "size": MAYBE,
    "uri": MAYBE,
    "derefUri": MAYBE,
    "digest": MAYBE,
}
AREA: Mapping[str, Occurs] = {
    "areaDesc": ONCE,
    "polygon": ANY,
    "circle": ANY,
    "geocode": ANY,
    "altitude": MAYBE,
    "ceiling": MAYBE,
}
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value and where it stands."""

    text: str
    path: str


class Node:
    """Children of an element, checked against the schema: known, in order, as often as allowed."""

    def __init__(self, element: Element, path: str, schema: Mapping[str, Occurs]) -> None:
        self._prefix = f"{path}." if path else ""
        self._found: dict[str, list[Element]] = {name: [] for name in schema}
        self._schema = schema
        if element.attributes:
            raise CapError(path or BODY, "cap.attribute", name=element.attributes[0])
        if element.text.strip():
            raise CapError(path or BODY, "cap.stray_text")
        order, last = list(schema), 0
        for child in element.children:
            where = f"{self._prefix}{child.name}"
            if child.namespace != NAMESPACE or child.name not in schema:
                raise CapError(where, "cap.unknown_element")
            if order.index(child.name) < last:
                raise CapError(where, "cap.order")
            last = order.index(child.name)
            self._found[child.name].append(child)
        for name, (least, most) in schema.items():
            if len(self._found[name]) < least:
                raise CapError(f"{self._prefix}{name}", "cap.missing")
            if most is not None and len(self._found[name]) > most:
                raise CapError(f"{self._prefix}{name}", "cap.repeated")

    def path(self, name: str) -> str:
        """Where a child stands, or would."""
        return f"{self._prefix}{name}"

    def nodes(self, name: str, schema: Mapping[str, Occurs]) -> Iterator[Node]:
        """Children that have children."""
        for n, child in enumerate(self._found[name]):
            yield Node(child, f"{self._prefix}{name}[{n}]", schema)

    def leaves(self, name: str, longest: int = MAX_LINE, *, blank: bool = False) -> Iterator[Leaf]:
        """Values of one name; those the standard requires are not empty unless `blank` allows it."""
        least, most = self._schema[name]
        for n, child in enumerate(self._found[name]):
            path = f"{self._prefix}{name}" if most == 1 else f"{self._prefix}{name}[{n}]"
            if child.children:
                raise CapError(path, "cap.unknown_element")
            if child.attributes:
                raise CapError(path, "cap.attribute", name=child.attributes[0])
            if least and not blank and not child.text.strip():
                raise CapError(path, "cap.missing")
            if len(child.text) > longest:
                raise CapError(path, "wrong.long_text", limit=longest)
            yield Leaf(child.text, path)

    def text(self, name: str, longest: int = MAX_LINE, *, blank: bool = False) -> str:
        """A value without the spaces around it, empty if it is not there."""
        return next((one.text.strip() for one in self.leaves(name, longest, blank=blank)), "")

    def one(self, name: str, read: Callable[[Leaf], Read]) -> Read:
        """A value that is there, because the schema asks for it."""
        return next(read(one) for one in self.leaves(name))

    def maybe(self, name: str, read: Callable[[Leaf], Read]) -> Read | None:
        return next((read(one) for one in self.leaves(name)), None)

    def all(self, name: str, read: Callable[[Leaf], Read], longest: int = MAX_LINE) -> tuple[Read, ...]:
        return tuple(read(one) for one in self.leaves(name, longest))

    def pairs(self, name: str) -> tuple[Pair, ...]:
        """Children that are a `valueName` and a `value`, which real feeds leave empty."""
        return tuple(
            (one.text("valueName", MAX_NAME), one.text("value", MAX_TEXT_VALUE, blank=True))
            for one in self.nodes(name, PAIR)
        )
