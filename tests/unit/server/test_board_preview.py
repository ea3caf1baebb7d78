"""Previews whose child misbehaves, and how many may wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from server import preview
from server.board_drafts import BoardPageDraft, PreviewDraft
from server.media.gallery import Gallery
from server.preview import Previewer
from server.problems import Problem, RefusedError

DRAFT = PreviewDraft(page=BoardPageDraft(title="Chào"))


def a_previewer(folder: Path, monkeypatch: pytest.MonkeyPatch, child: str) -> Previewer:
    monkeypatch.setattr(preview, "CHILD", ("-c", f"import json, os, sys, time\n{child}"))
    return Previewer(cast(Gallery, None), "Tân Lộc", folder)


DRAWS = """
asked = json.load(sys.stdin)
sys.stdout.buffer.write(b"x" * int(asked["document"]["page"][0]["dwell_s"]))
sys.stderr.write("noise\\n" + json.dumps({"problems": ["cut text"], "screens": 2, "reduced": True}) + "\\n")
"""


async def test_what_the_child_says_comes_with_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    previewer = a_previewer(tmp_path, monkeypatch, DRAWS)
    drawn = await previewer.draw(DRAFT)
    assert (drawn.data, drawn.screens, drawn.problems, drawn.reduced) == (b"x" * 10, 2, ("cut text",), True)
    assert previewer.kept(drawn.sha256) == drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "child",
    [
        "os._exit(1)",
        "os.kill(os.getpid(), 9)",
        "sys.exit(0)",
        "sys.stderr.write(json.dumps({'problems': ['page: wrong']})); sys.exit(2)",
        "sys.stderr.write('[1, 2]'); sys.exit(2)",
        "sys.stdout.buffer.write(b'x' * 20_000_000)",
        "time.sleep(60)",
    ],
    ids=["fails", "killed", "says-nothing", "refuses", "garbage", "floods", "hangs"],
)
async def test_a_child_that_fails_is_a_refusal_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: str
) -> None:
    monkeypatch.setattr(preview, "LIMIT_S", 3.0)
    previewer = a_previewer(tmp_path, monkeypatch, child)
    with pytest.raises(RefusedError) as refused:
        await previewer.draw(DRAFT)
    assert refused.value.problem is Problem.PREVIEW_FAILED
    assert refused.value.message["vi"].startswith("Chưa vẽ được")


@pytest.mark.slow
async def test_one_is_drawn_at_a_time_and_a_queue_that_is_full_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    previewer = a_previewer(tmp_path, monkeypatch, f"time.sleep(0.1)\n{DRAWS}")
    asked = [asyncio.create_task(previewer.draw(DRAFT)) for _ in range(preview.WAITING + 3)]
    done = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in done if isinstance(one, RefusedError)]
    assert len(refused) == 3
    assert {one.problem for one in refused} == {Problem.BUSY}
    assert sum(not isinstance(one, BaseException) for one in done) == preview.WAITING


async def test_previews_that_are_remembered_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "REMEMBERED_BYTES", 50)
    previewer = a_previewer(tmp_path, monkeypatch, DRAWS)
    first = await previewer.draw(PreviewDraft(page=BoardPageDraft(title="a", dwell_s=30)))
    second = await previewer.draw(PreviewDraft(page=BoardPageDraft(title="a", dwell_s=31)))
    assert previewer.kept(second.sha256) == second
    with pytest.raises(RefusedError):
        previewer.kept(first.sha256)
