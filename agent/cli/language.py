"""Which language `loa` speaks, argparse's own sentences included."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from agent.model.text import Language, catalogue

_ARGPARSE: Final = {
    "usage: ": "usage",
    "options": "options",
    "positional arguments": "positional",
    "show this help message and exit": "help",
    "%(prog)s: error: %(message)s\n": "error",
    "argument %(argument_name)s: %(message)s": "argument",
    "the following arguments are required: %s": "required",
    "unrecognized arguments: %s": "unrecognised",
    "expected one argument": "expected_one",
    "invalid choice: %(value)r (choose from %(choices)s)": "invalid_choice",
    "invalid %(type)s value: %(value)r": "invalid_value",
    "ignored explicit argument %r": "ignored_value",
}
"""argparse's English sentences (3.11 to 3.13) and where theirs stand below `cli.argparse`."""


def pick_language(argv: Sequence[str], environ: Mapping[str, str]) -> Language:
    """The language asked for by `--lang`, else by `LOA_LANG`, else Vietnamese.

    It must be known before the arguments are parsed, since the parser's own errors use it.
    """
    wish = environ.get("LOA_LANG", "")
    for index, word in enumerate(argv):
        if word == "--lang" and index + 1 < len(argv):
            wish = argv[index + 1]
        elif word.startswith("--lang="):
            wish = word.removeprefix("--lang=")
    return "en" if wish.lower().startswith("en") else "vi"


@contextmanager
def argparse_speaks(language: Language) -> Iterator[None]:
    """Let argparse speak `language` inside the block.

    argparse looks its sentences up through the module-level name `_`; gettext would need compiled
    catalogues in the file system for a dozen sentences.
    """
    texts = catalogue(language)

    def translate(sentence: str) -> str:
        key = _ARGPARSE.get(sentence)
        return sentence if key is None else texts[f"cli.argparse.{key}"]

    module = vars(argparse)
    before = module["_"]
    module["_"] = translate
    try:
        yield
    finally:
        module["_"] = before
