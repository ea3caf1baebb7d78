"""CAP 1.2 documents, strictly: what is not exactly an alert by the standard's schema is refused; pure.

Source: OASIS CAP-v1.2-os section 3.4 (XML schema) and the rules of section 3.2 that a schema cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from server.cap.alert import (
    Alert,
    AlertScope,
    Area,
    Category,
    Certainty,
    Circle,
    Info,
    MsgType,
    Point,
    Reference,
    Response,
    Severity,
    Status,
    Urgency,
)
from server.cap.schema import ALERT, AREA, INFO, MAX_NAME, NAMESPACE, RESOURCE, Leaf, Node
from server.cap.xml import LONGEST_NAME, MAX_TEXT, CapError, Element, read_xml
from server.reasons import BODY

SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
LONG = MAX_TEXT
MAX_REFERENCES = 100
FURTHEST_OFFSET_H = 14
FEWEST_POINTS = 4
EARTH_KM = 20_038.0
"""Half of the equator: no circle is larger."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+](\d\d):[0-5]\d", re.ASCII)
_IDENTIFIER = re.compile(r"[^\s,<&]+")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_DECIMAL = re.compile(r"[-+]?\d{1,6}(\.\d{1,15})?", re.ASCII)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)

Choice = TypeVar("Choice", bound=StrEnum)


def parse(data: bytes) -> Alert:
    """The alert that `data` is.

    Args:
        data: the whole document, UTF-8.

    Raises:
        CapError: it is none, naming the field that shows it.
    """
    root = read_xml(data)
    if (root.namespace, root.name) != (NAMESPACE, "alert"):
        raise CapError(BODY, "cap.not_alert", found=f"{root.name} ({root.namespace[:LONGEST_NAME] or '-'})")
    signed = _take_signatures(root)
    return _alert(Node(root, "", ALERT), signed=signed)


def _take_signatures(root: Element) -> bool:
    """Remove what stands at the end of an alert to sign it; whether there was anything."""
    signed = False
    while root.children and (root.children[-1].namespace, root.children[-1].name) == (SIGNATURE, "Signature"):
        root.children.pop()
        signed = True
    return signed


def _alert(node: Node, *, signed: bool) -> Alert:
    scope = node.one("scope", _choice(AlertScope))
    msg_type = node.one("msgType", _choice(MsgType))
    for name, needed in (("restriction", AlertScope.RESTRICTED), ("addresses", AlertScope.PRIVATE)):
        if not node.text(name, LONG) and scope is needed:
            raise CapError(name, "cap.missing")
    references = tuple(one for every in node.all("references", _references, LONG) for one in every)
    if not references and msg_type is not MsgType.ALERT:
        raise CapError("references", "cap.missing")
    for name in ("source", "note", "incidents"):
        node.text(name, LONG)
    node.all("code", lambda leaf: leaf.text)
    alert = Alert(
        identifier=node.one("identifier", _identifier),
        sender=node.one("sender", _identifier),
        sent=node.one("sent", _time),
        status=node.one("status", _choice(Status)),
        msg_type=msg_type,
        scope=scope,
        references=references,
        infos=tuple(_info(one) for one in node.nodes("info", INFO)),
        signed=signed,
    )
    for n, info in enumerate(alert.infos):
        if info.expires is not None and info.expires <= max(alert.sent, info.effective or alert.sent):
            raise CapError(f"info[{n}].expires", "cap.ends_early")
    return alert


def _info(node: Node) -> Info:
    for name in ("audience", "web", "contact"):
        node.text(name)
    for resource in node.nodes("resource", RESOURCE):
        _check_resource(resource)
    return Info(
        language=node.maybe("language", _language) or "en-US",
        categories=node.all("category", _choice(Category)),
        event=node.one("event", lambda leaf: leaf.text.strip()),
        responses=node.all("responseType", _choice(Response)),
        urgency=node.one("urgency", _choice(Urgency)),
        severity=node.one("severity", _choice(Severity)),
        certainty=node.one("certainty", _choice(Certainty)),
        event_codes=node.pairs("eventCode"),
        effective=node.maybe("effective", _time),
        onset=node.maybe("onset", _time),
        expires=node.maybe("expires", _time),
        sender_name=node.text("senderName"),
        headline=node.text("headline"),
        description=node.text("description", LONG),
        instruction=node.text("instruction", LONG),
        parameters=node.pairs("parameter"),
        areas=tuple(_area(one) for one in node.nodes("area", AREA)),
    )


def _check_resource(node: Node) -> None:
    for name in ("resourceDesc", "mimeType", "uri", "digest"):
        node.text(name)
    node.text("derefUri", LONG)
    for size in node.leaves("size"):
        if not _SIZE.fullmatch(size.text.strip()):
            raise CapError(size.path, "wrong.whole")


def _area(node: Node) -> Area:
    heights = [node.maybe(name, _decimal) for name in ("altitude", "ceiling")]
    if heights[0] is None and heights[1] is not None:
        raise CapError(node.path("altitude"), "cap.missing")
    return Area(
        desc=node.text("areaDesc", LONG),
        polygons=node.all("polygon", _polygon, LONG),
        circles=node.all("circle", _circle),
        geocodes=node.pairs("geocode"),
    )


def _choice(kind: type[Choice]) -> Callable[[Leaf], Choice]:
    def read(leaf: Leaf) -> Choice:
        try:
            return kind(leaf.text)
        except ValueError as error:
            raise CapError(leaf.path, "cap.choice", choices=", ".join(kind)) from error

    return read


def _identifier(leaf: Leaf) -> str:
    if not _IDENTIFIER.fullmatch(leaf.text) or len(leaf.text) > MAX_NAME:
        raise CapError(leaf.path, "cap.identifier", limit=MAX_NAME)
    return leaf.text


def _time(leaf: Leaf) -> datetime:
    return _moment(leaf.text.strip(), leaf.path)


def _moment(text: str, path: str) -> datetime:
    match = _TIME.fullmatch(text)
    if match is None or int(match[1]) > FURTHEST_OFFSET_H:
        raise CapError(path, "cap.time")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CapError(path, "cap.time") from error


def _language(leaf: Leaf) -> str:
    text = leaf.text.strip()
    if text and not _LANGUAGE.fullmatch(text):
        raise CapError(leaf.path, "wrong.language")
    return text


def _references(leaf: Leaf) -> tuple[Reference, ...]:
    found: list[Reference] = []
    for one in leaf.text.split():
        parts = one.split(",")
        if len(parts) != len(("sender", "identifier", "sent")) or not all(parts):
            raise CapError(leaf.path, "cap.references", limit=MAX_REFERENCES)
        sender, identifier, sent = parts
        found.append(Reference(sender[:MAX_NAME], identifier[:MAX_NAME], _moment(sent, leaf.path)))
    if not 0 < len(found) <= MAX_REFERENCES:
        raise CapError(leaf.path, "cap.references", limit=MAX_REFERENCES)
    return tuple(found)


def _decimal(leaf: Leaf) -> float:
    return _number(leaf.text.strip(), leaf.path)


def _number(text: str, path: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise CapError(path, "cap.number")
    return float(text)


def _point(text: str, path: str, flaw: str) -> Point:
    parts = text.split(",")
    if len(parts) != len(("latitude", "longitude")):
        raise CapError(path, flaw)
    latitude, longitude = (_number(one, path) for one in parts)
    if abs(latitude) > 90 or abs(longitude) > 180:  # noqa: PLR2004 - the globe
        raise CapError(path, flaw)
    return latitude, longitude


def _polygon(leaf: Leaf) -> tuple[Point, ...]:
    points = tuple(_point(one, leaf.path, "cap.polygon") for one in leaf.text.split())
    if len(points) < FEWEST_POINTS or points[0] != points[-1]:
        raise CapError(leaf.path, "cap.polygon")
    return points


def _circle(leaf: Leaf) -> Circle:
    parts = leaf.text.split()
    if len(parts) != len(("centre", "radius")):
        raise CapError(leaf.path, "cap.circle")
    radius_km = _number(parts[1], leaf.path)
    if not 0 <= radius_km <= EARTH_KM:
        raise CapError(leaf.path, "cap.circle")
    return Circle(_point(parts[0], leaf.path, "cap.circle"), radius_km)
