"""The network link of this machine, as the kernel shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Bearer, Options, UplinkState
from drivers.options import refuse_unknown

if TYPE_CHECKING:
    from drivers.api import UplinkSensor

_ROUTE_UP = 0x1
_MODEM_DRIVERS = frozenset(
    {"cdc_ether", "cdc_ncm", "cdc_mbim", "cdc_eem", "qmi_wwan", "rndis_host", "huawei_cdc_ncm"}
)
_MODEM_NAMES = re.compile(r"^(wwan|ppp|rmnet)")
_ROUTE_FIELDS = 8


class HostUplink:
    """Looks at the interface of the default route with the lowest metric."""

    def __init__(self, proc: Path = Path("/proc"), sysfs: Path = Path("/sys")) -> None:
        """Remember where to look.

        Args:
            proc: root of procfs.
            sysfs: root of sysfs.
        """
        self._proc = proc
        self._net = sysfs / "class/net"

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build; there are no options. Raises DriverSetupError when there is one."""
        refuse_unknown(name, options, frozenset())
        return cls()

    def read(self) -> UplinkState:
        """Bearer NONE when there is no default route or its interface is down."""
        interface = self._default_interface()
        if interface is None or self._text(interface, "operstate") == "down":
            return UplinkState(Bearer.NONE, signal_dbm=None, data=None)
        bearer = self._bearer(interface)
        signal = self._wifi_dbm(interface) if bearer is Bearer.WIFI else None
        return UplinkState(bearer, signal_dbm=signal, data=None)

    def _default_interface(self) -> str | None:
        """IPv4 first, then IPv6: a box on an IPv6-only mobile network has no route of the other kind."""
        try:
            lines = (self._proc / "net/route").read_text(encoding="ascii", errors="replace").splitlines()[1:]
        except OSError:
            lines = []
        best: tuple[int, str] | None = None
        for line in lines:
            fields = line.split()
            if len(fields) < _ROUTE_FIELDS or fields[1] != "00000000" or fields[7] != "00000000":
                continue
            if int(fields[3], 16) & _ROUTE_UP and (best is None or int(fields[6]) < best[0]):
                best = (int(fields[6]), fields[0])
        return best[1] if best is not None else self._default_interface6()

    def _default_interface6(self) -> str | None:
        try:
            lines = (self._proc / "net/ipv6_route").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return None
        best: tuple[int, str] | None = None
        for line in lines:
            fields = line.split()
            if len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":  # noqa: PLR2004  columns of ipv6_route
                metric = int(fields[5], 16)
                if best is None or metric < best[0]:
                    best = (metric, fields[9])
        return None if best is None else best[1]

    def _bearer(self, interface: str) -> Bearer:
        base = self._net / interface
        if (base / "wireless").exists() or (base / "phy80211").exists():
            return Bearer.WIFI
        uevent = self._text(interface, "uevent")
        driver = re.search(r"^DRIVER=(\S+)$", self._text(interface, "device/uevent"), re.MULTILINE)
        if (
            _MODEM_NAMES.match(interface)
            or "DEVTYPE=wwan" in uevent
            or (interface.startswith("usb") and driver is not None and driver.group(1) in _MODEM_DRIVERS)
        ):
            return Bearer.CELLULAR
        return Bearer.ETHERNET

    def _wifi_dbm(self, interface: str) -> int | None:
        try:
            text = (self._proc / "net/wireless").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        found = re.search(rf"^\s*{re.escape(interface)}:\s+\S+\s+\S+\s+(-?\d+)", text, re.MULTILINE)
        return int(found.group(1)) if found is not None and int(found.group(1)) < 0 else None

    def _text(self, interface: str, attribute: str) -> str:
        try:
            return (self._net / interface / attribute).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""


if TYPE_CHECKING:
    _driver: type[UplinkSensor] = HostUplink
