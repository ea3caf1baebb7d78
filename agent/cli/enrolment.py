"""`loa enrol`: trades a pairing code for the box's identity and keeps it where the agent looks for it."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from pathlib import Path

from agent.config import Config, load_config
from agent.model.text import Language
from agent.source.identity import FILE_NAME, Identity, enrol, load_identity, save_identity


def identity_path(config: Path) -> Path:
    """Where the box of this configuration keeps its identity; raises ConfigError."""
    return load_config(config).box.data_dir / FILE_NAME


def enrolled_as(config: Config) -> str | None:
    """Device id of the box, None if it is not enrolled; raises IdentityError."""
    folder = config.box.data_dir
    identity = load_identity(folder / FILE_NAME) if folder.is_dir() else None
    return None if identity is None else identity.device


def enrol_box(config: Path, url: str, code: str, language: Language = "vi") -> str:
    """Enrol the box and return its device id; a server that declines says so in `language`.

    Raises:
        ConfigError: the configuration cannot be used.
        LinkError: the server declined, or could not be reached.
        IdentityError: the identity cannot be written; the code is then used up.
    """
    box = load_config(config).box
    path = box.data_dir / FILE_NAME
    asking = enrol(
        url, code, box.name, hardware=_hardware(), version=version("tieng-lang"), language=language
    )
    answer = asyncio.run(asking)
    save_identity(path, Identity(url=url.rstrip("/"), enrolled=answer))
    _give_to_owner(path)
    return answer.device


def _hardware(device_tree: Path = Path("/proc/device-tree/model")) -> str:
    """The board's own name such as `Raspberry Pi 4 Model B Rev 1.4`; empty on other machines."""
    try:
        return device_tree.read_text(encoding="utf-8", errors="replace").strip("\0\n ")[:100]
    except OSError:
        return ""


def _give_to_owner(path: Path) -> None:
    """A technician runs `sudo loa enrol`; the agent, under its own user, must still read the file."""
    folder = path.parent.stat()
    if os.geteuid() == 0 and folder.st_uid != 0:
        os.chown(path, folder.st_uid, folder.st_gid)
