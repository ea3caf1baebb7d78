"""Frames of Onbon cards: golden bytes, escapes, checks, and replies that are cut, broken or hostile."""

from __future__ import annotations

import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.api import Colours
from drivers.board.onbon import codec
from drivers.board.onbon.answers import parse_ping, parse_status
from drivers.board.onbon.codec import (
    Family,
    FrameError,
    Header,
    Reply,
    Request,
    Session,
    Splitter,
    escape,
    parse_reply,
    unescape,
)
from drivers.board.onbon.emulator import OnbonCard
from tests.support.onbon_golden import GOLDEN

SUNDAY = datetime(2026, 11, 22, 1, 39, 26)  # noqa: DTZ001  the civil time a card is told
C6, C5 = Header.C6, Header.C5
REQUESTS: dict[str, tuple[Request, Session]] = {
    "F0 ping (manual)": (codec.ping(Header.F0), Session()),
    "C6 ping": (codec.ping(C6), Session(0x346A, 0x70)),
    "C6 screen off": (codec.switch(C6, on=False), Session(0x36BA, 0x70)),
    "C6 screen on": (codec.switch(C6, on=True), Session(0x37C2, 0x70)),
    "C6 off, with an escaped header byte (XOR = 5b)": (codec.switch(C6, on=False), Session(0x1234, 0x56)),
    "C6 clock 2026-11-22 01:39:26 Sunday": (codec.set_clock(C6, SUNDAY), Session(0x390C, 0x70)),
    "C6 status": (codec.status(C6), Session(0x3B1A, 0x70)),
    "C6 brightness manual (SDK level 7 → value 06 ×48)": (codec.brightness(C6, 6), Session(0x3A18, 0x70)),
    "C6 ping as sent for a 6Q card": (codec.ping(C6), Session(0x2188, 0x61, q_model=True)),
    "C5 ping": (codec.ping(C5), Session(0x47CE, 0x7E)),
    "C5 screen off": (codec.switch(C5, on=False), Session(0x49CE, 0x7E)),
    "C5 screen on": (codec.switch(C5, on=True), Session(0x4ADA, 0x7E)),
    "delete dynamic areas 0 and 1": (codec.delete_areas((0, 1)), Session()),
    "delete all dynamic areas": (codec.delete_areas(), Session()),
}
ACK = bytes.fromhex("a5" * 8 + GOLDEN["F0 ACK"])


def wire(name: str) -> bytes:
    return b"\xa5" * 8 + bytes.fromhex(GOLDEN[name])


def contents(data: bytes) -> list[bytes]:
    return Splitter().feed(data)


def reply(group: int, command: int, data: bytes = b"", *, count: int | None = None) -> bytes:
    """Content of an F0 reply, made by hand."""
    body = struct.pack("<BBBHHH", 0, group, command, 0, 0, len(data) if count is None else count) + data
    head = bytes.fromhex("00800100f000") + b"\x74\x02" + bytes(4) + struct.pack("<I", len(body))
    return head + body + struct.pack("<H", codec.crc16(head + body))


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_byte_for_byte_that_of_the_vendor(name: str) -> None:
    request, session = REQUESTS[name]
    assert request.encode(session).hex(" ") == wire(name).hex(" ")


def test_no_golden_frame_is_left_out() -> None:
    areas = {name for name in GOLDEN if "scene" in name}
    assert len(areas) == 6
    assert set(GOLDEN) == set(REQUESTS) | areas | {"F0 ACK", "F0 NACK, error 3 busy"}


def test_acknowledgements_are_understood() -> None:
    accepted = parse_reply(contents(wire("F0 ACK"))[0])
    assert accepted.accepted
    assert not accepted.declined
    busy = parse_reply(contents(wire("F0 NACK, error 3 busy"))[0])
    assert busy.declined
    assert busy.error == codec.BUSY
    assert busy.why == "error 3, busy"


def test_escapes_of_the_manual() -> None:
    assert escape(b"\xa5\x5a").hex(" ") == "a6 02 5b 02"
    assert escape(bytes.fromhex("a5a6005b005a")).hex(" ") == "a6 02 a6 01 00 5b 01 00 5b 02"


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from(b"\xa5\xa6\x5a\x5b\x01\x02"), max_size=60).map(bytes)
)
def test_what_is_escaped_holds_no_mark_and_comes_back(data: bytes) -> None:
    escaped = escape(data)
    assert codec.SYNC not in escaped
    assert codec.END not in escaped
    assert unescape(escaped) == data
    assert contents(codec.frame(data)) == [data]


@pytest.mark.parametrize("bad", ["a600", "5b", "a6", "5b03", "00a6ff", "a65b"])
def test_an_escape_that_does_not_exist_is_an_error(bad: str) -> None:
    with pytest.raises(FrameError, match="escape"):
        unescape(bytes.fromhex(bad))


def test_checks() -> None:
    assert codec.crc16(b"123456789") == 0xBB3D
    assert codec.xor(bytes([1, 2, 4])) == 7


def test_check_of_a_data_file() -> None:
    data = bytes.fromhex("0944303030") + bytes(8) + bytes.fromhex("ffffff7f") + b"\xff" * 12
    assert struct.pack("<I", codec.file_crc32(data)).hex(" ") == "6e 78 32 fa"
    assert len(data) + 4 == 0x21


def test_check_of_a_program_file() -> None:
    program = bytes.fromhex(
        "00 50 30 30 30 00 00 01 05 00 00 00 00 00 00 00 00 00 00 00 ff ff ff 11 22 99 20 12 31 00 00 00 01 33 00"
        "00 00 00 00 00 00 00 20 00 02 00 00 00 65 00 00 00 00 00 00 00 01 00 1a 00 00 00 00 02 01 0a 90 01 01 20"
        "00 00 00 00 00 00 00 00 00 00 0e 00 00 00 10 00 00 00 18 20 16 07"
    )
    assert len(program) == 92
    assert struct.pack("<I", codec.file_crc32(program[:-4])) == program[-4:]


def test_start_write_of_the_capture() -> None:
    whole = Request(0xA1, 0x02, b"D000" + bytes([9]) + struct.pack("<I", 0x21) + bytes.fromhex("016e7832fa"))
    assert whole.body().hex(" ") == "01 a1 02 0e 00 44 30 30 30 09 21 00 00 00 01 6e 78 32 fa"


@pytest.mark.parametrize(("step", "mode"), [(-1, 0), (16, 0), (0, 4), (0, -1)])
def test_brightness_out_of_range_is_the_callers_mistake(step: int, mode: int) -> None:
    with pytest.raises(ValueError, match="brightness"):
        codec.brightness(C6, step, mode)


@pytest.mark.parametrize("cut", range(len(ACK)))
def test_a_reply_may_arrive_in_two_pieces_cut_anywhere(cut: int) -> None:
    splitter = Splitter()
    first = splitter.feed(ACK[:cut])
    assert first == []
    assert parse_reply(splitter.feed(ACK[cut:])[0]).accepted


def test_a_reply_may_arrive_byte_by_byte_after_noise_and_an_unfinished_one() -> None:
    splitter = Splitter()
    found = [content for byte in b"noise" + ACK[:20] + ACK + ACK for content in splitter.feed(bytes([byte]))]
    assert [parse_reply(content).accepted for content in found] == [True, True]
    assert splitter.skipped >= len(b"noise")


def test_an_endless_reply_is_given_up_and_the_next_one_read() -> None:
    splitter = Splitter()
    with pytest.raises(FrameError, match="more than"):
        splitter.feed(b"\xa5" + bytes(1_000_000))
    assert parse_reply(splitter.feed(ACK)[0]).accepted


@given(st.binary(max_size=400))
def test_garbage_is_a_frame_error_and_nothing_else(data: bytes) -> None:
    try:
        parsed = parse_reply(data)
    except FrameError:
        return
    assert isinstance(parsed, Reply)


@given(st.integers(0, 36), st.integers(1, 255))
def test_one_wrong_byte_in_a_reply_is_noticed(place: int, flip: int) -> None:
    content = bytearray(reply(0xA2, 0x80, bytes(12)))
    content[place] ^= flip
    with pytest.raises(FrameError):
        parse_reply(bytes(content))


@pytest.mark.parametrize("cut", range(40))
def test_a_reply_cut_short_is_noticed(cut: int) -> None:
    content = reply(0xA2, 0x80, bytes(15))
    with pytest.raises(FrameError):
        parse_reply(content[:cut])


def test_lengths_that_lie_are_noticed() -> None:
    with pytest.raises(FrameError, match="data"):
        parse_reply(reply(0xA2, 0x80, bytes(4), count=5))
    with pytest.raises(FrameError, match="header"):
        parse_reply(bytes(4) + b"\x99" + bytes(40))
    with pytest.raises(FrameError, match="of 17 bytes"):
        parse_reply(bytes(4) + b"\x07" + bytes(12))


@given(st.binary(max_size=80))
def test_answers_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (parse_ping, parse_status):
        try:
            assert parse(data) is not None
        except FrameError:
            assert len(data) < 40


@pytest.mark.parametrize("header", list(Header), ids=lambda header: header.name)
def test_the_cards_own_answer_to_a_ping_is_read(header: Header) -> None:
    card = OnbonCard("5e" if header is C5 else "6e", 192, 64, "dual")
    answer = card.answer(codec.ping(header).encode(Session(0xA55A, 0x5B))[8:-1])
    assert answer is not None
    parsed = parse_reply(contents(answer)[0])
    assert parsed.answers(codec.ping(header))
    told = parse_ping(parsed.data)
    assert (told.model, told.width_px, told.height_px) == ("BX-5E2" if header is C5 else "BX-6E2", 192, 64)
    assert (told.colours, told.on, told.firmware) == (Colours.DUAL, True, "20101901")
    assert told.family is (Family.BX5E if header is C5 else Family.BX6E)


@pytest.mark.parametrize(
    ("raw", "celsius"),
    [
        ("003b01", 31.5),
        ("013200", -5.0),
        ("ffffff", None),
        ("000000", None),
        ("00ffff", None),
        ("020100", None),
    ],
)
def test_temperature_is_read_or_absent(raw: str, celsius: float | None) -> None:
    card = OnbonCard()
    card.temperature = bytes.fromhex(raw)
    answer = card.answer(codec.status(C6).encode()[8:-1])
    assert answer is not None
    assert parse_status(parse_reply(contents(answer)[0]).data).temperature_c == celsius


def test_unknown_and_unsupported_models_have_a_name_and_no_family() -> None:
    data = bytearray(parse_data())
    for number, name in ((0x1056, "BX-5Q0+"), (0x9999, "type 9999")):
        data[:2] = struct.pack("<H", number)
        told = parse_ping(bytes(data))
        assert (told.model, told.family) == (name, None)


def parse_data() -> bytes:
    answer = OnbonCard().answer(codec.ping(C6).encode()[8:-1])
    assert answer is not None
    return parse_reply(contents(answer)[0]).data
