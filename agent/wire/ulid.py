"""ULID: 48 bits of milliseconds and 80 random bits in Crockford base 32; sorts by time.

Source: github.com/ulid/spec.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ULID = re.compile(PATTERN)


def new_ulid(now: datetime) -> str:
    """A fresh id for the moment `now` (aware; milliseconds since 1970, clipped at 0)."""
    value = (max(0, int(now.timestamp() * 1000)) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether `text` is a ULID in canonical upper case."""
    return _ULID.fullmatch(text) is not None
