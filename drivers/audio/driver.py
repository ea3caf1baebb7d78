"""Sound outputs: a sound card through ALSA, and a simulated one that writes `speaker.wav`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers.api import Audio, Options
from drivers.audio.client import open_worker
from drivers.options import integer, refuse_unknown, text
from drivers.simulation import place

if TYPE_CHECKING:
    from drivers.api import AudioDriver

_KEEP_MINUTES_MAX = 600


class AlsaAudio:
    """A sound card, addressed by name; never another one instead."""

    _known = frozenset({"device", "alsa_config"})

    def __init__(self, name: str, device: str, alsa_config: str = "") -> None:
        """Remember the card.

        Args:
            name: of the output, for messages.
            device: ALSA name such as "plughw:CARD=Device,DEV=0"; stable where card numbers are not.
            alsa_config: path of an ALSA configuration file to use instead of the system's, or "".
        """
        self.name = name
        self._device = device
        self._alsa_config = alsa_config

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `device` (required) and `alsa_config`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(name, text(name, options, "device"), text(name, options, "alsa_config", ""))

    def open(self) -> AbstractAsyncContextManager[Audio]:
        environment = {"ALSA_CONFIG_PATH": self._alsa_config} if self._alsa_config else {}
        return open_worker(self.name, {"kind": "alsa", "device": self._device}, environment)


class SimulatedAudio:
    """A sound card, amplifier path and horn made of a file; see `drivers.audio.simulated`."""

    _known = frozenset({"dir", "zone", "keep_minutes", "listen"})

    def __init__(
        self, name: str, directory: str, zone: str = "main", keep_minutes: int = 60, listen: str = ""
    ) -> None:
        """Remember the place.

        Args:
            name: of the output, for messages.
            directory: of the simulated box.
            zone: "main" writes `speaker.wav`, any other `speaker-<zone>.wav`.
            keep_minutes: how much of the past the file holds, 1 to 600.
            listen: ALSA device that also plays it aloud, or "".
        """
        self.name = name
        self._options = {
            "kind": "simulated",
            "dir": directory,
            "zone": zone,
            "keep_minutes": keep_minutes,
            "listen": listen,
        }

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required), `zone`, `keep_minutes` and `listen`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        keep = integer(name, options, "keep_minutes", low=1, high=_KEEP_MINUTES_MAX, default=60)
        return cls(name, str(directory.absolute()), zone, keep, text(name, options, "listen", ""))

    def open(self) -> AbstractAsyncContextManager[Audio]:
        return open_worker(self.name, self._options)


if TYPE_CHECKING:
    _drivers: tuple[type[AudioDriver], ...] = (AlsaAudio, SimulatedAudio)
