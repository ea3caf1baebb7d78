"""From what the server knows to what the API says; pure but for the clock that ages are read from."""

from __future__ import annotations

import json

from pydantic import TypeAdapter, ValidationError

from agent.wire.base import Line
from server.api import models
from server.clock import utc_now
from server.fleet import Box
from server.media.loudness import Loudness
from server.problems import Problem, RefusedError
from server.reasons import mistake
from server.store.content import MediaRow, ScheduleRow

_LINE: TypeAdapter[str] = TypeAdapter(Line)


def clean_line(text: str, field: str) -> str:
    """One line of text from the query.

    Raises:
        RefusedError: too long, or control characters in it.
    """
    try:
        return _LINE.validate_python(text)
    except ValidationError as error:
        raise RefusedError(Problem.INVALID, field, detail=mistake(error, field)[1]) from error


def media(row: MediaRow) -> models.MediaAnswer:
    said = json.loads(row.source)
    source, result = Loudness(**said["source"]), Loudness(**said["result"])
    return models.MediaAnswer(
        id=row.id,
        sha256=row.sha256,
        title=row.title,
        size_bytes=row.size_bytes,
        duration_ms=row.duration_ms,
        loudness_lufs=result.integrated_lufs,
        peak_dbtp=result.true_peak_dbtp,
        source_lufs=source.integrated_lufs,
        source_peak_dbtp=source.true_peak_dbtp,
        gain_db=said["gain_db"],
        limited=said["limited"],
        silent=source.silent,
    )


def schedule(row: ScheduleRow) -> models.ScheduleAnswer:
    return models.ScheduleAnswer(
        id=row.id, version=row.version, sha256=row.sha256, size_bytes=row.size_bytes, created=row.created
    )


def box(one: Box) -> models.BoxAnswer:
    health, birth, reported, wanted = one.health, one.birth, one.reported, one.wanted
    age_s = (utc_now() - one.health_at).total_seconds() if one.health_at else None
    return models.BoxAnswer(
        id=one.device.id,
        name=one.device.name,
        groups=list(one.device.groups),
        enrolled=one.device.enrolled,
        state="online" if one.online else "offline",
        last_contact=one.contact,
        heartbeat_age_s=round(age_s, 1) if age_s is not None else None,
        boot_id=birth.boot_id if birth else health.boot_id if health else None,
        version=birth.version if birth else one.device.version,
        clock=health.clock if health else None,
        schedule=models.BoxSchedule(
            wanted=models.ScheduleState(
                id=wanted.schedule_id, version=wanted.schedule_version or 0, sha256=wanted.schedule_sha256
            )
            if wanted is not None and wanted.schedule_id is not None
            else None,
            in_force=models.ScheduleState(
                id=reported.schedule_id, version=reported.schedule_version, sha256=reported.schedule_sha256
            )
            if reported is not None and reported.schedule_id
            else None,
            confirmed=one.confirmed,
        ),
        media_held=reported.media_held if reported else health.media_held if health else 0,
        media_wanted=reported.media_wanted if reported else health.media_wanted if health else 0,
        issues=list(health.issues) if health else [],
        zones=list(health.zones) if health else [],
        last_airing=one.last_airing,
    )
