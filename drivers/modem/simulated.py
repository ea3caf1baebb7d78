"""The mobile link of a simulated box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Bearer, Options, UplinkState
from drivers.options import refuse_unknown
from drivers.simulation import FaultFile, place

if TYPE_CHECKING:
    from drivers.api import UplinkSensor

_SIGNAL_DBM = -71


class SimulatedUplink:
    """Registered on a mobile network; carries data unless `sim_out_of_data`."""

    def __init__(self, directory: Path) -> None:
        self._faults = FaultFile(directory)

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, frozenset({"dir", "zone"}))
        return cls(place(name, options)[0])

    def read(self) -> UplinkState:
        return UplinkState(
            Bearer.CELLULAR, signal_dbm=_SIGNAL_DBM, data=not self._faults.current().sim_out_of_data
        )


if TYPE_CHECKING:
    _driver: type[UplinkSensor] = SimulatedUplink
