"""From what was measured to what is wrong: pure rules, one per kind of observation.

A finding with `present` None means that nothing measured it; the issue then stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from drivers.api import Bearer, PowerState, StorageState, UplinkState

MIB = 1024 * 1024
LEAST_FREE_BYTES = 16 * MIB
"""Below this the database cannot be trusted to write, whatever the configuration keeps free."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one fault is present; `detail` says in English what was measured."""

    fault: Fault
    present: bool | None
    detail: str = ""


def check_power(state: PowerState | None) -> Finding:
    """Mains lost, as far as a sensor tells."""
    if state is None or state.mains is None:
        return Finding(Fault.MAINS_LOST, None)
    volts = "" if state.dc_volts is None else f", {state.dc_volts:.1f} V DC"
    return Finding(Fault.MAINS_LOST, not state.mains, "" if state.mains else f"no mains{volts}")


def check_uplink(state: UplinkState | None) -> tuple[Finding, Finding]:
    """No network at all, and a SIM that is registered but carries no data.

    At most one of the two is present, so that a person is sent to the one thing to repair.
    """
    if state is None:
        return Finding(Fault.NO_NETWORK, None), Finding(Fault.SIM_NO_DATA, None)
    cellular = state.bearer is Bearer.CELLULAR
    dead = state.data is False
    detail = "" if not dead else f"{state.bearer.value} carries no data"
    if state.signal_dbm is not None and detail:
        detail += f" at {state.signal_dbm} dBm"
    none = state.bearer is Bearer.NONE
    return (
        Finding(Fault.NO_NETWORK, none or (dead and not cellular), "no link" if none else detail),
        Finding(Fault.SIM_NO_DATA, dead and cellular, detail),
    )


def check_clock(trust: ClockTrust, needed: ClockTrust = ClockTrust.RTC) -> Finding:
    """A clock on which scheduled programmes may not start."""
    wrong = trust < needed
    return Finding(Fault.CLOCK_UNTRUSTED, wrong, f"clock is {trust.name.lower()}" if wrong else "")


def check_storage(state: StorageState | None, keep_free_bytes: int, *, is_open: bool) -> Finding:
    """Storage nearly full.

    The media store keeps `keep_free_bytes` free on its own; less than half of that means that
    something else fills the disk, or that eviction does not help. The issue is held until three
    quarters are free again, so that it does not flap.
    """
    if state is None:
        return Finding(Fault.STORAGE_FULL, None)
    limit = keep_free_bytes * 3 // 4 if is_open else keep_free_bytes // 2
    full = state.free_bytes < max(limit, LEAST_FREE_BYTES)
    detail = f"{state.free_bytes // MIB} of {state.total_bytes // MIB} MiB free" if full else ""
    return Finding(Fault.STORAGE_FULL, full, detail)
