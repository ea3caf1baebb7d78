"""The HTTP side of the native source system: enrolment, heartbeat, and fetching of documents.

Paths (device credentials by HTTP Basic: device id and secret, except `enrol`):

- `POST /device/v1/enrol`                 EnrolRequest -> EnrolAnswer
- `POST /device/v1/heartbeat`             HeartbeatRequest -> HeartbeatAnswer
- `GET  /device/v1/documents/<order id>`  signed envelope, with ETag
- `GET  /device/v1/schedules/<sha256>`    schedule document
- `GET  /device/v1/media/<sha256>`        media, with Range
- `GET  /device/v1/live/<grant id>`       a live announcement as it is spoken: MP3, without end until it ends
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.wire.base import DeviceId, Document, Line, Moment, Name, RelativeUrl, Ulid
from agent.wire.reports import Health

ENROL = "/device/v1/enrol"
HEARTBEAT = "/device/v1/heartbeat"
DOCUMENTS = "/device/v1/documents/"
SCHEDULES = "/device/v1/schedules/"
MEDIA = "/device/v1/media/"
LIVE = "/device/v1/live/"


class EnrolRequest(Document):
    """A box asks to join with the code an officer gave it."""

    code: Annotated[str, Field(min_length=8, max_length=40)]
    name: Line = ""
    hardware: Line = ""
    version: Line = ""


class BrokerAddress(Document):
    """Where the MQTT broker listens."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: int = Field(ge=1, le=65535)
    tls: bool = False


class Place(Document):
    """Where the box stands in the tree of authorities; scopes of orders are matched against it."""

    station: Name
    province: Name
    groups: tuple[Name, ...] = ()


class EnrolAnswer(Document):
    """Identity and trust handed to a newly enrolled box; kept in an owner-only file.

    Attributes:
        secret: password for HTTP and MQTT, 43 characters; never logged.
        root: the trust root as a DSSE envelope in JSON text.
    """

    kind: Literal["enrolled"] = "enrolled"
    device: DeviceId
    secret: Annotated[str, Field(min_length=32, max_length=100)] = Field(repr=False)
    broker: BrokerAddress
    place: Place
    root: Annotated[str, Field(max_length=262_144)]


class HeartbeatRequest(Document):
    """Health, and the reports whose receipt the box still waits for."""

    health: Health
    awaiting_receipt: tuple[Ulid, ...] = Field(default=(), max_length=500)


class Held(Document):
    """One document the box should hold."""

    kind: Name
    id: Ulid
    issuer: Name
    seq: int = Field(ge=1)
    url: RelativeUrl


class HeartbeatAnswer(Document):
    """What the box should hold now, and which of its reports have arrived for good."""

    at: Moment
    hold: tuple[Held, ...] = Field(default=(), max_length=200)
    received: tuple[Ulid, ...] = Field(default=(), max_length=500)
