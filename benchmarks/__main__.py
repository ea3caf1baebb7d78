"""`make bench`: takes every figure, prints a table, writes `build/bench.json`; fails on a missed limit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.entry import Entry
from benchmarks.next_airing import measure as measure_timetable
from benchmarks.station import measure as measure_station

OUT = Path("build") / "bench.json"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report."""
    entries: list[Entry] = []
    print("measuring the timetable", file=sys.stderr, flush=True)
    entries += measure_timetable()
    print("measuring a whole station, about four minutes", file=sys.stderr, flush=True)
    entries += measure_station(_progress)
    _progress("")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    print(f"{'figure':<36} {'value':>10} {'unit':<14} {'held against':<34} {'ratio':>8}")
    missed = 0
    for entry in entries:
        reference = f"{entry['reference']['name']} {entry['reference']['value']:g}"
        over = entry["reference"]["name"].startswith("limit") and entry["ratio"] > 1
        missed += over
        mark = "  MISSED" if over else ""
        print(
            f"{entry['name']:<36} {entry['value']:>10.3f} {entry['unit']:<14} {reference:<34} "
            f"{entry['ratio']:>8.3f}{mark}"
        )
    print(f"written to {OUT}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
