"""A real Mosquitto on a free port of this machine, which a test may stop, freeze, kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_LIMIT_S = 10.0


def free_port() -> int:
    """A TCP port on the loopback address that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_passwords(path: Path, passwords: Mapping[str, str]) -> Path:
    """A password file for these users, hashed by `mosquitto_passwd`."""
    path.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()), encoding="utf-8")
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)
    return path


class Broker:
    """One broker with its own folder; sessions and retained messages survive a restart, and a kill.

    Attributes:
        port: where it listens on 127.0.0.1, the same after each restart.
    """

    def __init__(
        self,
        folder: Path,
        *,
        password_file: Path | None = None,
        acl_file: Path | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            "set_tcp_nodelay true",
            f"allow_anonymous {'false' if password_file else 'true'}",
            "persistence true",
            f"persistence_location {folder}/",
            # saves at each change, so that a SIGKILL loses nothing that was acknowledged
            "autosave_on_changes true",
            "autosave_interval 1",
            # not 0 ("no limit"): with that, 2.0.11 drops every client whose publish the ACL denies
            "max_queued_messages 100000",
            *([f"password_file {password_file}"] if password_file else []),
            *([f"acl_file {acl_file}"] if acl_file else []),
            *(["user root"] if os.geteuid() == 0 else []),
            *extra,
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def log(self) -> str:
        """What the broker has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        assert self._process is None, "the broker runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["mosquitto", "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        limit_s = time.monotonic() + START_LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > limit_s:
                    raise RuntimeError(f"mosquitto did not start: {self.log[-2000:]}") from None
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, as a power cut."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: an ordered stop."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


@contextmanager
def running_broker(
    folder: Path,
    *,
    password_file: Path | None = None,
    acl_file: Path | None = None,
    extra: tuple[str, ...] = (),
) -> Iterator[Broker]:
    """A started broker, killed at the end whatever the test did to it."""
    broker = Broker(folder, password_file=password_file, acl_file=acl_file, extra=extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
