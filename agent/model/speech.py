"""Text made fit for a speech engine: what a person should hear, and nothing a machine would stumble over.

Pure and total; the work is linear in the length of the text. Vietnamese is written out in words, any other
language is only cleaned, because a wrong guess is worse than an engine's own reading.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from agent.model.spoken_vi import spoken
from agent.model.spoken_words import SpokenWords, words_of

MAX_SPEECH_CHARS = 5000
"""About six minutes of speech; an announcement that nobody listens to any longer."""

_MOST_TEXT = 6 * MAX_SPEECH_CHARS
_BREAKS = "\n\r\v\f\x85\u2028\u2029"
_KEPT_SIGNS = "%‰°º№&+=±×≥≤><→₫$€"
_SAME_AS = {
    "℃": "°C",
    "…": ". ",
    "‼": "!",
    "⁉": "?",
    "–": "–",
    "—": "—",
    "‑": "-",
    "‐": "-",
    "−": "-",
    "“": " ",
    "”": " ",
    "«": " ",
    "»": " ",
    '"': " ",
    "*": " ",
    "_": " ",
    "#": " ",
    "~": " ",
    "|": " ",
    "\\": " ",
    "•": " ",
    "·": " ",
    "[": ", ",
    "]": ", ",
    "{": ", ",
    "}": ", ",
}
_MOST_MARKS = 4

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_TOKEN = re.compile(r"\S+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,10}://|://|www\.", re.IGNORECASE)
_ADDRESS_END = ".,;:!?)]}'’"
_HOST_ENDS = frozenset(("vn", "com", "net", "org", "gov", "edu", "info", "io"))
_HOST = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}")
_LEAST_END = 2
_WEB, _MAIL = "\ue000", "\ue001"  # of no character class that survives cleaning

_OPEN = re.compile(r"[ ]*\([ ]*")
_CLOSE = re.compile(r"[ ]*\)")
_LINE_ENDED = re.compile(r"(?<=[.!?:;,…])[ ]*\n[\s]*")
_LINE = re.compile(r"[ ]*\n[\s]*")
_SPACES = re.compile(r"[ ]{2,}")
_SPACE_BEFORE = re.compile(r"[ ]+(?=[.,;:!?])")
_RUN = re.compile(r"[.,;:!?](?:[ ]*[.,;:!?])+")
_STRENGTH = {mark: place for place, mark in enumerate(",;:.?!")}
_ENDINGS = ".!?"


def speakable(
    text: str, language: str, *, limit: int | None = MAX_SPEECH_CHARS, words: SpokenWords | None = None
) -> str:
    """What is read out for `text`; empty when nothing in it can be said.

    Args:
        text: anything.
        language: BCP 47 tag such as `vi` or `vi-VN`.
        limit: characters at most, cut at the end of a sentence where there is one; None: no limit.
        words: table to use instead of the one the box carries for the language.
    """
    if limit is not None:
        text = text[: max(_MOST_TEXT, limit)]
    table = words_of(language) if words is None else words
    text = _clean(text)
    text = _TOKEN.sub(lambda found: _without_address(found[0]), _TAG.sub(" ", text))
    if not any(char.isalnum() for char in text):
        return ""
    for mark, kind in ((_WEB, "web"), (_MAIL, "mail")):
        text = text.replace(mark, table.addresses.get(kind, ""))
    text = text.replace("://", " ").replace("@", " ")
    text = _LINE.sub(". ", _LINE_ENDED.sub(" ", text.strip()))
    if language.partition("-")[0] == "vi":
        text = spoken(text, table)
    text = _tidy(_CLOSE.sub(", ", _OPEN.sub(", ", text)))
    return text if limit is None else _cut(text, limit)


def _clean(text: str) -> str:
    """NFC text of letters, digits, marks of speech and the signs that have a name."""
    fates = {ord(char): _fate(char) for char in set(text)}
    text = text.translate(fates)
    if any(unicodedata.combining(char) for char in set(text)):
        text = _few_marks(text)
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=4096)
def _fate(char: str) -> str:
    if char in _BREAKS:
        return "\n"
    if char in _SAME_AS:
        return _SAME_AS[char]
    if char in _KEPT_SIGNS:
        return char
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char)) if "\uff10" <= char <= "\uff19" else char
    if category[0] == "Z" or char == "\t":
        return " "
    if category[0] == "C" or category == "Me" or "\ufe00" <= char <= "\ufe0f" or ord(char) >= 0xE0000:  # noqa: PLR2004 - variation selectors
        return ""
    if category in ("So", "Sk", "Sm", "Sc"):
        return " "
    return char


def _few_marks(text: str) -> str:
    """At most four combining marks on a letter: ordering a long run would take time without bound."""
    kept: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def _without_address(token: str) -> str:
    scheme = _SCHEME.search(token) if "/" in token or "w." in token.lower() else None
    if scheme is not None:
        return _replaced(token, scheme.start(), _WEB)
    if "@" in token:
        name, _, host = token.partition("@")
        return _replaced(token, 0, _MAIL) if name and "." in host else token
    core = token.strip("(),;:!?'’.[]")
    host, slash, _ = core.partition("/")
    if "." in host and _is_host(host, path=bool(slash)):
        return _replaced(token, token.index(core), _WEB)
    return token


def _is_host(host: str, *, path: bool) -> bool:
    lowered = host.lower()
    if not _HOST.fullmatch(lowered):
        return False
    end = host.rpartition(".")[2]
    if lowered.startswith("www."):
        return True
    if end in _HOST_ENDS:
        return True
    return path and end.isalpha() and end.islower() and len(end) >= _LEAST_END


def _replaced(token: str, begin: int, mark: str) -> str:
    """The token with a mark for everything from `begin`, but for the signs at its end."""
    rest = token[begin:]
    signs = rest[len(rest.rstrip(_ADDRESS_END)) :]
    return f"{token[:begin]} {mark}{signs}"


def _tidy(text: str) -> str:
    """Single spaces, single marks, no mark at the beginning."""
    text = _SPACES.sub(" ", text)
    text = _SPACE_BEFORE.sub("", text)
    text = _one_mark(text)
    return text.strip(" ").lstrip(".,;:!?) ")


def _one_mark(text: str) -> str:
    """Of several marks in a row the strongest stays."""
    return _RUN.sub(lambda found: max(found[0].replace(" ", ""), key=_STRENGTH.__getitem__), text)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = text[:limit]
    end = max(head.rfind(f"{mark} ") for mark in _ENDINGS)
    if head[-1:] in _ENDINGS and text[limit] == " ":
        end = limit - 1
    if end >= limit // 2:
        return head[: end + 1]
    space = head.rfind(" ", limit // 2)
    return head[: space if space > 0 else limit].rstrip(" ,;:")
