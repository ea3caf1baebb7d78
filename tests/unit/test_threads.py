from __future__ import annotations

import asyncio
import threading

import pytest

from agent.threads import Workers


def names() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("unit-test")]


async def gone() -> None:
    async with asyncio.timeout(10):
        while names():
            await asyncio.sleep(0.005)


async def test_threads_are_few_and_end_with_the_work() -> None:
    workers, go_on = Workers("unit-test", 2), threading.Event()
    doing = [workers.start(go_on.wait, 10) for _ in range(6)]
    assert len(names()) == 2
    go_on.set()
    assert all(await asyncio.gather(*doing))
    await gone()
    assert (await workers.run(threading.current_thread)).name.startswith("unit-test")
    await gone()


async def test_error_is_the_callers_and_cancelled_work_never_begins() -> None:
    workers, go_on, begun = Workers("unit-test", 1), threading.Event(), threading.Event()

    def fail() -> None:
        go_on.wait(10)
        raise ValueError("disk")

    failing, waiting = workers.start(fail), workers.start(begun.set)
    waiting.cancel()
    await asyncio.sleep(0)  # asyncio passes a cancel on in its next turn
    go_on.set()
    with pytest.raises(ValueError, match="disk"):
        await failing
    await gone()
    assert not begun.is_set()
