"""Vietnamese text as a newsreader says it: numbers, dates, hours, units and abbreviations in words.

Every step is one pass of a pattern that begins at most once per run of characters and is bounded in
length, so the work grows with the text and with nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from agent.model.spoken_dates import spoken_dates
from agent.model.spoken_numbers import cardinal, decimal, digits, whole
from agent.model.spoken_words import SpokenWords

Match = re.Match[str]

_PHONE = re.compile(
    r"(?<![\w.,/:-])(?:\(?\+84\)?[ .-]?[1-9]|\(0[0-9]{1,3}\)[ .-]?[0-9]|0[1-9]|1[89]00[ .-]?[0-9])"
    r"[0-9]{0,12}(?:[ .-][0-9]{2,7}){0,4}(?![\w/]|[.,-][0-9])"
)
_PHONE_GROUP = re.compile(r"\+?[0-9]+")
_PHONE_DIGITS = range(8, 14)
_SERVICE_DIGITS = 8
_SUBSCRIBER_DIGITS = 10
_HELP = re.compile(
    r"(?<![\w.,/-])11[1-9](?:(?:[ ]?[,/-][ ]?| hoặc | và )11[1-9]){0,5}(?![\w/-]|[.,][0-9])"
    r"(?![ ]?(?:hộ|người|ngôi|căn|nhà|tấn|tạ|con|cây|xã|thôn|triệu|tỷ|nghìn|đồng|trường|km|m|ha|kg|%))"
)
_CALL = re.compile(r"gọi|liên hệ|liên lạc|điện thoại|tổng đài|nóng|báo|số|máy|hotline", re.IGNORECASE)
_CALL_REACH = 40

_N = r"[0-9]{1,12}(?:[.,][0-9]{1,12}){0,4}"
_UP_TO = re.compile(
    rf"(?<![\w.,/:+-])({_N})(?:%|[ ]?(?:[°º]C|mm|m|km|kg|ha|tấn)(?=[ ]?[-–—]))?[ ]?[-–—][ ]?"
    rf"(?={_N}(?!\w{{0,20}}[-–—/][0-9]))"
)
_BELOW_ZERO = re.compile(r"(?<![\w-])[-−](?=[0-9]{1,2}(?:,[0-9]{1,2})?[ ]?[°º]C?)")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}(?![0-9])")
_OF = re.compile(r"(?<=[0-9])/(?=[0-9])")
_DOCUMENT_YEAR = re.compile(r"(?<=[0-9])/((?:19|20)[0-9]{2})/(?=[^\W\d_])")
_THOUSANDS = re.compile(
    r"(?<![\w.,])([0-9]{1,3}(?:\.[0-9]{3}){1,3}|[0-9]{1,3}(?:,[0-9]{3}){2,3})(?![0-9]|[.][0-9])"
)
_PLAIN = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_RANKED = re.compile(r"(?<!\w)((?:lần )?[Tt]hứ)[ ]([14])(?!\w|[.,][0-9])")
_ROMAN = re.compile(
    r"(?<!\w)((?i:khóa|khoá|quý|chương|phần|mục|thế kỷ|nhiệm kỳ|kỳ|thứ|loại|cấp|nhóm))[ ]"
    r"([IVX]{1,6})(?![\w.-])"
)
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10}
_WORD = re.compile(r"[^\W\d_]+(?:[-&][^\W\d_]+)*")
_NUMBERED = re.compile(r"[ ](?:số[ ])?[0-9]")
_NAMED = re.compile(r"[ ][^\W\d_]")
_STUCK = re.compile(r"(?<=[^\W\d_])-?(?=[0-9])|(?<=[0-9])(?=[^\W\d_])")
_CONSONANTS = re.compile(r"[BCDĐFGHJKLMNPQRSTVWXZ]{2,6}")
_PAUSE = re.compile(r"(?<=\w)[ ]{1,3}[-–—]{1,3}[ ]{1,3}(?=\w)")
_NO_SPACE = re.compile(r"(?<=[^\W\d_]{2})([.!?;:,])(?=[^\W\d_]{2})")
_LEFT_OVER = re.compile(r"[/\-–—−@<>]+")


def spoken(text: str, words: SpokenWords) -> str:
    """Cleaned text in words; what nobody listed is left as it is."""
    table = _tables(words)
    text = _PHONE.sub(_phone, text)
    text = _HELP.sub(_help_line, text)
    text = spoken_dates(text)
    text = _DOCUMENT_YEAR.sub(r" năm \1/", text)
    text = table.roads.sub(lambda found: f"{words.roads[found[1]]} ", text)
    text = _BELOW_ZERO.sub("âm ", text)
    text = _UP_TO.sub(r"\1 đến ", text)
    text = table.units.sub(lambda found: f" {words.units[found[1]]} ", text)
    text = _RANKED.sub(lambda found: f"{found[1]} {'tư' if found[2] == '4' else 'nhất'}", text)
    text = _ROMAN.sub(_roman, text)
    text = _OF.sub(lambda found: " năm " if _YEAR.match(found.string, found.end()) else " trên ", text)
    text = _THOUSANDS.sub(lambda found: found[1].replace(".", "").replace(",", ""), text)
    text = table.before_names.sub(lambda found: _before_name(found, words), text)
    text = table.compound.sub(lambda found: words.abbreviations[found[1]], text)
    text = _WORD.sub(lambda found: _abbreviation(found, words), text)
    text = _NO_SPACE.sub(r"\1 ", _STUCK.sub(" ", text))
    text = _PLAIN.sub(_number, text)
    text = table.symbols.sub(lambda found: f" {words.symbols[found[1]]} ", text)
    text = _PAUSE.sub(", ", text)
    return _LEFT_OVER.sub(" ", text)


class _Tables:
    """Patterns made of the written forms in the tables."""

    __slots__ = ("before_names", "compound", "roads", "symbols", "units")

    def __init__(self, words: SpokenWords) -> None:
        self.units = _any_of(words.units, r"(?<=[0-9])[ ]?", r"(?![\w²³]|/[^\W\d_])")
        self.roads = _any_of(words.roads, r"(?<!\w)", r"[ .-]{0,2}(?=[0-9]{1,3}[A-Z]?(?!\w))")
        self.before_names = _any_of(words.before_names, r"(?<!\w)", r"\.[ ]?(?=[^\W_])")
        self.compound = _any_of(
            [one for one in words.abbreviations if not _WORD.fullmatch(one)], r"(?<!\w)", r"(?!\w)"
        )
        self.symbols = _any_of(words.symbols, "", "")


def _any_of(written: Iterable[str], before: str, after: str) -> re.Pattern[str]:
    longest_first = sorted(written, key=len, reverse=True)
    return re.compile(f"{before}({'|'.join(map(re.escape, longest_first)) or '(?!)'}){after}")


@lru_cache(maxsize=8)
def _tables(words: SpokenWords) -> _Tables:
    return _Tables(words)


def _phone(found: Match) -> str:
    """Digit by digit in the groups it was written in; what follows a whole number is another number."""
    written = found[0]
    service = written.startswith("1")
    if service and written[4] == "-" and not _is_called(found):
        return written
    enough = _SERVICE_DIGITS if service else _SUBSCRIBER_DIGITS
    groups: list[str] = []
    count, end = 0, 0
    for group in _PHONE_GROUP.finditer(written):
        if count >= enough:
            break
        groups.append(group[0])
        count += len(group[0].lstrip("+"))
        end = group.end()
    if count not in _PHONE_DIGITS:
        return written
    if len(groups) == 1:
        one = groups[0]
        cuts = (0, 4, 8) if service else (0, 4, 7) if not one.startswith("+") else (0, 3, 6, 9)
        groups = [one[begin:stop] for begin, stop in zip(cuts, (*cuts[1:], None), strict=True)]
    said = ", ".join(("cộng " if one.startswith("+") else "") + digits(one) for one in groups if one)
    return said + written[end:]


def _help_line(found: Match) -> str:
    lines = re.findall("11[1-9]", found[0])
    if not _is_called(found) and (len(lines) == 1 or "/" not in found[0]):
        return found[0]
    return ", ".join(digits(line) for line in lines)


def _is_called(found: Match) -> bool:
    begin = found.start()
    return _CALL.search(found.string, max(0, begin - _CALL_REACH), begin) is not None


def _roman(found: Match) -> str:
    values = [_ROMAN_VALUES[letter] for letter in found[2]]
    total = sum(-one if one < after else one for one, after in zip(values, (*values[1:], 0), strict=True))
    named = {1: "nhất", 4: "tư"} if found[1].lower() == "thứ" else {}
    return f"{found[1]} {named.get(total, cardinal(total))}"


def _before_name(found: Match, words: SpokenWords) -> str:
    after = found.string[found.end()]
    return f"{words.before_names[found[1]]} " if after.isdigit() or after.isupper() else found[0]


def _abbreviation(found: Match, words: SpokenWords) -> str:
    token = found[0]
    if token in words.abbreviations:
        return words.abbreviations[token]
    behind_slash = found.start() > 0 and found.string[found.start() - 1] == "/"
    if "-" in token or "&" in token:
        parts = re.split("[-&]", token)
        said = [_part(part, words, document=behind_slash) for part in parts]
        return " ".join(said) if said != parts else token.replace("-", " ")
    if behind_slash or _NUMBERED.match(found.string, found.end()):
        return _part(token, words, document=True)
    if token in words.before_names and len(token) > 1 and _is_named(found):
        return words.before_names[token]
    return _letters(token, words)


def _part(part: str, words: SpokenWords, *, document: bool) -> str:
    first, second = words.abbreviations, words.documents
    if document:
        first, second = second, first
    return first.get(part) or second.get(part) or _letters(part, words)


def _is_named(found: Match) -> bool:
    after = _NAMED.match(found.string, found.end())
    return after is not None and after[0][1].isupper()


def _letters(token: str, words: SpokenWords) -> str:
    if not _CONSONANTS.fullmatch(token) or any(letter not in words.letters for letter in token):
        return token
    return " ".join(words.letters[letter] for letter in token)


def _number(found: Match) -> str:
    parts = re.split("[.,]", found[0])
    marks = re.findall("[.,]", found[0])
    if len(parts) == 1:
        return whole(parts[0])
    if len(parts) == 2:  # noqa: PLR2004 - one mark: a decimal fraction
        return f"{whole(parts[0])} {decimal(parts[1], 'phẩy' if marks[0] == ',' else 'chấm')}"
    joint = ", " if "," in marks else " chấm "
    return joint.join(whole(part) for part in parts)
