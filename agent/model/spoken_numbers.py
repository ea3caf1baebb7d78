"""Numbers in Vietnamese words, northern standard: linh, mốt, tư, lăm, nghìn."""

from __future__ import annotations

DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
MAX_DIGITS = 12
"""Longer numbers are identifiers; they are read digit by digit."""

_SCALES = ("tỷ", "triệu", "nghìn", "")
_GROUP = 3


def digits(text: str) -> str:
    """The digits 0 to 9 in `text` one by one; anything else is left out."""
    return " ".join(DIGITS[int(char)] for char in text if "0" <= char <= "9")


def cardinal(number: int) -> str:
    """A number from 0 to 999 999 999 999 in words.

    Raises:
        ValueError: it is out of that range.
    """
    if not 0 <= number < 10**MAX_DIGITS:
        raise ValueError(f"{number} has no short name")
    if number == 0:
        return DIGITS[0]
    words: list[str] = []
    for place, scale in enumerate(_SCALES):
        group = number // 1000 ** (len(_SCALES) - 1 - place) % 1000
        if group:
            words.append(_hundreds(group, full=bool(words)))
            words.append(scale)
    return " ".join(word for word in words if word)


def whole(text: str) -> str:
    """A string of digits 0 to 9 as a number, or digit by digit where it must be an identifier."""
    if len(text) > MAX_DIGITS or (text[0] == "0" and len(text) > _GROUP):
        return digits(text)
    return cardinal(int(text))


def decimal(text: str, mark: str) -> str:
    """What stands behind the decimal mark, with the word for the mark before it."""
    as_number = len(text) < _GROUP and text[0] != "0"
    return f"{mark} {whole(text) if as_number else digits(text)}"


def _hundreds(number: int, *, full: bool) -> str:
    """1 to 999; `full` says the hundreds even when they are zero, as inside a longer number."""
    hundred, rest = divmod(number, 100)
    if not hundred and not full:
        return _tens(rest)
    head = f"{DIGITS[hundred]} trăm"
    if not rest:
        return head
    return f"{head} linh {DIGITS[rest]}" if rest < 10 else f"{head} {_tens(rest)}"  # noqa: PLR2004 - a digit


def _tens(number: int) -> str:
    ten, one = divmod(number, 10)
    if not ten:
        return DIGITS[one]
    if ten == 1:
        return "mười" + ("" if not one else " lăm" if one == 5 else f" {DIGITS[one]}")  # noqa: PLR2004
    changed = {0: "", 1: " mốt", 4: " tư", 5: " lăm"}.get(one, f" {DIGITS[one]}")
    return f"{DIGITS[ten]} mươi{changed}"
