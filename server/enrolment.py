"""How a box joins: an officer's code, five tries, a quarter of an hour, once."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from agent.wire.device_api import BrokerAddress, EnrolAnswer, EnrolRequest, Place
from server.broker.config import Member
from server.clock import utc_now
from server.limits import Tries
from server.problems import Problem, RefusedError, StoreFailedError
from server.secret import canonical_code, digest, matches, mosquitto_hash, new_code, new_device_id, new_secret
from server.signing import Signer
from server.store import devices
from server.store.database import Database
from server.store.devices import Code, Device

logger = logging.getLogger(__name__)

TRIES = 5
TRIES_WINDOW_S = 15 * 60.0
TRIES_OF_ALL = 100
"""Wrong codes from everywhere per window; holds back guessing from many addresses."""

PREFIX_CHARS = 4

Admit = Callable[[tuple[Member, ...], str, str], Awaitable[None]]
"""Makes the broker know its members; returns when the one named (user, secret) can connect."""


class Enrolment:
    """Makes codes, and boxes out of codes; `welcome` gives a new box what the station set for all."""

    def __init__(
        self,
        database: Database,
        signer: Signer,
        admit: Admit,
        welcome: Callable[[], Awaitable[None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._signer = signer
        self._admit = admit
        self._welcome = welcome
        self._by_address = Tries(TRIES, TRIES_WINDOW_S, monotonic)
        self._by_anyone = Tries(TRIES_OF_ALL, TRIES_WINDOW_S, monotonic)

    async def make_code(self, name: str, groups: tuple[str, ...], valid: timedelta) -> tuple[str, Code]:
        """A fresh code; its text is known only to the caller."""
        text = new_code()
        plain = canonical_code(text)
        now = utc_now()
        code = Code(digest(plain), plain[:PREFIX_CHARS], name, groups, now, now + valid)
        await self._database.write(lambda conn: devices.insert_code(conn, code))
        logger.info("enrolment code made for %r, good for %d minutes", name, valid // timedelta(minutes=1))
        return text, code

    async def enrol(self, request: EnrolRequest, address: str, broker: BrokerAddress) -> EnrolAnswer:
        """Take in a box.

        Raises:
            RefusedError: wrong, used or expired code, or too many wrong ones.
        """
        wait_s = max(self._by_address.wait_s(address), self._by_anyone.wait_s("anyone"))
        if wait_s:
            raise RefusedError(Problem.TOO_MANY, retry_after_s=wait_s)
        plain = canonical_code(request.code)
        secret = new_secret()
        station = self._signer.station
        now = utc_now()

        def take(code: Code) -> Device:
            return Device(
                id=new_device_id(),
                name=code.name or request.name,  # the officer's word counts more than the box's
                hardware=request.hardware,
                version=request.version,
                station=station.name,
                province=station.province,
                groups=code.groups,
                secret_sha256=digest(secret),
                mqtt_hash=mosquitto_hash(secret),
                enrolled=now,
            )

        device = await self._database.write(lambda conn: self._redeem(conn, plain, take))
        if device is None:
            self._by_address.count(address)
            self._by_anyone.count("anyone")
            logger.warning("enrolment from %s refused: code wrong, used or expired", address)
            raise RefusedError(Problem.CODE_REFUSED, "code")
        await self._admit(await self.members(), device.id, secret)
        logger.info("box %s enrolled from %s as %r", device.id, address, device.name)
        try:
            await self._welcome()
        except StoreFailedError as error:  # housekeeping makes up for it; the box must get its secret
            logger.warning("box %s: orders put off: %s", device.id, error)
        return EnrolAnswer(
            device=device.id,
            secret=secret,
            broker=broker,
            place=Place(station=station.name, province=station.province, groups=device.groups),
            root=self._signer.root.decode(),
        )

    async def members(self) -> tuple[Member, ...]:
        """Every box as a user of the broker."""
        known = await self._database.read(devices.all_devices)
        return tuple(Member(one.id, one.mqtt_hash, one.groups) for one in known)

    async def authenticate(self, device: str, secret: str) -> Device | None:
        """The box of these credentials, None if they are wrong."""
        found = await self._database.read(lambda conn: devices.find_device(conn, device))
        return found if found is not None and matches(secret, found.secret_sha256) else None

    @staticmethod
    def _redeem(conn: sqlite3.Connection, plain: str, take: Callable[[Code], Device]) -> Device | None:
        code = devices.find_code(conn, digest(plain))
        if code is None or code.used_by or code.expires <= utc_now() or code.tries >= TRIES:
            devices.count_wrong_try(conn, plain[:PREFIX_CHARS])
            return None
        device = take(code)
        devices.insert_device(conn, device)
        devices.use_code(conn, code.hash, device.id)
        return device
