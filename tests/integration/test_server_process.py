"""The server as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_server import broker_pid

pytestmark = pytest.mark.timeout(90)

SERVER = [sys.executable, "-c", "from server.cli import main; main()"]


@contextmanager
def a_process(
    data: Path, *options: str, environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready; killed at the end if it still runs."""
    arguments = [
        "--listen",
        "127.0.0.1:0",
        "--broker-listen",
        "127.0.0.1:0",
        "--log-level",
        "debug",
        *options,
    ]
    with (data.parent / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*SERVER, "run", "--data", str(data), *arguments],
            stderr=log,
            env={**os.environ, **(environ or {})},
        )
    try:
        deadline = time.monotonic() + 30
        while not (data / "server.json").exists():
            assert process.poll() is None, (data.parent / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def said(data: Path) -> Any:
    return json.loads((data / "server.json").read_text())


def call(url: str, token: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def refused(*arguments: str) -> str:
    done = subprocess.run([*SERVER, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    vi, en = done.stderr.strip().splitlines()[-2:]
    assert vi.startswith("loa-server: ")
    assert "Hãy" in vi
    assert len(en.split(". ")) <= 2
    return done.stderr.strip().splitlines()[-1]


def gone(pid: int, limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_is_clean_quick_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    with a_process(data) as process:
        broker = broker_pid(str(data / "broker" / "mosquitto.conf"))
        watching = socket.create_connection(("127.0.0.1", int(said(data)["url"].rpartition(":")[2])))
        token = (data / "operator.token").read_text().strip()
        watching.sendall(
            f"GET /api/v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        assert b"200" in watching.recv(100)
        began_s = time.monotonic()
        process.send_signal(number)
        assert process.wait(15) == 0
        assert time.monotonic() - began_s < 5
        assert gone(broker, 0.1)
        assert not (data / "server.json").exists()
        watching.close()


def test_the_broker_dies_with_a_killed_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with a_process(data) as process:
        broker = broker_pid(str(data / "broker" / "mosquitto.conf"))
        process.kill()
        process.wait()
        assert gone(broker)


def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        (tmp_path / "used").mkdir()
        http = refused("run", "--data", str(tmp_path / "a"), "--listen", f"127.0.0.1:{port}")
        assert port in http
        assert "--listen" in http
        assert not (tmp_path / "a").exists()
        broker = refused(
            *("run", "--data", str(tmp_path / "b"), "--listen", "127.0.0.1:0"),
            *("--broker-listen", f"127.0.0.1:{port}"),
        )
        assert port in broker
        assert "--broker-listen" in broker
        assert not (tmp_path / "b").exists()
        refused(
            *("run", "--data", str(tmp_path / "used"), "--listen", "127.0.0.1:0"),
            *("--broker-listen", f"127.0.0.1:{port}"),
        )
        assert not list((tmp_path / "used").iterdir())


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for command in ("run", "console-link", "operator-token"):
        for data in (file, file / "below"):
            assert f"{file} is not a folder" in refused(command, "--data", str(data))


def test_nothing_is_readable_by_other_users_whatever_the_folder_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with a_process(data):
        url, token = said(data)["url"], (data / "operator.token").read_text().strip()
        call(f"{url}/api/v1/speech", token, {"text": "Kính chào bà con"})
        files = [path for path in data.rglob("*") if path.is_file()]
        assert [path for path in files if path.suffix == ".flac"]
        public = {data / "server.json", data / "root.json"}  # addresses and public keys
        assert [path for path in files if path.stat().st_mode & 0o077 and path not in public] == []


def test_two_servers_do_not_share_a_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with a_process(data):
        message = refused(
            "run", "--data", str(data), "--listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0"
        )
        assert str(data) in message


def test_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with a_process(data):
        pass
    assert (data / "keys").stat().st_mode & 0o777 == 0o700
    assert (data / "keys" / "issuer.key").stat().st_mode & 0o777 == 0o600
    assert (data / "operator.token").stat().st_mode & 0o777 == 0o600
    options = ("--listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0")
    (data / "keys" / "issuer.key").chmod(0o640)
    message = refused("run", "--data", str(data), *options)
    assert "chmod 600" in message
    (data / "keys" / "issuer.key").chmod(0o600)
    assert "xa-mau" in refused("run", "--data", str(data), *options, "--station", "xa-khac")


def test_no_secret_reaches_the_log(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with a_process(data) as process:
        url, token = said(data)["url"], (data / "operator.token").read_text().strip()
        code = call(f"{url}/api/v1/enrolment-codes", token, {})["code"]
        box = call(f"{url}/device/v1/enrol", "", {"code": code})
        link = subprocess.run(
            [*SERVER, "console-link", "--data", str(data)], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert link.startswith(f"{url}/console/enter?ticket=")
        with urllib.request.urlopen(urllib.request.Request(link, method="HEAD"), timeout=10) as preview:
            assert preview.status == 200
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(link, timeout=10) as page:
            assert "Cụm loa" in page.read().decode()
        with pytest.raises(urllib.error.HTTPError):
            call(f"{url}/api/v1/boxes", "a-wrong-token-of-somebody")
        process.terminate()
        process.wait(15)
    log = (tmp_path / "server.log").read_text()
    assert "enrolled" in log
    keys = [
        line
        for path in (data / "keys").iterdir()
        for line in path.read_text().splitlines()
        if "--" not in line
    ]
    secrets = [token, code, box["secret"], link.rpartition("=")[2], "a-wrong-token-of-somebody", *keys]
    assert [secret for secret in secrets if secret in log] == []
    kept = b"".join(path.read_bytes() for path in data.glob("server.sqlite3*"))
    assert [secret for secret in secrets if secret.encode() in kept] == []


def test_the_service_manager_is_told_when_it_is_ready(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with a_process(tmp_path / "data", environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}):
            assert manager.recv(100) == b"READY=1"


def test_commands_say_what_is_missing(tmp_path: Path) -> None:
    assert "loa-server run" in refused("console-link", "--data", str(tmp_path))
    assert "operator.token" in refused("operator-token", "--data", str(tmp_path))
    done = subprocess.run([*SERVER, "version", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["version"]
