"""Mosquitto as a child of the server: started, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

from server.broker.config import SERVER_USER, Listener, Member, access_rules, configuration, passwords
from server.leash import command
from server.problems import StartError
from server.secret import mosquitto_hash, new_secret, write_private

logger = logging.getLogger(__name__)

READY_LIMIT_S = 10.0
STOP_LIMIT_S = 2.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 30.0


class Broker:
    """The broker of this server.

    Attributes:
        password: of the server's own user; new at each start, kept in memory only.
    """

    def __init__(self, folder: Path, listener: Listener) -> None:
        self._folder = folder
        self.listener = listener
        self.password = new_secret()
        self._members: tuple[Member, ...] = ()
        self._child: asyncio.subprocess.Process | None = None
        self._said: list[str] = []

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None while there is none."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    def set_members(self, members: Iterable[Member]) -> None:
        """Replace who may connect; a running broker takes it up within moments and keeps its sessions."""
        self._members = tuple(members)
        own = Member(SERVER_USER, mosquitto_hash(self.password))
        write_private(self._folder / "passwords", passwords((own, *self._members)).encode())
        write_private(self._folder / "acl", access_rules(self._members).encode())
        if self.pid is not None and self._child is not None:
            self._child.send_signal(signal.SIGHUP)

    async def start(self, members: Iterable[Member]) -> None:
        """Write the configuration and start the child; returns when it accepts connections.

        Raises:
            StartError: not installed, port taken, or it does not come up.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.set_members(members)
        run_as = pwd.getpwuid(os.geteuid()).pw_name
        write_private(
            self._folder / "mosquitto.conf",
            configuration(self._folder.resolve(), self.listener, run_as).encode(),
        )
        await asyncio.to_thread(check_startable, self.listener)
        await self._launch()
        try:
            await self._wait_ready()
        except StartError:
            await self.stop()
            raise

    async def run(self) -> None:
        """Watch the child and start it again whenever it ends, until cancelled."""
        loop = asyncio.get_running_loop()
        delay_s = FIRST_DELAY_S
        while True:
            child = self._child
            if child is None:
                raise RuntimeError("the broker was not started")
            began_s = loop.time()
            status = await self._follow(child)
            if loop.time() - began_s >= HEALTHY_AFTER_S:
                delay_s = FIRST_DELAY_S
            logger.error("broker ended with status %s; restarting in %.1f s", status, delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)
            await self._launch()

    async def stop(self) -> None:
        """End the child: gently, so that it saves its state, then by force."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await child.wait()
        except TimeoutError:
            logger.warning("broker did not stop within %.0f s; killed", STOP_LIMIT_S)
            child.kill()
            await child.wait()

    async def _launch(self) -> None:
        binary = _mosquitto()
        if binary is None:
            raise StartError("no_mosquitto")
        self._said = []
        self._child = await asyncio.create_subprocess_exec(
            *command(binary, "-c", str(self._folder / "mosquitto.conf"), on_death=signal.SIGTERM),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._folder,
        )

    async def _follow(self, child: asyncio.subprocess.Process) -> int:
        if child.stderr is None:
            raise RuntimeError("the broker was started without its log")
        while line := await child.stderr.readline():
            self._note(line)
        return await child.wait()

    def _note(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        self._said = [*self._said[-9:], text]
        if "should not be run as root" not in text:
            level = logging.WARNING if text.startswith(("Error", "Warning")) else logging.DEBUG
            logger.log(level, "broker: %.300s", text)

    async def _wait_ready(self) -> None:
        child = self._child
        if child is None or child.stderr is None:
            raise RuntimeError("the broker was not launched")
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while child.returncode is None:
                    if await _accepts(self.listener):
                        return
                    await asyncio.sleep(0.02)
                while line := await child.stderr.readline():
                    self._note(line)
        except TimeoutError:
            logger.debug("broker: not ready after %.0f s", READY_LIMIT_S)
        raise StartError(
            "mosquitto_failed",
            host=self.listener.host,
            port=self.listener.port,
            detail="; ".join(self._said) or "–",
        )


def check_startable(wanted: Listener) -> Listener:
    """Where a broker could listen now, with a free port in place of 0; nothing is written.

    Raises:
        StartError: Mosquitto is not installed, or the port is taken.
    """
    if _mosquitto() is None:
        raise StartError("no_mosquitto")
    try:
        return Listener(wanted.host, probe_port(wanted.host, wanted.port))
    except OSError as error:
        raise StartError("broker_port", port=wanted.port, host=wanted.host, detail=error.strerror) from error


def probe_port(host: str, port: int) -> int:
    """Bind a port for a moment and say which it was; 0 asks for a free one.

    Raises:
        OSError: it is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)
        return int(probe.getsockname()[1])


async def _accepts(listener: Listener) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 - a comparison
    try:
        _, writer = await asyncio.open_connection(host, listener.port)
    except OSError:
        return False
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return True
    return True


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
