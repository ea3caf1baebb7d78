"""Makes text from anywhere fit to be shown: NFC, nothing invisible that steers other text, bounded.

What can be seen is never dropped silently, except marks heaped on one letter and what lies behind the limit;
private use and unassigned characters stay and are drawn as the mark of `typeset`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_MARKS = 6
"""Marks on one letter; the most a real one needs is four (Cham)."""

MAX_CLUSTER = 24
"""Code points of one cluster; longer chains are torn apart, as nobody can read them."""

JOINERS = frozenset("\u200b\u200c\u200d")
"""Zero-width space, non-joiner and joiner: word ends and shaping of scripts without spaces."""

_LINE_ENDS = frozenset("\n\r\x0b\x0c\x85\u2028\u2029")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Invisible though called marks or letters: joiner of marks, Hangul fillers, Khmer inherent vowels."""

_VARIATIONS_AND_TAGS = (range(0xFE00, 0xFE10), range(0xE0000, 0xE1000))
_NO_CHARACTERS = frozenset(range(0xFDD0, 0xFDF0)) | {
    plane + low for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)
}

_UNSPACED = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Myanmar
    range(0x1780, 0x1800),  # Khmer
    range(0x1950, 0x1A00),  # Tai Le, New Tai Lue, Khmer symbols
    range(0x1A20, 0x1AB0),  # Tai Tham
    range(0xAA00, 0xAAE0),  # Cham, Myanmar extended, Tai Viet
)
_IDEOGRAPHIC = (range(0x2E80, 0xA000), range(0xF900, 0xFB00), range(0xFF00, 0xFF61), range(0x20000, 0x40000))
_LEADING_JAMO = range(0x1100, 0x1160)
_LATER_JAMO = range(0x1160, 0x1200)
_HANGUL = range(0xAC00, 0xD7A4)
_KHMER_LETTERS = range(0x1780, 0x17B4)

_PREFIX_VOWELS = frozenset("เแโใไເແໂໃໄꪵꪶꪹꪻꪼ")
"""Vowels of Thai, Lao and Tai Viet written before the consonant they belong to."""

_CLINGS = frozenset("ะาๅๆฯະາຽໆຯ")
"""Thai and Lao signs that belong to the letter before them, though Unicode calls them letters."""

_SARA_AM = frozenset("ำຳ")
"""Letters to Unicode, but one glyph of them sits on the letter before."""

_COENG = "\u17d2"
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Text fit to be shown.

    Attributes:
        text: lines end in a newline, at most one empty line between two; single spaces.
        complaints: what was wrong with it, each once, sorted: `bidi`, `control`, `cut` (too long),
            `invisible`, `marks` (too many on one letter), `private_use`, `surrogate`.
    """

    text: str
    complaints: tuple[str, ...] = ()


def clean(text: str, limit: int = 20_000) -> Cleaned:
    """Text that can be laid out and drawn. Cleaning twice changes nothing more.

    Args:
        text: anything, any length; only the first 4 x `limit` code points are looked at.
        limit: most code points of the result; a cluster is not cut in half.
    """
    complaints: set[str] = set()
    if len(text) > 4 * limit:
        text = text[: 4 * limit]
        complaints.add("cut")
    text = "".join(_visible(text, complaints))
    for last in range(_ROUNDS):
        before = text
        text = "".join(_legal_joiners(text, complaints, drop=last == _ROUNDS - 1))
        text = unicodedata.normalize("NFC", "".join(_few_marks(text, complaints)))
        if text == before:
            break
    text = _spaced(text)
    if len(text) > limit:
        complaints.add("cut")
        text = _spaced(_cut(text, limit))
    return Cleaned(text, tuple(sorted(complaints)))


def clusters(text: str) -> Iterator[str]:
    """The parts of cleaned text that may never be torn apart: a letter and all that belongs to it.

    Follows Unicode annex 29 for what boards show, and besides keeps together a Khmer letter and its
    subscripts, and vowels of Thai, Lao and Tai Viet with their consonant.
    """
    start = 0
    for at in range(1, len(text)):
        if at - start >= MAX_CLUSTER or not _joined(text[at - 1], text[at]):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


@lru_cache(maxsize=4096)
def unspaced(char: str) -> bool:
    """Whether the script of `char`, other than Chinese, writes words without spaces, such as Khmer."""
    return any(ord(char) in block for block in _UNSPACED)


@lru_cache(maxsize=4096)
def ideographic(char: str) -> bool:
    """Whether a line may end before or after `char`: Chinese, kana, full-width signs."""
    return any(ord(char) in block for block in _IDEOGRAPHIC)


@lru_cache(maxsize=4096)
def is_mark(char: str) -> bool:
    """Whether `char` is drawn on or around the letter before it."""
    return unicodedata.category(char)[0] == "M"


def _joined(left: str, right: str) -> bool:
    if right in "\u200c\u200d":
        return left not in "\n "
    if is_mark(right) or right in _SARA_AM:
        return left != "\n"
    if left in _PREFIX_VOWELS:
        return unicodedata.category(right) == "Lo" and right not in _PREFIX_VOWELS
    if right in _CLINGS:
        return unspaced(left)
    if left == _COENG:
        return ord(right) in _KHMER_LETTERS
    return _hangul(ord(left), ord(right))


def _hangul(left: int, right: int) -> bool:
    """Jamo of one syllable; NFC leaves them apart only where no ready syllable exists."""
    if right in _LATER_JAMO:
        return left in _LEADING_JAMO or left in _LATER_JAMO or left in _HANGUL
    return left in _LEADING_JAMO and (right in _LEADING_JAMO or right in _HANGUL)


@lru_cache(maxsize=4096)
def _fate(char: str) -> tuple[str, str]:
    """What becomes of one character, and the complaint, empty for none."""
    category = unicodedata.category(char)
    if char in _LINE_ENDS:
        return "\n", ""
    if char == "\t" or (category == "Zs" and char not in "\u00a0\u202f"):
        return " ", ""
    if char in JOINERS:
        return char, ""
    complaint = _complaint(char, category)
    return ("" if complaint and category != "Co" else char), complaint


def _complaint(char: str, category: str) -> str:
    if char in _BIDI:
        return "bidi"
    if category == "Cc" or ord(char) in _NO_CHARACTERS:
        return "control"
    if category == "Cf" or char in _INVISIBLE or any(ord(char) in block for block in _VARIATIONS_AND_TAGS):
        return "invisible"
    return {"Cs": "surrogate", "Co": "private_use"}.get(category, "")


def _visible(text: str, complaints: set[str]) -> Iterator[str]:
    for char in text.replace("\r\n", "\n"):
        kept, complaint = _fate(char)
        if complaint:
            complaints.add(complaint)
        if kept:
            yield kept


def _legal_joiners(text: str, complaints: set[str], *, drop: bool) -> Iterator[str]:
    """Joiners only between two letters of scripts that need them, one at a time."""
    before = ""
    for at, char in enumerate(text):
        if char not in JOINERS:
            before = char
            yield char
        elif not drop and before and unspaced(before) and at + 1 < len(text) and unspaced(text[at + 1]):
            yield char
        else:
            complaints.add("invisible")


def _few_marks(text: str, complaints: set[str]) -> Iterator[str]:
    """No letter with so many marks that ordering and drawing them takes long; marks without a letter go."""
    marks = MAX_MARKS
    for char in text:
        marks = marks + 1 if is_mark(char) else MAX_MARKS if char in "\n " else 0
        if marks <= MAX_MARKS or not is_mark(char):
            yield char
        else:
            complaints.add("marks")


def _spaced(text: str) -> str:
    lines = [" ".join(part for part in line.split(" ") if part) for line in text.split("\n")]
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _cut(text: str, limit: int) -> str:
    """The first clusters of `text` that fit into `limit`; a cluster is short, as its marks are few."""
    end = limit
    while end > max(0, limit - 64) and _joined(text[end - 1], text[end]):
        end -= 1
    return text[: end if end > max(0, limit - 64) else limit]
