"""What we do with a Huidu card: take it over, put a programme on it, look what it holds, hand it back."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from drivers.api import BoardGeometry, BoardStatus, DeviceProtocolError, DeviceRefusedError
from drivers.board import kept
from drivers.board.huidu import documents, programme
from drivers.board.huidu.codec import FileKind, MalformedError
from drivers.board.huidu.link import Link
from drivers.board.huidu.programme import Programme

logger = logging.getLogger(__name__)

_KEPT_FILES = 64
_FULL_PERCENT = 100
_KEPT_BYTES = 8_000_000
_KEPT_BYTES_IN_RAM = 4_000_000


@dataclass(frozen=True, slots=True)
class _Identity:
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size_bytes: int
    whole: bool

    @property
    def ours(self) -> bool:
        return self.name.startswith(programme.OUR_PREFIX)


class Card:
    """State of a card as we know it. Errors are those of `Link`; one call at a time."""

    def __init__(
        self, name: str, link: Link, geometry: BoardGeometry, *, in_ram: bool, keep_dir: Path | None
    ) -> None:
        self.link = link
        self._name = name
        self._geometry = geometry
        self._kind = FileKind.PICTURE_IN_RAM if in_ram else FileKind.PICTURE
        self._kept_bytes = _KEPT_BYTES_IN_RAM if in_ram else _KEPT_BYTES
        self._keep = kept.place(keep_dir, "huidu", name, ".xml")
        self._identity: _Identity | None = None
        self._met = 0
        self._former: Element | None = None
        self._taken = False
        self._files: dict[str, int] = {}
        """Our files on the card and their sizes, the one used longest ago first."""
        self._adopted = False
        self._luminance: Element | None = None
        """Brightness settings that were there before us."""
        self._luminance_percent: int | None = None
        self._on: bool | None = None
        self._missed = ""

    async def meet(self) -> None:
        """Open a session and see which card it is; at once when it has been seen in this session.

        Raises:
            DeviceRefusedError: it drives a board of another size.
        """
        await self.link.ensure()
        if self._met == self.link.sessions:
            return
        identity, size = await self._look()
        if size not in {(None, None), (self._geometry.width_px, self._geometry.height_px)}:
            raise DeviceRefusedError(
                f"{self._name}: the card drives {size[0]}x{size[1]} px, configured are "
                f"{self._geometry.width_px}x{self._geometry.height_px} px"
            )
        if self._identity is not None and identity != self._identity:
            logger.warning("board %s: another card answers: %s, was %s", self._name, identity, self._identity)
            self._forget()
        if self._identity is None:
            logger.info("board %s: card %s, firmware %s", self._name, identity.model, identity.firmware)
        self._identity = identity
        self._adopted = False  # may have been without power
        session = self.link.sessions
        if self._on is False:  # without power it forgets that it is dark
            await self.link.call("CloseScreen")
        self._met = session

    async def meet_again(self) -> None:
        """After a verb: a session opened in the middle of it is of a card that has not been looked at yet."""
        if self.link.sessions != self._met:
            await self.meet()

    async def take_over(self) -> None:
        """Remember what is on the card, once, before anything of ours goes there."""
        await self.meet()
        if self._taken:
            return
        out = await self.link.call("GetProgram")
        nodes = programme.held(out)
        if nodes and all(programme.is_ours(node) for node in nodes):
            self._former = await asyncio.to_thread(self._load)
        else:
            screen = out.find(".//screen")
            self._former = None if screen is None or not nodes else programme.restorable(screen)
            if self._former is not None:
                for node in [node for node in self._former.iter("program") if programme.is_ours(node)]:
                    self._former.remove(node)
            await asyncio.to_thread(self._store, self._former)
        self._taken = True

    async def put(self, wanted: Programme) -> None:
        """Bring pictures that are missing, show the programme, and clear whatever else is there."""
        await self.meet()
        if not self._adopted:
            await self._adopt(frozenset(piece.name for piece in wanted.pieces))
        for piece in wanted.pieces:
            if piece.name not in self._files:
                md5 = hashlib.md5(piece.png, usedforsecurity=False).hexdigest()
                sent = await self.link.send_file(piece.name, md5, piece.png, self._kind)
                logger.debug("board %s: %s: %d bytes sent", self._name, piece.name, sent)
            self._files.pop(piece.name, None)
            self._files[piece.name] = len(piece.png)
        await self.link.call("AddProgram", [programme.screen(wanted, self._geometry)])
        nodes = programme.held(await self.link.call("GetProgram"))
        await self._delete([node for node in nodes if node.get("guid") != wanted.guid])
        if not any(programme.shows(node, wanted) for node in nodes):
            raise DeviceProtocolError(f"{self._name}: took the programme and does not hold it")
        await self._tidy(frozenset(piece.name for piece in wanted.pieces))
        self._missed = ""

    async def set_brightness(self, level: float) -> None:
        percent = max(1, round(level * _FULL_PERCENT))
        await self.meet()
        if percent == self._luminance_percent:
            return
        if self._luminance is None:
            self._luminance = await self.link.call("GetLuminancePloy")
        settings = [child for child in self._luminance if child.tag not in {"mode", "default"}]
        fixed = [Element("mode", value="default"), Element("default", value=str(percent))]
        await self.link.call("SetLuminancePloy", [*fixed, *settings])
        self._luminance_percent = percent

    async def set_power(self, on: bool) -> None:
        self._on = None
        await self.meet()
        await self.link.call("OpenScreen" if on else "CloseScreen")
        self._on = on

    async def status(self, shown: Programme | None) -> BoardStatus:
        """Ask who the card is and what it holds, and compare it with `shown`."""
        identity, size = await self._look()
        detail = self._missed
        other = self._identity is not None and identity != self._identity
        if other:
            detail = f"another card answers: {identity.model} {identity.serial}"
        if size not in {(None, None), (self._geometry.width_px, self._geometry.height_px)}:
            other, detail = True, f"the card drives {size[0]}x{size[1]} px"
        lost: bool | None = None
        foreign: bool | None = None
        if shown is not None:
            nodes = programme.held(await self.link.call("GetProgram"))
            missing = await self._missing(shown)
            lost = other or not any(programme.shows(node, shown) for node in nodes) or bool(missing)
            foreign = any(not programme.shows(node, shown) for node in nodes) and not other
            if foreign:
                detail = "a programme that is not ours is on the card"
        if lost or foreign:
            self._met, self._adopted = 0, False
        luminance = await self.link.call("GetLuminancePloy")
        percent = documents.whole(documents.value(luminance, "default"))
        fixed = documents.value(luminance, "mode") == "default" and percent is not None
        self._luminance_percent = percent if fixed else None
        return BoardStatus(
            model=identity.model,
            firmware=identity.firmware,
            on=self._on,
            brightness=min(percent / _FULL_PERCENT, 1.0) if fixed and percent is not None else None,
            lost=lost,
            foreign=foreign,
            detail=detail,
        )

    async def hand_back(self) -> None:
        """Put back programme, brightness and screen as they were, and delete what is ours."""
        await self.meet()
        if self._on is False:
            await self.set_power(True)
        if self._luminance is not None:
            await self.link.call("SetLuminancePloy", list(self._luminance))
            self._luminance, self._luminance_percent = None, None
        if self._taken:
            await self._restore()
        self._forget()
        await asyncio.to_thread(self._store, None)

    async def delete_ours(self) -> None:
        """Take our programmes away; the card shows nothing then."""
        await self.meet()
        nodes = programme.held(await self.link.call("GetProgram"))
        await self._delete([node for node in nodes if programme.is_ours(node)])

    async def _restore(self) -> None:
        missed = []
        if self._former is not None:
            present = {file.name for file in await self._listed()}
            gone = sorted(programme.files_of(self._former) - present)
            if gone:
                missed.append(f"files no longer on the card: {', '.join(gone)[:200]}")
            try:
                await self.link.call("AddProgram", [self._former])
            except DeviceRefusedError as error:
                missed.append(str(error))
        nodes = programme.held(await self.link.call("GetProgram"))
        await self._delete([node for node in nodes if programme.is_ours(node)])
        if self._former is None:
            missed.append("what was on the card before is not known; ours was deleted")
        else:
            back = {node.get("guid") for node in nodes}
            lost = [node for node in self._former.iter("program") if node.get("guid") not in back]
            if lost:
                missed.append(f"{len(lost)} former programmes were not taken back")
        await self._delete_files([file.name for file in await self._listed() if file.ours])
        self._missed = "; ".join(missed)
        if missed:
            logger.warning("board %s: handed back, but: %s", self._name, self._missed)

    async def _look(self) -> tuple[_Identity, tuple[int | None, int | None]]:
        out = await self.link.call("GetDeviceInfo")
        identity = _Identity(
            documents.value(out, ".//device", "model"),
            documents.value(out, ".//version", "app"),
            documents.value(out, ".//device", "id"),
        )
        width = documents.whole(documents.value(out, ".//screen", "width"))
        height = documents.whole(documents.value(out, ".//screen", "height"))
        return identity, (width, height)

    async def _listed(self) -> list[_File]:
        out = await self.link.call("GetFiles")
        found = []
        for item in out.iter("file"):
            name, size = item.get("name"), item.get("size", "")
            if name:
                whole = item.get("existSize", size) == size
                found.append(_File(name, documents.whole(size) or 0, whole))
        return found

    async def _adopt(self, wanted: frozenset[str]) -> None:
        """Learn which of our pictures the card has from before, and delete halves that nobody waits for."""
        listed = [file for file in await self._listed() if file.ours]
        present = {file.name: file.size_bytes for file in listed if file.whole}
        known = [name for name in self._files if name in present]
        self._files = {name: size for name, size in present.items() if name not in known}
        self._files |= {name: present[name] for name in known}
        await self._delete_files([file.name for file in listed if not file.whole and file.name not in wanted])
        self._adopted = True

    async def _missing(self, shown: Programme) -> frozenset[str]:
        whole = {file.name for file in await self._listed() if file.whole}
        return frozenset(piece.name for piece in shown.pieces) - whole

    async def _delete(self, nodes: list[Element]) -> None:
        for node in nodes:
            dead = Element("program", guid=node.get("guid") or "", type="normal")
            await self.link.call("DeleteProgram", [dead])

    async def _delete_files(self, names: list[str]) -> None:
        if not names:
            return
        files = Element("files")
        files.extend(Element("file", name=name) for name in names)
        await self.link.call("DeleteFiles", [files])

    async def _tidy(self, used: frozenset[str]) -> None:
        """Delete our oldest pictures while there are too many."""
        size = sum(self._files.values())
        dead = []
        for name in [name for name in self._files if name not in used]:
            if len(self._files) <= _KEPT_FILES and size <= self._kept_bytes:
                break
            size -= self._files.pop(name)
            dead.append(name)
        await self._delete_files(dead)

    def _forget(self) -> None:
        self._former, self._taken = None, False
        self._adopted = False
        self._luminance, self._luminance_percent, self._on = None, None, None

    def _load(self) -> Element | None:
        if self._keep is None:
            return None
        try:
            content = kept.read(self._keep)
            if content is not None:
                return documents.parse(content)
            problem = "nothing is kept"
        except (kept.KeptError, MalformedError) as error:
            problem = str(error)
        logger.warning("board %s: what was there before us is not known: %s", self._name, problem)
        return None

    def _store(self, former: Element | None) -> None:
        if former is None:
            kept.forget(self._keep)
        else:
            kept.write(self._keep, tostring(former, encoding="unicode").encode())
