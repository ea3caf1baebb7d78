"""Which server this is."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """Version of the installed distribution, `unknown` when run from bare sources."""
    try:
        return metadata.version("tieng-lang")
    except metadata.PackageNotFoundError:
        return "unknown"
