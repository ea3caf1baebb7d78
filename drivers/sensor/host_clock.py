"""Where the wall clock of this machine was set from: the kernel knows whether something keeps it right."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from drivers.api import ClockSource, ClockState, DeviceUnavailableError, Options
from drivers.options import refuse_unknown

if TYPE_CHECKING:
    from drivers.api import ClockSensor

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class Discipline(NamedTuple):
    """What adjtimex(2) says.

    Attributes:
        state: TIME_OK (0) to TIME_ERROR (5).
        status: STA_* bits.
        maxerror_us: bound of the error, microseconds.
        esterror_us: estimate of the error, microseconds.
    """

    state: int
    status: int
    maxerror_us: int
    esterror_us: int


class _Timex(ctypes.Structure):
    """`struct timex` of Linux; `long` makes it right on 32 and 64 bit. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_long * 32),
    )


def read_discipline() -> Discipline:
    """Ask the kernel; raises OSError when it refuses (some containers)."""
    timex = _Timex()
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, errno.errorcode.get(number, "adjtimex"))
    return Discipline(state, timex.status, timex.maxerror, timex.esterror)


class HostClock:
    """Synchronised when the kernel says so, else RTC when one set the clock at boot, else unknown."""

    def __init__(
        self, sysfs: Path = Path("/sys"), discipline: Callable[[], Discipline] = read_discipline
    ) -> None:
        """Remember where to ask.

        Args:
            sysfs: root of sysfs.
            discipline: asks the kernel.
        """
        self._sysfs = sysfs
        self._discipline = discipline

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build; there are no options. Raises DriverSetupError when there is one."""
        refuse_unknown(name, options, frozenset())
        return cls()

    def read(self) -> ClockState:
        """Raises DeviceUnavailableError when the kernel does not answer."""
        try:
            found = self._discipline()
        except OSError as error:
            raise DeviceUnavailableError(f"clock: adjtimex: {error}") from error
        if found.state != _TIME_ERROR and not found.status & _STA_UNSYNC:
            # A daemon that gives no estimate leaves it at 0; then only the bound is known.
            error_us = found.esterror_us or found.maxerror_us
            return ClockState(ClockSource.SYNCHRONISED, error_ms=error_us / 1000)
        return ClockState(ClockSource.RTC if self._set_by_rtc() else ClockSource.UNKNOWN)

    def _set_by_rtc(self) -> bool:
        for chip in sorted((self._sysfs / "class/rtc").glob("rtc*")):
            try:
                if (chip / "hctosys").read_text(encoding="ascii").strip() == "1":
                    return True
            except (OSError, UnicodeDecodeError):
                continue
        return False


if TYPE_CHECKING:
    _driver: type[ClockSensor] = HostClock
