"""Carries out signed jobs: each once, in order, with a deadline, and every state reported.

A job is noted durably before anything is done, so a box that loses power half-way never does it twice;
what was going on then is told at the next start. Safety stop, release and stop do not wait in the line
behind a self-test.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.app.board_jobs import board_job
from agent.app.job_check import Rejection, Task, check_job
from agent.clock import Clock
from agent.errors import AgentError, StoreError
from agent.field.boards import BoardHands
from agent.field.controls import ControlRefusedError, Controls
from agent.model.text import Language, catalogue, say
from agent.wire.orders import Job, JobAction
from agent.wire.reports import JobReport, JobState
from agent.wire.ulid import new_ulid

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 100
DEADLINE_S = 60.0
"""No job takes longer, whatever its `expires` says."""

RESTART_WAIT_S = 120.0
"""A machine that agreed to restart and still runs after this has not restarted."""

Result = dict[str, str | int | float | bool | None]
Report = Callable[[JobReport], Awaitable[None]]
RunTest = Callable[[str, str], Awaitable[Result]]

_URGENT = frozenset({JobAction.SAFETY_STOP, JobAction.SAFETY_RELEASE, JobAction.STOP})
_MAX_TEXT = 300


class JobMemory(Protocol):
    """What must outlive a power cut."""

    async def done(self, job_id: str) -> bool:
        """Whether `note` was called for it, in this run or an earlier one."""
        ...

    async def note(self, job_id: str) -> None:
        """Remember durably, for at least as long as an order may be valid, that it was dealt with."""
        ...

    async def open_jobs(self) -> Mapping[str, str]:
        """What `keep_open` was given last, empty if it never was."""
        ...

    async def keep_open(self, jobs: Mapping[str, str]) -> None:
        """Remember durably the jobs that are being carried out: job id to a text of the desk's own."""
        ...


@dataclass(frozen=True, slots=True)
class _Queued:
    job: Job
    task: Task


class _Line:
    """Jobs that wait for one worker; `ids` has them and the one being carried out."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[_Queued] = asyncio.Queue(QUEUE_LENGTH + 1)
        self.ids: set[str] = set()


class JobDesk:
    """Supporting service: takes jobs, carries them out, reports.

    Args:
        controls: what can be done.
        report: hands a report to the outbox.
        run_test: runs an on-site test; the result's `outcome` is passed, failed, unmeasured or refused.
        memory: what must outlive a power cut.
        clock: for deadlines and times of reports.
        boot_id: changes when the machine restarts; proves a reboot.
        emergency_on_air: whether an emergency sounds now, so that nobody reboots the box under it.
        language: of the texts in results.
        boards: the boards of the box, None without any.
    """

    name = "jobs"

    def __init__(
        self,
        controls: Controls,
        report: Report,
        run_test: RunTest,
        memory: JobMemory,
        clock: Clock,
        *,
        boot_id: str,
        emergency_on_air: Callable[[], bool],
        language: Language = "vi",
        boards: BoardHands | None = None,
    ) -> None:
        self._controls = controls
        self._report = report
        self._run_test = run_test
        self._memory = memory
        self._clock = clock
        self._boot_id = boot_id
        self._boards = boards
        self._emergency_on_air = emergency_on_air
        self._language: Language = language
        self._line, self._urgent = _Line(), _Line()
        self._open: dict[str, str] = {}

    async def take(self, job: Job) -> None:
        """Accept a verified job; one that was taken before is ignored, a wrong one is rejected at once."""
        line = self._urgent if job.action in _URGENT else self._line
        if job.id in line.ids:
            return
        line.ids.add(job.id)  # before anything is awaited: the same job may come by two ways at once
        queued = None
        try:
            queued = await self._accept(job, line)
        finally:
            if queued is None:
                line.ids.discard(job.id)
        if queued is not None:
            line.queue.put_nowait(queued)

    async def _accept(self, job: Job, line: _Line) -> _Queued | None:
        if await self._memory.done(job.id):
            return None
        if self._clock.now() >= job.expires:
            await self._close(job, JobState.TIMED_OUT, self._why("expired"))
            return None
        boards = self._boards.names if self._boards is not None else ()
        task = check_job(job, self._controls.zones, boards)
        if isinstance(task, Rejection):
            await self._close(job, JobState.REJECTED, self._why(task.code, task.field, task.allowed))
            return None
        if len(line.ids) > QUEUE_LENGTH:
            await self._close(job, JobState.REJECTED, self._why("queue_full"))
            return None
        await self._tell(job, JobState.QUEUED)
        return _Queued(job, task)

    async def run(self) -> None:
        """Tell what an earlier run left open, then carry out jobs until cancelled."""
        await self._tell_left_open()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work(self._line))
            group.create_task(self._work(self._urgent))

    async def _work(self, line: _Line) -> None:
        while True:
            queued = await line.queue.get()
            try:
                await self._carry_out(queued)
            finally:
                line.ids.discard(queued.job.id)

    async def _carry_out(self, queued: _Queued) -> None:
        job, task = queued.job, queued.task
        left_s = min(DEADLINE_S, (job.expires - self._clock.now()).total_seconds())
        if left_s <= 0:
            await self._close(job, JobState.TIMED_OUT, self._why("expired"))
            return
        if job.action is JobAction.REBOOT and self._emergency_on_air() and not task.force:
            await self._close(
                job, JobState.REJECTED, self._why("emergency_on_air", "arguments.force", "true")
            )
            return
        await self._memory.note(job.id)
        await self._keep_open(job)
        await self._tell(job, JobState.RUNNING)
        state, result = await self._within(left_s, queued)
        await self._tell(job, state, result)
        await self._forget(job.id)

    async def _within(self, left_s: float, queued: _Queued) -> tuple[JobState, Result]:
        limit = asyncio.timeout(left_s)
        try:
            async with limit:
                result = await self._do(queued)
        except ControlRefusedError as error:
            return JobState.REJECTED, self._why(error.code) | _detail(error)
        except TimeoutError as error:
            if limit.expired():
                return JobState.TIMED_OUT, self._why("deadline")
            return JobState.FAILED, self._why("failed") | _detail(error)
        except AgentError as error:
            return JobState.FAILED, self._why("failed") | _detail(error)
        except Exception as error:
            # Boundary: one job that fails in a way nobody thought of must not take the others with it.
            logger.exception("job %s (%s) failed", queued.job.id, queued.job.action)
            return JobState.FAILED, self._why("failed") | _detail(error)
        if queued.job.action is JobAction.REBOOT:
            await self._clock.sleep(RESTART_WAIT_S)
            return JobState.FAILED, self._why("no_restart")
        return _OUTCOMES.get(str(result.get("outcome")), JobState.SUCCEEDED), result

    async def _do(self, queued: _Queued) -> Result:
        task, controls, by = queued.task, self._controls, f"order:{queued.job.issuer}"
        match task.action:
            case JobAction.SAFETY_STOP:
                until = await controls.safety_stop(task.zones, task.minutes, by)
                return {"until": until.isoformat(timespec="seconds")}
            case JobAction.SAFETY_RELEASE:
                await controls.safety_release(task.zones, by)
            case JobAction.REBOOT:
                await controls.reboot(by)
            case JobAction.SELF_TEST:
                return await self._run_test(task.kind, task.zones[0] if task.zones else "")
            case JobAction.SCREENSHOT | JobAction.BOARD_PATTERN if self._boards is not None:
                return await board_job(task, self._boards, by)
            case JobAction.STOP:
                return {zone: await controls.stop(zone, by) for zone in task.zones}
            case JobAction.NEXT:
                return {zone: await controls.next(zone, by) for zone in task.zones}
            case _:
                return await self._do_quietly(task, by)
        return {}

    async def _do_quietly(self, task: Task, by: str) -> Result:
        """Actions of one zone that answer nothing."""
        result: Result = {}
        for zone in task.zones:
            match task.action:
                case JobAction.SET_VOLUME:
                    await self._controls.set_volume(zone, task.volume_db, by)
                    result["volume_db"] = round(task.volume_db, 1)
                case JobAction.PAUSE:
                    await self._controls.pause(zone, task.minutes, by)
                    result["minutes"] = task.minutes
                case JobAction.RESUME:
                    await self._controls.resume(zone, by)
                case JobAction.RESTART_WORKER:
                    await self._controls.restart_worker(zone, by)
                case _:
                    raise AssertionError(task.action)
        return result

    # --- over a restart ------------------------------------------------------------------------------

    async def _tell_left_open(self) -> None:
        for job_id, text in (await self._memory.open_jobs()).items():
            left = _Left.read(text)
            if left is not None:
                restarted = left.boot_id != self._boot_id
                rebooted = left.action is JobAction.REBOOT and restarted
                code = "no_restart" if left.action is JobAction.REBOOT else "interrupted"
                await self._tell_about(
                    job_id,
                    left.action,
                    JobState.SUCCEEDED if rebooted else JobState.FAILED,
                    {} if rebooted else self._why(code),
                )
        self._open = {}
        await self._memory.keep_open({})

    async def _keep_open(self, job: Job) -> None:
        self._open[job.id] = _Left(job.action, self._boot_id).write()
        await self._memory.keep_open(dict(self._open))

    async def _forget(self, job_id: str) -> None:
        del self._open[job_id]
        await self._memory.keep_open(dict(self._open))

    # --- telling -------------------------------------------------------------------------------------

    def _why(self, code: str, field: str = "", allowed: str = "") -> Result:
        key = f"job.{code}" if f"job.{code}" in catalogue(self._language) else f"control.{code}"
        known = key in catalogue(self._language)
        text = say(key, self._language, field=field, allowed=allowed) if known else code
        result: Result = {"code": code, "text": text}
        return result | ({"field": field} if field else {}) | ({"allowed": allowed} if allowed else {})

    async def _close(self, job: Job, state: JobState, result: Result) -> None:
        """Done with, without having been carried out."""
        logger.info("job %s (%s) %s: %s", job.id, job.action, state.value, result.get("code"))
        await self._tell(job, state, result)
        await self._memory.note(job.id)

    async def _tell(self, job: Job, state: JobState, result: Result | None = None) -> None:
        await self._tell_about(job.id, job.action, state, result or {})

    async def _tell_about(self, job_id: str, action: JobAction, state: JobState, result: Result) -> None:
        now = self._clock.now()
        report = JobReport(id=new_ulid(now), at=now, job=job_id, action=action, state=state, result=result)
        try:
            await self._report(report)
        except StoreError as error:  # a full card must keep no order from being carried out
            logger.warning("job %s: %s not reported: %s", job_id, state, error)


_OUTCOMES = {"failed": JobState.FAILED, "refused": JobState.REJECTED}


@dataclass(frozen=True, slots=True)
class _Left:
    """A job that was being carried out."""

    action: JobAction
    boot_id: str

    def write(self) -> str:
        return json.dumps({"action": self.action.value, "boot": self.boot_id})

    @classmethod
    def read(cls, text: str) -> _Left | None:
        """None for what no build of ours wrote."""
        try:
            found = json.loads(text)
            return cls(JobAction(found["action"]), str(found["boot"]))
        except (ValueError, KeyError, TypeError):
            return None


def _detail(error: Exception) -> Result:
    return {"detail": f"{type(error).__name__}: {error}"[:_MAX_TEXT]}
