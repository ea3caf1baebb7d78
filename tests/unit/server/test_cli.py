from __future__ import annotations

import pytest

from server.cli import _parser


def test_addresses_and_names_are_read() -> None:
    options = _parser().parse_args(
        ["run", "--data", "/d", "--listen", "[::1]:0", "--public-url", "https://x.vn", "--station", "tan-loc"]
    )
    assert options.listen == ("::1", 0)
    assert options.broker_listen == ("127.0.0.1", 1883)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--listen", "8080"),
        ("--listen", "127.0.0.1:99999"),
        ("--station", "Tân Lộc"),
        ("--station", "a/b"),
        ("--public-url", "ftp://x.vn"),
        ("--public-url", "https://x.vn/path"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["run", "--data", "/d", *wrong])
    assert wrong[1] in capsys.readouterr().err
