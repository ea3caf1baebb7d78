"""The border to the kernel: all that a DRM driver asks of it, so that an emulated one can stand in."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
from pathlib import Path
from typing import Protocol

_EVENT_BYTES = 1024


class Mapping(Protocol):
    """Memory of a buffer. Write-combined on real hardware: never read it."""

    def write_at(self, start: int, data: memoryview) -> None: ...

    def close(self) -> None: ...


class Kernel(Protocol):
    """Calls of the operating system; each raises OSError as the system does."""

    def cards(self) -> list[Path]:
        """Display devices, such as `/dev/dri/card0`."""
        ...

    def open(self, path: Path) -> int: ...

    def ioctl(self, file: int, request: int, buffer: bytearray | None) -> None:
        """Ask; `buffer` is changed. User memory that it points to is written by the kernel."""
        ...

    def map(self, file: int, size: int, offset: int) -> Mapping: ...

    def events(self, file: int, limit_s: float) -> bytes:
        """Read what has happened; empty when nothing did in time."""
        ...

    def close(self, file: int) -> None: ...

    def holders(self, path: Path) -> list[str]:
        """Names of other programs that hold this device open, as far as we may see them."""
        ...


class _Mapped:
    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    def write_at(self, start: int, data: memoryview) -> None:
        self._memory[start : start + len(data)] = data

    def close(self) -> None:
        self._memory.close()


class LinuxKernel:
    """The real one."""

    def cards(self) -> list[Path]:
        return sorted(Path("/dev/dri").glob("card*"))

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def ioctl(self, file: int, request: int, buffer: bytearray | None) -> None:
        if buffer is None:
            fcntl.ioctl(file, request, 0)
        else:
            fcntl.ioctl(file, request, buffer, True)

    def map(self, file: int, size: int, offset: int) -> Mapping:
        return _Mapped(
            mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)
        )

    def events(self, file: int, limit_s: float) -> bytes:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        if not poll.poll(limit_s * 1000):
            return b""
        return os.read(file, _EVENT_BYTES)

    def close(self, file: int) -> None:
        os.close(file)

    def holders(self, path: Path) -> list[str]:
        names = set()
        for process in Path("/proc").glob("[0-9]*"):
            if process.name == str(os.getpid()):
                continue
            try:
                held = any(link.readlink() == path for link in (process / "fd").iterdir())
                if held:
                    names.add((process / "comm").read_text().strip())
            except OSError:
                continue
        return sorted(names)
