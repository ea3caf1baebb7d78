"""What current an amplifier draws for a level of sound: the one rule by which it is judged.

Supply current rises with the amplitude, as it does for class AB and, near enough for finding a dead or a
short line, for class D. Values are learnt on the spot (`loa test amp`, `loa test line`).
"""

from __future__ import annotations


def drive(rms_dbfs: float) -> float:
    """Share of the current that belongs to 0 dBFS RMS, 0 to 1, at this level."""
    return 10 ** (min(rms_dbfs, 0.0) / 20)


def expected_amps(idle_amps: float, full_amps: float, rms_dbfs: float) -> float:
    """Current of the supply at this level.

    Args:
        idle_amps: with power and without sound.
        full_amps: at 0 dBFS RMS.
        rms_dbfs: level of what is sounded.
    """
    return idle_amps + max(0.0, full_amps - idle_amps) * drive(rms_dbfs)
