"""Jobs about boards: test picture and screenshot; what a report carries of a picture is bounded."""

from __future__ import annotations

import base64

from agent.app.job_check import Task
from agent.field.boards import BoardHands
from agent.wire.orders import JobAction

PICTURE_BYTES = 48 * 1024
"""A whole picture is sent up to this size of PNG; of a larger one only its thumbnail."""

THUMBNAIL_BYTES = 24 * 1024

Result = dict[str, str | int | float | bool | None]


async def board_job(task: Task, boards: BoardHands, by: str) -> Result:
    """Carry it out.

    Raises:
        ControlRefusedError: the board is its owner's.
        BoardAbsentError: the board does not answer.
    """
    if task.action is JobAction.SCREENSHOT:
        return await _screenshot(task.board, boards)
    if not task.pattern:
        await boards.end_pattern(task.board, by)
        return {"board": task.board}
    until = await boards.pattern(task.board, task.pattern, task.minutes, by)
    return {"board": task.board, "pattern": task.pattern, "until": until.isoformat(timespec="seconds")}


async def _screenshot(board: str, boards: BoardHands) -> Result:
    shot = await boards.screenshot(board)
    result: Result = {
        "board": board,
        "page": shot.page,
        "sha256": shot.sha256,
        "width_px": shot.width_px,
        "height_px": shot.height_px,
        "size_bytes": len(shot.png),
    }
    if len(shot.png) <= PICTURE_BYTES:
        result["png"] = base64.b64encode(shot.png).decode()
    elif 0 < len(shot.thumbnail) <= THUMBNAIL_BYTES:
        result["thumbnail"] = base64.b64encode(shot.thumbnail).decode()
    return result
