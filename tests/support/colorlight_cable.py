"""A receiver card at a real cable: a pair of interfaces in a network namespace of its own.

Run as `unshare -rn python -m tests.support.colorlight_cable`; prints what happened as JSON. Status 77: this machine
has no such interfaces.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from drivers.api import DeviceUnavailableError, Frame
from drivers.board.colorlight.driver import ColorlightBoard
from drivers.board.colorlight.emulator import EmulatedCard

RAMP = Frame(600, 8, bytes(range(240)) * 60)
SAFE = Frame(600, 8, b"\x01\x02\x03" * 4800)
_SO_TIMESTAMPNS = 35
_OUTGOING = 4


def ip(*words: str) -> int:
    return subprocess.run(["ip", *words], check=False, stderr=subprocess.DEVNULL).returncode


def serve(card: EmulatedCard, stop: threading.Event) -> None:
    """Read frames with the time at which the kernel got them, since this thread may lag behind."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as line:
        line.bind(("far", 3))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        line.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        while not stop.is_set():
            if not select.select([line], [], [], 0.02)[0]:
                continue
            try:
                frame, notes, _, address = line.recvmsg(2048, 256)
            except OSError:  # the interface went down
                continue
            if address[2] == _OUTGOING or frame[:6] != bytes.fromhex("112233445566"):
                continue
            seconds, nanoseconds = struct.unpack("qq", notes[0][2])
            answer = card.receive(frame, seconds + nanoseconds / 1e9)
            if answer is not None:
                line.send(answer)


async def shows(card: EmulatedCard, frame: Frame) -> bool:
    end_s = time.monotonic() + 3
    while card.shown != frame.rgb and time.monotonic() < end_s:
        await asyncio.sleep(0.01)
    return card.shown == frame.rgb


async def story(card: EmulatedCard) -> dict[str, object]:
    driver = ColorlightBoard.from_options("wall", {"width_px": 600, "height_px": 8, "interface": "near"})
    told: dict[str, object] = {}
    async with driver.open() as board:
        await board.set_safe(SAFE)
        told["firmware"] = (await board.status()).firmware
        await board.show(RAMP, "ramp")
        told["shown"] = await shows(card, RAMP)
        canvas = board.canvas
        if canvas is not None:
            began_s = time.monotonic()
            for _ in range(30):
                await canvas.present(0, 8)
            told["frames_s"] = time.monotonic() - began_s
        ip("link", "set", "far", "down")
        try:
            await board.show(RAMP, "ramp")
        except DeviceUnavailableError as error:
            told["lost"] = str(error)
        ip("link", "set", "far", "up")
        for _ in range(50):
            try:
                await board.show(RAMP, "ramp")
                break
            except DeviceUnavailableError:
                await asyncio.sleep(0.05)
        told["again"] = await shows(card, RAMP)
    told["safe"] = await shows(card, SAFE)
    return told


def main() -> int:
    if ip("link", "add", "near", "type", "veth", "peer", "name", "far"):
        return 77
    for one in ("near", "far"):
        ip("link", "set", one, "up")
    card = EmulatedCard(600, 8, (13, 5), uptime_s=1000)
    stop = threading.Event()
    server = threading.Thread(target=serve, args=(card, stop))
    server.start()
    time.sleep(0.2)
    try:
        told = asyncio.run(story(card))
    finally:
        stop.set()
        server.join()
    print(json.dumps({**told, "complaints": card.complaints}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
