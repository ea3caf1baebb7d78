"""One connection to an emulated Huidu card, from the protocol facts (hardware.md 3.1), not from our codec."""

# ruff: noqa: PLR2004  it reads like the data sheet it is made from

from __future__ import annotations

import hashlib
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.board.huidu.emulated_card import HuiduEmulator


@dataclass
class StoredFile:
    """A file on the card, whole once it has `size` bytes; `kind` from 128 on is in memory."""

    md5: str
    size: int
    kind: int
    data: bytearray = field(default_factory=bytearray)


@dataclass
class _Upload:
    name: str
    failed: int = 0


class Session:
    """One connection: knows the version, then the GUID, then methods and files."""

    def __init__(self, card: HuiduEmulator) -> None:
        self._card = card
        self._versioned = False
        self._guid = ""
        self._document = bytearray()
        self._upload: _Upload | None = None

    def take(self, command: int, payload: bytes) -> list[bytes]:
        if command == 0x005F:
            self._card.heartbeats += 1
            return [packet(0x0060)]
        if command == 0x0060:
            return []
        if command == 0x2001:
            if len(payload) != 4:
                return [_error(7)]
            self._versioned = True
            return [packet(0x2002, struct.pack("<IH", 0x01000009, 0))]
        if not self._versioned:
            return [_error(2)]
        if self._upload is not None and command not in {0x8003, 0x8005}:
            self._upload = None
            return [_error(2)]  # nothing may come between the start and the end of a file
        if command == 0x2003:
            return self._xml(payload)
        if command in {0x8001, 0x8003, 0x8005}:
            return self._file(command, payload)
        return [_error(23)]

    def _xml(self, payload: bytes) -> list[bytes]:
        if len(payload) < 9:
            return [_error(7)]
        total, index = struct.unpack_from("<II", payload)
        if index != len(self._document):
            self._document.clear()
            return [_error(21)]
        self._document += payload[8:]
        if len(self._document) < total:
            return []
        document, self._document = bytes(self._document), bytearray()
        if len(document) > total:
            return [_error(20)]
        try:
            root = ET.fromstring(document)  # noqa: S314  a simulator on the bench
        except ET.ParseError:
            return [_error(22)]
        node = root.find("in")
        if root.tag != "sdk" or node is None:
            return [_error(22)]
        method = node.get("method", "")
        if method == "GetIFVersion":
            if root.get("guid") != "##GUID":
                return [_error(43)]
            self._guid = self._card.next_guid()
        elif root.get("guid") != self._guid or not self._guid:
            return [_error(43)]
        result, inner = self._method(method, node)
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<sdk guid="{self._guid}"><out result="{result}" method="{method}">{inner}</out></sdk>\n'
        ).encode()
        return [
            packet(0x2004, struct.pack("<II", len(text), at) + text[at : at + 9200])
            for at in range(0, len(text), 9200)
        ]

    def _method(self, method: str, node: ET.Element) -> tuple[str, str]:  # noqa: C901, PLR0912  one row a method
        card = self._card
        if method == "GetIFVersion":
            return "kSuccess", '<version value="1000000"/>'
        if card.nack:
            return "kPermissionDenied", ""
        if method == "AddProgram" and card.busy_answers > 0:
            card.busy_answers -= 1
            return "kDownloadingFile", ""
        match method:
            case "GetDeviceInfo":
                return "kSuccess", (
                    f'<device cpu="RK.px30" model="{card.model}" name="BoxPlayer" id="{card.serial}"/>'
                    f'<version hardware="HD-C16L-V1.X" fpga="16.12.0.0" kernel="" app="{card.firmware}"/>'
                    f'<screen rotation="0" width="{card.width}" height="{card.height}"/>'
                )
            case "GetProgram":
                inner = "".join(ET.tostring(item, encoding="unicode") for item in card.programs)
                inner = inner.replace("<resources>", "<resource>").replace("</resources>", "</resource>")
                size = f'width="{card.width}" height="{card.height}"'
                return "kSuccess", f'<screen {size} timeStamps="0">{inner}</screen>'
            case "AddProgram":
                return self._add(node)
            case "DeleteProgram":
                dead = {item.get("guid") for item in node.iter("program")}
                card.programs = [item for item in card.programs if dead and item.get("guid") not in dead]
            case "GetFiles":
                inner = "".join(
                    f'<file existSize="{len(file.data)}" name="{name}" md5="{file.md5}" type="{file.kind}" '
                    f'size="{file.size}"/>'
                    for name, file in card.files.items()
                )
                return "kSuccess", f"<files>{inner}</files>"
            case "DeleteFiles":
                for item in node.iter("file"):
                    card.files.pop(item.get("name", ""), None)
            case "GetLuminancePloy":
                mode, percent = card.luminance
                return "kSuccess", (
                    f'<mode value="{mode}"/><default value="{percent}"/>'
                    '<sensor max="100" count="0" min="1" time="5"/><ploy/>'
                )
            case "SetLuminancePloy":
                chosen = node.find("mode")
                default = node.find("default")
                percent = 0 if default is None else int(default.get("value", "0"))
                if chosen is None or not 1 <= percent <= 100 or node.find("sensor") is None:
                    return "kInvalidXmlParam", ""
                card.luminance = (chosen.get("value", ""), percent)
            case "OpenScreen" | "CloseScreen":
                card.screen_on = method == "OpenScreen"
            case _:
                return "kUnsupportMethod", ""
        return "kSuccess", ""

    def _add(self, node: ET.Element) -> tuple[str, str]:
        card = self._card
        screen = node.find("screen")
        added = [] if screen is None else screen.findall("program")
        if not added:
            return "kScreenNodeIsNull", ""
        for item in added:
            for named in item.iter("file"):
                file = card.files.get(named.get("name", ""))
                if file is None or len(file.data) != file.size:
                    return "kDownloadFileFailed", ""
        guids = {item.get("guid") for item in added}
        kept = [item for item in card.programs if item.get("guid") not in guids] if card.appends else []
        card.programs = kept + added
        return "kSuccess", ""

    def _file(self, command: int, payload: bytes) -> list[bytes]:
        card = self._card
        if command == 0x8001:
            return [self._file_start(payload)]
        if self._upload is None:
            return [_error(2)]
        file = card.files.get(self._upload.name)
        if command == 0x8003:
            if file is not None and not self._upload.failed:
                file.data += payload
                card.stored_bytes += len(payload)
            return []
        failed = self._upload.failed
        name, self._upload = self._upload.name, None
        if not failed and file is not None:
            if len(file.data) < file.size:
                failed = 19
            elif len(file.data) > file.size or md5_of(file.data) != file.md5:
                failed = 14
                del card.files[name]
        return [packet(0x8006, struct.pack("<H", failed))]

    def _file_start(self, payload: bytes) -> bytes:
        card = self._card
        md5, size, kind = payload[:32].decode("ascii", "replace"), *struct.unpack_from("<qh", payload, 33)
        name, end, _ = payload[43:].partition(b"\0")
        self._upload = _Upload(name.decode("utf-8", "replace"))
        known = {0, 1, 2, 3, 4, 5, 128, 129}
        if card.nack or payload[32] or not end or kind not in known or size <= 0 or "/" in self._upload.name:
            self._upload.failed = 8
            return packet(0x8002, struct.pack("<hq", 8, 0))
        file = card.files.get(self._upload.name)
        if file is None or file.md5 != md5 or file.size != size:
            file = card.files[self._upload.name] = StoredFile(md5, size, kind)
        return packet(0x8002, struct.pack("<hq", 0, len(file.data)))


def md5_of(data: bytearray) -> str:
    return hashlib.md5(bytes(data), usedforsecurity=False).hexdigest()


def packet(command: int, payload: bytes = b"") -> bytes:
    return struct.pack("<HH", 4 + len(payload), command) + payload


def _error(status: int) -> bytes:
    return packet(0x2000, struct.pack("<H", status))
