"""From observations to findings."""

from __future__ import annotations

import pytest

from agent.health.checks import MIB, Finding, check_clock, check_power, check_storage, check_uplink
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from drivers.api import Bearer, PowerState, StorageState, UplinkState


@pytest.mark.parametrize(
    ("state", "present"),
    [
        (None, None),
        (PowerState(), None),
        (PowerState(mains=True), False),
        (PowerState(mains=False), True),
    ],
)
def test_mains_are_judged_only_where_something_measures_them(
    state: PowerState | None, present: bool | None
) -> None:
    assert check_power(state).present is present


def test_a_lost_mains_tells_the_voltage_of_the_backup() -> None:
    assert check_power(PowerState(mains=False, dc_volts=12.34)).detail == "no mains, 12.3 V DC"


@pytest.mark.parametrize(
    ("state", "no_network", "sim"),
    [
        (None, None, None),
        (UplinkState(Bearer.NONE, None, data=None), True, False),
        (UplinkState(Bearer.NONE, None, data=False), True, False),
        (UplinkState(Bearer.ETHERNET, None, data=None), False, False),
        (UplinkState(Bearer.ETHERNET, None, data=False), True, False),
        (UplinkState(Bearer.CELLULAR, -85, data=True), False, False),
        (UplinkState(Bearer.CELLULAR, -85, data=None), False, False),
        (UplinkState(Bearer.CELLULAR, -85, data=False), False, True),
    ],
)
def test_bars_but_no_data_is_a_fault_of_the_sim_not_of_the_network(
    state: UplinkState | None, no_network: bool | None, sim: bool | None
) -> None:
    network_finding, sim_finding = check_uplink(state)
    assert (network_finding.fault, network_finding.present) == (Fault.NO_NETWORK, no_network)
    assert (sim_finding.fault, sim_finding.present) == (Fault.SIM_NO_DATA, sim)


def test_a_sim_without_data_tells_the_signal() -> None:
    assert check_uplink(UplinkState(Bearer.CELLULAR, -85, data=False))[1].detail == (
        "cellular carries no data at -85 dBm"
    )


@pytest.mark.parametrize(
    ("trust", "present"),
    [
        (ClockTrust.UNKNOWN, True),
        (ClockTrust.RESTORED, True),
        (ClockTrust.RTC, False),
        (ClockTrust.SYNCHRONISED, False),
    ],
)
def test_a_clock_below_rtc_is_a_fault(trust: ClockTrust, present: bool | None) -> None:
    assert check_clock(trust).present is present


def room(free_mib: int) -> StorageState:
    return StorageState(total_bytes=8192 * MIB, free_bytes=free_mib * MIB)


@pytest.mark.parametrize(
    ("free_mib", "is_open", "present"),
    [(200, False, False), (128, False, False), (127, False, True), (191, True, True), (192, True, False)],
)
def test_storage_is_full_below_half_of_the_reserve_and_free_again_at_three_quarters(
    free_mib: int, is_open: bool, present: bool | None
) -> None:
    assert check_storage(room(free_mib), 256 * MIB, is_open=is_open).present is present


def test_storage_is_full_without_a_reserve_when_the_database_has_no_room() -> None:
    assert check_storage(room(15), 0, is_open=False).present is True
    assert check_storage(room(16), 0, is_open=False).present is False


def test_storage_that_does_not_answer_is_not_judged() -> None:
    assert check_storage(None, 0, is_open=False) == Finding(Fault.STORAGE_FULL, None)
