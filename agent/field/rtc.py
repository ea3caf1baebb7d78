"""The clock chip, read through sysfs without root."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

RTC = Path("/sys/class/rtc/rtc0")


def read_rtc(folder: Path = RTC) -> datetime | None:
    """What the clock chip says, to the second; None if there is none, it does not answer or holds nonsense.

    Source: kernel Documentation/ABI/testing/sysfs-class-rtc, `since_epoch`; Linux keeps chips in UTC.
    """
    try:
        seconds = int((folder / "since_epoch").read_text(encoding="ascii"))
        return datetime.fromtimestamp(seconds, UTC)
    except (OSError, ValueError, OverflowError):
        return None
