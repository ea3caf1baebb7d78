"""Who talks over the Unix socket, as the kernel says."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct

_UCRED = struct.Struct("3i")


async def local_user(transport: asyncio.BaseTransport | None) -> str:
    """`local:<user>` of the peer, `local:uid-<number>` for an account without a name, for the audit.

    Source: unix(7), SO_PEERCRED: pid, uid and gid of the process that called connect.
    """
    found = None if transport is None else transport.get_extra_info("socket")
    if found is None:
        return "local:unknown"
    raw = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid = _UCRED.unpack(raw)[1]
    return f"local:{await asyncio.to_thread(_name, uid)}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
