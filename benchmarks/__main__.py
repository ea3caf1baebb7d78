"""`make bench`: takes every figure, prints a table, writes `build/bench.json`; fails on a missed limit.

`python -m benchmarks GROUP...` takes only those groups and writes them to `build/bench-GROUP....json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import boards, emergency, faults, memory, next_airing, station, together
from benchmarks.entry import Entry, missed

OUT = Path("build")
Say = Callable[[str], None]
GROUPS: dict[str, tuple[str, Callable[[Say], list[Entry]]]] = {
    "timetable": ("the timetable", lambda _say: next_airing.measure()),
    "station": ("a whole station, about four minutes", station.measure),
    "emergency": ("emergencies and what they cut, about two minutes", emergency.measure),
    "faults": ("hung decoders and silence, about two minutes", faults.measure),
    "together": ("two boxes together, about a minute and a half", together.measure),
    "boards": ("boards, about four minutes", boards.measure),
    "memory": ("cold start and growth, about three minutes", memory.measure),
}


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Takes the project's figures.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of: {', '.join(GROUPS)}")
    chosen: list[str] = parser.parse_args().groups
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        parser.error(f"there is no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    entries: list[Entry] = []
    for name in chosen or GROUPS:
        what, measure = GROUPS[name]
        print(f"measuring {what}", file=sys.stderr, flush=True)
        entries += measure(_progress)
        _progress("")
    OUT.mkdir(exist_ok=True)
    out = OUT / "-".join(["bench", *chosen])
    out = out.with_name(f"{out.name}.json")
    out.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    over = _table(entries)
    print(f"written to {out}")
    return 1 if over else 0


def _table(entries: list[Entry]) -> int:
    """Print all figures; returns how many miss their limit."""
    print(f"{'figure':<52} {'value':>10} {'unit':<14} {'held against':<34} {'ratio':>8}")
    count = 0
    for entry in entries:
        reference = f"{entry['reference']['name']} {entry['reference']['value']:g}"
        wrong = missed(entry)
        count += wrong
        mark = "  MISSED" if wrong else ""
        print(
            f"{entry['name']:<52} {entry['value']:>10.3f} {entry['unit']:<14} {reference:<34} "
            f"{entry['ratio']:>8.3f}{mark}"
        )
    return count


if __name__ == "__main__":
    sys.exit(main())
