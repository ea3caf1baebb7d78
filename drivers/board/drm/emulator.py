"""A display device and the kernel in front of it, written from linux/drm.h and linux/drm_mode.h.

Stands in at the system calls. Checks what the kernel checks: request numbers carry the size of their struct,
only the master sets modes and flips, one flip at a time, buffers belong to whoever made them, framebuffers
lie inside their memory. Rows of a buffer are longer than width * 4. Memory handed out cannot be read.
"""

from __future__ import annotations

import ctypes
import errno
import struct
import time
from pathlib import Path

from drivers.board.drm.emulated_parts import (
    Dumb,
    EmulatedConnector,
    Framebuffer,
    WriteOnly,
    emulated_mode,
    fail,
)

_PATH = Path("/dev/dri/card0")
_HDMI_A = 11
_VBLANK_HZ = 60


class EmulatedKernel:
    """One card with one scan-out engine per connector. Connector ids are 31, 32 ..., CRTCs 51, 52 ..."""

    def __init__(self, connectors: int = 2, *, closes_softly: bool = True) -> None:
        """Make the card.

        Args:
            connectors: `HDMI-A-1` and so on; a display is at the first only.
            closes_softly: whether this kernel knows CLOSEFB.
        """
        self.connectors = [
            EmulatedConnector(number + 1, connected=number == 0) for number in range(connectors)
        ]
        self.crtcs: dict[int, tuple[int, bytes]] = {51 + n: (0, bytes(68)) for n in range(connectors)}
        self.closes_softly = closes_softly
        self.absent = False
        self.master: int | None = None
        self.calls = 0
        self.flips = 0
        self.mode_sets = 0
        self.vblank_stuck = False
        self.declines = False
        self.garbage_events = b""
        self._files: set[int] = set()
        self._next = 100
        self._dumbs: dict[int, Dumb] = {}
        self._framebuffers: dict[int, Framebuffer] = {}
        self._pending: tuple[int, int, int, float] | None = None
        self._events: list[bytes] = []

    # What people see and do.

    def picture(self, width: int, height: int, connector: int = 0) -> bytes:
        """R G B of the upper left part of what one connector's display shows; black if it shows nothing."""
        self._vblank(None)
        fb_id, _ = self.crtcs[51 + connector]
        found = self._framebuffers.get(fb_id)
        if found is None or found.dumb is None:
            return bytes(width * height * 3)
        rgb = bytearray()
        for row in range(height):
            start = row * found.pitch
            for at in range(start, start + width * 4, 4):
                pixel = int.from_bytes(found.dumb.memory[at : at + 4], "little")
                rgb += bytes((pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255))
        return bytes(rgb)

    def other_program(self, byte: int = 0x3C) -> None:
        """Put a picture of another program on the first display, such as the console of the kernel."""
        width, height, rate = self.connectors[0].modes[0]
        fb_id = self._number()
        dumb = Dumb(width, height, width * 4, bytearray([byte]) * (width * 4 * height), -1)
        self._framebuffers[fb_id] = Framebuffer(width, height, width * 4, dumb, -1)
        self.crtcs[51] = (fb_id, emulated_mode(width, height, rate, preferred=True))

    # System calls.

    def cards(self) -> list[Path]:
        return [] if self.absent else [_PATH]

    def open(self, path: Path) -> int:
        self.calls += 1
        if self.absent or path != _PATH:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        file = self._number()
        self._files.add(file)
        if self.master is None:
            self.master = file
        return file

    def close(self, file: int) -> None:
        self.calls += 1
        if file not in self._files:
            raise fail(errno.EBADF, "Bad file descriptor")
        self._files.remove(file)
        if self.master == file:
            self.master = None
        for fb_id in [one for one, found in self._framebuffers.items() if found.owner == file]:
            self._remove_fb(fb_id)
        for handle in [one for one, dumb in self._dumbs.items() if dumb.owner == file]:
            del self._dumbs[handle]

    def map(self, file: int, size: int, offset: int) -> WriteOnly:
        self.calls += 1
        self._require(file)
        dumb = self._dumbs.get(offset >> 32)
        if dumb is None or offset & 0xFFF or size > len(dumb.memory) or dumb.owner != file:
            raise fail(errno.EINVAL, "Invalid argument")
        return WriteOnly(dumb.memory)

    def events(self, file: int, limit_s: float) -> bytes:
        self.calls += 1
        self._require(file)
        end_s = time.monotonic() + limit_s
        while True:
            self._vblank(file)
            if self._events:
                return self._events.pop(0)
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return b""
            due_s = self._pending[3] if self._pending is not None and not self.vblank_stuck else end_s
            time.sleep(max(0.0002, min(left_s, due_s - time.monotonic())))

    def holders(self, path: Path) -> list[str]:
        return [] if path != _PATH or self.master is None else ["kiosk"]

    def ioctl(self, file: int, request: int, buffer: bytearray | None) -> None:
        self.calls += 1
        self._require(file)
        size, number = request >> 16 & 0x3FFF, request & 0xFF
        if request >> 8 & 0xFF != 0x64:
            raise fail(errno.ENOTTY, "Inappropriate ioctl for device")
        if size != (0 if buffer is None else len(buffer)):
            raise fail(errno.EFAULT, f"request says {size} bytes, struct has {len(buffer or b'')}")
        call = {
            0x1E: self._set_master, 0x1F: self._drop_master, 0xA0: self._resources, 0xA1: self._get_crtc,
            0xA2: self._set_crtc, 0xA6: self._encoder, 0xA7: self._connector, 0xAE: self._add_fb,
            0xAF: self._rm_fb, 0xB0: self._flip, 0xB2: self._create, 0xB3: self._map_offset,
            0xB4: self._destroy, 0xD0: self._close_fb,
        }.get(number)  # fmt: skip
        if call is None:
            raise fail(errno.ENOTTY, "Inappropriate ioctl for device")
        call(file, buffer if buffer is not None else bytearray())

    # Ioctls.

    def _set_master(self, file: int, _: bytearray) -> None:
        if self.master not in (None, file):
            raise fail(errno.EBUSY, "Device or resource busy")
        self.master = file

    def _drop_master(self, file: int, _: bytearray) -> None:
        self._require_master(file, errno.EINVAL)
        self.master = None

    def _resources(self, _: int, buffer: bytearray) -> None:
        fbs, crtcs, connectors, encoders, *counts = struct.unpack("<4Q8I", buffer)
        ids: tuple[list[int], ...] = (
            [],
            list(self.crtcs),
            [31 + n for n in range(len(self.connectors))],
            [41 + n for n in range(len(self.connectors))],
        )
        for pointer, have, found in zip((fbs, crtcs, connectors, encoders), counts[:4], ids, strict=True):
            if have >= len(found):
                self._put(pointer, struct.pack(f"<{len(found)}I", *found))
        sizes = (len(one) for one in ids)
        buffer[:] = struct.pack("<4Q8I", fbs, crtcs, connectors, encoders, *sizes, 32, 8192, 32, 8192)

    def _connector(self, _: int, buffer: bytearray) -> None:
        values = list(struct.unpack("<4Q12I", buffer))
        index = values[8] - 31
        if not 0 <= index < len(self.connectors):
            raise fail(errno.ENOENT, "No such file or directory")
        one = self.connectors[index]
        modes = [emulated_mode(*mode, preferred=n == 0) for n, mode in enumerate(one.modes)]
        modes = modes if one.connected else []
        if modes and values[4] >= len(modes):
            self._put(values[1], b"".join(modes))
        if values[6] >= 1:
            self._put(values[0], struct.pack("<I", 41 + index))
        used = 41 + index if self.crtcs[51 + index][0] else 0
        buffer[:] = struct.pack(
            "<4Q12I", *values[:4], len(modes), 0, 1, used, values[8], _HDMI_A, one.number,
            1 if one.connected else 2, *(one.size_mm if one.connected else (0, 0)), 1, 0,
        )  # fmt: skip

    def _encoder(self, _: int, buffer: bytearray) -> None:
        index = struct.unpack_from("<I", buffer)[0] - 41
        if not 0 <= index < len(self.connectors):
            raise fail(errno.ENOENT, "No such file or directory")
        crtc = 51 + index if self.crtcs[51 + index][0] else 0
        buffer[:] = struct.pack("<5I", 41 + index, 2, crtc, 1 << index, 0)

    def _get_crtc(self, _: int, buffer: bytearray) -> None:
        self._vblank(None)
        crtc = struct.unpack_from("<Q2I", buffer)[2]
        if crtc not in self.crtcs:
            raise fail(errno.ENOENT, "No such file or directory")
        fb_id, mode = self.crtcs[crtc]
        buffer[:] = struct.pack("<Q7I68s", 0, 0, crtc, fb_id, 0, 0, 256, int(any(mode)), mode)

    def _set_crtc(self, file: int, buffer: bytearray) -> None:
        self._require_master(file, errno.EACCES)
        pointer, count, crtc, fb_id, x, y, _gamma, valid, mode = struct.unpack("<Q7I68s", buffer)
        if crtc not in self.crtcs:
            raise fail(errno.ENOENT, "No such file or directory")
        if self.declines:
            raise fail(errno.EINVAL, "Invalid argument")
        self._pending = None
        if not fb_id:
            if valid or count:
                raise fail(errno.EINVAL, "a mode or connectors without a framebuffer")
            self.crtcs[crtc] = (0, bytes(68))
            return
        fb = self._framebuffers.get(fb_id)
        wanted = struct.unpack(f"<{count}I", ctypes.string_at(pointer, 4 * count)) if count else ()
        if fb is None:
            raise fail(errno.ENOENT, "No such framebuffer")
        if not valid or wanted != (crtc - 20,):
            raise fail(errno.EINVAL, "needs a mode and the connectors of this engine")
        width, height = struct.unpack_from("<H", mode, 4)[0], struct.unpack_from("<H", mode, 14)[0]
        known = [one[:2] for one in self.connectors[crtc - 51].modes]
        if (width, height) not in known or x + width > fb.width or y + height > fb.height:
            raise fail(errno.ENOSPC, "framebuffer smaller than the mode, or no such mode")
        self.mode_sets += 1
        self.crtcs[crtc] = (fb_id, mode)

    def _create(self, file: int, buffer: bytearray) -> None:
        height, width, bpp, flags, *_ = struct.unpack("<6IQ", buffer)
        if bpp != 32 or flags or not 0 < width <= 8192 or not 0 < height <= 8192:
            raise fail(errno.EINVAL, "Invalid argument")
        pitch = (width * 4 // 256 + 1) * 256
        handle = self._number()
        self._dumbs[handle] = Dumb(width, height, pitch, bytearray(b"\x5a") * (pitch * height), file)
        buffer[:] = struct.pack("<6IQ", height, width, bpp, 0, handle, pitch, pitch * height)

    def _map_offset(self, file: int, buffer: bytearray) -> None:
        handle = struct.unpack_from("<I", buffer)[0]
        self._owned(file, handle)
        buffer[:] = struct.pack("<2IQ", handle, 0, handle << 32)

    def _destroy(self, file: int, buffer: bytearray) -> None:
        handle = struct.unpack("<I", buffer)[0]
        self._owned(file, handle)
        del self._dumbs[handle]

    def _add_fb(self, file: int, buffer: bytearray) -> None:
        _, width, height, pitch, bpp, depth, handle = struct.unpack("<7I", buffer)
        dumb = self._owned(file, handle)
        if (bpp, depth) != (32, 24) or pitch < width * 4 or pitch * height > len(dumb.memory):
            raise fail(errno.EINVAL, "Invalid argument")
        fb_id = self._number()
        self._framebuffers[fb_id] = Framebuffer(width, height, pitch, dumb, file)
        buffer[:4] = struct.pack("<I", fb_id)

    def _rm_fb(self, file: int, buffer: bytearray) -> None:
        self._remove_fb(self._own_fb(file, buffer))

    def _close_fb(self, file: int, buffer: bytearray) -> None:
        if not self.closes_softly:
            raise fail(errno.EINVAL, "Invalid argument")
        if any(buffer[4:]):
            raise fail(errno.EINVAL, "padding must be zero")
        fb_id = self._own_fb(file, buffer[:4])
        if fb_id in [found for found, _ in self.crtcs.values()]:
            self._framebuffers[fb_id].owner = -1
        else:
            self._remove_fb(fb_id)

    def _flip(self, file: int, buffer: bytearray) -> None:
        self._require_master(file, errno.EACCES)
        crtc, fb_id, flags, reserved, data = struct.unpack("<4IQ", buffer)
        if self.declines or flags != 1 or reserved or crtc not in self.crtcs or not self.crtcs[crtc][0]:
            raise fail(errno.EINVAL, "Invalid argument")
        fb = self._framebuffers.get(fb_id)
        if fb is None:
            raise fail(errno.ENOENT, "No such framebuffer")
        self._vblank(None)
        if self._pending is not None:
            raise fail(errno.EBUSY, "a flip is pending")
        now_s = time.monotonic()
        due_s = (int(now_s * _VBLANK_HZ) + 1) / _VBLANK_HZ
        self._pending = (crtc, fb_id, data, due_s)

    # Inside.

    def _vblank(self, _file: int | None) -> None:
        if self._pending is None or self.vblank_stuck or time.monotonic() < self._pending[3]:
            return
        crtc, fb_id, data, due_s = self._pending
        self._pending = None
        self.flips += 1
        if fb_id in self._framebuffers:
            self.crtcs[crtc] = (fb_id, self.crtcs[crtc][1])
        event = struct.pack("<2IQ4I", 2, 32, data, int(due_s), int(due_s % 1 * 1e6), self.flips, crtc)
        self._events.append(self.garbage_events or event)

    def _remove_fb(self, fb_id: int) -> None:
        for crtc, (shown, _) in self.crtcs.items():
            if shown == fb_id:
                self.crtcs[crtc] = (0, bytes(68))
        del self._framebuffers[fb_id]

    def _own_fb(self, file: int, buffer: bytearray) -> int:
        fb_id: int = struct.unpack("<I", buffer)[0]
        found = self._framebuffers.get(fb_id)
        if found is None or found.owner != file:
            raise fail(errno.ENOENT, "No such framebuffer")
        return fb_id

    def _owned(self, file: int, handle: int) -> Dumb:
        dumb = self._dumbs.get(handle)
        if dumb is None or dumb.owner != file:
            raise fail(errno.ENOENT, "No such buffer")
        return dumb

    def _require(self, file: int) -> None:
        if self.absent:
            raise fail(errno.ENODEV, "No such device")
        if file not in self._files:
            raise fail(errno.EBADF, "Bad file descriptor")

    def _require_master(self, file: int, number: int) -> None:
        if self.master != file:
            raise fail(number, "not the master")

    def _number(self) -> int:
        self._next += 1
        return self._next

    @staticmethod
    def _put(pointer: int, data: bytes) -> None:
        if not data:
            return
        if not pointer:
            raise fail(errno.EFAULT, "Bad address")
        ctypes.memmove(pointer, data, len(data))
