from __future__ import annotations

from pathlib import Path

import pytest

from server.broker.config import Listener, Member, access_rules, configuration, passwords


def test_the_configuration_keeps_what_defaults_lose() -> None:
    lines = configuration(Path("/data/broker"), Listener("127.0.0.1", 1883), "root").splitlines()
    for wanted in (
        "listener 1883 127.0.0.1",
        "use_username_as_clientid true",
        "allow_anonymous false",
        "persistence true",
        "autosave_interval 1",
        "autosave_on_changes true",
        "max_queued_messages 10000",
        "set_tcp_nodelay true",
        "user root",
    ):
        assert wanted in lines
    assert lines.index("use_username_as_clientid true") > lines.index("listener 1883 127.0.0.1")


def test_a_box_may_write_below_its_own_up_and_read_its_own_down_and_groups() -> None:
    rules = access_rules([Member("box-aaaaaaaaaa", "x", ("ap-1", "ap-2")), Member("box-bbbbbbbbbb", "y")])
    assert "pattern write tl/v1/%u/up/#" in rules
    assert "pattern read tl/v1/%u/down/#" in rules
    assert "user box-aaaaaaaaaa\ntopic read tl/v1/g/ap-1/down/#\ntopic read tl/v1/g/ap-2/down/#\n" in rules
    assert "box-bbbbbbbbbb" not in rules


@pytest.mark.parametrize("user", ["+", "#", "box-a/b-ccccc", "box aaaaaaaa", "BOX-AAAAAAAA", "x\nuser root"])
def test_a_name_that_reaches_beyond_itself_is_no_member(user: str) -> None:
    with pytest.raises(ValueError, match="no device id"):
        access_rules([Member(user, "x")])


def test_a_group_that_reaches_beyond_itself_gives_no_right() -> None:
    assert "g/#" not in access_rules([Member("box-aaaaaaaaaa", "x", ("#", "a/b", "+"))])


def test_passwords_are_one_line_each() -> None:
    assert passwords([Member("a", "$7$1"), Member("b", "$7$2")]) == "a:$7$1\nb:$7$2\n"
