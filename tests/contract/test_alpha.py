"""Alpha signs: frames byte for byte, bad lines, lost and foreign content, adapters that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import (
    BoardGeometry,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
)
from drivers.board.alpha import codec, former, line, picture
from drivers.board.alpha.codec import Acknowledged, Depth, Kind, MalformedError, Reply, Splitter
from drivers.board.alpha.driver import AlphaBoard
from drivers.board.alpha.emulator import AlphaEmulator, Plug

SIZE = BoardGeometry(40, 7)
WIDE = BoardGeometry(300, 7)


def plain(red: int, green: int, blue: int, size: BoardGeometry = SIZE) -> Frame:
    return Frame(size.width_px, size.height_px, bytes((red, green, blue)) * (size.width_px * size.height_px))


def at_once(parts: tuple[bytes, ...]) -> str:
    return b"".join(codec.message(*parts)).hex(" ")


# Frames: the vectors of the hardware notes

VECTORS = [
    (
        codec.write_file(Kind.TEXT, b"A", b"\x1b\x20bHELLO"),
        "00 00 00 00 00 01 5a 30 30 02 41 41 1b 20 62 48 45 4c 4c 4f 03 30 32 39 38 04",
    ),
    (
        codec.write_file(Kind.STRING, b"1", b"25C"),
        "00 00 00 00 00 01 5a 30 30 02 47 31 32 35 43 03 30 31 32 37 04",
    ),
    (codec.write_special(b" ", b"1345"), "00 00 00 00 00 01 5a 30 30 02 45 20 31 33 34 35 03 30 31 33 37 04"),
    (
        codec.configure(
            (
                codec.text_entry(b"A", 256, locked=False),
                codec.string_entry(b"1", 16),
                codec.dots_entry(b"2", 16, 32, Depth.EIGHT),
            )
        ),
        (
            "00 00 00 00 00 01 5a 30 30 02 45 24 41 41 55 30 31 30 30 46 46 30 30 31 42 4c 30 30 31 30 30 30 30 30 "
            "32 44 4c 31 30 32 30 34 30 30 30 03 30 37 37 42 04"
        ),
    ),
    (codec.configure(()), "00 00 00 00 00 01 5a 30 30 02 45 24 03 30 30 36 45 04"),
    (codec.cancel_priority(), "00 00 00 00 00 01 5a 30 30 02 41 30 03 30 30 37 36 04"),
    (
        codec.write_dots(b"2", (b"12300321", b"20000002")),
        (
            "00 00 00 00 00 01 5a 30 30 02 49 32 30 32 30 38 31 32 33 30 30 33 32 31 0d 32 30 30 30 30 30 30 32 0d "
            "03 30 34 37 34 04"
        ),
    ),
]


@pytest.mark.parametrize(
    ("parts", "wanted"), VECTORS, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_the_vectors_of_the_hardware_notes(parts: tuple[bytes, ...], wanted: str) -> None:
    assert at_once(parts) == wanted


def test_acknowledgements_of_the_hardware_notes() -> None:
    assert Splitter().feed(bytes.fromhex("0640 1550")) == [
        Acknowledged(True, 0x40),
        Acknowledged(False, 0x50),
    ]


def test_the_pause_of_a_picture_is_after_its_width() -> None:
    first, second = codec.message(*codec.write_dots(b"2", (b"12300321", b"20000002")))
    assert first.endswith(b"I20208")
    assert second.startswith(b"12300321\r")


@pytest.mark.parametrize("rows", [(), (b"",), (b"1",) * 32, (b"1" * 256,), (b"11", b"1")])
def test_a_picture_that_does_not_fit_a_file_is_refused(rows: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match=r"picture|uneven"):
        codec.write_dots(b"P", rows)


def reply(data: bytes) -> bytes:
    body = b"\x02" + data + b"\x03"
    return b"\0" * 20 + b"\x01000" + body + b"%04X" % (sum(body) & 0xFFFF) + b"\x04"


def test_answers_may_be_cut_at_any_byte() -> None:
    stream = reply(b"E$AAU0100FF00") + b"\x06\x40" + reply(b"IP0102\x31\x32\r") + b"\x15\x60"
    whole = Splitter().feed(stream)
    assert whole == [
        Reply(b"E$AAU0100FF00"),
        Acknowledged(True, 0x40),
        Reply(b"IP010212\r"),
        Acknowledged(False, 0x60),
    ]
    for cut in range(len(stream) + 1):
        splitter = Splitter()
        assert splitter.feed(stream[:cut]) + splitter.feed(stream[cut:]) == whole
    splitter = Splitter()
    assert [answer for byte in stream for answer in splitter.feed(bytes((byte,)))] == whole


@pytest.mark.parametrize(
    "bad",
    [
        b"HELLO",
        b"\x06\x00",
        b"\x15\xff",
        b"\x01Z00\x02A\x030046\x04",
        b"\x01000\x02A\x030000\x04",
        b"\x01000\x02A\x03\x04",
        b"\x01\x04",
        b"\x01" + b"0" * 80_000,
    ],
    ids=lambda bad: repr(bad[:12]),
)
def test_what_no_sign_sends_is_malformed(bad: bytes) -> None:
    with pytest.raises(MalformedError):
        Splitter().feed(bad)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\x06\x40", b"\x01000\x02", b"\0\0"]), max_size=8))
def test_whatever_comes_over_the_line_is_answers_or_malformed(parts: list[bytes]) -> None:
    splitter = Splitter()
    try:
        answers = [answer for part in parts for answer in splitter.feed(part)]
    except MalformedError:
        return
    assert all(isinstance(answer, (Acknowledged, Reply)) for answer in answers)


@given(st.binary(max_size=60))
def test_whatever_a_sign_says_of_its_memory_is_a_table_or_malformed(data: bytes) -> None:
    for parse in (codec.parse_table, codec.parse_dots):
        try:
            parsed = parse(data)
        except MalformedError:
            continue
        assert len(parsed) <= len(data)


def test_a_table_is_read_as_it_was_written() -> None:
    entries = (
        codec.text_entry(b"A", 64, locked=False),
        codec.string_entry(b"1", 125),
        codec.dots_entry(b"P", 31, 255, Depth.EIGHT),
    )
    table = b"".join(entry.encode() for entry in entries)
    assert codec.parse_table(table) == entries
    for bad in (table[:-1], b"A" * 11, b"AXU0100FF00"):
        with pytest.raises(MalformedError):
            codec.parse_table(bad)


# Pictures


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 600), st.integers(1, 31), st.integers(0, 1000), st.sampled_from(Depth))
def test_a_picture_of_any_size_is_seen_in_the_colours_of_the_sign(
    width: int, height: int, seed: int, depth: Depth
) -> None:
    colours = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    chosen = Random(seed).choices(colours, k=width * height)
    frame = Frame(width, height, b"".join(map(bytes, chosen)))
    sign = AlphaEmulator(width, height, strict_pauses=False)
    sign.pool_bytes = 1_000_000
    sign.acknowledges = True
    parts = picture.parts(width)
    entries = tuple(
        codec.dots_entry(part.label, height, part.right_px - part.left_px, depth) for part in parts
    )
    page = codec.MIDDLE_HOLD + b"".join(b"\x14" + part.label for part in parts)
    sent = [
        codec.configure((codec.text_entry(b"A", 256), *entries)),
        *(codec.write_dots(part.label, picture.rows_of(frame, part, depth)) for part in parts),
        codec.write_file(Kind.TEXT, b"A", page),
    ]
    for one in sent:
        assert sign.feed(b"".join(codec.message(*one)), 0.0) == [b"\x06\x40"]
    seen = sign.frame().rgb
    for number, (red, green, blue) in enumerate(chosen):
        if depth is Depth.MONO:
            wanted = (255, 0, 0) if red or green or blue else (0, 0, 0)
        elif blue and not red and not green:
            wanted = (255, 255, 0)
        else:
            wanted = (red, green, 0)
        assert tuple(seen[3 * number : 3 * number + 3]) == wanted


def test_parts_cover_a_board_without_gaps() -> None:
    for width in range(1, picture.WIDTH_MAX_PX + 1):
        parts = picture.parts(width)
        assert [part.left_px for part in parts] == [0, *(part.right_px for part in parts[:-1])]
        assert parts[-1].right_px == width
        assert all(0 < part.right_px - part.left_px <= 255 for part in parts)
        assert len({part.label for part in parts}) == len(parts)


def test_shades_find_the_nearest_light() -> None:
    assert picture.character(120, 0, 0, Depth.EIGHT) == b"4"
    assert picture.character(255, 120, 0, Depth.EIGHT) == b"7"
    assert picture.character(0, 0, 200, Depth.EIGHT) != b"0"
    assert picture.character(10, 10, 10, Depth.EIGHT) == b"0"


# Signs


@pytest.fixture
async def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plug]:
    monkeypatch.setattr(line, "PAUSE_S", 0.0)  # the tests of pauses have their own
    sign = AlphaEmulator(WIDE.width_px, WIDE.height_px, strict_pauses=False)
    made = Plug(sign)
    made.attach(tmp_path / "usb-sign-if00")
    try:
        yield made
    finally:
        await made.close()


def board(plug: Plug, tmp_path: Path, **options: Any) -> AlphaBoard:
    return AlphaBoard("gate", str(tmp_path / "usb-sign-if00"), WIDE, limit_s=0.4, **options)


def striped(seed: int, left: tuple[int, int, int] = (255, 0, 0)) -> Frame:
    """Left half of one colour, the rest changes with `seed`."""
    row = bytes(left) * 150 + bytes((0, 255 * (seed % 2), 0)) * 150
    return Frame(300, 7, row * 7)


async def test_only_what_changed_is_sent(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "first")
        assert plug.sign.pictures_written == 5
        received = plug.sign.received
        await sign.show(striped(0), "same")
        assert plug.sign.received == received
        await sign.show(striped(1), "half of it new")
        assert plug.sign.pictures_written == 8
        assert plug.sign.frame() == striped(1)


async def test_the_memory_is_laid_out_once(plug: Plug, tmp_path: Path) -> None:
    for number in range(3):
        async with board(plug, tmp_path).open() as sign:
            await sign.show(striped(number), "picture")
    assert plug.sign.configured == 1


async def test_a_priority_file_that_covers_us_is_foreign_and_cleared(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        plug.sign.priority = b"\x1b\x20bSALE"
        assert plug.sign.frame() != striped(0)
        status = await sign.status()
        assert status.foreign
        assert "priority" in status.detail
        await sign.show(striped(0), "again")
        assert plug.sign.frame() == striped(0)
        assert plug.sign.configured == 1


async def test_a_picture_that_was_altered_is_noticed_within_a_round(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        store = plug.sign.files[ord("Q")]
        store.data = store.data[:4] + store.data[4:].replace(b"1", b"2")
        assert any([(await sign.status()).lost for _ in range(5)])
        await sign.show(striped(0), "again")
        assert plug.sign.frame() == striped(0)


async def test_what_the_line_garbled_is_sent_again(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        plug.sign.flip_checksums = 2
        await sign.show(striped(1), "over a bad line")
        assert plug.sign.frame() == striped(1)
        assert "checksum" in (await sign.status()).detail
        assert plug.sign.register == 0x40
        assert (await sign.status()).detail == ""
        plug.sign.flip_checksums = 50
        with pytest.raises(DeviceProtocolError, match="garbles"):
            await sign.show(striped(0), "over a worse line")
        plug.sign.flip_checksums = 0


async def test_a_sign_without_room_refuses(plug: Plug, tmp_path: Path) -> None:
    plug.sign.pool_bytes = 500
    with pytest.raises(DeviceRefusedError):
        async with board(plug, tmp_path).open() as sign:
            await sign.show(striped(0), "picture")


async def test_a_sign_that_is_strict_about_pauses_takes_our_pictures(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PAUSE_S", codec.PAUSE_S)
    plug.sign.strict_pauses = True
    hurried = b"".join(codec.message(*codec.write_dots(b"P", (b"1",))))
    plug.sign.feed(hurried, time.monotonic())
    assert plug.sign.register & 0x08
    plug.sign.register = 0x40
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        assert plug.sign.frame() == striped(0)


async def test_an_adapter_that_comes_back_as_another_number_is_found_by_its_name(
    plug: Plug, tmp_path: Path
) -> None:
    name = tmp_path / "usb-sign-if00"
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        number = name.readlink()
        await plug.pull()
        for _ in range(2):
            with pytest.raises(DeviceUnavailableError):
                await sign.show(striped(1), "unplugged")
            with pytest.raises(DeviceUnavailableError):
                await sign.status()
        plug.renumber()
        assert name.readlink() != number
        await sign.show(striped(1), "plugged in again")
        assert plug.sign.frame() == striped(1)
        assert plug.sign.configured == 1


async def test_an_old_sign_without_acknowledgements_is_checked_by_its_register(
    plug: Plug, tmp_path: Path
) -> None:
    plug.sign.has_ack = False
    async with board(plug, tmp_path, acknowledge=False).open() as sign:
        await sign.show(striped(0), "picture")
        assert plug.sign.frame() == striped(0)
        plug.sign.flip_checksums = 50
        with pytest.raises((DeviceProtocolError, DeviceUnavailableError)):
            await sign.show(striped(1), "over a bad line")
        plug.sign.flip_checksums = 0
        await sign.show(striped(1), "over a good one")
        assert plug.sign.frame() == striped(1)


async def test_switched_off_it_is_blank_and_takes_pictures(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        await sign.power(False)
        await sign.show(striped(1), "unseen")
        assert not any(plug.sign.frame().rgb)
        status = await sign.status()
        assert (status.foreign, status.on) == (False, False)
        await sign.power(True)
        assert (await sign.status()).on
        assert plug.sign.frame() == striped(1)


async def test_dimming_has_five_steps(plug: Plug, tmp_path: Path) -> None:
    async with board(plug, tmp_path).open() as sign:
        for level, wanted in ((1.0, b"0000"), (0.6, b"0002"), (-3.0, b"0004")):
            await sign.brightness(level)
            assert plug.sign.dimming == wanted
            assert (await sign.status()).brightness is None, "the sign was not asked: nobody measured it"
        await sign.hand_back()
        assert plug.sign.dimming == b"0000"


async def test_what_was_there_comes_back_even_after_a_restart(plug: Plug, tmp_path: Path) -> None:
    plug.sign.put_text(b"XIN CHAO \x101")
    before, sequence = plug.sign.frame(), plug.sign.sequence
    keep = tmp_path / "keep"
    async with board(plug, tmp_path, keep_dir=keep).open() as sign:
        await sign.show(striped(0), "picture")
    async with board(plug, tmp_path, keep_dir=keep).open() as sign:
        await sign.show(striped(1), "picture")
        await sign.hand_back()
        assert plug.sign.frame() == before
        assert plug.sign.sequence == sequence
        assert (await sign.status()).detail == ""
    assert plug.sign.frame() == before
    assert list(keep.iterdir()) == []


async def test_what_cannot_be_put_back_is_said(plug: Plug, tmp_path: Path) -> None:
    entry = codec.text_entry(b"A", former.LARGEST_BYTES + 1)
    plug.sign.feed(b"".join(codec.message(*codec.configure((entry,)))), 0.0)
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(0), "picture")
        await sign.hand_back()
        assert "not all known" in (await sign.status()).detail
        assert not any(plug.sign.frame().rgb)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"table": "41", "contents": {}, "sequence": "", "complete": true}']
)
def test_a_broken_record_of_what_was_there_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "former.json"
    assert former.load(path) is None
    path.write_text(text)
    assert former.load(path) is None


# What is seen meanwhile


def watched(sign: AlphaEmulator, monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """What is on the sign after each file that is written."""
    seen: list[Frame] = []
    write = sign._write

    def noted(*what: Any) -> list[bytes]:
        answers = write(*what)
        seen.append(sign.frame())
        return answers

    monkeypatch.setattr(sign, "_write", noted)
    return seen


def colours(frame: Frame) -> set[bytes]:
    return {frame.rgb[at : at + 3] for at in range(0, len(frame.rgb), 3)} - {b"\0\0\0"}


async def test_a_picture_that_nobody_waits_for_makes_way_at_the_next_file(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PAUSE_S", codec.PAUSE_S)
    async with board(plug, tmp_path).open() as sign:
        await sign.show(plain(255, 0, 0, WIDE), "first")
        written = plug.sign.pictures_written
        routine = asyncio.create_task(sign.show(plain(0, 255, 0, WIDE), "routine"))
        while plug.sign.pictures_written == written:
            await asyncio.sleep(0.005)
        routine.cancel()
        await asyncio.wait((routine,))
        assert plug.sign.pictures_written < written + 3
        await sign.show(plain(255, 255, 0, WIDE), "emergency")
        assert plug.sign.frame() == plain(255, 255, 0, WIDE)
        assert plug.sign.pictures_written <= written + 2 + 5


async def test_files_with_light_in_them_come_first(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(plain(255, 0, 0, WIDE), "first")
        seen = watched(plug.sign, monkeypatch)
        row = bytes(250 * 3) + b"\0\xff\0" * 50
        await sign.show(Frame(300, 7, row * 7), "an alarm at the right end")
        assert b"\0\xff\0" in colours(seen[0])


async def test_a_long_picture_that_is_left_is_gone_with_the_first_message(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends us waits for seconds, a picture may take half a minute."""
    async with board(plug, tmp_path).open() as sign:
        await sign.show(plain(255, 0, 0, WIDE), "expired")
        await sign.set_safe(plain(0, 255, 0, WIDE))
        seen = watched(plug.sign, monkeypatch)
    assert colours(seen[0]) == set()
    assert all(colours(frame) <= {b"\0\xff\0"} for frame in seen)
    assert plug.sign.frame() == plain(0, 255, 0, WIDE)


async def test_what_was_left_in_the_files_of_the_sign_is_not_seen_again(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board(plug, tmp_path).open() as sign:
        await sign.show(plain(255, 0, 0, WIDE), "yesterday")
    seen = watched(plug.sign, monkeypatch)
    async with board(plug, tmp_path).open() as sign:
        await sign.show(plain(0, 255, 0, WIDE), "today")
        assert plug.sign.frame() == plain(0, 255, 0, WIDE)
    assert seen
    assert all(b"\xff\0\0" not in colours(frame) for frame in seen)


async def test_handing_back_that_is_declined_halfway_leaves_it_safe(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug.sign.put_text(b"XIN CHAO")
    async with board(plug, tmp_path).open() as sign:
        await sign.show(striped(1), "ours")
        special = plug.sign._special
        monkeypatch.setattr(
            plug.sign, "_special", lambda data: [b"\x15\x60"] if data == b".TUA" else special(data)
        )
        with pytest.raises(DeviceRefusedError):
            await sign.hand_back()
        assert any(plug.sign.frame().rgb)
    assert not any(plug.sign.frame().rgb)


async def test_an_old_sign_that_lost_power_is_painted_again_though_nobody_asked_it(
    plug: Plug, tmp_path: Path
) -> None:
    plug.sign.has_ack = False
    async with board(plug, tmp_path, acknowledge=False).open() as sign:
        await sign.show(striped(0), "first")
        plug.sign.power_cycle()
        with pytest.raises(DeviceRefusedError):
            await sign.show(striped(1), "declined")
        await sign.show(striped(1), "again")
        assert plug.sign.frame() == striped(1)


async def test_a_serial_server_that_never_stops_talking_is_no_hang() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    device = f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises((DeviceProtocolError, DeviceUnavailableError)):
            async with AlphaBoard("gate", device, SIZE, limit_s=0.3).open():
                raise AssertionError("opened")
    assert time.monotonic() - began < 4
    server.close()
    await asyncio.sleep(0.05)


async def test_an_emulated_port_does_not_take_the_place_of_a_real_one(tmp_path: Path) -> None:
    real = tmp_path / "ttyUSB0"
    real.write_text("not ours")
    with pytest.raises(FileExistsError):
        Plug(AlphaEmulator()).attach(real)
    assert real.read_text() == "not ours"


async def test_the_tool_takes_its_port_away_when_it_is_ended(tmp_path: Path) -> None:
    name, out = tmp_path / "sign", tmp_path / "board.png"
    tool = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "drivers.board.alpha.emulator", "--pty", str(name), "--out", str(out)
    )
    try:
        while not out.exists():
            await asyncio.sleep(0.02)
        assert name.is_symlink()
        tool.terminate()
        assert await asyncio.wait_for(tool.wait(), 5) == 0
    finally:
        if tool.returncode is None:
            tool.kill()
            await tool.wait()
    assert not name.is_symlink()


# Options


def wrong_options() -> Iterator[tuple[dict[str, object], str]]:
    good: dict[str, object] = {"device": "/dev/serial/by-id/usb-x", "width_px": 80, "height_px": 7}
    yield {**good, "device": "/dev/ttyUSB0"}, "by-id"
    yield {**good, "device": "/dev/ttyACM12"}, "by-id"
    yield {**good, "device": "COM3"}, "device"
    yield {key: value for key, value in good.items() if key != "device"}, "device"
    yield {**good, "height_px": 32}, "height_px"
    yield {**good, "width_px": 1021}, "width_px"
    yield {**good, "colours": "full"}, "colours"
    yield {**good, "address": "0x1"}, "address"
    yield {**good, "baud": 300}, "baud"
    yield {**good, "speed": 1}, "speed"


@pytest.mark.parametrize(("options", "names"), list(wrong_options()))
def test_a_wrong_option_is_named(options: dict[str, object], names: str) -> None:
    with pytest.raises(DriverSetupError, match=names):
        AlphaBoard.from_options("gate", options)


async def test_a_port_that_is_not_there_is_a_state() -> None:
    options = {"device": "/dev/serial/by-id/usb-nothing", "width_px": 80, "height_px": 7, "address": "0a"}
    with pytest.raises(DeviceUnavailableError):
        async with AlphaBoard.from_options("gate", options).open():
            raise AssertionError("opened")
