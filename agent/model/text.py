"""Message catalogues: every text a person at the box sees, Vietnamese first, English second."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["vi", "en"]


def locale_folder() -> Path:
    """Where the catalogues lie: beside the packages in a checkout, inside `agent` once installed."""
    here = Path(__file__).resolve().parent.parent
    installed = here / "_locale"
    return installed if installed.is_dir() else here.parent / "locale"


def _flatten(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


@cache
def catalogue(language: Language) -> dict[str, str]:
    """All messages of a language by dotted key such as `fault.TL-501.what`."""
    return _flatten(tomllib.loads((locale_folder() / f"{language}.toml").read_text(encoding="utf-8")))


def say(key: str, language: Language = "vi", **values: object) -> str:
    """The message `key` with `{named}` values filled in.

    Raises:
        KeyError: no such message; a test keeps both catalogues complete.
    """
    return catalogue(language)[key].format(**values)
