"""`loa-server`: run the server, make a console link, show the operator's token."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from server.app import Settings, check_folder, run
from server.problems import StartError
from server.signing import Station
from server.version import version

EX_CONFIG = 78
EX_UNAVAILABLE = 69
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends the process with a status."""
    sys.exit(_main(arguments))


def _main(arguments: list[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "run":
                return _run(options)
            case "console-link":
                return _console_link(options)
            case "operator-token":
                return _operator_token(options)
            case _:
                _say(options, {"version": version()}, version())
                return 0
    except StartError as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": error.code, "message": error.message}, ensure_ascii=False))
        else:
            for text in error.message.values():
                print(f"loa-server: {text}", file=sys.stderr)
        return EX_CONFIG


def _run(options: argparse.Namespace) -> int:
    os.umask(0o077)  # SQLite, ffmpeg and Mosquitto make files by it, and the machine may have other users
    logging.basicConfig(
        level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("mqtt").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    host, port = options.listen
    broker_host, broker_port = options.broker_listen
    settings = Settings(
        data=options.data.absolute(),
        station=Station(options.station, options.province, options.station_title or options.station),
        host=host,
        port=port,
        broker_host=broker_host,
        broker_port=broker_port,
        public_url=(options.public_url or "").rstrip("/"),
        stage_messages=not options.without_messages,
    )
    asyncio.run(run(settings))
    return 0


def _console_link(options: argparse.Namespace) -> int:
    url, local_url = _server(options.data)
    request = urllib.request.Request(  # noqa: S310 - the address our own server wrote
        f"{local_url}/api/v1/console-tickets",
        method="POST",
        headers={"Authorization": f"Bearer {_token(options.data)}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            made = json.load(answer)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise StartError("no_answer", url=local_url, detail=error) from error
    link = f"{url}{made['path']}"
    _say(options, {"url": link, "expires": made["expires"]}, link)
    return 0


def _operator_token(options: argparse.Namespace) -> int:
    token = _token(options.data)
    _say(options, {"token": token}, token)
    return 0


def _server(data: Path) -> tuple[str, str]:
    """Public and local address of the running server."""
    check_folder(data.absolute())
    try:
        said = json.loads((data / "server.json").read_text())
        return str(said["url"]), str(said["local_url"])
    except (OSError, ValueError, KeyError) as error:
        raise StartError("not_running", path=data) from error


def _token(data: Path) -> str:
    check_folder(data.absolute())
    path = data / "operator.token"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise StartError("token", path=path, detail=error.strerror) from error


def _say(options: argparse.Namespace, values: dict[str, str], plain: str) -> None:
    print(json.dumps(values, ensure_ascii=False) if getattr(options, "json", False) else plain)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT such as 127.0.0.1:8080")
    return host, int(port)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a short name of a-z, 0-9 and - such as tan-loc")
    return text


def _public_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s@]+/?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a base address such as https://nguon.example.vn")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loa-server", description="The thin server of Tiếng Làng.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("run", help="serve until stopped")
    serve.add_argument("--data", type=Path, required=True, metavar="DIR", help="where everything is kept")
    serve.add_argument("--listen", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    serve.add_argument("--broker-listen", type=_address, default=("127.0.0.1", 1883), metavar="HOST:PORT")
    serve.add_argument("--public-url", type=_public_url, metavar="URL", help="how boxes reach it")
    serve.add_argument("--station", type=_name, default="xa-mau", metavar="NAME")
    serve.add_argument("--province", type=_name, default="tinh-mau", metavar="NAME")
    serve.add_argument("--station-title", default="", metavar="TEXT")
    serve.add_argument(
        "--without-messages", action="store_true", help="do not record the built-in messages for emergencies"
    )
    serve.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    for name, text in (
        ("console-link", "print a link that opens the console once, for ten minutes"),
        ("operator-token", "print the operator's token"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("--data", type=Path, required=True, metavar="DIR")
        one.add_argument("--json", action="store_true")
    shown = commands.add_parser("version", help="print the version")
    shown.add_argument("--json", action="store_true")
    return parser
