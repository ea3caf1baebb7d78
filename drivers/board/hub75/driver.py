"""HUB75 panels on the pins of a Raspberry Pi, through `rgbmatrix`. Untested on hardware.

The library (hzeller/rpi-rgb-led-matrix, GPL-2.0-or-later, not on PyPI) is no dependency: it is imported
only by `host.py`, a process of its own. It wants root to begin with and one core on a Pi up to 4; the
on-board sound must be off (`dtparam=audio=off`), so the horn needs HDMI, USB or I2S sound. Sensible sizes:
16 K pixels a chain.

Panels show nothing without somebody refreshing them: leaving `open()` is dark even if a safe screen was
given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, DriverSetupError, Options
from drivers.board.hub75.output import Hub75Output
from drivers.board.surface import open_surface
from drivers.options import boolean, integer, maybe_integer, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

_MAPPINGS = ("regular", "adafruit-hat", "adafruit-hat-pwm", "compute-module")
_NUMBERS = {
    "rows": (8, 64),
    "cols": (8, 128),
    "gpio_slowdown": (0, 10),
    "pwm_bits": (1, 11),
    "pwm_lsb_nanoseconds": (50, 3000),
    "pwm_dither_bits": (0, 2),
    "row_address_type": (0, 5),
    "multiplexing": (0, 17),
    "limit_refresh_rate_hz": (0, 1000),
}
_TEXTS = ("panel_type", "led_rgb_sequence", "pixel_mapper_config")
_FLAGS = ("inverse_colors", "disable_hardware_pulsing", "drop_privileges")
_MAX_PIXELS = 100_000
_LIMIT_S = 10.0


class Hub75Board:
    """Panels that together have the size of the board. Leaving `open()` is dark."""

    _known = (
        frozenset({"width_px", "height_px", "chain", "parallel", "hardware_mapping", "brightness", "python"})
        | frozenset(_NUMBERS)
        | frozenset(_TEXTS)
        | frozenset(_FLAGS)
    )

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        options: Mapping[str, object],
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Remember the panels.

        Args:
            name: of the board, for messages.
            geometry: of the panels together.
            options: attributes of `RGBMatrixOptions`.
            python: interpreter that has `rgbmatrix`.
            environment: added to that of the host.
        """
        self.name = name
        self._geometry = geometry
        self._options = dict(options)
        self._python = python
        self._environment = dict(environment or {})

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from the options; raises DriverSetupError.

        `width_px`, `height_px`: required. `rows` (8 to 64, default 32) and `cols` (8 to 128, default 64) of
        one panel, `chain` (1 to 32), `parallel` (1 to 6): default what makes the board's size.
        `hardware_mapping`: `regular` (default), `adafruit-hat`, `adafruit-hat-pwm`, `compute-module`.
        `gpio_slowdown`: 0 to 10, default that of the library. `brightness`: 1 to 100 percent at the start,
        default 100. `python`: interpreter that has `rgbmatrix`. The rest as in the library: `pwm_bits`,
        `pwm_lsb_nanoseconds`, `pwm_dither_bits`, `row_address_type`, `multiplexing`,
        `limit_refresh_rate_hz`, `panel_type`, `led_rgb_sequence`, `pixel_mapper_config`, `inverse_colors`,
        `disable_hardware_pulsing`, `drop_privileges`.
        """
        refuse_unknown(name, options, cls._known)
        width = integer(name, options, "width_px", low=8, high=4096)
        height = integer(name, options, "height_px", low=8, high=4096)
        if width * height > _MAX_PIXELS:
            raise DriverSetupError(f"{name}: {width}x{height} px; the library drives {_MAX_PIXELS} at most")
        rows = integer(name, options, "rows", low=8, high=64, default=32)
        cols = integer(name, options, "cols", low=8, high=128, default=64)
        mapping = text(name, options, "hardware_mapping", "regular")
        if mapping not in _MAPPINGS:
            raise DriverSetupError(f"{name}: option 'hardware_mapping' must be one of {', '.join(_MAPPINGS)}")
        chosen: dict[str, object] = {
            "rows": rows,
            "cols": cols,
            "chain_length": integer(
                name, options, "chain", low=1, high=32, default=min(32, max(1, width // cols))
            ),
            "parallel": integer(
                name, options, "parallel", low=1, high=6, default=min(6, max(1, height // rows))
            ),
            "hardware_mapping": mapping,
            "brightness": integer(name, options, "brightness", low=1, high=100, default=100),
        }
        for key, (low, high) in _NUMBERS.items():
            if (value := maybe_integer(name, options, key, low=low, high=high)) is not None:
                chosen[key] = value
        chosen |= {key: text(name, options, key) for key in _TEXTS if key in options}
        chosen |= {key: boolean(name, options, key, default=False) for key in _FLAGS if key in options}
        return cls(name, BoardGeometry(width, height), chosen, text(name, options, "python", sys.executable))

    def open(self) -> AbstractAsyncContextManager[Board]:
        return open_surface(
            self.name,
            self._geometry,
            lambda: Hub75Output(self.name, self._geometry, self._options, self._python, self._environment),
            limit_s=_LIMIT_S,
        )


if TYPE_CHECKING:
    _driver: type[BoardDriver] = Hub75Board
