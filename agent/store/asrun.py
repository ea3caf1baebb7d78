"""The as-run log (nhật ký phát): one record for each airing in each zone, and its exact JSON form."""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.report import AsRun, CutReason, Evidence, MissedReason, Segment, Verdict

logger = logging.getLogger(__name__)

KEPT = 40_000
"""Records kept: 400 days of 100 airings a day. Counted, not dated, because clocks of boxes go wrong."""

_TRIM_EVERY = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(record: AsRun) -> str:
    """A record as JSON text."""
    return json.dumps(dataclasses.asdict(record), default=datetime.isoformat, separators=(",", ":"))


def decode(text: str) -> AsRun:
    """A record from the text `encode` made; fields that a newer agent added are left out."""
    raw = _known(AsRun, json.loads(text))
    proof = _known(Evidence, raw.pop("evidence"))
    return AsRun(
        **raw
        | {
            "airing": AiringId(raw["airing"]),
            "zone": ZoneId(raw["zone"]),
            "bulletin_class": BulletinClass(raw["bulletin_class"]),
            "level": SourceLevel(raw["level"]),
            "planned_start": datetime.fromisoformat(raw["planned_start"]),
            "segments": tuple(_segment(one) for one in raw["segments"]),
            "evidence": Evidence(**proof | {"failed_items": tuple(proof["failed_items"])}),
            "verdict": Verdict(raw["verdict"]),
            "missed": None if raw["missed"] is None else MissedReason(raw["missed"]),
        }
    )


def begin(db: sqlite3.Connection, record: AsRun) -> bool:
    """Note that an airing starts; False if it was finished already."""
    return _put(db, record, final=False)


def update(db: sqlite3.Connection, record: AsRun) -> None:
    """Note how far an open airing has come; one that is not open stays as it is."""
    db.execute(
        "UPDATE airings SET record = ? WHERE airing = ? AND zone = ? AND final = 0",
        (encode(record), record.airing, record.zone),
    )


def finish(db: sqlite3.Connection, record: AsRun) -> bool:
    """Close an airing, begun or not; False if it was finished already."""
    changed = _put(db, dataclasses.replace(record, final=True), final=True)
    (newest,) = db.execute("SELECT max(n) FROM airings").fetchone()
    if changed and newest % _TRIM_EVERY == 0:
        db.execute("DELETE FROM airings WHERE n <= ? AND final = 1", (newest - KEPT,))
    return changed


def unfinished(db: sqlite3.Connection) -> list[AsRun]:
    """Airings begun and not finished, in the order in which they began."""
    return _decoded(db.execute("SELECT record FROM airings WHERE final = 0 ORDER BY n"))


def finished(db: sqlite3.Connection, since: datetime) -> set[tuple[AiringId, ZoneId]]:
    """Airings finished whose planned start is `since` or later."""
    rows = db.execute(
        "SELECT airing, zone FROM airings WHERE final = 1 AND planned_us >= ?", (_microseconds(since),)
    )
    return {(AiringId(airing), ZoneId(zone)) for airing, zone in rows}


def play_log(db: sqlite3.Connection, limit: int, before: datetime | None) -> list[AsRun]:
    """Records by planned start, newest first.

    Args:
        db: the box's database.
        limit: how many; exceeded only so that zones of the same start stay together on a page.
        before: only earlier planned starts; hand in the last one of a page to get the next.
    """
    end = _microseconds(before) if before is not None else 2**62
    row = db.execute(
        "SELECT planned_us FROM airings WHERE planned_us < ? ORDER BY planned_us DESC LIMIT 1 OFFSET ?",
        (end, max(1, limit) - 1),
    ).fetchone()
    start = row[0] if row is not None else -(2**62)
    rows = db.execute(
        """SELECT record FROM airings WHERE planned_us < ? AND planned_us >= ?
           ORDER BY planned_us DESC, airing, zone""",
        (end, start),
    )
    return _decoded(rows)


def _put(db: sqlite3.Connection, record: AsRun, *, final: bool) -> bool:
    cursor = db.execute(
        """INSERT INTO airings (airing, zone, planned_us, final, record) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (airing, zone) DO UPDATE SET final = excluded.final, record = excluded.record
           WHERE final = 0""",
        (record.airing, record.zone, _microseconds(record.planned_start), final, encode(record)),
    )
    return cursor.rowcount == 1


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _known(kind: type[Any], raw: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(kind)}
    return {key: value for key, value in raw.items() if key in names}


def _segment(raw: dict[str, Any]) -> Segment:
    return Segment(
        started=datetime.fromisoformat(raw["started"]),
        ended=None if raw["ended"] is None else datetime.fromisoformat(raw["ended"]),
        from_ms=raw["from_ms"],
        played_ms=raw["played_ms"],
        cut=CutReason(raw["cut"]),
    )


def _decoded(rows: Iterable[tuple[str]]) -> list[AsRun]:
    """Records that can be read; one written by a newer agent, before an update was rolled back, may not."""
    records = []
    for (text,) in rows:
        try:
            records.append(decode(text))
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("as-run record left out: %s", error)
    return records
