"""Asks the running agent over its Unix socket; knows nothing of what the answers mean."""

from __future__ import annotations

import http.client
import json
import socket
import tomllib
from pathlib import Path
from typing import Any

DEFAULT_SOCKET = Path("/run/tieng-lang/loa.sock")
TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024


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


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            caller.settimeout(TIMEOUT_S)
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
    connection = _UnixConnection(path)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER_BYTES + 1)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AgentUnreachableError("absent", str(path)) from error
    except PermissionError as error:
        raise AgentUnreachableError("forbidden", str(path)) from error
    except (OSError, http.client.HTTPException) as error:
        raise AgentUnreachableError("broken", str(error) or type(error).__name__) from error
    finally:
        connection.close()
    try:
        found = json.loads(body)
    except ValueError as error:
        raise AgentUnreachableError("broken", "the answer is not JSON") from error
    if not isinstance(found, dict):
        raise AgentUnreachableError("broken", "the answer is not a JSON object")
    if answer.status != http.client.OK:
        raise AgentUnreachableError("failed", str(found.get("error", answer.status)))
    return found
