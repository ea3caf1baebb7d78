"""`loa simulate`: the real agent on simulated hardware whose effects are files in one directory."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from agent.errors import ConfigError

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
microphone = {{ kind = "simulated", options = {{ dir = {dir} }} }}

[zones.meter]
kind = "simulated"
idle_amps = 0.25
full_amps = 4.25
low_volts = 20.0
options = {{ dir = {dir} }}

# Sound inputs: put 16 bit WAV files there, and they are heard over and over while an order opens the input.
[[inputs]]
id = "line"
kind = "simulated"
options = {{ file = {line} }}

[[inputs]]
id = "fm"
kind = "simulated"
options = {{ file = {radio} }}

[tuner]
kind = "simulated"
input = "fm"
options = {{ dir = {dir} }}

# Press it with `echo 0.3 >> {button}`, release with `echo 3 >> {button}`.
[safety_button]
kind = "simulated"
options = {{ dir = {dir} }}

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
        ConfigError: the file there cannot be read.
        OSError: the directory cannot be written.
    """
    path, text = draft_config(directory, url, listen)
    save_config(path, text)
    return path


def draft_config(directory: Path, url: str | None, listen: str | None) -> tuple[Path, str]:
    """Where `write_config` would write, and what; nothing is changed.

    Raises:
        ConfigError: the file there cannot be read.
    """
    directory = directory.absolute()
    path = directory / CONFIG_NAME
    text = _existing(path)
    if text is not None:
        if url is not None:
            text = _URL_LINE.sub(lambda _: f"url = {_quoted(url)}", text, count=1)
        if listen is not None:
            text = _LISTEN.sub(lambda _: f"listen = {_quoted(listen)}", text, count=1)
    else:
        text = _TEMPLATE.format(
            faults=directory / "faults.toml",
            line=_quoted(directory / "line.wav"),
            radio=_quoted(directory / "fm.wav"),
            button=directory / "button",
            data=_quoted(directory / "data"),
            run=_quoted(directory / "run"),
            dir=_quoted(directory),
            url=_quoted(url or ""),
            listen=_quoted(listen or ""),
        )
    return path, text


def save_config(path: Path, text: str) -> None:
    """Replace the file as a whole, so that whatever happens it is the old or the new one.

    Raises:
        OSError: the directory cannot be written; the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve()  # a link stays one
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()


def _existing(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 at byte {error.start}"]) from error


def _quoted(value: object) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's, except that it leaves DEL as it is."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
