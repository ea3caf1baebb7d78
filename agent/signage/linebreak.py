"""Breaks text into lines as a Vietnamese reader expects it, in time linear in the text.

A text is a row of atoms that are never torn apart if they fit on a line. Between two atoms stands a joint
that says how well a line ends there. A line takes as many atoms as fit and ends at the best joint nearby.

Scripts without spaces end a line at spaces and zero-width spaces; where a run between two of them is wider
than the line, at a cluster. There is no dictionary, so such a cut may fall inside a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from agent.signage.text import clusters, ideographic

Measure = Callable[[str], float]
"""Width in pixels of a text on one line."""

BALANCE_LINES = 12
"""More lines than this are not balanced: it is no headline."""

_ENOUGH = 0.4
"""A line is not cut back below this share of its width only to keep names together."""

_SPACES = " \u200b"


class Joint(IntEnum):
    """How well a line ends after an atom; lower is better."""

    FREE = 0
    SOFT = 1
    """Better not: `xã | Mường Lống`, `TP. | Hồ Chí Minh`."""

    LINKED = 2
    """Rather not: `17 giờ | 30 phút`, `ngày 12 | tháng 11 | năm 2026`."""

    TIGHT = 3
    """Only if the line would not fit otherwise: `17 | giờ`, `ngày | 12/11`."""

    STUCK = 4
    """The same, and uglier: a sign that would start a line or an opening bracket that would end it."""

    CUT = 5
    """Inside an address that is wider than the line, behind one of its signs."""

    TORN = 6
    """Inside a word or number that is wider than the line."""


@dataclass(frozen=True, slots=True)
class _Atom:
    """Text from `start` to `end`, and the joint after it; `next` is where the following atom starts."""

    start: int
    end: int
    next: int
    joint: Joint


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_PREFIXES = _words("""
    xã phường huyện quận tỉnh thôn bản ấp làng buôn bon plei sóc khóm tổ đội khu phố đường ngõ ngách hẻm
    cầu chợ hồ sông núi trường trạm ubnd hđnd ubmttq mttq công ông bà anh chị cô chú bác em đồng gs ts
    bs ths pgs ks ls tp tx tt q p h x gs.ts pgs.ts ths.bs thị thành
""")
"""Words that should not end a line, without their full stop; with a number behind them they may not."""

_BEFORE_NUMBER = _words("""
    ngày tháng năm thứ lúc hồi khoảng từ đến số lớp khoá khóa đợt lần kỳ quý tuần giờ phút cấp loại tầng
    phòng km quốc lộ tel đt sđt hotline mồng mùng rằm điều mục chương trang kênh tần bão gió
""")
_UNITS = _words("""
    giờ phút giây ngày tháng năm tuần tuổi người hộ cháu em liều mũi con cái chiếc lượt lần đồng đ ₫ vnđ
    nghìn ngàn triệu tỷ tỉ vnd usd % ‰ °c ℃ độ kg g mg tấn tạ yến l lít ml m m² m2 m³ m3 cm mm km km/h
    km² ha sào mẫu kw kwh kv v w hz khz mhz fm am ph h p s mb gb điểm suất phần bao bó
""")
_STRIP = "()[]{}«»“”‘’\"'.,;:!?…"
_DIGIT_FIRST = re.compile(r"[(\[«“\"'+#]?\d")
_DIGIT_LAST = re.compile(r"\d[)\]»”\"'.,;:!?]*$")
_WEEKDAYS = _words("hai ba tư năm sáu bảy")
_CLOCK = frozenset(("giờ", "phút"))
_DATE = frozenset(("ngày", "tháng", "năm"))
_DASHES = frozenset("-–—")
_NUMBER_SIGNS = frozenset("☎☏№±≤≥≈><=~")
_BULLETS = _DASHES | frozenset("•*+")
_ABBREVIATION = 3
"""Letters of an abbreviation with a full stop, such as `TP.`, at most."""

_URL_CUT = frozenset("/-_?&=+@#%~–—")


def wrap(text: str, width_px: float, measure: Measure, *, balance: bool = False) -> tuple[str, ...]:
    """Lines of `text`, each no wider than `width_px` unless it is one single cluster.

    Args:
        text: cleaned text; a newline ends a line, empty lines are left out.
        width_px: room for a line.
        measure: width of any piece of the text.
        balance: for headlines: lines about equally long, and no more of them than without.
    """
    widths = _Widths(measure)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        row = _Row(paragraph, widths)
        broken, badness = row.lines(width_px)
        if balance and 1 < len(broken) <= BALANCE_LINES:
            broken = _balanced(row, broken, badness, width_px)
        lines.extend(line for line in broken if line.strip())  # a no-break space alone is no line
    return tuple(lines)


class _Widths:
    """Measured widths of atoms and clusters, so that equal ones are measured once."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self._known: dict[str, float] = {}

    def of(self, part: str) -> float:
        width = self._known.get(part)
        if width is None:
            width = self._known[part] = self.measure(part)
        return width


class _Row:
    """One paragraph, ready to be broken at any width."""

    def __init__(self, text: str, widths: _Widths) -> None:
        self._text = text
        self._widths = widths
        self._atoms = _joined(text, list(_atoms(text)))

    def lines(self, width_px: float) -> tuple[list[str], int]:
        """Greedy lines of at most `width_px`, and the sum of the joints they end at: how bad they are."""
        atoms = list(self._torn(width_px))
        lines: list[str] = []
        first = badness = 0
        while first < len(atoms):
            last = self._best_end(atoms, first, self._most(atoms, first, width_px), width_px)
            lines.append(self._line(atoms, first, last))
            if last < len(atoms):
                badness += atoms[last - 1].joint
            first = last
        return [line for line in lines if line], badness

    def widest_px(self) -> float:
        """Width of the widest atom."""
        return max((self._widths.of(self._text[atom.start : atom.end]) for atom in self._atoms), default=0.0)

    def _line(self, atoms: Sequence[_Atom], first: int, last: int) -> str:
        return self._text[atoms[first].start : atoms[last - 1].end].strip(_SPACES)

    def _width(self, atoms: Sequence[_Atom], first: int, last: int) -> float:
        return self._widths.measure(self._line(atoms, first, last))

    def _torn(self, width_px: float) -> Iterator[_Atom]:
        """Atoms, those wider than a line cut into pieces: at signs of an address, else at clusters."""
        for atom in self._atoms:
            if self._widths.of(self._text[atom.start : atom.end]) <= width_px:
                yield atom
                continue
            start = atom.start
            for cluster in clusters(self._text[atom.start : atom.end]):
                end = start + len(cluster)
                if end == atom.end:
                    yield _Atom(start, end, atom.next, atom.joint)
                else:
                    good = cluster in _URL_CUT and self._text[end] not in _URL_CUT
                    yield _Atom(start, end, end, Joint.CUT if good else Joint.TORN)
                start = end

    def _most(self, atoms: Sequence[_Atom], first: int, width_px: float) -> int:
        """End of the longest row of atoms from `first` that fits; at least one atom.

        Sums of widths give the guess, measuring the whole line confirms it.
        """
        last = first
        total = 0.0
        while last < len(atoms):
            atom = atoms[last]
            total += self._widths.of(self._text[atom.start : atom.end])
            if total > width_px and last > first:
                break
            if atom.next > atom.end:
                total += self._widths.of(self._text[atom.end : atom.next])
            last += 1
        low, high = first + 1, last
        if low == high or self._width(atoms, first, high) <= width_px:
            return high
        while high - low > 1:
            middle = (low + high) // 2
            if self._width(atoms, first, middle) <= width_px:
                low = middle
            else:
                high = middle
        return low

    def _best_end(self, atoms: Sequence[_Atom], first: int, most: int, width_px: float) -> int:
        """The best joint at or before `most`.

        A shorter line is measured again, as it can be wider: mixed scripts shrink to fit their line box.
        """
        if most == len(atoms):
            return most
        latest: dict[Joint, int] = {}
        for end in range(most, first, -1):
            latest.setdefault(atoms[end - 1].joint, end)
            if atoms[end - 1].joint == Joint.FREE:
                break
        torn = atoms[most - 1].joint >= Joint.CUT
        for joint in (Joint.FREE, Joint.SOFT, Joint.LINKED, *((Joint.CUT,) if torn else ())):
            if joint not in latest:
                continue
            if _ENOUGH * width_px <= self._width(atoms, first, latest[joint]) <= width_px:
                return latest[joint]
        end = latest[min(latest)]
        return most if torn or self._width(atoms, first, end) > width_px else end


def _balanced(row: _Row, lines: list[str], badness: int, width_px: float) -> list[str]:
    """The narrowest breaking with as many lines that ends them no worse and tears nothing."""
    low, high = min(row.widest_px(), width_px), width_px
    for _ in range(10):
        middle = (low + high) / 2
        narrower, worse = row.lines(middle)
        if len(narrower) <= len(lines) and worse <= badness:
            lines, high = narrower, middle
        else:
            low = middle
    return lines


def _atoms(text: str) -> Iterator[_Atom]:
    """Atoms with joints that need no look at the neighbours."""
    start = 0
    for gap in re.finditer(f"[{_SPACES}]+|$", text):
        yield from _word_atoms(text, start, gap.start(), gap.end())
        start = gap.end()


def _word_atoms(text: str, start: int, end: int, following: int) -> Iterator[_Atom]:
    """One word between spaces: a single atom, unless it holds Chinese or dashes between letters."""
    for at in range(start + 1, end):
        if _may_end(text[at - 1], text[at]) or _dash_between(text, at, end):
            yield _Atom(start, at, at, Joint.FREE)
            start = at
    if start < end:
        yield _Atom(start, end, following, Joint.FREE)


@lru_cache(maxsize=4096)
def _may_end(left: str, right: str) -> bool:
    """Whether a line may end between two characters, one of which is Chinese."""
    if not (ideographic(left) or ideographic(right)):
        return False
    return not (_opens(left) or _closes(right) or left.isdigit() or unicodedata.category(right)[0] == "M")


def _opens(char: str) -> bool:
    return unicodedata.category(char) in {"Ps", "Pi"} or char in "￥＄$#＃@"


def _closes(char: str) -> bool:
    return unicodedata.category(char) in {"Pe", "Pf", "Po", "Pd", "Pc"} or char in "々〻ー％%℃°"


def _dash_between(text: str, at: int, end: int) -> bool:
    """After a dash that joins two words of letters, such as `Bắc–Nam`, `Thừa-Thiên`; not `COVID-19`."""
    return (
        text[at - 1] in "-–—"
        and at >= 3  # noqa: PLR2004 - two letters before the dash
        and at + 1 < end
        and text[at - 3 : at - 1].isalpha()
        and text[at : at + 2].isalpha()
    )


def _joined(text: str, atoms: list[_Atom]) -> list[_Atom]:
    """The same atoms with joints that their neighbours ask for."""
    words = [text[atom.start : atom.end] for atom in atoms]
    joined = []
    for at, atom in enumerate(atoms):
        joint = atom.joint
        if at + 1 < len(atoms) and atom.next > atom.end:
            joint = _between(
                words[at], words[at + 1], words[at + 2] if at + 2 < len(words) else "", first=at == 0
            )
        joined.append(_Atom(atom.start, atom.end, atom.next, joint))
    return joined


def _between(left: str, right: str, after: str, *, first: bool) -> Joint:
    """The joint between two words with a space between them; `after` is the word behind `right`."""
    if _hangs_on(right, first=first) or all(_opens(char) for char in left) or (first and left in _BULLETS):
        return Joint.STUCK
    bare, unit = left.strip(_STRIP).casefold(), right.strip(_STRIP).casefold()
    if left[-1] in ",;:!?…)»”":
        return Joint.FREE
    if _DIGIT_LAST.search(left) and left[-1] != ".":
        if _DIGIT_FIRST.match(right):
            return Joint.TIGHT
        if unit.partition("/")[0] in _UNITS:
            return Joint.LINKED if unit in _DATE and _DIGIT_FIRST.match(after) else Joint.TIGHT
    if _DIGIT_FIRST.match(right) and (
        bare in _BEFORE_NUMBER or bare in _PREFIXES or left in _DASHES or left in _NUMBER_SIGNS
    ):
        return Joint.LINKED if bare in _CLOCK else Joint.TIGHT
    if bare == "thứ" and unit in _WEEKDAYS:
        return Joint.TIGHT
    abbreviation = left[-1] == "." and len(bare) <= _ABBREVIATION and bare.isalpha() and left[0].isupper()
    return Joint.SOFT if bare in _PREFIXES or abbreviation else Joint.FREE


def _hangs_on(word: str, *, first: bool) -> bool:
    """Whether `word` is only signs that may not start a line; `first`: only one word is before it."""
    if not all(unicodedata.category(char)[0] == "P" for char in word) or all(map(_opens, word)):
        return False
    return not first if word in _DASHES else word[0] not in "+*•"
