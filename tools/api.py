"""The server's API as the tools use it: standard library only, every wait bounded."""

from __future__ import annotations

import json
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 20.0
INGEST_S = 120.0


class ApiError(Exception):
    """The server declined or did not answer."""


def _words(body: bytes) -> str:
    """What the server says to a person, in Vietnamese; else the bytes as they are."""
    try:
        answer = json.loads(body)
        return f"{answer['message']['vi']} {answer.get('field') or ''}".rstrip()
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:300]


class Api:
    """One operator's access to one server."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token

    def alive(self) -> bool:
        try:
            self.get("/healthz")
        except ApiError:
            return False
        return True

    def get(self, path: str) -> Any:
        return self._call("GET", path, None, {}, TIMEOUT_S)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        return self._call("POST", path, data, {"Content-Type": "application/json"}, INGEST_S)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        return self._call("PUT", path, data, {"Content-Type": "application/json"}, TIMEOUT_S)

    def upload(self, path: str, file: Path, **about: str) -> Any:
        target = f"{path}?{urllib.parse.urlencode(about)}"
        headers = {"Content-Type": "application/octet-stream"}
        return self._call("POST", target, file.read_bytes(), headers, INGEST_S)

    def _call(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], limit_s: float
    ) -> Any:
        request = self._request(method, path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=limit_s) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(10_000)
            raise ApiError(f"{method} {path}: {error.code} {_words(said)}") from error
        except (OSError, ValueError) as error:  # no connection, a cut one, not JSON
            raise ApiError(f"{method} {path}: {error}") from error

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> urllib.request.Request:
        return urllib.request.Request(
            self.url + path,
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Accept-Language": "vi", **headers},
        )

    def watch(self, path: str) -> Watch:
        """Everything boxes report from now on."""
        request = self._request("GET", path, None, {"Accept": "text/event-stream"})
        try:
            return Watch(urllib.request.urlopen(request, timeout=TIMEOUT_S * 3))
        except OSError as error:
            raise ApiError(f"GET {path}: {error}") from error


class Watch:
    """Server-sent events, read by a thread of its own that ends with the connection."""

    def __init__(self, answer: Any) -> None:
        self._news: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(answer,), name="watch", daemon=True).start()

    def take(self, limit_s: float = 0.2) -> tuple[str, dict[str, Any]] | None:
        """The next report's kind and content, None if there is none within `limit_s`.

        Raises:
            ApiError: the connection ended.
        """
        try:
            found = self._news.get(timeout=limit_s)
        except queue.Empty:
            return None
        if found is None:
            self._news.put(None)
            raise ApiError("the server ended the live report")
        return found

    def _read(self, answer: Any) -> None:
        name, data = "message", ""
        try:
            with answer:
                for raw in answer:
                    line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
                    if line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        data += line[5:].strip()
                    elif not line:
                        if data:
                            self._news.put((name, json.loads(data).get("report", {})))
                        name, data = "message", ""
        except (OSError, ValueError):
            pass  # told by the end of the stream
        finally:
            self._news.put(None)
