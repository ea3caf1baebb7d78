"""Starts a player that dies with the board worker: `python leash.py PARENT MEMORY_BYTES COMMAND...`.

A player that outlives a killed worker would keep the display, and an emergency could not be shown. Run as a
script in a fresh interpreter, because code between fork and exec of a process with threads may hang.
MEMORY_BYTES limits the player, which then may write no file either; 0 is no limit.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def leashed(arguments: list[str], memory_bytes: int = 0) -> list[str]:
    """The command line that runs `arguments` on the leash of this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(memory_bytes), *arguments]


def _run(parent: int, memory_bytes: int, arguments: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        sys.exit(1)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(arguments[0], arguments)  # noqa: S606 - the point of this file
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    _run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
