import asyncio
import threading

import pytest

from agent.content.threads import in_thread


async def test_cancelled_caller_leaves_only_after_the_work_has_ended() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(5)
        ended.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(in_thread(work))
        while not started.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
    assert task.cancelled()
    assert ended.is_set()


async def test_error_of_the_work_is_the_callers() -> None:
    def work() -> None:
        raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        await in_thread(work)


async def test_hanging_name_lookups_do_not_hold_the_media_back() -> None:
    go_on = threading.Event()
    loop = asyncio.get_running_loop()
    stuck = [loop.run_in_executor(None, go_on.wait, 20) for _ in range(40)]
    try:
        async with asyncio.timeout(10):
            assert (await in_thread(threading.current_thread)).name.startswith("media")
        assert not any(one.done() for one in stuck)
    finally:
        go_on.set()
        await asyncio.gather(*stuck)
