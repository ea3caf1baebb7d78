"""On-site tests: `loa test tone|sweep|speech|amp|line|mic|clock`, one at a time in a zone.

A test never takes a zone from anything: it refuses while something is on air or due within a minute,
and an airing that becomes due cuts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from agent.field.controls import Bench, Busy, BusyCause, ControlRefusedError, Sample
from agent.field.findings import (
    Finding,
    Limits,
    Measure,
    SelfTestKind,
    is_audible,
    is_powered,
    summarise,
)
from agent.field.judgement import Judge
from agent.model.bulletin import Item, ItemKind, Signal, signal_media
from agent.model.report import AsRun
from agent.model.text import Language, say

TONE_MS, SWEEP_MS, IDLE_MS = 3_000, 6_000, 3_000
SAMPLES_BEFORE = 4
GRACE_S = 20.0
"""Longest time beyond its own length that a test sound may take: settling, draining, a replaced worker."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running test is; `step` is a key of the catalogue's `[test.step]` table."""

    step: str
    sample: Sample | None = None


Tell = Callable[[Progress], Awaitable[None]]


class SelfTest:
    """Runs on-site tests.

    Args:
        bench: the box.
        limits: what is normal for each zone's amplifier; a zone that is not named is not judged by it.
        names: what a zone is called by people.
        place: what the box is called by people.
        language: of the spoken sentence and of the title in the play log.
        every_s: pause between two samples.
        off_wait_s: how long `amp` watches for the amplifier to go off by itself.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        limits: Mapping[str, Limits] | None = None,
        names: Mapping[str, str] | None = None,
        place: str = "",
        language: Language = "vi",
        every_s: float = 0.25,
        off_wait_s: float = 2.0,
    ) -> None:
        self._bench = bench
        self._limits = limits or {}
        self._names = names or {}
        self._place = place
        self._language: Language = language
        self._every_s = every_s
        self._off_wait_s = off_wait_s
        self._running: set[str] = set()

    async def run(self, kind: SelfTestKind, zone: str, tell: Tell) -> Finding:
        """Carry out one test; whatever `tell` raises ends it, and the sound with it."""
        judge = Judge(kind, zone, self._limits.get(zone, Limits()))
        if kind is SelfTestKind.CLOCK:
            return judge.clock(self._bench.clock())
        busy = Busy(BusyCause.TEST) if zone in self._running else self._bench.busy(zone)
        if busy is not None:
            return judge.refused(busy)
        with self._alone(zone):
            try:
                return await self._carry_out(judge, tell)
            except ControlRefusedError:
                busy = self._bench.busy(zone)  # something became due since it was asked
                if busy is None:
                    raise
                return judge.refused(busy)
            except TimeoutError:
                return judge.hung()

    async def as_job(self, kind: str, zone: str) -> dict[str, str | int | float | bool | None]:
        """A test ordered from afar: outcome, reason in words, fault number and every measured value.

        Raises:
            ValueError: there is no such test.
        """
        finding = await self.run(SelfTestKind(kind), zone, _tell_nobody)
        result: dict[str, str | int | float | bool | None] = {
            "outcome": finding.outcome.value,
            "reason": finding.reason,
            "text": sentence(finding, self._language),
        }
        if finding.fault is not None:
            result["fault"] = finding.fault.value
        if finding.title:
            result["title"] = finding.title
        return result | {one.name: _rounded(one) for one in finding.measures}

    @contextmanager
    def _alone(self, zone: str) -> Iterator[None]:
        self._running.add(zone)
        try:
            yield
        finally:
            self._running.discard(zone)

    async def _carry_out(self, judge: Judge, tell: Tell) -> Finding:
        match judge.kind:
            case SelfTestKind.TONE:
                return await self._sound(judge, _signal(Signal.TONE, TONE_MS), tell)
            case SelfTestKind.SWEEP:
                return await self._sound(judge, _signal(Signal.SWEEP, SWEEP_MS), tell)
            case SelfTestKind.SPEECH:
                return await self._speech(judge, tell)
            case SelfTestKind.AMP:
                return await self._amplifier(judge, tell)
            case SelfTestKind.LINE | SelfTestKind.MIC:
                return await self._compared(judge, tell)
            case SelfTestKind.CLOCK:
                return judge.clock(self._bench.clock())

    async def _sound(self, judge: Judge, item: Item, tell: Tell) -> Finding:
        record, samples = await self._play(judge, item, tell)
        return judge.sound(record, summarise(samples, is_audible))

    async def _speech(self, judge: Judge, tell: Tell) -> Finding:
        await tell(Progress("speaking"))
        name = self._names.get(judge.zone) or judge.zone
        text = say("test.spoken", self._language, place=self._place, zone=name)
        item = await self._bench.render_speech(text, self._language)
        return judge.unspoken() if item is None else await self._sound(judge, item, tell)

    async def _amplifier(self, judge: Judge, tell: Tell) -> Finding:
        record, samples = await self._play(judge, _signal(Signal.SILENCE, IDLE_MS), tell)
        during = summarise(samples, is_powered)
        if during.powered is None:
            during = summarise(samples)  # never on, or no amplifier: say which
        return judge.amplifier(record, during, await self._went_off(judge.zone, tell))

    async def _went_off(self, zone: str, tell: Tell) -> bool | None:
        """Whether the amplifier was seen going off; None if it is still held on, or nothing tells."""
        waited_s = 0.0
        while True:
            sample = await self._bench.sample(zone)
            await tell(Progress("switching_off", sample))
            if sample.powered is None:
                return None
            if not sample.powered:
                return True
            if waited_s >= self._off_wait_s:
                return None
            await asyncio.sleep(self._every_s)
            waited_s += self._every_s

    async def _compared(self, judge: Judge, tell: Tell) -> Finding:
        quiet = []
        for _ in range(SAMPLES_BEFORE):
            quiet.append(await self._bench.sample(judge.zone))
            await tell(Progress("listening_before", quiet[-1]))
            await asyncio.sleep(self._every_s)
        record, samples = await self._play(judge, _signal(Signal.TONE, TONE_MS), tell)
        before, during = summarise(quiet), summarise(samples, is_audible)
        if judge.kind is SelfTestKind.LINE:
            return judge.line(record, before, during)
        return judge.microphone(record, before, during)

    async def _play(self, judge: Judge, item: Item, tell: Tell) -> tuple[AsRun, tuple[Sample, ...]]:
        """Play one item while measuring.

        Raises:
            TimeoutError: it did not end.
        """
        samples: list[Sample] = []
        over = asyncio.Event()

        async def watch() -> None:
            while not over.is_set():
                samples.append(await self._bench.sample(judge.zone))
                await tell(Progress("playing", samples[-1]))
                await asyncio.sleep(self._every_s)

        title = say(f"test.title.{judge.kind.value}", self._language)
        try:
            async with asyncio.timeout(item.media.duration_ms / 1000 + GRACE_S), asyncio.TaskGroup() as group:
                group.create_task(watch())
                record = await self._bench.play(judge.zone, (item,), title)
                over.set()
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from group_error
        return record, tuple(samples)


def sentence(finding: Finding, language: Language) -> str:
    """Verdict and reason in one sentence."""
    return f"{say(f'test.verdict.{finding.outcome.value}', language)}: " + say(
        f"test.reason.{finding.reason}", language
    )


def _signal(signal: Signal, duration_ms: int) -> Item:
    media = signal_media(signal, duration_ms)
    return Item(f"test:{signal.value}", signal.value, ItemKind.SIGNAL, media)


def _rounded(measure: Measure) -> float | bool | str:
    return round(measure.value, 3) if isinstance(measure.value, float) else measure.value


async def _tell_nobody(_progress: Progress) -> None:
    return None
