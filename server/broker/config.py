"""What Mosquitto is told: its configuration, passwords and access rules, as text; pure.

The options that differ from Mosquitto's defaults were each measured to lose messages or to let one
box harm another when left at the default; see ADR 0008 and docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.wire.topics import ROOT, device_id_ok, group_id_ok

SERVER_USER = "tl-server"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the broker listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Member:
    """A user of the broker: a box, its password hash and the groups it may hear."""

    user: str
    password_hash: str
    groups: tuple[str, ...] = ()


def configuration(folder: Path, listener: Listener, run_as: str) -> str:
    """The text of `mosquitto.conf` for Mosquitto 2.0.

    Args:
        folder: holds passwords, access rules and the database of the broker.
        listener: the only way in.
        run_as: user name; Mosquitto started by root would otherwise drop to a user who cannot write here.
    """
    return "\n".join(
        (
            f"user {run_as}",
            "per_listener_settings false",
            "allow_anonymous false",
            f"password_file {folder / 'passwords'}",
            f"acl_file {folder / 'acl'}",
            "persistence true",
            f"persistence_location {folder}/",
            "persistence_file mosquitto.db",
            "autosave_interval 1",
            "autosave_on_changes true",
            "persistent_client_expiration 60d",
            "max_queued_messages 10000",
            "max_inflight_messages 20",
            "message_size_limit 300000",
            "set_tcp_nodelay true",
            "retain_available true",
            "connection_messages false",
            "log_timestamp false",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            f"listener {listener.port} {listener.host}",
            "use_username_as_clientid true",
            "",
        )
    )


def passwords(members: Iterable[Member]) -> str:
    """The text of the password file."""
    return "".join(f"{one.user}:{one.password_hash}\n" for one in members)


def access_rules(members: Iterable[Member]) -> str:
    """The text of the access file: a box writes below its own `up`, reads its own `down` and its groups'.

    Raises:
        ValueError: a name that could reach beyond itself, such as one with `+`, `#` or `/`.
    """
    lines = [f"user {SERVER_USER}", f"topic readwrite {ROOT}/#", ""]
    for one in members:
        if not device_id_ok(one.user):
            raise ValueError(f"{one.user!r} is no device id")
        groups = [group for group in one.groups if group_id_ok(group)]
        if groups:
            lines.append(f"user {one.user}")
            lines.extend(f"topic read {ROOT}/g/{group}/down/#" for group in groups)
            lines.append("")
    lines += [f"pattern write {ROOT}/%u/up/#", f"pattern read {ROOT}/%u/down/#", ""]
    return "\n".join(lines)
