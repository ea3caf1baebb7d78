"""MQTT topics of wire contract version 1. Orders are never retained except `desired`."""

from __future__ import annotations

import re

ROOT = "tl/v1"
_DEVICE = re.compile(r"[a-z0-9-]{8,40}")
_GROUP = re.compile(r"[a-z0-9-]{1,40}")
_JOB = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")

UP = ("birth", "state", "health", "event", "asrun", "screen", "reported")


def device_id_ok(device: str) -> bool:
    """Whether a text may be a device id: `[a-z0-9-]{8,40}`."""
    return _DEVICE.fullmatch(device) is not None


def group_id_ok(group: str) -> bool:
    """Whether a text may be a group id: `[a-z0-9-]{1,40}`."""
    return _GROUP.fullmatch(group) is not None


def up(device: str, kind: str) -> str:
    """Topic on which a box reports; `kind` is one of `UP` or `job/<ULID>`."""
    if kind not in UP and not (kind.startswith("job/") and _JOB.fullmatch(kind[4:])):
        raise ValueError(f"no report topic {kind!r}")
    return f"{ROOT}/{device}/up/{kind}"


def down(device: str, kind: str) -> str:
    """Topic on which one box is told something."""
    return f"{ROOT}/{device}/down/{kind}"


def group_down(group: str, kind: str) -> str:
    """Topic on which a group of boxes is told something."""
    return f"{ROOT}/g/{group}/down/{kind}"


def subscriptions(device: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """What a box subscribes to."""
    return (f"{ROOT}/{device}/down/#", *(f"{ROOT}/g/{group}/down/#" for group in groups))


def parse_up(topic: str) -> tuple[str, str] | None:
    """Device id and report kind of a topic, None if it is not a report topic."""
    parts = topic.split("/", 4)
    if len(parts) != 5 or parts[:2] != ["tl", "v1"] or parts[3] != "up" or not device_id_ok(parts[2]):  # noqa: PLR2004
        return None
    return parts[2], parts[4]
