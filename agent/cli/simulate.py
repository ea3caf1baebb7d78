"""`loa simulate`: the real agent on simulated hardware whose effects are files in one directory."""

from __future__ import annotations

import json
import re
from pathlib import Path

CONFIG_NAME = "config.toml"

_TEMPLATE = """\
# Written by `loa simulate`; it is kept when it exists, so it may be edited.
# What to break while it runs: {faults}

[box]
name = "Cụm loa mô phỏng"
data_dir = {data}
runtime_dir = {run}

[source]
url = {url}

[sensors]
uplink = {{ kind = "simulated", options = {{ dir = {dir} }} }}
clock = {{ kind = "simulated", options = {{ dir = {dir} }} }}
power = {{ kind = "simulated", options = {{ dir = {dir} }} }}
storage = {{ kind = "simulated", options = {{ dir = {dir} }} }}

[[zones]]
id = "main"
name = "Loa mô phỏng"
audio = {{ kind = "simulated", options = {{ dir = {dir}, listen = {listen} }} }}
amplifier = {{ kind = "simulated", options = {{ dir = {dir} }} }}
line_sense = {{ kind = "simulated", options = {{ dir = {dir} }} }}

[[boards]]
id = "board"
kind = "simulated"
width_px = 192
height_px = 64
options = {{ dir = {dir} }}
"""
_URL_LINE = re.compile(r"^url = .*$", re.MULTILINE)
_LISTEN = re.compile(r"listen = \"[^\"\n]*\"")


def write_config(directory: Path, url: str | None, listen: str | None) -> Path:
    """Write `config.toml` of a simulated box, or bring address and sound card of one up to date.

    Args:
        directory: of the simulated box; made if it is missing.
        url: base address of the server; None keeps what the file says.
        listen: ALSA device that also plays the sound aloud; None keeps what the file says.

    Raises:
        OSError: the directory cannot be written.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CONFIG_NAME
    if path.exists():
        text = path.read_text(encoding="utf-8")
        if url is not None:
            text = _URL_LINE.sub(lambda _: f"url = {_quoted(url)}", text, count=1)
        if listen is not None:
            text = _LISTEN.sub(lambda _: f"listen = {_quoted(listen)}", text, count=1)
    else:
        text = _TEMPLATE.format(
            faults=directory / "faults.toml",
            data=_quoted(directory / "data"),
            run=_quoted(directory / "run"),
            dir=_quoted(directory),
            url=_quoted(url or ""),
            listen=_quoted(listen or ""),
        )
    path.write_text(text, encoding="utf-8")
    return path


def _quoted(value: object) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's, except that it leaves DEL as it is."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
