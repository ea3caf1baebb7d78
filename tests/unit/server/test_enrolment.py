from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.wire.device_api import BrokerAddress, EnrolRequest
from server.broker.config import Member
from server.enrolment import TRIES, TRIES_WINDOW_S, Enrolment
from server.problems import Problem, RefusedError
from server.signing import Station, open_signer
from server.store import content
from server.store.database import Database

BROKER = BrokerAddress(host="127.0.0.1", port=1883)
QUARTER = timedelta(minutes=15)


class Counter:
    """A broker that lets everybody in, and a clock that stands until told."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.members: tuple[Member, ...] = ()
        self.welcomed = 0

    async def admit(self, members: tuple[Member, ...], user: str, secret: str) -> None:
        self.members = members

    async def welcome(self) -> None:
        self.welcomed += 1

    def monotonic(self) -> float:
        return self.now_s


@asynccontextmanager
async def an_enrolment(data: Path, counter: Counter) -> AsyncIterator[Enrolment]:
    database = Database(data / "server.sqlite3")
    await database.open()
    signer = open_signer(data, Station("tan-loc", "ca-mau", "Tân Lộc"), datetime.now(UTC))
    try:
        yield Enrolment(database, signer, counter.admit, counter.welcome, counter.monotonic)
    finally:
        await database.close()


async def refusal(enrolment: Enrolment, code: str, address: str) -> Problem:
    with pytest.raises(RefusedError) as refused:
        await enrolment.enrol(EnrolRequest(code=code), address, BROKER)
    return refused.value.problem


async def test_a_code_past_its_time_is_refused(tmp_path: Path) -> None:
    async with an_enrolment(tmp_path, Counter()) as enrolment:
        code, _ = await enrolment.make_code("", (), timedelta(seconds=-1))
        assert await refusal(enrolment, code, "a") is Problem.CODE_REFUSED


async def test_five_wrong_guesses_at_a_code_void_it_wherever_they_come_from(tmp_path: Path) -> None:
    async with an_enrolment(tmp_path, Counter()) as enrolment:
        code, _ = await enrolment.make_code("", (), QUARTER)
        wrong = code[:5] + ("0000" if code[5:] != "0000" else "1111")
        for n in range(TRIES):
            assert await refusal(enrolment, wrong, f"address {n}") is Problem.CODE_REFUSED
        assert await refusal(enrolment, code, "another") is Problem.CODE_REFUSED


async def test_an_address_may_try_again_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    counter = Counter()
    async with an_enrolment(tmp_path, counter) as enrolment:
        code, _ = await enrolment.make_code("Loa", ("ap-1",), QUARTER)
        for _ in range(TRIES):
            await refusal(enrolment, "00000000", "a")
        assert await refusal(enrolment, code, "a") is Problem.TOO_MANY
        counter.now_s += TRIES_WINDOW_S
        answer = await enrolment.enrol(EnrolRequest(code=code), "a", BROKER)
        assert [(one.user, one.groups) for one in counter.members] == [(answer.device, ("ap-1",))]
        assert answer.secret not in repr(answer)


async def test_the_name_given_with_the_code_wins_over_what_the_box_says(tmp_path: Path) -> None:
    async with an_enrolment(tmp_path, Counter()) as enrolment:
        for given, said, kept in (("Loa ấp 3", "box", "Loa ấp 3"), ("", "Loa chợ", "Loa chợ")):
            code, _ = await enrolment.make_code(given, (), QUARTER)
            answer = await enrolment.enrol(EnrolRequest(code=code, name=said), "a", BROKER)
            known = await enrolment.authenticate(answer.device, answer.secret)
            assert known is not None
            assert known.name == kept


async def test_a_box_is_known_by_its_secret_only(tmp_path: Path) -> None:
    async with an_enrolment(tmp_path, Counter()) as enrolment:
        code, _ = await enrolment.make_code("Loa", (), QUARTER)
        answer = await enrolment.enrol(EnrolRequest(code=code), "a", BROKER)
        known = await enrolment.authenticate(answer.device, answer.secret)
        assert known is not None
        assert known.name == "Loa"
        assert await enrolment.authenticate(answer.device, "x") is None
        assert await enrolment.authenticate("box-0000000000", answer.secret) is None


async def test_a_failed_transaction_changes_nothing_and_numbers_rise_for_ever(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite3")
    await database.open()
    try:

        def take(conn: sqlite3.Connection) -> int:
            return content.next_seq(conn, "xa-tan-loc", "device/box-a")

        def fail(conn: sqlite3.Connection) -> int:
            take(conn)
            raise LookupError

        assert await database.write(take) == 1
        with pytest.raises(LookupError):
            await database.write(fail)
        assert await database.write(take) == 2
    finally:
        await database.close()
    again = Database(tmp_path / "server.sqlite3")
    await again.open()
    try:
        assert await again.write(lambda conn: content.next_seq(conn, "xa-tan-loc", "device/box-a")) == 3
    finally:
        await again.close()
