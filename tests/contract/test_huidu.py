"""Huidu cards: packets and documents byte for byte, hostile cards, flash wear, taking over and handing back."""

from __future__ import annotations

import asyncio
import re
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import (
    Board,
    BoardGeometry,
    CardTicker,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
)
from drivers.board.huidu import codec, documents, driver, emulated_session, programme
from drivers.board.huidu.codec import Command, Document, FileKind, MalformedError, Packet, Splitter
from drivers.board.huidu.driver import HuiduBoard
from drivers.board.huidu.emulator import HuiduEmulator
from drivers.board.huidu.link import Link

SIZE = BoardGeometry(64, 32)


def plain(red: int, green: int, blue: int, size: BoardGeometry = SIZE) -> Frame:
    return Frame(size.width_px, size.height_px, bytes((red, green, blue)) * (size.width_px * size.height_px))


def noise(size: BoardGeometry, seed: int = 1) -> Frame:
    return Frame(size.width_px, size.height_px, Random(seed).randbytes(3 * size.width_px * size.height_px))


@pytest.fixture
async def card() -> AsyncIterator[HuiduEmulator]:
    emulator = HuiduEmulator(SIZE.width_px, SIZE.height_px)
    await emulator.start()
    try:
        yield emulator
    finally:
        await emulator.stop()


def board(card: HuiduEmulator, **options: Any) -> HuiduBoard:
    size = BoardGeometry(card.width, card.height)
    return HuiduBoard("square", "127.0.0.1", size, port=card.port, limit_s=0.5, **options)


# Packets


def test_the_vectors_of_the_hardware_notes() -> None:
    assert codec.pack(Command.HEARTBEAT) == bytes.fromhex("04005f00")
    assert codec.pack(Command.HEARTBEAT_ANSWER) == bytes.fromhex("04006000")
    assert codec.version_ask() == bytes.fromhex("0800012005000001")
    (answer,) = Splitter().feed(bytes.fromhex("0a000220050000010000"))
    assert answer.command == Command.VERSION_ANSWER
    assert codec.version_answer(answer.payload) == 0x01000005
    (ask,) = codec.xml_ask(b"x" * 120)
    assert ask[:12] == bytes.fromhex("840003207800000000000000")


def test_a_file_is_announced_with_md5_size_kind_and_name() -> None:
    packet = codec.file_start("tl-1.png", "0" * 32, 300, FileKind.PICTURE)
    assert packet[:4] == struct.pack("<HH", len(packet), 0x8001)
    assert packet[4:37] == b"0" * 32 + b"\0"
    assert packet[37:47] == struct.pack("<qh", 300, 0)
    assert packet[47:] == b"tl-1.png\0"


def test_long_documents_and_files_are_cut_as_the_card_wants_them() -> None:
    pieces = codec.xml_ask(bytes(20_000))
    assert [len(piece) for piece in pieces] == [9212, 9212, 1612]
    assert struct.unpack_from("<II", pieces[1], 4) == (20_000, 9200)
    rest = codec.file_bytes(bytes(20_000), 1_000)
    assert sum(len(packet) - 4 for packet in rest) == 19_000
    assert max(len(packet) for packet in rest) == 9216
    with pytest.raises(ValueError, match="at most"):
        codec.pack(Command.XML, bytes(9213))
    with pytest.raises(ValueError, match="document"):
        codec.xml_ask(b"")


STREAM = codec.version_ask() + codec.pack(Command.HEARTBEAT) + b"".join(codec.xml_ask(bytes(range(200)) * 60))


def test_a_stream_may_be_cut_at_any_byte() -> None:
    whole = Splitter().feed(STREAM)
    assert [packet.command for packet in whole] == [0x2001, 0x005F, 0x2003, 0x2003]
    for cut in [*range(60), *range(60, len(STREAM), 97)]:
        splitter = Splitter()
        assert splitter.feed(STREAM[:cut]) + splitter.feed(STREAM[cut:]) == whole
    splitter = Splitter()
    assert [packet for byte in STREAM for packet in splitter.feed(bytes((byte,)))] == whole


@pytest.mark.parametrize("length", [0, 3, 9217, 0xFFFF])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedError, match="bytes"):
        Splitter().feed(struct.pack("<HH", length, 0x2004))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_whatever_a_card_sends_is_packets_or_malformed(parts: list[bytes]) -> None:
    splitter = Splitter()
    try:
        packets = [packet for part in parts for packet in splitter.feed(part)]
    except MalformedError:
        return
    assert all(isinstance(packet, Packet) for packet in packets)
    assert sum(len(packet.payload) + 4 for packet in packets) <= sum(map(len, parts))


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_pieces_of_an_answer_make_a_document_or_are_malformed(parts: list[bytes]) -> None:
    document = Document()
    try:
        found = [document.add(part) for part in parts]
    except MalformedError:
        return
    assert all(whole is None or len(whole) >= 1 for whole in found)


def test_pieces_out_of_order_too_many_or_too_large_are_refused() -> None:
    piece = struct.Struct("<II").pack
    for first, second in (
        (piece(10, 0) + b"12345", piece(10, 0) + b"12345"),
        (piece(10, 0) + b"12345", piece(10, 5) + b"123456"),
        (piece(10, 0) + b"12345", piece(10, 5)),
    ):
        document = Document()
        assert document.add(first) is None
        with pytest.raises(MalformedError):
            document.add(second)
    for bad in (b"1234567", piece(0, 0) + b"1", piece(1 << 30, 0) + b"1"):
        with pytest.raises(MalformedError):
            Document().add(bad)


def test_short_answers_are_malformed() -> None:
    with pytest.raises(MalformedError):
        codec.version_answer(b"12345")
    with pytest.raises(MalformedError, match="refused"):
        codec.version_answer(struct.pack("<IH", 1, 3))
    with pytest.raises(MalformedError):
        codec.file_found(b"12")
    with pytest.raises(MalformedError):
        codec.file_found(struct.pack("<hq", 0, -1))
    with pytest.raises(MalformedError):
        codec.status_of(b"1")
    assert codec.status_of(b"") == 0


# Documents

BOMB = b"""<?xml version="1.0"?><!DOCTYPE sdk [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><sdk guid="1"><out method="GetIFVersion" result="kSuccess">&c;</out></sdk>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE sdk [<!ENTITY a SYSTEM "file:///etc/passwd">]><sdk>&a;</sdk>"""


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        OUTSIDE,
        b'<!DOCTYPE sdk SYSTEM "http://127.0.0.1/x.dtd"><sdk/>',
        b"<a>" * 40 + b"</a>" * 40,
        b"<sdk>" + b"<a/>" * 30_000 + b"</sdk>",
        b"<sdk>" + b" " * codec.LONGEST_DOCUMENT + b"</sdk>",
        b"<sdk><out></sdk>",
        b"<sdk>&unknown;</sdk>",
        b"",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="rot13"?><sdk/>',
    ],
    ids=lambda document: repr(document[:24]),
)
def test_a_hostile_document_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedError):
        documents.parse(document)


@given(st.binary(max_size=200))
def test_whatever_a_card_says_is_a_tree_or_malformed(data: bytes) -> None:
    for document in (data, b"<sdk>" + data + b"</sdk>"):
        try:
            root = documents.parse(document)
        except MalformedError:
            continue
        assert root.tag


def test_an_answer_is_found_whatever_the_order_of_its_attributes() -> None:
    for attributes in (b'result="kSuccess" method="GetFiles"', b'method="GetFiles" result="kSuccess"'):
        guid, out = documents.answer(b'<sdk guid="abc"><out ' + attributes + b"/></sdk>\0", "GetFiles")
        assert guid == "abc"
        assert out.get("result") == "kSuccess"
    for wrong in (b'<sdk guid="a"><out method="Other"/></sdk>', b'<other guid="a"/>'):
        with pytest.raises(MalformedError):
            documents.answer(wrong, "GetFiles")


def test_requests_are_escaped() -> None:
    request = documents.ask('"><in method="CloseScreen', "GetFiles")
    assert documents.parse(request).get("guid") == '"><in method="CloseScreen'


# Pictures


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 40),
    st.integers(0, 1000),
    st.none() | st.tuples(st.integers(1, 200), st.floats(1, 500)),
)
def test_a_picture_of_any_size_is_seen_as_it_was(
    width: int, height: int, seed: int, moving: tuple[int, float] | None
) -> None:
    frame = noise(BoardGeometry(width, height), seed)
    ticker = None
    if moving is not None:
        rows = 1 + seed % height
        strip = noise(BoardGeometry(moving[0], rows), seed + 1)
        ticker = CardTicker(strip, (height - rows) // 2, moving[1])
    made = programme.compose(frame, ticker)
    emulator = HuiduEmulator(width, height)
    for piece in made.pieces:
        emulator.put_file(piece.name, piece.png)
    emulator.programs = list(programme.screen(made, BoardGeometry(width, height)).iter("program"))
    seen = emulator.frame()
    if ticker is None:
        assert seen == frame
        assert emulator.ticker() is None
        return
    moved = emulator.ticker()
    assert moved is not None
    assert moved.strip == ticker.strip
    assert moved.y_px == ticker.y_px
    top, bottom = 3 * width * ticker.y_px, 3 * width * (ticker.y_px + ticker.strip.height_px)
    assert seen.rgb[:top] == frame.rgb[:top]
    assert seen.rgb[bottom:] == frame.rgb[bottom:]
    assert moved.speed_px_s == pytest.approx(
        programme.step_px_s(programme.speed_step(moving[1] if moving else 0))
    )


def test_the_guid_of_a_programme_tells_its_content() -> None:
    same = [programme.compose(plain(1, 2, 3), None).guid for _ in range(2)]
    assert same[0] == same[1]
    assert programme.compose(plain(1, 2, 4), None).guid != same[0]


# Flash wear


async def test_a_picture_is_sent_once(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(noise(SIZE, 1), "one")
        await sign.show(noise(SIZE, 2), "two")
        stored = card.stored_bytes
        received = card.received
        await sign.show(noise(SIZE, 2), "two again")
        assert card.received == received
        await sign.show(noise(SIZE, 1), "one again")
        assert card.frame() == noise(SIZE, 1)
        assert card.stored_bytes == stored
    async with board(card).open() as sign:
        stored = card.stored_bytes
        await sign.show(noise(SIZE, 2), "after a restart")
        assert card.frame() == noise(SIZE, 2)
        assert card.stored_bytes == stored


async def test_an_upload_goes_on_where_it_was_cut(card: HuiduEmulator) -> None:
    card.width, card.height = 256, 128
    size = BoardGeometry(256, 128)
    async with board(card).open() as sign:
        sessions = card.sessions
        card.drop_after_bytes = 60_000
        await sign.show(noise(size), "cut in the middle")
        assert card.sessions == sessions + 1
        assert card.frame() == noise(size)
        (file,) = card.files.values()
        assert file.size > 60_000
        assert card.stored_bytes == file.size


async def test_only_so_many_old_pictures_are_kept(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        for number in range(70):
            await sign.show(plain(number, 0, 0), "one of many")
        assert len(card.files) == 64
        assert card.frame() == plain(69, 0, 0)
        await sign.show(plain(0, 0, 0), "one that was deleted")
        assert card.frame() == plain(0, 0, 0)


# Answers


async def test_a_busy_card_is_asked_again(card: HuiduEmulator) -> None:
    card.busy_answers = 2
    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        assert card.frame() == plain(9, 9, 9)


async def test_a_closed_connection_is_opened_again_unnoticed(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        card.drop()
        await sign.show(plain(8, 8, 8), "after")
        assert card.frame() == plain(8, 8, 8)
        card.power_cycle()
        status = await sign.status()
        assert not status.lost
        assert not status.foreign


async def test_the_session_is_kept_alive(card: HuiduEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_HEARTBEAT_S", 0.02)
    async with board(card).open():
        await asyncio.sleep(0.2)
    assert card.heartbeats >= 2


async def test_another_size_is_refused_when_opening(card: HuiduEmulator) -> None:
    other = HuiduBoard("square", "127.0.0.1", BoardGeometry(128, 64), port=card.port, limit_s=0.5)
    with pytest.raises(DeviceRefusedError, match="64x32"):
        async with other.open():
            raise AssertionError("opened")


async def test_status_tells_who_answers_and_what_changed(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        assert (await sign.status()).lost is None
        await sign.show(plain(1, 1, 1), "grey")
        await sign.brightness(0.4)
        status = await sign.status()
        assert (status.model, status.firmware, status.brightness) == ("C16L", "7.10.78.1", 0.4)
        assert (status.lost, status.foreign) == (False, False)
        card.serial = "C16L-D00-B0000"
        status = await sign.status()
        assert status.lost
        assert "another card" in status.detail


async def test_a_change_inside_our_programme_is_foreign(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
        card.put_file("tl-forged.png", programme.compose(plain(200, 0, 0), None).pieces[0].png)
        for item in card.programs[0].iter("file"):
            item.set("name", "tl-forged.png")
        assert (await sign.status()).foreign
        await sign.show(plain(1, 1, 1), "grey")
        assert card.frame() == plain(1, 1, 1)


async def test_a_deleted_picture_is_lost_and_comes_again(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
        card.files.clear()
        assert (await sign.status()).lost
        await sign.show(plain(1, 1, 1), "grey")
        assert card.frame() == plain(1, 1, 1)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A card that says the same to everything."""
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        for answer in answers:
            if not await reader.read(65_536):
                break
            writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if tasks:
            await asyncio.wait(tasks)


def stranger(document: bytes) -> bytes:
    return codec.pack(Command.XML_ANSWER, struct.pack("<II", len(document), 0) + document)


VERSION = bytes.fromhex("0a000220050000010000")


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((VERSION, stranger(BOMB)), DeviceProtocolError),
        (
            (VERSION, stranger(b"<sdk><out method='GetIFVersion' result='kSuccess'/></sdk>")),
            DeviceProtocolError,
        ),
        (
            (VERSION, stranger(b"<sdk guid='1'><out method='GetIFVersion' result='kNo'/></sdk>")),
            DeviceRefusedError,
        ),
        ((VERSION, b"HTTP/1.1 400 Bad Request\r\n\r\n"), DeviceProtocolError),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), DeviceProtocolError),
        ((bytes.fromhex("060000200400"),), DeviceUnavailableError),
        ((bytes.fromhex("060000200300"),), DeviceRefusedError),
        ((codec.pack(Command.HEARTBEAT) * 50,), DeviceUnavailableError),
        ((VERSION,), DeviceUnavailableError),
    ],
)
async def test_what_is_no_card_or_a_hostile_one_is_an_error_of_the_contract(
    answers: tuple[bytes, ...], error: type[Exception]
) -> None:
    async with answering(*answers) as port:
        with pytest.raises(error):
            async with HuiduBoard("square", "127.0.0.1", SIZE, port=port, limit_s=0.3).open():
                raise AssertionError("opened")


async def test_an_answer_of_another_session_is_no_answer(
    card: HuiduEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        stamp = emulated_session.packet
        monkeypatch.setattr(
            emulated_session,
            "packet",
            lambda *what: re.sub(rb'<sdk guid="..', b'<sdk guid="zz', stamp(*what)),
        )
        with pytest.raises(DeviceProtocolError, match="another session"):
            await sign.status()
        monkeypatch.undo()
        await sign.show(plain(8, 8, 8), "after")
        assert card.frame() == plain(8, 8, 8)


async def test_a_card_with_endless_work_for_us_is_no_hang(
    card: HuiduEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_VERB_S", 0.5)
    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        card.appends = True
        for number in range(3_000):
            card.programs.append(card.programs[0].makeelement("program", {"guid": f"junk-{number}"}))
        card.late_s = 0.01
        began = time.monotonic()
        with pytest.raises(DeviceUnavailableError, match="not done"):
            await sign.show(plain(8, 8, 8), "late")
        assert time.monotonic() - began < 2
        card.late_s = 0.0
        del card.programs[1:]


async def test_a_card_switched_off_that_lost_power_is_switched_off_again(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        await sign.power(False)
        card.power_cycle()
        assert card.frame() == plain(9, 9, 9)
        await sign.show(plain(8, 8, 8), "unseen")
        assert not any(card.frame().rgb)
        await sign.power(True)
        assert card.frame() == plain(8, 8, 8)


async def test_a_card_that_lost_power_in_the_middle_of_a_picture_stays_switched_off(
    card: HuiduEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_file = Link.send_file
    cut: list[str] = []

    async def without_power(link: Link, name: str, *rest: Any) -> int:
        if not cut:
            cut.append(name)
            card.power_cycle()
        return await send_file(link, name, *rest)

    async with board(card).open() as sign:
        await sign.show(plain(9, 9, 9), "grey")
        await sign.power(False)
        monkeypatch.setattr(Link, "send_file", without_power)
        await sign.show(plain(8, 8, 8), "unseen")
        assert cut
        assert not any(card.frame().rgb)


async def test_a_card_that_declines_the_safe_screen_keeps_nothing_of_ours(
    card: HuiduEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(200, 0, 0), "expired")
        monkeypatch.setattr(emulated_session.Session, "_add", lambda *_: ("kDownloadFileFailed", ""))
    assert not any(card.frame().rgb)


async def test_the_tool_ends_well_when_it_is_told_to(tmp_path: Path) -> None:
    out = tmp_path / "board.png"
    tool = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "drivers.board.huidu.emulator", "--port", "0", "--out", str(out)
    )
    try:
        while not out.exists():
            await asyncio.sleep(0.02)
        tool.terminate()
        assert await asyncio.wait_for(tool.wait(), 5) == 0
    finally:
        if tool.returncode is None:
            tool.kill()
            await tool.wait()


# Handing back


def advert(card: HuiduEmulator) -> Frame:
    card.put_foreign((200, 120, 0))
    return card.frame()


async def test_what_was_there_comes_back_even_after_a_restart(card: HuiduEmulator, tmp_path: Path) -> None:
    before = advert(card)
    card.luminance = ("sensor", 70)
    async with board(card, keep_dir=tmp_path).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
        await sign.brightness(1.0)
        await sign.power(False)
        assert card.luminance == ("default", 100)
    async with board(card, keep_dir=tmp_path).open() as sign:
        await sign.show(plain(2, 2, 2), "grey")
        await sign.power(True)
        await sign.hand_back()
        assert card.frame() == before
        assert [name for name in card.files if name.startswith("tl-")] == []
        assert (await sign.status()).detail == ""
    assert card.frame() == before
    assert list(tmp_path.iterdir()) == []


async def test_brightness_goes_back_to_its_sensor(card: HuiduEmulator) -> None:
    card.luminance = ("sensor", 70)
    async with board(card).open() as sign:
        await sign.brightness(0.1)
        assert card.luminance == ("default", 10)
        await sign.hand_back()
        assert card.luminance == ("sensor", 70)


async def test_what_cannot_be_restored_is_said(card: HuiduEmulator) -> None:
    async with board(card).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
    async with board(card).open() as sign:  # nothing was kept
        await sign.show(plain(2, 2, 2), "grey")
        await sign.hand_back()
        assert "not known" in (await sign.status()).detail
        assert card.programs == []
        assert card.files == {}


async def test_a_former_programme_without_its_file_is_said_and_ours_is_gone(card: HuiduEmulator) -> None:
    advert(card)
    async with board(card).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
        for name in [name for name in card.files if name.startswith("advert")]:
            del card.files[name]
        await sign.hand_back()
        assert "no longer on the card: advert" in (await sign.status()).detail
        assert card.programs == []


async def test_a_long_former_programme_comes_back_whole(card: HuiduEmulator) -> None:
    before = advert(card)
    (first,) = card.programs
    for number in range(200):
        area = first.makeelement("area", {"guid": f"text-{number}", "alpha": "255"})
        text = first.makeelement("string", {})
        text.text = "Kính chào quý khách <&> " * 4
        area.append(text)
        first.append(area)
    async with board(card).open() as sign:
        await sign.show(plain(1, 1, 1), "grey")
        assert card.frame() == plain(1, 1, 1)
        await sign.hand_back()
    assert card.frame() == before
    assert [node.text for node in card.programs[0].iter("string")] == ["Kính chào quý khách <&> " * 4] * 200


# Options


def wrong_options() -> Iterator[tuple[dict[str, object], str]]:
    good: dict[str, object] = {"host": "192.168.6.1", "width_px": 128, "height_px": 64}
    yield {key: value for key, value in good.items() if key != "host"}, "host"
    yield {**good, "width_px": 0}, "width_px"
    yield {**good, "port": 70_000}, "port"
    yield {**good, "storage": "tape"}, "storage"
    yield {**good, "colour": "red"}, "colour"


@pytest.mark.parametrize(("options", "names"), list(wrong_options()))
def test_a_wrong_option_is_named(options: dict[str, object], names: str) -> None:
    with pytest.raises(DriverSetupError, match=names):
        HuiduBoard.from_options("square", options)


async def test_options_reach_the_card(card: HuiduEmulator, tmp_path: Path) -> None:
    options = {
        "host": "127.0.0.1",
        "port": card.port,
        "width_px": SIZE.width_px,
        "height_px": SIZE.height_px,
        "storage": "ram",
        "keep_dir": str(tmp_path),
        "ticker": False,
    }
    opened: Board
    async with HuiduBoard.from_options("square", options).open() as opened:
        await opened.show(plain(3, 3, 3), "grey")
        assert {file.kind for file in card.files.values()} == {128}
        assert opened.abilities.ticker_max_px == 0
        with pytest.raises(DeviceRefusedError, match="ticker"):
            await opened.show(plain(3, 3, 3), "grey", CardTicker(plain(1, 1, 1), 0, 60.0))
