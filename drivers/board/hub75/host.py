"""Refreshes HUB75 panels with the library `rgbmatrix`, in a process of its own.

The library is under GPL-2.0-or-later and needs one core and, to begin with, root; so this file imports
nothing of the project, is started as a script, and only takes pictures and a few words. Licensed Apache-2.0
like the rest.

    host.py FD WIDTH HEIGHT OPTIONS

FD is shared memory with the picture, rows of R G B; OPTIONS is JSON with attributes of `RGBMatrixOptions`.
One word a line on standard input, one answer a line on standard output: `show`, `clear`, `brightness
1..100`, `ping`; `ok` or `error TEXT`. The first line of output is `ready WIDTH HEIGHT` or `error TEXT`. It
ends, dark, when standard input does.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_ARGUMENTS = 5


def _say(text: str) -> None:
    sys.stdout.write(text.replace("\n", " ") + "\n")
    sys.stdout.flush()


class _Panels:
    def __init__(self, file: int, width: int, height: int, options: dict[str, Any]) -> None:
        from PIL import Image  # noqa: PLC0415  a missing library becomes an answer, not a traceback

        library: Any = importlib.import_module("rgbmatrix")

        chosen = library.RGBMatrixOptions()
        for name, value in options.items():
            setattr(chosen, name, value)
        self._memory = mmap.mmap(file, width * height * 3, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(file)
        self._matrix = library.RGBMatrix(options=chosen)
        self._back = self._matrix.CreateFrameCanvas()
        # Pillow keeps RGB in four bytes, so each picture has to be copied out of the shared memory.
        self._picture: Callable[[], Image.Image] = lambda: Image.frombytes(
            "RGB", (width, height), self._memory[:]
        )
        self.size = (self._matrix.width, self._matrix.height)

    def show(self) -> None:
        self._back.SetImage(self._picture())
        self._back = self._matrix.SwapOnVSync(self._back)

    def clear(self) -> None:
        self._back.Clear()
        self._back = self._matrix.SwapOnVSync(self._back)

    def brightness(self, percent: int) -> None:
        self._matrix.brightness = percent
        self._back.brightness = percent


def _serve(panels: _Panels) -> None:
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        try:
            if word == "show":
                panels.show()
            elif word == "clear":
                panels.clear()
            elif word == "brightness":
                panels.brightness(int(value))
            elif word != "ping":
                _say(f"error unknown word {word!r}")
                continue
        except Exception as error:  # noqa: BLE001  told to whoever asked
            _say(f"error {type(error).__name__}: {error}")
        else:
            _say("ok")


def main() -> int:
    # A service manager signals all processes: we end with our input, when the board was made safe.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if len(sys.argv) != _ARGUMENTS:
        _say("error wants: FD WIDTH HEIGHT OPTIONS")
        return 2
    try:
        width, height = int(sys.argv[2]), int(sys.argv[3])
        panels = _Panels(int(sys.argv[1]), width, height, json.loads(sys.argv[4]))
    except Exception as error:  # noqa: BLE001  told to whoever started us
        _say(f"error {type(error).__name__}: {error}")
        return 1
    _say("ready {} {}".format(*panels.size))
    try:
        _serve(panels)
    finally:
        panels.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
