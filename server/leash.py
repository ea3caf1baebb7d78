"""Starts a child that dies with the server: `python leash.py PARENT SIGNAL CPU_S FILE_BYTES COMMAND...`.

Run as a script in a fresh interpreter, because code between fork and exec of a process with threads
may hang; imports nothing of ours for a quick start. CPU_S and FILE_BYTES limit the child; 0 is no limit.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def command(
    *arguments: str, on_death: signal.Signals = signal.SIGKILL, cpu_s: int = 0, file_bytes: int = 0
) -> list[str]:
    """The command line that runs `arguments` on the leash of this process."""
    limits = (str(os.getpid()), str(int(on_death)), str(cpu_s), str(file_bytes))
    return [sys.executable, "-I", "-S", __file__, *limits, *arguments]


def _run(parent: int, on_death: int, cpu_s: int, file_bytes: int, arguments: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, on_death, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        sys.exit(1)
    if cpu_s:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(arguments[0], arguments)  # noqa: S606 - the point of this file
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    _run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
