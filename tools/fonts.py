"""Makes agent/signage/fonts from the Debian packages fonts-noto-core and fonts-noto-cjk, repeatably.

Run `python tools/fonts.py`; needs `apt-get`, `dpkg` and fontTools (`pip install fonttools`).
Complete files are copied unchanged. The others are subsets, as the OFL allows: symbols, and Chinese letters.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent.parent / "agent" / "signage" / "fonts"
PACKAGES = ("fonts-noto-core", "fonts-noto-cjk")
COPIED = (
    "NotoSans-Regular.ttf",
    "NotoSans-Bold.ttf",
    "NotoSansKhmer-Regular.ttf",
    "NotoSansKhmer-Bold.ttf",
    "NotoSansTaiViet-Regular.ttf",
    "NotoSansCham-Regular.ttf",
    "NotoSansCham-Bold.ttf",
    "NotoSansLao-Regular.ttf",
    "NotoSansLao-Bold.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansThai-Bold.ttf",
)
SYMBOLS = "←↑→↓↔↕■□▲△▶▷▼▽◀◁●○★☆☀☁☂☎☏☐☑☒☔☠☢☣☺♥♦♪♫⚠⚡✉✓✔✕✖✗✘❤❶❷❸❹❺❻❼❽❾❿①②③④⑤⑥⑦⑧⑨⑩➔➜"
"""Signs people type into announcements; the rest of the symbol blocks is shown as the mark."""

MATHEMATICS = "≤≥≠≈≡∞√∑∅∈∩∪⊂⇒⇔"

CJK_FACE = "2"
"""Simplified Chinese inside NotoSansCJK-Regular.ttc."""


def gb2312_level_1() -> str:
    """The 3,755 common characters of GB 2312, rows 16 to 55, and the signs of rows 1 to 3 Noto Sans lacks."""
    rows = [*range(16, 56)]
    letters = [_gb2312(row, cell) for row in rows for cell in range(1, 95)]
    signs = [_gb2312(row, cell) for row in (1, 2, 3) for cell in range(1, 95)]
    latin = TTFont(HERE / COPIED[0]).getBestCmap() or {}
    return "".join(letters) + "".join(sign for sign in signs if sign and ord(sign) not in latin)


def _gb2312(row: int, cell: int) -> str:
    return bytes((row + 0xA0, cell + 0xA0)).decode("gb2312", errors="ignore")


def cut(source: Path, target: Path, text: str, face: str = "0") -> None:
    """Write the part of a font that `text` needs, without hinting and with its names kept."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as wanted:
        wanted.write(text)
        wanted.flush()
        subset.main(
            [
                str(source),
                f"--font-number={face}",
                f"--text-file={wanted.name}",
                "--layout-features=ccmp,mark,mkmk,locl",
                "--no-hinting",
                "--name-IDs=*",
                "--notdef-outline",
                "--no-recalc-timestamp",
                f"--output-file={target}",
            ]
        )


def main() -> None:
    """Fetch, unpack, copy and cut."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
            subprocess.run(
                ["dpkg", "-x", str(next(Path(folder).glob(f"{package}_*.deb"))), folder], check=True
            )
        noto = Path(folder, "usr/share/fonts/truetype/noto")
        for name in COPIED:
            shutil.copyfile(noto / name, HERE / name)
        cut(noto / "NotoSansSymbols2-Regular.ttf", HERE / "NotoSansSymbols2-Subset.ttf", SYMBOLS)
        cut(noto / "NotoSansSymbols-Regular.ttf", HERE / "NotoSansSymbols-Subset.ttf", SYMBOLS)
        cut(noto / "NotoSansMath-Regular.ttf", HERE / "NotoSansMath-Subset.ttf", MATHEMATICS)
        cut(
            Path(folder, "usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
            HERE / "NotoSansSC-Subset.otf",
            gb2312_level_1(),
            CJK_FACE,
        )


if __name__ == "__main__":
    main()
