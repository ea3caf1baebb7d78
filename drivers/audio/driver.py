"""Sound outputs: a sound card through ALSA, and a simulated one that writes `speaker.wav`."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers.api import Audio, DriverSetupError, Options
from drivers.audio.client import open_worker
from drivers.options import integer, refuse_unknown, text
from drivers.simulation import place

if TYPE_CHECKING:
    from drivers.api import AudioDriver

_KEEP_MINUTES_MAX = 600
_PPM_MAX = 2000
_BY_NAME = re.compile(
    r"[a-z0-9_]*:CARD=([A-Za-z_][A-Za-z0-9_]*)(,.*)?|(plug)?hw:([A-Za-z_][A-Za-z0-9_]*)(,.*)?"
)


class AlsaAudio:
    """A sound card, addressed by name; never another one instead."""

    _known = frozenset({"device", "card_name", "alsa_config"})

    def __init__(self, name: str, device: str, alsa_config: str = "", card_name: str = "") -> None:
        """Remember the card.

        Args:
            name: of the output, for messages.
            device: ALSA name such as "plughw:CARD=Device,DEV=0"; stable where card numbers are not.
            alsa_config: path of an ALSA configuration file to use instead of the system's, or "".
            card_name: part of what the card must call itself (`/proc/asound/cards`), or "" for anything.
        """
        self.name = name
        self._device = device
        self._alsa_config = alsa_config
        self._card_name = card_name

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `device` (required), `card_name` and `alsa_config`.

        Raises:
            DriverSetupError: an option is wrong, or the device is not named by its card.
        """
        refuse_unknown(name, options, cls._known)
        device, config = text(name, options, "device"), text(name, options, "alsa_config", "")
        if not config and not _BY_NAME.fullmatch(device):
            raise DriverSetupError(
                f"{name}: option 'device' {device!r} may be another card tomorrow: name the card, as in "
                "\"plughw:CARD=Device,DEV=0\" (`aplay -L` lists the names), or give 'alsa_config' as well"
            )
        return cls(name, device, config, text(name, options, "card_name", ""))

    def open(self) -> AbstractAsyncContextManager[Audio]:
        environment = {"ALSA_CONFIG_PATH": self._alsa_config} if self._alsa_config else {}
        options = {"kind": "alsa", "device": self._device, "card_name": self._card_name}
        return open_worker(self.name, options, environment)


class SimulatedAudio:
    """A sound card, amplifier path and horn made of a file; see `drivers.audio.simulated`."""

    _known = frozenset({"dir", "zone", "keep_minutes", "listen", "ppm"})

    def __init__(
        self,
        name: str,
        directory: str,
        zone: str = "main",
        keep_minutes: int = 60,
        *,
        listen: str = "",
        ppm: int = 0,
    ) -> None:
        """Remember the place.

        Args:
            name: of the output, for messages.
            directory: of the simulated box.
            zone: "main" writes `speaker.wav`, any other `speaker-<zone>.wav`.
            keep_minutes: how much of the past the file holds, 1 to 600.
            listen: ALSA device that also plays it aloud, or "".
            ppm: by how many millionths the card's crystal is too fast, -2000 to 2000.
        """
        self.name = name
        self._options = {
            "kind": "simulated",
            "dir": directory,
            "zone": zone,
            "keep_minutes": keep_minutes,
            "listen": listen,
            "ppm": ppm,
        }

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required), `zone`, `keep_minutes`, `listen`, `ppm`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        keep = integer(name, options, "keep_minutes", low=1, high=_KEEP_MINUTES_MAX, default=60)
        ppm = integer(name, options, "ppm", low=-_PPM_MAX, high=_PPM_MAX, default=0)
        return cls(
            name, str(directory.absolute()), zone, keep, listen=text(name, options, "listen", ""), ppm=ppm
        )

    def open(self) -> AbstractAsyncContextManager[Audio]:
        return open_worker(self.name, self._options)


if TYPE_CHECKING:
    _drivers: tuple[type[AudioDriver], ...] = (AlsaAudio, SimulatedAudio)
