"""Whether an address suits its live source; pure. The box must never be sent after nonsense."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from agent.model.bulletin import LiveSource

AddressProblem = Literal["stream_url", "multicast_address", "frequency", "input_name"]
"""Kinds of complaint; the words stand under `console.wrong`."""

LOWEST_MHZ, HIGHEST_MHZ = 76.0, 108.0
"""What the tuner chips reach; Việt Nam uses 87.5 to 108."""

_INPUT = re.compile(r"([a-z0-9][a-z0-9._-]{0,63})?")
_FREQUENCY = re.compile(r"\d{2,3}(\.\d{1,2})?")
_MULTICAST = re.compile(r"(?P<host>\d{1,3}(?:\.\d{1,3}){3}):(?P<port>\d{1,5})")
_HIGHEST_PORT = 65535


def check_address(source: LiveSource, address: str) -> AddressProblem | None:
    """What is wrong with an address, None if nothing is."""
    match source:
        case LiveSource.STREAM:
            return None if _stream_ok(address) else "stream_url"
        case LiveSource.MULTICAST:
            return None if _multicast_ok(address) else "multicast_address"
        case LiveSource.FM:
            good = _FREQUENCY.fullmatch(address) and LOWEST_MHZ <= float(address) <= HIGHEST_MHZ
            return None if good else "frequency"
        case LiveSource.LINE_IN | LiveSource.MICROPHONE:
            return None if _INPUT.fullmatch(address) else "input_name"


def _stream_ok(address: str) -> bool:
    if not address.isascii() or any(char.isspace() or not char.isprintable() for char in address):
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
    )


def _multicast_ok(address: str) -> bool:
    found = _MULTICAST.fullmatch(address)
    if found is None or not 1 <= int(found["port"]) <= _HIGHEST_PORT:
        return False
    try:
        return ipaddress.IPv4Address(found["host"]).is_multicast
    except ValueError:
        return False
