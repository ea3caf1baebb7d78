"""Tells systemd how the agent is: READY, STATUS, WATCHDOG, STOPPING.

Source: sd_notify(3), protocol of NOTIFY_SOCKET: datagrams of KEY=VALUE lines to a Unix socket,
abstract when the address begins with `@`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping

from agent.clock import Clock
from agent.lifecycle import Progress

logger = logging.getLogger(__name__)


class Notifier:
    """Sends states to the service manager; silent where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        pid = environ.get("WATCHDOG_PID")
        ours = pid is None or pid == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "0") if ours else "0"
        self.watchdog_s = int(usec) / 1e6 if usec.isdigit() else 0.0

    def send(self, **states: str) -> None:
        """Send `KEY=value` lines; a missing manager is not an error."""
        if not self._address:
            return
        message = "\n".join(f"{key}={value}" for key, value in states.items()).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message, self._address)
            except OSError as error:
                logger.debug("service manager not reached: %s", error)


class WatchdogFeeder:
    """Feeds the watchdog only while every watched service makes progress."""

    name = "watchdog"

    def __init__(
        self, notifier: Notifier, progress: Progress, clock: Clock, status: Callable[[], str]
    ) -> None:
        self._notifier = notifier
        self._progress = progress
        self._clock = clock
        self._status = status

    async def run(self) -> None:
        period_s = min(self._notifier.watchdog_s / 3, 10.0) if self._notifier.watchdog_s else 10.0
        said = ""
        while True:
            stalled = self._progress.stalled()
            if stalled:
                logger.error("no progress from %s: the watchdog is not fed", ", ".join(stalled))
            elif self._notifier.watchdog_s:
                self._notifier.send(WATCHDOG="1")
            status = self._status()
            if status != said:
                self._notifier.send(STATUS=status)
                said = status
            await self._clock.sleep(period_s)
