"""The audio worker: one process per sound output, so that a hanging decoder can be killed.

Started by `drivers.audio.client`; speaks JSON lines over an inherited socket. Imports neither asyncio nor
anything else that is large: the box has little memory.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.audio.deck import Cue, FeedPlan, Item
from drivers.audio.decoder import DecoderError, create_instance, warm_up
from drivers.audio.player import Player
from drivers.audio.sink import Sink, SinkError

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000
_OUTPUT_LIMIT_BYTES = 256 * 1024
_QUIT_S = 0.6
EXIT_STALLED = 70


class Channel:
    """Sends events without ever waiting for the agent; levels are dropped first when it does not read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._backlog = bytearray()

    def send(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._backlog and (event["ev"] == "level" or len(self._backlog) > _OUTPUT_LIMIT_BYTES):
                self._push()
                return
            self._backlog += line
            self._push()

    def _push(self) -> None:
        while self._backlog:
            try:
                sent = self._connection.send(self._backlog, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:
                self._backlog.clear()
                return
            del self._backlog[:sent]


class Vlc:
    """The libvlc instance, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instance: Any = None

    def __call__(self) -> Any:
        with self._lock:
            if self._instance is None:
                self._instance = create_instance()
            return self._instance


def create_sink(options: dict[str, Any]) -> Sink:
    """Build the sound card that the options of the driver describe."""
    if options["kind"] == "alsa":
        from drivers.audio.alsa import AlsaSink  # noqa: PLC0415  libasound is loaded where it is used

        return AlsaSink(options["device"], card_name=options["card_name"])
    from drivers.audio.simulated import Echo, SimulatedSink  # noqa: PLC0415

    echo: Echo | None = None
    if options["listen"]:
        from drivers.audio.alsa import AlsaEcho  # noqa: PLC0415

        echo = AlsaEcho(options["listen"])
    return SimulatedSink(Path(options["dir"]), options["zone"], options["keep_minutes"], echo, options["ppm"])


def item_of(row: dict[str, Any]) -> Item:
    """One item of a cue as the client describes it."""
    path, feed = row["path"], row["feed"]
    return Item(
        path=None if path is None else Path(path),
        start_ms=row["start_ms"],
        duration_ms=row["duration_ms"],
        gain_db=row["gain_db"],
        signal=row["signal"],
        hertz=row["hertz"],
        feed=None if feed is None else FeedPlan(*feed),
    )


class Worker:
    """Carries out the commands of the agent, one line each."""

    def __init__(self, sink: Sink, channel: Channel) -> None:
        self._sink = sink
        self._channel = channel
        self._vlc = Vlc()
        self._player = Player(sink, channel.send, self._vlc, self.give_up)
        self._verbs: dict[str, Callable[[dict[str, Any]], None]] = {
            "cue": self._cue,
            "stop": self._stop,
            "adjust": self._adjust,
            "ping": self._ping,
            "probe": self._probe,
        }

    def run(self, lines: Any, network: str) -> None:
        """Serve until the agent says quit or its end of the socket closes."""
        try:
            self._sink.check()
            self._sink.open()
            self._sink.close()
            self._vlc()
        except (SinkError, DecoderError) as error:
            self._channel.send({"ev": "unable", "detail": str(error)})
            return
        self._player.start()
        self._channel.send({"ev": "ready", "network": network, "pid": os.getpid()})
        threading.Thread(target=warm_up, args=(self._vlc(),), name="warm-up", daemon=True).start()
        for line in lines:
            message = json.loads(line)
            if message["op"] == "quit":
                break
            self._answer(message)
        self._player.quit(_QUIT_S)

    def give_up(self, reason: str) -> None:
        """End the process at once: only a fresh one can play again."""
        self._channel.send({"ev": "fatal", "detail": reason})
        os._exit(EXIT_STALLED)

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            self._verbs[message["op"]](message)
        except SinkError as error:
            self._channel.send({"ev": "error", "id": message["id"], "detail": str(error)})

    def _done(self, message: dict[str, Any], **values: Any) -> None:
        self._channel.send({"ev": "done", "id": message["id"], **values})

    def _cue(self, message: dict[str, Any]) -> None:
        if not self._player.sounding():
            self._sink.check()
        cue = Cue(
            number=message["cue"],
            items=tuple(item_of(row) for row in message["items"]),
            at_ns=message["at_ns"],
            fade_in_ms=message["fade_in_ms"],
            max_dbfs=message["max_dbfs"],
            volume_db=message["volume_db"],
            duck_ms=message["duck_ms"],
            duck_db=message["duck_db"],
        )
        # The answer goes first, so that no event of a cue comes before its acceptance.
        self._done(message)
        self._player.cue(cue)

    def _stop(self, message: dict[str, Any]) -> None:
        self._player.stop(message["cue"], message["fade_ms"])
        self._done(message)

    def _adjust(self, message: dict[str, Any]) -> None:
        self._player.adjust(message["cue"], message["volume_db"], message["max_dbfs"], message["ramp_ms"])
        self._done(message)

    def _ping(self, message: dict[str, Any]) -> None:
        self._done(message, stalled_ms=self._player.stalled_ms())

    def _probe(self, message: dict[str, Any]) -> None:
        self._sink.check()
        self._done(message, stalled_ms=self._player.stalled_ms(), xruns=self._sink.xruns)


def _die_with_parent(parent: int) -> None:
    """A killed agent must never leave a sounding worker behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _leave_network() -> str:
    """Give up the network where that is permitted: what decodes hostile files needs none."""
    result: int = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET)
    return "none" if result == 0 else "shared"


def main() -> None:
    """Run the worker: arguments are the number of the control socket and the agent's process id."""
    control, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    network = _leave_network()
    connection = socket.socket(fileno=control)
    connection.set_inheritable(False)
    channel = Channel(connection)
    lines = connection.makefile("rb")
    options = json.loads(lines.readline())
    try:
        sink = create_sink(options)
    except SinkError as error:
        channel.send({"ev": "unable", "detail": str(error)})
        return
    worker = Worker(sink, channel)

    def bug(arguments: threading.ExceptHookArgs) -> None:
        # A worker with a dead thread must not go on as if it could play.
        sys.__excepthook__(arguments.exc_type, arguments.exc_value or SystemExit(), arguments.exc_traceback)
        worker.give_up(f"{arguments.exc_type.__name__}: {arguments.exc_value}")

    threading.excepthook = bug
    worker.run(lines, network)
    sys.stderr.flush()
    # libvlc may hold threads that never end; nothing here is left to be saved.
    os._exit(0)


if __name__ == "__main__":
    main()
