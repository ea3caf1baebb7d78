"""The host process of HUB75 panels, fed through shared memory."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    PixelFormat,
    TickerKind,
)

_HOST = Path(__file__).with_name("host.py")
_START_S = 8.0  # Python, Pillow and the panels on a small Pi
_ANSWER_S = 1.0
_END_S = 0.5
_LINE_BYTES = 2000
_REFRESH_HZ = 60

INSTALL = (
    "install it into this environment: pip install git+https://github.com/hzeller/rpi-rgb-led-matrix "
    "(GPL-2.0-or-later, not part of this software)"
)


class Hub75Output:
    """Panels refreshed by a child process, as an `Output`. Without that process panels are dark."""

    pixel_format = PixelFormat.RGB
    abilities = BoardAbilities(ticker=TickerKind.FRAMES, refresh_hz=_REFRESH_HZ, brightness=True)
    paces = False

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        options: Mapping[str, object],
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the host.

        Args:
            name: of the board, for messages.
            geometry: of the panels together.
            options: attributes of `RGBMatrixOptions`.
            python: interpreter that has `rgbmatrix`.
            environment: added to ours.

        Raises:
            DeviceUnavailableError: the library is not installed, or the panels cannot be driven here.
            DeviceRefusedError: the panels together have another size.
        """
        self._name = name
        self._geometry = geometry
        self._level: float | None = None
        self._showing = False
        size = geometry.width_px * geometry.height_px * 3
        file = os.memfd_create("hub75", os.MFD_CLOEXEC)
        try:
            os.ftruncate(file, size)
            self._memory = mmap.mmap(file, size)
            sizes = (str(geometry.width_px), str(geometry.height_px))
            self._process = subprocess.Popen(
                [python, "-P", str(_HOST), str(file), *sizes, json.dumps(dict(options))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(file,),
                env={**os.environ, **(environment or {})},
            )
        finally:
            os.close(file)
        self._unread = b""
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def take(self) -> object:
        return True

    def check(self) -> None:
        if self._process.poll() is not None:
            raise DeviceUnavailableError(f"{self._name}: its host ended with {self._process.returncode}")

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        del wait
        row = self._geometry.width_px * 3
        rows = slice(top_px * row, bottom_px * row)
        self._memory[rows] = picture[rows]
        self._tell("show")
        self._showing = True

    def brightness(self, level: float) -> None:
        """Set all panels from 1 to 100 %; what is shown is drawn again with it."""
        self._tell(f"brightness {max(1, round(level * 100))}")
        self._level = level
        if self._showing:
            self._tell("show")

    def status(self, picture: memoryview) -> BoardStatus:
        del picture
        self._tell("ping")
        return BoardStatus(
            model="HUB75", brightness=self._level, lost=False, detail=f"host {self._process.pid}"
        )

    def give_back(self, former: object) -> None:
        """Go dark: nothing was there before us."""
        del former
        self._showing = False
        self._tell("clear")

    def close(self) -> None:
        """End the host; it makes the panels dark."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._memory.close()

    def _begin(self) -> None:
        word, _, rest = self._answer(_START_S).partition(" ")
        if word == "error" and "No module named 'rgbmatrix'" in rest:
            raise DeviceUnavailableError(f"{self._name}: rgbmatrix is missing; {INSTALL}")
        if word == "error":
            raise DeviceUnavailableError(f"{self._name}: {rest}")
        if word != "ready":
            raise DeviceProtocolError(f"{self._name}: host said {word!r}")
        wanted = f"{self._geometry.width_px} {self._geometry.height_px}"
        if rest != wanted:
            raise DeviceRefusedError(f"{self._name}: panels of {rest} px; the board should have {wanted} px")

    def _tell(self, line: str) -> None:
        self.check()
        pipe = self._process.stdin
        if pipe is None:
            raise DeviceUnavailableError(f"{self._name}: host has no input")
        pipe.write(line.encode() + b"\n")
        pipe.flush()
        word, _, rest = self._answer(_ANSWER_S).partition(" ")
        if word == "error":
            raise DeviceRefusedError(f"{self._name}: {rest}")
        if word != "ok":
            # What follows would be taken for the answer to something else: begin afresh.
            self._process.kill()
            raise DeviceProtocolError(f"{self._name}: host said {word[:80]!r}")

    def _answer(self, limit_s: float) -> str:
        """Read one line; a host that says nothing in time is ended."""
        pipe = self._process.stdout
        end_s = time.monotonic() + limit_s
        while pipe is not None and b"\n" not in self._unread and len(self._unread) < _LINE_BYTES:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
                self._process.kill()
                raise DeviceUnavailableError(f"{self._name}: host does not answer")
            part = os.read(pipe.fileno(), _LINE_BYTES)
            if not part:
                raise DeviceUnavailableError(f"{self._name}: its host ended")
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode("utf-8", "replace")
