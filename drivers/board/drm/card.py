"""One display device of the kernel, asked in values instead of structs."""

from __future__ import annotations

import ctypes
from pathlib import Path

from drivers.board.drm import codec
from drivers.board.drm.codec import Connector, Crtc, Mode
from drivers.board.drm.kernel import Kernel, Mapping

_BITS = 32
_DEPTH = 24
_ROUNDS = 5


class _Words:
    """An array of 32 bit words that the kernel writes into or reads."""

    def __init__(self, count: int) -> None:
        self._array = (ctypes.c_uint32 * max(1, count))()

    @property
    def pointer(self) -> int:
        return ctypes.addressof(self._array)

    def __setitem__(self, index: int, value: int) -> None:
        self._array[index] = value

    def first(self, count: int) -> tuple[int, ...]:
        return tuple(self._array[:count])


class Buffer:
    """Dumb memory with a framebuffer on it."""

    def __init__(self, card: Card, width_px: int, height_px: int) -> None:
        request = bytearray(codec.DUMB.pack(height_px, width_px, _BITS, 0, 0, 0, 0))
        card.ask(codec.CREATE_DUMB, request)
        _, _, _, _, self.handle, self.pitch_bytes, size = codec.DUMB.unpack(request)
        self._card = card
        self.fb_id = 0
        self._memory: Mapping | None = None
        try:
            frame = bytearray(
                codec.FB.pack(0, width_px, height_px, self.pitch_bytes, _BITS, _DEPTH, self.handle)
            )
            card.ask(codec.ADD_FB, frame)
            self.fb_id = codec.FB.unpack(frame)[0]
            place = bytearray(codec.DUMB_MAP.pack(self.handle, 0, 0))
            card.ask(codec.MAP_DUMB, place)
            self._memory = card.map(size, codec.DUMB_MAP.unpack(place)[2])
            self._memory.write_at(0, memoryview(bytes(size)))
        except BaseException:
            self.free()
            raise

    def write_rows(self, rows: memoryview, row_bytes: int, top_px: int) -> None:
        """Copy rows without gaps to the left part of the buffer, from row `top_px` on."""
        if self._memory is None:
            return
        at = top_px * self.pitch_bytes
        if row_bytes == self.pitch_bytes:
            self._memory.write_at(at, rows)
            return
        for start in range(0, len(rows), row_bytes):
            self._memory.write_at(at, rows[start : start + row_bytes])
            at += self.pitch_bytes

    def free(self, *, shown: bool = False) -> None:
        """Let go; with `shown` the display goes on with it, if the kernel knows how (CLOSEFB)."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self.fb_id and shown:
            self._card.try_to(codec.CLOSE_FB, bytearray(self.fb_id.to_bytes(4, "little") + bytes(4)))
        elif self.fb_id:
            self._card.try_to(codec.REMOVE_FB, bytearray(self.fb_id.to_bytes(4, "little")))
        self._card.try_to(codec.DESTROY_DUMB, bytearray(self.handle.to_bytes(4, "little")))
        self.fb_id = 0


class Card:
    """An open device; every call raises OSError as the kernel does."""

    def __init__(self, kernel: Kernel, path: Path) -> None:
        self.path = path
        self._kernel = kernel
        self._file = kernel.open(path)

    def ask(self, request: int, buffer: bytearray | None = None) -> None:
        self._kernel.ioctl(self._file, request, buffer)

    def try_to(self, request: int, buffer: bytearray | None = None) -> bool:
        """Ask, and say whether it worked; for cleaning up."""
        try:
            self.ask(request, buffer)
        except OSError:
            return False
        return True

    def map(self, size: int, offset: int) -> Mapping:
        return self._kernel.map(self._file, size, offset)

    def events(self, limit_s: float) -> list[int]:
        """Wait for events; empty when none came in time."""
        return codec.event_types(self._kernel.events(self._file, limit_s))

    def close(self) -> None:
        self._kernel.close(self._file)

    def resources(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of all CRTCs, in the order that `possible_crtcs` counts them, and of all connectors."""
        for _ in range(_ROUNDS):
            count = bytearray(codec.RESOURCES.pack(*([0] * 12)))
            self.ask(codec.GET_RESOURCES, count)
            crtcs_wanted, connectors_wanted = codec.RESOURCES.unpack(count)[5:7]
            crtcs, connectors = _Words(crtcs_wanted), _Words(connectors_wanted)
            request = bytearray(
                codec.RESOURCES.pack(
                    0, crtcs.pointer, connectors.pointer, 0, 0, crtcs_wanted, connectors_wanted, 0, 0, 0, 0, 0
                )
            )
            self.ask(codec.GET_RESOURCES, request)
            crtcs_found, connectors_found = codec.RESOURCES.unpack(request)[5:7]
            if crtcs_found <= crtcs_wanted and connectors_found <= connectors_wanted:
                return crtcs.first(crtcs_found), connectors.first(connectors_found)
        return (), ()

    def connector(self, connector_id: int) -> Connector:
        """Look at a connector and ask the display for its modes, which may take 100 ms."""
        count = self._connector(connector_id)
        for _ in range(_ROUNDS):
            modes = ctypes.create_string_buffer(max(1, count[4]) * codec.MODE.size)
            encoders = _Words(count[6])
            found = self._connector(
                connector_id, encoders.pointer, ctypes.addressof(modes), count[4], count[6]
            )
            if found[4] <= count[4] and found[6] <= count[6]:
                size = codec.MODE.size
                raw = modes.raw
                return _describe(
                    found,
                    tuple(codec.parse_mode(raw[at * size : (at + 1) * size]) for at in range(found[4])),
                    encoders.first(found[6]),
                )
            count = found
        return _describe(count)

    def glance(self, connector_id: int) -> Connector:
        """Look at what the kernel knows of a connector, without asking the display."""
        modes = ctypes.create_string_buffer(codec.MODE.size)
        return _describe(self._connector(connector_id, 0, ctypes.addressof(modes), 1, 0))

    def encoder(self, encoder_id: int) -> tuple[int, int]:
        """CRTC that feeds an encoder now (0: none), and the bit mask of those that could."""
        request = bytearray(codec.ENCODER.pack(encoder_id, 0, 0, 0, 0))
        self.ask(codec.GET_ENCODER, request)
        _, _, crtc_id, possible, _ = codec.ENCODER.unpack(request)
        return crtc_id, possible

    def crtc(self, crtc_id: int) -> Crtc:
        request = bytearray(codec.CRTC.pack(0, 0, crtc_id, 0, 0, 0, 0, 0, bytes(codec.MODE.size)))
        self.ask(codec.GET_CRTC, request)
        return codec.parse_crtc(request)

    def set_crtc(self, crtc: Crtc, connector_ids: tuple[int, ...]) -> None:
        words = _Words(len(connector_ids))
        for index, connector_id in enumerate(connector_ids):
            words[index] = connector_id
        pointer = words.pointer if connector_ids else 0
        self.ask(codec.SET_CRTC, codec.pack_crtc(crtc, pointer, len(connector_ids)))

    def flip(self, crtc_id: int, fb_id: int) -> None:
        self.ask(codec.PAGE_FLIP, bytearray(codec.FLIP.pack(crtc_id, fb_id, codec.FLIP_WITH_EVENT, 0, fb_id)))

    def _connector(
        self,
        connector_id: int,
        encoders: int = 0,
        modes: int = 0,
        mode_count: int = 0,
        encoder_count: int = 0,
    ) -> tuple[int, ...]:
        request = bytearray(
            codec.CONNECTOR.pack(
                encoders, modes, 0, 0, mode_count, 0, encoder_count, 0, connector_id, 0, 0, 0, 0, 0, 0, 0
            )
        )
        self.ask(codec.GET_CONNECTOR, request)
        return codec.CONNECTOR.unpack(request)


def _describe(
    values: tuple[int, ...], modes: tuple[Mode, ...] = (), encoders: tuple[int, ...] = ()
) -> Connector:
    return Connector(
        id=values[8],
        name=codec.connector_name(values[9], values[10]),
        connected=values[11] == codec.CONNECTED,
        encoder_id=values[7],
        size_mm=(values[12], values[13]),
        mode_count=values[4],
        modes=modes,
        encoders=encoders,
    )
