from __future__ import annotations

import pytest

from server.api.files import wanted_part
from server.problems import Problem, RefusedError


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-", None),
        ("bytes=-", None),
    ],
)
def test_one_range_of_a_hundred_bytes(header: str, part: tuple[int, int] | None) -> None:
    assert wanted_part(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=999-1000"])
def test_a_range_beyond_the_end_is_refused(header: str) -> None:
    with pytest.raises(RefusedError) as refused:
        wanted_part(header, 100)
    assert refused.value.problem is Problem.RANGE
