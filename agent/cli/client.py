"""Asks the running agent over its Unix socket; knows nothing of what the answers mean."""

from __future__ import annotations

import http.client
import json
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DEFAULT_SOCKET = Path("/run/tieng-lang/loa.sock")
TIMEOUT_S = 15.0
LINE_TIMEOUT_S = 40.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_LINES, MAX_LINE_BYTES = 10_000, 64 * 1024


class AgentUnreachableError(Exception):
    """No answer from the agent.

    Attributes:
        cause: key below `cli.unreachable`: `absent`, `forbidden`, `broken`, `failed`, or of the file that
            names the socket `config`, `config_not_utf8` or `config_not_toml`.
        detail: what the system or the agent said.
    """

    def __init__(self, cause: str, detail: str) -> None:
        self.cause = cause
        self.detail = detail
        super().__init__(f"{cause}: {detail}")


class AgentRefusedError(Exception):
    """The agent understood and declines.

    Attributes:
        code: why: below `cli.refused` if a field is wrong, else of the `control` table.
        field: what is wrong, "" if the request was in order.
        allowed: what would do.
        detail: English, for programs.
    """

    def __init__(self, code: str, field: str, allowed: str, detail: str) -> None:
        self.code = code
        self.field = field
        self.allowed = allowed
        self.detail = detail
        super().__init__(detail or code)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            caller.settimeout(self._timeout_s)
            caller.connect(str(self._path))
        except OSError:
            caller.close()
            raise
        self.sock = caller


def find_socket(given: Path | None, config: Path | None) -> Path:
    """The socket named on the command line, else the one of a configuration file, else the usual one.

    The file is read without checking it: `loa status` must answer beside a broken configuration.
    """
    if given is not None:
        return given
    if config is None:
        return DEFAULT_SOCKET
    try:
        box = tomllib.loads(config.read_text(encoding="utf-8")).get("box", {})
    except OSError as error:
        raise AgentUnreachableError("config", f"{config}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AgentUnreachableError("config_not_utf8", str(config)) from error
    except tomllib.TOMLDecodeError as error:
        raise AgentUnreachableError("config_not_toml", f"{config}: {error}") from error
    folder = box.get("runtime_dir") if isinstance(box, dict) else None
    return DEFAULT_SOCKET if not isinstance(folder, str) else Path(folder) / DEFAULT_SOCKET.name


def ask(path: Path, target: str) -> dict[str, Any]:
    """GET `target` from the agent behind the socket at `path`.

    Raises:
        AgentUnreachableError: nobody is there, or it did not answer as it should.
    """
    return send(path, "GET", target)


def send(path: Path, method: str, target: str, body: object = None) -> dict[str, Any]:
    """One request with an optional JSON body.

    Raises:
        AgentRefusedError: the agent declines.
        AgentUnreachableError: nobody is there, or it did not answer as it should.
    """
    with _answer(path, method, target, body) as answer:
        return _read(answer.status, answer.read(MAX_ANSWER_BYTES + 1))


def stream(path: Path, target: str, body: object) -> Iterator[dict[str, Any]]:
    """POST `target` and yield the lines of the answer as they come.

    Raises:
        AgentRefusedError: the agent declines.
        AgentUnreachableError: nobody is there, or it did not answer as it should.
    """
    with _answer(path, "POST", target, body, LINE_TIMEOUT_S) as answer:
        if answer.status != http.client.OK:
            _read(answer.status, answer.read(MAX_ANSWER_BYTES + 1))
        for _ in range(MAX_LINES):
            line = answer.readline(MAX_LINE_BYTES)
            if not line:
                return
            yield _read(http.client.OK, line)


@contextmanager
def _answer(
    path: Path, method: str, target: str, body: object, timeout_s: float = TIMEOUT_S
) -> Iterator[http.client.HTTPResponse]:
    connection = _UnixConnection(path, timeout_s)
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        with suppress(BrokenPipeError):  # declined before it read all: the answer says why
            connection.request(method, target, None if body is None else json.dumps(body), headers)
        with connection.getresponse() as answer:
            yield answer
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AgentUnreachableError("absent", str(path)) from error
    except PermissionError as error:
        raise AgentUnreachableError("forbidden", str(path)) from error
    except (OSError, http.client.HTTPException) as error:
        raise AgentUnreachableError("broken", str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _read(status: int, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise AgentUnreachableError("broken", "the answer is not JSON") from error
    if not isinstance(found, dict):
        raise AgentUnreachableError("broken", "the answer is not a JSON object")
    if status in _REFUSED and found.get("code"):
        words = [str(found.get(name) or "") for name in ("code", "field", "allowed", "error")]
        raise AgentRefusedError(words[0], words[1], words[2], words[3])
    if status != http.client.OK:
        raise AgentUnreachableError("failed", str(found.get("error", status)))
    return found


_REFUSED = (http.client.BAD_REQUEST, http.client.CONFLICT)
