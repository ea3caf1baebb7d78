"""Signed jobs: each once, in order, with a deadline, every state told, and none lost in a power cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from agent.app import jobs as module
from agent.app.job_check import ARGUMENTS, Rejection, Task, check_job, volume_of
from agent.app.jobs import JobDesk, Result
from agent.errors import AgentError
from agent.field.controls import ControlRefusedError
from agent.model.text import catalogue
from agent.wire.orders import Job, JobAction, Scope, ScopeKind
from agent.wire.reports import JobReport, JobState
from agent.wire.ulid import new_ulid
from tests.support.clock import FakeClock, settle
from tests.unit.field.doubles import FakeControls

ZONES = ("main", "east")


class Memory:
    """What is on the disk; it outlives a desk."""

    def __init__(self) -> None:
        self.noted: set[str] = set()
        self.open: dict[str, str] = {}

    async def done(self, job_id: str) -> bool:
        await asyncio.sleep(0)
        return job_id in self.noted

    async def note(self, job_id: str) -> None:
        self.noted.add(job_id)

    async def open_jobs(self) -> Mapping[str, str]:
        return dict(self.open)

    async def keep_open(self, jobs: Mapping[str, str]) -> None:
        self.open = dict(jobs)


class Bench:
    """A desk with everything around it."""

    def __init__(
        self, zones: tuple[str, ...] = ("main",), memory: Memory | None = None, boot: str = "b1"
    ) -> None:
        self.clock = FakeClock()
        self.controls = FakeControls(zones)
        self.memory = memory or Memory()
        self.reports: list[JobReport] = []
        self.tests: list[tuple[str, str]] = []
        self.result: Result = {"outcome": "passed", "text": "ĐẠT"}
        self.test_gate = asyncio.Event()
        self.test_gate.set()
        self.emergency = False
        self.desk = JobDesk(
            self.controls,
            self._report,
            self._run_test,
            self.memory,
            self.clock,
            boot_id=boot,
            emergency_on_air=lambda: self.emergency,
        )

    async def _report(self, report: JobReport) -> None:
        self.reports.append(report)

    async def _run_test(self, kind: str, zone: str) -> Result:
        await self.test_gate.wait()
        self.tests.append((kind, zone))
        return self.result

    def job(self, action: JobAction, valid_s: float = 600, **arguments: Any) -> Job:
        now = self.clock.now()
        return Job(
            id=new_ulid(now),
            issuer="xa-hoa-binh",
            seq=1,
            scope=Scope(kind=ScopeKind.DEVICE, id="box-0001"),
            not_before=now - timedelta(seconds=1),
            expires=now + timedelta(seconds=valid_s),
            action=action,
            arguments=arguments,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.desk.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def states(self, job: Job) -> list[JobState]:
        return [one.state for one in self.reports if one.job == job.id]

    async def until(self, job: Job, state: JobState) -> Result:
        async with asyncio.timeout(10):
            while state not in self.states(job):
                await asyncio.sleep(0.001)
        return next(one.result for one in self.reports if (one.job, one.state) == (job.id, state))


QUEUED, RUNNING, SUCCEEDED = JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED
FAILED, REJECTED, TIMED_OUT = JobState.FAILED, JobState.REJECTED, JobState.TIMED_OUT
BY = "order:xa-hoa-binh"

# --- arguments -----------------------------------------------------------------------------------


def check(action: JobAction, **arguments: Any) -> Task | Rejection:
    return check_job(Bench(ZONES).job(action, **arguments), ZONES)


@pytest.mark.parametrize(
    ("action", "arguments", "code", "field"),
    [
        (JobAction.SET_VOLUME, {}, "missing_argument", "arguments.percent"),
        (JobAction.SET_VOLUME, {"percent": 101}, "out_of_range", "arguments.percent"),
        (JobAction.SET_VOLUME, {"percent": "50"}, "wrong_type", "arguments.percent"),
        (JobAction.SET_VOLUME, {"percent": True}, "wrong_type", "arguments.percent"),
        (JobAction.SET_VOLUME, {"volume_db": 6.5}, "out_of_range", "arguments.volume_db"),
        (JobAction.SET_VOLUME, {"volume_db": 0, "percent": 5}, "contradiction", "arguments.percent"),
        (JobAction.SET_VOLUME, {"volume_db": 0, "zone": "west"}, "unknown_zone", "arguments.zone"),
        (JobAction.STOP, {"zone": 1}, "wrong_type", "arguments.zone"),
        (JobAction.STOP, {"zones": "main"}, "unknown_argument", "arguments.zones"),
        (JobAction.PAUSE, {"minutes": 0}, "out_of_range", "arguments.minutes"),
        (JobAction.PAUSE, {"minutes": 1.5}, "wrong_type", "arguments.minutes"),
        (JobAction.SAFETY_STOP, {"minutes": 241}, "out_of_range", "arguments.minutes"),
        (JobAction.REBOOT, {"force": 1}, "wrong_type", "arguments.force"),
        (JobAction.REBOOT, {"zone": "main"}, "unknown_argument", "arguments.zone"),
        (JobAction.SELF_TEST, {}, "missing_argument", "arguments.kind"),
        (JobAction.SELF_TEST, {"kind": "horn", "zone": "main"}, "out_of_range", "arguments.kind"),
        (JobAction.SELF_TEST, {"kind": "tone"}, "missing_argument", "arguments.zone"),
        (JobAction.SCREENSHOT, {}, "unsupported", "action"),
        (JobAction.SUPPORT_BUNDLE, {}, "unsupported", "action"),
    ],
)
def test_a_wrong_argument_is_named(
    action: JobAction, arguments: dict[str, Any], code: str, field: str
) -> None:
    found = check(action, **arguments)
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (code, field)
    assert found.allowed
    assert f"job.{code}" in catalogue("vi")


@pytest.mark.parametrize(
    ("action", "arguments", "expected"),
    [
        (JobAction.SET_VOLUME, {"percent": 100}, Task(JobAction.SET_VOLUME, ZONES, volume_db=0.0)),
        (
            JobAction.SET_VOLUME, {"volume_db": -12.5, "zone": "east"},
            Task(JobAction.SET_VOLUME, ("east",), volume_db=-12.5),
        ),
        (JobAction.STOP, {}, Task(JobAction.STOP, ZONES)),
        (JobAction.PAUSE, {"minutes": 5.0}, Task(JobAction.PAUSE, ZONES, minutes=5)),
        (JobAction.REBOOT, {"force": True}, Task(JobAction.REBOOT, ZONES, force=True)),
        (JobAction.SELF_TEST, {"kind": "clock"}, Task(JobAction.SELF_TEST, ZONES, kind="clock")),
    ],
)  # fmt: skip
def test_right_arguments_make_a_task(action: JobAction, arguments: dict[str, Any], expected: Task) -> None:
    assert check(action, **arguments) == expected


def test_a_percentage_is_a_share_of_the_amplitude() -> None:
    assert volume_of(100) == 0
    assert volume_of(50) == pytest.approx(-6.02, abs=0.01)
    assert volume_of(0) == volume_of(0.1) == -40.0
    assert volume_of(1) == pytest.approx(-40.0)


# --- carrying out --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "arguments", "done", "result"),
    [
        (JobAction.SET_VOLUME, {"volume_db": -6}, ("set_volume", "main", -6.0, BY), {"volume_db": -6.0}),
        (JobAction.STOP, {}, ("stop", "main", BY), {"main": "Bản tin sáng"}),
        (JobAction.NEXT, {}, ("next", "main", BY), {"main": "Bản tin sáng"}),
        (JobAction.PAUSE, {"minutes": 9}, ("pause", "main", 9, BY), {"minutes": 9}),
        (JobAction.RESUME, {}, ("resume", "main", BY), {}),
        (JobAction.RESTART_WORKER, {"zone": "main"}, ("restart_worker", "main", BY), {}),
        (
            JobAction.SAFETY_STOP, {"minutes": 60}, ("safety_stop", ("main",), 60, BY),
            {"until": "2026-11-22T22:35:00+00:00"},
        ),
        (JobAction.SAFETY_RELEASE, {}, ("safety_release", ("main",), BY), {}),
    ],
)  # fmt: skip
async def test_a_job_is_queued_runs_and_succeeds(
    action: JobAction, arguments: dict[str, Any], done: tuple[object, ...], result: Result
) -> None:
    bench = Bench()
    job = bench.job(action, **arguments)
    async with bench.open():
        await bench.desk.take(job)
        assert await bench.until(job, SUCCEEDED) == result
    assert bench.states(job) == [QUEUED, RUNNING, SUCCEEDED]
    assert bench.controls.done == [done]
    assert bench.memory.open == {}


def test_every_action_is_carried_out_or_refused_by_name() -> None:
    assert set(JobAction) - set(ARGUMENTS) == {JobAction.SUPPORT_BUNDLE}


async def test_a_job_without_zone_is_for_all_zones() -> None:
    bench = Bench(ZONES)
    job = bench.job(JobAction.STOP)
    async with bench.open():
        await bench.desk.take(job)
        assert await bench.until(job, SUCCEEDED) == {"main": "Bản tin sáng", "east": "Bản tin sáng"}


async def test_a_job_that_comes_by_three_ways_is_done_once() -> None:
    bench = Bench()
    job = bench.job(JobAction.NEXT)
    async with bench.open():
        async with asyncio.TaskGroup() as ways:
            for _ in range(3):
                ways.create_task(bench.desk.take(job))
        await bench.until(job, SUCCEEDED)
        await bench.desk.take(job)
        await settle()
    assert bench.states(job) == [QUEUED, RUNNING, SUCCEEDED]
    assert len(bench.controls.done) == 1


async def test_a_job_done_before_a_restart_is_not_done_again() -> None:
    before = Bench()
    job = before.job(JobAction.NEXT)
    async with before.open():
        await before.desk.take(job)
        await before.until(job, SUCCEEDED)
    after = Bench(memory=before.memory, boot="b2")
    async with after.open():
        await after.desk.take(job)
        await settle()
    assert (after.reports, after.controls.done) == ([], [])


async def test_a_rejected_job_tells_field_and_text_and_stays_rejected() -> None:
    bench = Bench()
    job = bench.job(JobAction.PAUSE, minuts=5)
    await bench.desk.take(job)
    await bench.desk.take(job)
    assert bench.states(job) == [REJECTED]
    assert bench.reports[0].result["field"] == "arguments.minuts"
    assert "minuts" in str(bench.reports[0].result["text"])


async def test_what_this_version_cannot_do_is_rejected_in_clear_words() -> None:
    bench = Bench()
    job = bench.job(JobAction.SCREENSHOT)
    await bench.desk.take(job)
    assert bench.states(job) == [REJECTED]
    assert bench.reports[0].result["code"] == "unsupported"
    assert "chưa làm được" in str(bench.reports[0].result["text"])


async def test_an_expired_job_times_out_on_arrival_and_in_the_line() -> None:
    bench = Bench()
    late, waiting = bench.job(JobAction.STOP), bench.job(JobAction.NEXT)
    await bench.desk.take(waiting)
    bench.clock.step(timedelta(seconds=601))
    await bench.desk.take(late)
    async with bench.open():
        assert (await bench.until(waiting, TIMED_OUT))["code"] == "expired"
    assert bench.states(late) == [TIMED_OUT]
    assert bench.controls.done == []


async def test_a_job_that_hangs_ends_at_its_deadline_and_the_next_one_runs() -> None:
    bench = Bench()
    bench.controls.hang = True
    stuck = bench.job(JobAction.NEXT, valid_s=0.05)
    async with bench.open():
        await bench.desk.take(stuck)
        assert (await bench.until(stuck, TIMED_OUT))["code"] == "deadline"
        bench.controls.hang = False
        good = bench.job(JobAction.NEXT)
        await bench.desk.take(good)
        await bench.until(good, SUCCEEDED)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (ControlRefusedError("no_amplifier"), REJECTED, "no_amplifier"),
        (ControlRefusedError("brand_new", "nobody worded this"), REJECTED, "brand_new"),
        (AgentError("worker gone"), FAILED, "failed"),
        (TimeoutError("inner"), FAILED, "failed"),
        (RuntimeError("bug"), FAILED, "failed"),
    ],
)
async def test_a_job_that_fails_says_why_and_the_desk_lives_on(
    error: Exception, state: JobState, code: str
) -> None:
    bench = Bench()
    bench.controls.error = error
    bad, good = bench.job(JobAction.RESUME), bench.job(JobAction.NEXT)
    async with bench.open():
        await bench.desk.take(bad)
        result = await bench.until(bad, state)
        bench.controls.error = None
        await bench.desk.take(good)
        await bench.until(good, SUCCEEDED)
    assert result["code"] == code
    assert result["text"]
    assert bench.memory.open == {}


async def test_a_safety_stop_does_not_wait_behind_a_self_test() -> None:
    bench = Bench()
    bench.test_gate.clear()
    slow = bench.job(JobAction.SELF_TEST, kind="tone", zone="main")
    stop = bench.job(JobAction.SAFETY_STOP)
    async with bench.open():
        await bench.desk.take(slow)
        await bench.until(slow, RUNNING)
        await bench.desk.take(stop)
        await bench.until(stop, SUCCEEDED)
        assert set(bench.memory.open) == {slow.id}
        bench.test_gate.set()
        await bench.until(slow, SUCCEEDED)
    assert bench.tests == [("tone", "main")]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("passed", SUCCEEDED), ("unmeasured", SUCCEEDED), ("failed", FAILED), ("refused", REJECTED)],
)
async def test_a_self_test_ends_as_its_verdict_says(outcome: str, state: JobState) -> None:
    bench = Bench()
    bench.result = {"outcome": outcome, "amps": 0.25}
    job = bench.job(JobAction.SELF_TEST, kind="amp")
    async with bench.open():
        await bench.desk.take(job)
        assert await bench.until(job, state) == {"outcome": outcome, "amps": 0.25}


async def test_the_line_is_bounded_and_the_urgent_line_is_not_blocked_by_it() -> None:
    bench = Bench()
    crowd = [bench.job(JobAction.NEXT) for _ in range(module.QUEUE_LENGTH + 1)]
    for job in crowd:
        await bench.desk.take(job)
    assert [bench.states(job) for job in crowd[-2:]] == [[QUEUED], [REJECTED]]
    assert bench.reports[-1].result["code"] == "queue_full"
    stop = bench.job(JobAction.SAFETY_STOP)
    await bench.desk.take(stop)
    assert bench.states(stop) == [QUEUED]
    async with bench.open():
        await bench.until(crowd[-2], SUCCEEDED)
        await bench.until(stop, SUCCEEDED)


# --- over a restart ------------------------------------------------------------------------------


async def test_a_reboot_succeeds_only_after_the_machine_restarted() -> None:
    before = Bench()
    job = before.job(JobAction.REBOOT)
    async with before.open():
        await before.desk.take(job)
        await before.until(job, RUNNING)
        await settle()
        assert before.controls.done == [("reboot", BY)]
    assert before.states(job) == [QUEUED, RUNNING]
    after = Bench(memory=before.memory, boot="b2")
    async with after.open():
        assert await after.until(job, SUCCEEDED) == {}
        await after.desk.take(job)
        await settle()
    assert after.controls.done == []
    assert after.memory.open == {}


async def test_a_reboot_after_which_only_the_agent_restarted_has_failed() -> None:
    before = Bench()
    job = before.job(JobAction.REBOOT)
    async with before.open():
        await before.desk.take(job)
        await before.until(job, RUNNING)
        await settle()
    after = Bench(memory=before.memory, boot="b1")
    async with after.open():
        assert (await after.until(job, FAILED))["code"] == "no_restart"


async def test_a_machine_that_agrees_to_restart_and_does_not_is_told() -> None:
    bench = Bench()
    job = bench.job(JobAction.REBOOT)
    async with bench.open():
        await bench.desk.take(job)
        await bench.until(job, RUNNING)
        await settle()
        await bench.clock.pass_(module.RESTART_WAIT_S + 1, grain_s=60)
        assert (await bench.until(job, FAILED))["code"] == "no_restart"


async def test_nobody_reboots_under_an_emergency_unless_he_insists() -> None:
    bench = Bench()
    bench.emergency = True
    polite, forced = bench.job(JobAction.REBOOT), bench.job(JobAction.REBOOT, force=True)
    async with bench.open():
        await bench.desk.take(polite)
        assert (await bench.until(polite, REJECTED))["code"] == "emergency_on_air"
        assert bench.controls.done == []
        await bench.desk.take(forced)
        await bench.until(forced, RUNNING)
        await settle()
        assert bench.controls.done == [("reboot", BY)]


async def test_a_job_cut_by_a_power_failure_is_told_and_never_repeated() -> None:
    before = Bench()
    before.test_gate.clear()
    job = before.job(JobAction.SELF_TEST, kind="tone")
    async with before.open():
        await before.desk.take(job)
        await before.until(job, RUNNING)
    after = Bench(memory=before.memory, boot="b2")
    async with after.open():
        assert (await after.until(job, FAILED))["code"] == "interrupted"
        await after.desk.take(job)
        await settle()
    assert after.tests == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": "dance", "boot": "b"}', "{}"])
async def test_a_damaged_note_of_an_open_job_is_forgotten(text: str) -> None:
    memory = Memory()
    memory.open = {"01JD0000000000000000000000": text}
    bench = Bench(memory=memory)
    async with bench.open():
        await settle()
    assert (memory.open, bench.reports) == ({}, [])
