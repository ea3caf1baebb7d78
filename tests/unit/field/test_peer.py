"""Who is on the other end of the socket."""

from __future__ import annotations

import pwd

import pytest

from agent.field import peer


async def test_a_transport_without_a_socket_names_nobody() -> None:
    assert await peer.local_user(None) == "local:unknown"


def test_an_account_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert peer._name(4711) == "uid-4711"
