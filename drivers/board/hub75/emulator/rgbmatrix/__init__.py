"""Stands in for the Python binding of rpi-rgb-led-matrix, written from its documentation.

What lies on the panels is a file: `panels.rgb` in the directory named by RGBMATRIX_EMULATOR, rows of R G B,
and `panels.json` beside it with size, brightness and how many swaps there were. A file `fault` there makes
it fail: `hang` comes back from a swap only when it is gone, `exit` ends the process and keeps it from
starting, `garbage` writes to its standard output, any other text is raised. Without the directory it
refuses to start, as the real one does without the pins of a Raspberry Pi.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from PIL import Image

__all__ = ["FrameCanvas", "RGBMatrix", "RGBMatrixOptions"]

_MAPPINGS = ("regular", "adafruit-hat", "adafruit-hat-pwm", "compute-module")
_CHAINS_MAX = 6


class RGBMatrixOptions:
    """Attributes of the real one, with its defaults; any other name is an error, as in Cython."""

    __slots__ = (
        "brightness", "chain_length", "cols", "daemon", "disable_hardware_pulsing", "drop_privileges",
        "gpio_slowdown", "hardware_mapping", "inverse_colors", "led_rgb_sequence", "limit_refresh_rate_hz",
        "multiplexing", "panel_type", "parallel", "pixel_mapper_config", "pwm_bits", "pwm_dither_bits",
        "pwm_lsb_nanoseconds", "row_address_type", "rows", "scan_mode", "show_refresh_rate",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rows = 32
        self.cols = 32
        self.chain_length = 1
        self.parallel = 1
        self.brightness = 100
        self.hardware_mapping = "regular"
        self.gpio_slowdown = 1
        self.pwm_bits = 11


class FrameCanvas:
    """Memory that is shown by `SwapOnVSync`."""

    def __init__(self, width: int, height: int, brightness: int) -> None:
        self.width = width
        self.height = height
        self.brightness = brightness
        self.picture = Image.new("RGB", (width, height))

    def SetImage(  # noqa: N802  the name of the real one
        self, image: Image.Image, offset_x: int = 0, offset_y: int = 0, unsafe: bool = True
    ) -> None:
        """Copy a picture; it must be RGB."""
        del unsafe
        if image.mode != "RGB":
            raise Exception("Currently, only RGB mode is supported for SetImage().")  # noqa: TRY002  as the real one
        self.picture.paste(image, (offset_x, offset_y))

    def Clear(self) -> None:  # noqa: N802
        """Make it black."""
        self.picture = Image.new("RGB", (self.width, self.height))


class RGBMatrix:
    """The panels."""

    def __init__(
        self, rows: int = 32, chains: int = 1, parallel: int = 1, options: RGBMatrixOptions | None = None
    ) -> None:
        """Light up; refuses what the real one refuses."""
        chosen = options or RGBMatrixOptions()
        if options is None:
            chosen.rows, chosen.chain_length, chosen.parallel = rows, chains, parallel
        if chosen.hardware_mapping not in _MAPPINGS or not 1 <= chosen.parallel <= _CHAINS_MAX:
            raise RuntimeError(f"Unknown hardware mapping {chosen.hardware_mapping!r}")
        place = os.environ.get("RGBMATRIX_EMULATOR")
        if not place:
            raise RuntimeError("Must run on a Raspberry Pi")
        self._place = Path(place)
        self.width = chosen.cols * chosen.chain_length
        self.height = chosen.rows * chosen.parallel
        self.brightness = chosen.brightness
        self._front = FrameCanvas(self.width, self.height, self.brightness)
        self._swaps = 0
        if self._fault() == "exit":
            raise RuntimeError("no panels")
        self._store()

    def CreateFrameCanvas(self) -> FrameCanvas:  # noqa: N802
        """Make memory to draw into."""
        return FrameCanvas(self.width, self.height, self.brightness)

    def SwapOnVSync(self, canvas: FrameCanvas, framerate_fraction: int = 1) -> FrameCanvas:  # noqa: N802
        """Show what was drawn; return the canvas that was shown before."""
        del framerate_fraction
        self._break()
        self._front, before = canvas, self._front
        self._swaps += 1
        self._store()
        return before

    def _fault(self) -> str:
        try:
            return (self._place / "fault").read_text()
        except OSError:
            return ""

    def _break(self) -> None:
        fault = self._fault()
        if not fault:
            return
        if fault == "hang":
            while self._fault():
                time.sleep(0.02)
        elif fault == "exit":
            sys.exit(3)
        elif fault == "garbage":
            sys.stdout.write("\x00\xff free text\n")
            sys.stdout.flush()
        else:
            raise RuntimeError(fault)

    def _store(self) -> None:
        said = {
            "width": self.width,
            "height": self.height,
            "brightness": self.brightness,
            "swaps": self._swaps,
        }
        for name, data in (
            ("panels.rgb", self._front.picture.tobytes()),
            ("panels.json", json.dumps(said).encode()),
        ):
            fresh = self._place / f"{name}.new"
            fresh.write_bytes(data)
            fresh.replace(self._place / name)
