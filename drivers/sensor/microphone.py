"""What every monitoring microphone shares: how loud a sound must be to count as heard."""

from __future__ import annotations

from drivers.api import Options
from drivers.options import number

THRESHOLD_DBFS = -50.0
_LOWEST_DBFS = -90.0


def threshold(name: str, options: Options) -> float:
    """Option `threshold_dbfs`, -90 to 0; raises DriverSetupError."""
    return number(name, options, "threshold_dbfs", low=_LOWEST_DBFS, high=0.0, default=THRESHOLD_DBFS)
