"""A server and a simulated box on this machine's loopback, started for real and gone at the end.

Children are on a leash: they are told to stop even when this process is killed outright.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from server.leash import command
from tools.api import Api

T = TypeVar("T")
TOP = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MARK = ".tieng-lang-demo"
STATION = "Đài truyền thanh xã Mẫu"
STOP_S = 8.0
LOG_LINES = 15


class RigError(Exception):
    """Something did not come about; the message says what was awaited."""


def fresh_folder(folder: Path) -> Path:
    """An empty folder; only what an earlier run made is removed."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise RigError(f"{folder} is not empty and was not made by this tool")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def stop_on_signals() -> None:
    """SIGTERM and a closed terminal end the program like Ctrl-C: through every `finally`.

    Ctrl-C counts even where a shell started us with it ignored; a hang-up that `nohup` ignores stays so.
    """

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, leave)


class Rig:
    """Starts programs and stops them in reverse order.

    Args:
        folder: holds a log file per program, and their data.
        deadline_s: all waits together may last so long.
    """

    def __init__(self, folder: Path, deadline_s: float = 3600.0) -> None:
        self.folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deadline_s = deadline_s
        self._end = time.monotonic() + deadline_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *arguments: str | Path) -> None:
        """Run a program of ours; it gets SIGTERM when this process dies, however it dies."""
        with self.log(name).open("ab") as log:
            self._children[name] = subprocess.Popen(
                command(*(str(one) for one in arguments), on_death=signal.SIGTERM),
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which stops them in order
            )

    def end(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a program that was started, wait for its end, and return its exit status."""
        child = self._children.pop(name)
        child.send_signal(number)
        return child.wait(STOP_S)

    def pid(self, name: str) -> int:
        """Process id of a program that was started."""
        return self._children[name].pid

    def allow(self, more_s: float) -> None:
        """Put the end of the whole run off."""
        self._deadline_s += more_s
        self._end += more_s

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def check(self) -> None:
        """Raise RigError if a program ended by itself."""
        for name, child in self._children.items():
            if child.poll() is not None:
                raise RigError(f"{name} ended by itself with status {child.returncode}")

    def wait(self, stage: str, limit_s: float, look: Callable[[], T | None]) -> T:
        """Look again and again until there is something.

        Raises:
            RigError: nothing within `limit_s` or the overall time, or a program ended; names the stage.
        """
        until = time.monotonic() + limit_s
        while True:
            found = look()
            if found is not None:
                return found
            try:
                self.check()
            except RigError as error:
                raise RigError(f"{stage}: {error}") from error
            now = time.monotonic()
            if now > self._end:
                raise RigError(f"{stage}: the whole run took longer than {self._deadline_s:.0f} s")
            if now > until:
                raise RigError(f"{stage}: nothing within {limit_s:.0f} s")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop everything, last started first; what does not obey is killed with its children."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end is bounded, and must not be cut short
        for child in reversed(self._children.values()):
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # whoever it left behind in its session
        self._children.clear()

    def log_tails(self) -> str:
        """The last lines of every log."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            parts.append("\n".join([f"--- {path}", *lines]))
        return "\n".join(parts)


def start_server(rig: Rig, listen: str, broker_listen: str, *, messages: bool = True) -> Api:
    """Start the server and return its API once it answers.

    Args:
        rig: where it runs.
        listen: address of its API.
        broker_listen: address of its broker.
        messages: let it record the built-in messages, which takes the machine some seconds.
    """
    data = rig.folder / "server"
    state = data / "server.json"
    state.unlink(missing_ok=True)
    addresses = ("--listen", listen, "--broker-listen", broker_listen)
    rig.start(
        "server",
        BIN / "loa-server",
        "run",
        "--data",
        data,
        "--station-title",
        STATION,
        *addresses,
        *(() if messages else ("--without-messages",)),
    )

    def look() -> Api | None:
        try:
            found = json.loads(state.read_text(encoding="utf-8"))
            token = (data / "operator.token").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):  # not there yet, or half written
            return None
        api = Api(found["url"], token)
        return api if api.alive() else None

    return rig.wait("server start", 30, look)


def start_box(rig: Rig, server: str, code: str | None, *, listen: bool, name: str = "box") -> Path:
    """Start the real agent on simulated hardware; returns the folder with what it does."""
    box = rig.folder / name
    enrol = ("--code", code) if code else ()
    aloud = ("--listen", "default") if listen else ()
    rig.start(name, BIN / "loa", "simulate", "--dir", box, "--server", server, *enrol, *aloud)
    return box


def console_link(api: Api) -> str:
    """A link that opens the console once."""
    return f"{api.url}{api.post('/api/v1/console-tickets', {})['path']}"
