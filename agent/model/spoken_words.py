"""How a language reads abbreviations, units and signs: tables in `locale/speech/<language>.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache

from agent.model.text import locale_folder

MAX_WORDS = 2000
MAX_LENGTH = 200


@dataclass(frozen=True, slots=True, eq=False)
class SpokenWords:
    """Written form to spoken form, by the place where it may stand.

    Attributes:
        addresses: what is said instead of an address, by `web` and `mail`.
        abbreviations: anywhere.
        before_names: with a full stop and a name or number behind it.
        documents: in the number of a document.
        roads: with a road number behind it.
        units: behind a number.
        symbols: single signs.
        letters: names of consonants, for abbreviations nobody listed.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    before_names: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    roads: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)

    def and_more(self, other: SpokenWords) -> SpokenWords:
        """These words and those of `other`, which win."""
        merged = {one.name: {**getattr(self, one.name), **getattr(other, one.name)} for one in fields(self)}
        return replace(self, **merged)


def parse_words(text: str) -> SpokenWords:
    """Read a table of spoken words.

    Raises:
        ValueError: not TOML, an unknown table, a value that is no text, or too much of it; names the key.
    """
    known = {one.name for one in fields(SpokenWords)}
    tables: dict[str, dict[str, str]] = {}
    for name, table in tomllib.loads(text).items():
        if name not in known or not isinstance(table, dict):
            raise ValueError(f"{name}: not one of the tables {', '.join(sorted(known))}")
        for key, value in table.items():
            if not isinstance(value, str) or len(value) > MAX_LENGTH or not 0 < len(key) <= MAX_LENGTH:
                raise ValueError(f"{name}.{key[:40]}: must be text of at most {MAX_LENGTH} characters")
        tables[name] = table
    if sum(len(table) for table in tables.values()) > MAX_WORDS:
        raise ValueError(f"more than {MAX_WORDS} words")
    return SpokenWords(**tables)


@cache
def words_of(language: str) -> SpokenWords:
    """The words the box carries for a language; empty for one that has no table."""
    base = language.partition("-")[0]
    path = locale_folder() / "speech" / f"{base}.toml"
    if not (base.isascii() and base.isalpha() and path.is_file()):
        return SpokenWords()
    return parse_words(path.read_text(encoding="utf-8"))
