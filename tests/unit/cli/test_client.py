"""The client against agents that answer badly: bounded in time and size, never a traceback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli import client
from agent.cli.client import AgentRefusedError, AgentUnreachableError, send, stream
from agent.cli.main import main

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
PROGRESS = b'{"progress": {"step": "playing", "sample": null}}\n'


@contextmanager
def agent_that_says(path: Path, *answers: bytes, then_hang: bool = False) -> Iterator[Path]:
    """Answers each connection with the next of these bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    over = threading.Event()

    def serve() -> None:
        for answer in answers:
            caller, _ = listener.accept()
            with caller:
                caller.recv(65_536)
                caller.sendall(answer)
                if then_hang:
                    over.wait(20)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        over.set()
        thread.join(5)
        listener.close()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b"", "broken"),
        (b"hello\r\n\r\n", "broken"),
        (HEAD + b"not json\n", "broken"),
        (HEAD + b"[1]\n", "broken"),
        (HEAD + PROGRESS + b'{"resu', "broken"),
        (HEAD + b'"' + b"x" * (client.MAX_LINE_BYTES + 10) + b'"\n', "broken"),
        (HEAD.replace(b"200 OK", b"503 Busy") + b'{"error": "no answer"}', "failed"),
        (HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"20\r\nabc", "broken"),
    ],
)
def test_a_stream_that_is_no_stream_of_ours_is_told(tmp_path: Path, said: bytes, cause: str) -> None:
    with agent_that_says(tmp_path / "s", said) as path, pytest.raises(AgentUnreachableError) as error:
        list(stream(path, "/test", {"kind": "tone"}))
    assert error.value.cause == cause


def test_an_agent_that_falls_silent_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LINE_TIMEOUT_S", 0.2)
    with agent_that_says(tmp_path / "s", HEAD + PROGRESS, then_hang=True) as path:
        lines = stream(path, "/test", {"kind": "tone"})
        assert "progress" in next(lines)
        with pytest.raises(AgentUnreachableError, match="timed out"):
            next(lines)


def test_a_refusal_carries_code_field_and_what_would_do(tmp_path: Path) -> None:
    body = b'{"error": "e", "code": "out_of_range", "field": "minutes", "allowed": "1..240"}'
    said = HEAD.replace(b"200 OK", b"400 Bad Request") + body
    with agent_that_says(tmp_path / "s", said) as path, pytest.raises(AgentRefusedError) as error:
        send(path, "POST", "/safety", {})
    assert (error.value.code, error.value.field, error.value.allowed) == ("out_of_range", "minutes", "1..240")


def test_a_refusal_of_a_newer_agent_is_shown_as_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = b'{"error": "e", "code": "too_windy", "field": "horn\\u001b[2J", "allowed": "calm"}'
    plain = b'{"error": "e", "code": "too_windy"}'
    head = HEAD.replace(b"200 OK", b"409 Conflict")
    with agent_that_says(tmp_path / "s", head + plain, head + odd) as path:
        assert main(["stop", "--socket", str(path)]) == 3
        assert "Cụm loa từ chối: too_windy." in capsys.readouterr().err
        assert main(["stop", "--socket", str(path)]) == 3
    told = capsys.readouterr().err
    assert "too_windy" in told
    assert "\x1b" not in told


def test_a_test_without_a_result_is_not_a_passed_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why = HEAD + b'{"timezone": "Asia/Ho_Chi_Minh", "zones": []}'
    with agent_that_says(tmp_path / "s", why, HEAD + PROGRESS) as path:
        assert main(["test", "tone", "--socket", str(path)]) == 1
    assert "Đang phát và đo…" in capsys.readouterr().out
