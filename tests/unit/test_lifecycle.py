from __future__ import annotations

import asyncio
import contextlib

import pytest

from agent.errors import LinkDownError, LinkRefusedError, Retry
from agent.lifecycle import Backoff, Progress, Tier, run_until, supervise
from tests.support.clock import FakeClock, settle


class Scripted:
    """Fails as told, then runs on."""

    def __init__(self, name: str, *errors: Exception, while_stopping: Exception | None = None) -> None:
        self.name = name
        self.starts = 0
        self.stopped = False
        self._errors = list(errors)
        self._while_stopping = while_stopping

    async def run(self) -> None:
        self.starts += 1
        if self._errors:
            raise self._errors.pop(0)
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True
            if self._while_stopping is not None:
                raise self._while_stopping


async def test_service_that_fails_in_its_own_end_does_not_hang_the_stop() -> None:
    stop = asyncio.Event()
    stubborn = Scripted("stubborn", while_stopping=OSError("unplugged"))
    other = Scripted("other")
    services = [(stubborn, Tier.SUPPORTING), (other, Tier.VITAL)]
    running = asyncio.create_task(run_until(stop, services, FakeClock()))
    await settle()
    stop.set()
    async with asyncio.timeout(2):
        await running
    assert (stubborn.starts, stubborn.stopped, other.stopped) == (1, True, True)


async def test_supporting_service_is_restarted_and_told_of() -> None:
    clock, told = FakeClock(), []
    service = Scripted("net", LinkDownError("no route"), LinkDownError("no route"))
    task = asyncio.create_task(
        supervise(
            service, Tier.SUPPORTING, clock, on_failure=lambda name, error: told.append((name, str(error)))
        )
    )
    await clock.pass_(5)
    assert service.starts == 3
    assert told == [("net", "no route"), ("net", "no route")]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_vital_service_takes_the_others_down_with_it() -> None:
    other = Scripted("board")
    with pytest.raises(ExceptionGroup) as caught:
        await run_until(
            asyncio.Event(),
            [(other, Tier.SUPPORTING), (Scripted("playout", ValueError("bug")), Tier.VITAL)],
            FakeClock(),
        )
    assert caught.group_contains(ValueError, match="bug")


async def test_returning_counts_as_a_failure() -> None:
    class Returns:
        name = "returns"

        async def run(self) -> None:
            return

    with pytest.raises(RuntimeError, match="returned although"):
        await supervise(Returns(), Tier.VITAL, FakeClock())


def test_backoff_doubles_up_to_its_ceiling_and_refusals_wait_longest() -> None:
    waits = Backoff(first_s=1, ceiling_s=8)
    assert [waits.delay_s(n) for n in (1, 2, 3, 4, 5, 60)] == [1, 2, 4, 8, 8, 8]
    assert waits.delay_s(1, LinkRefusedError.retry) == 8
    assert waits.delay_s(1, Retry.SOON) == 1


async def test_progress_names_who_has_been_quiet_too_long() -> None:
    clock = FakeClock()
    progress = Progress(clock)
    mark = progress.watch("zone main", 10)
    progress.watch("board", 60)
    await clock.pass_(11)
    assert progress.stalled() == ("zone main",)
    mark()
    await settle()
    assert progress.stalled() == ()


async def test_service_that_fails_inside_its_own_task_group_is_restarted() -> None:
    class Grouped:
        name = "grouped"
        starts = 0

        async def run(self) -> None:
            self.starts += 1
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fail())
                await asyncio.Event().wait()

        async def _fail(self) -> None:
            raise LinkDownError("gone")

    clock, service = FakeClock(), Grouped()
    task = asyncio.create_task(supervise(service, Tier.SUPPORTING, clock))
    await clock.pass_(4)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert service.starts >= 3
