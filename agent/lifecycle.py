"""Runs services so that the structure is the shutdown order.

Two tiers. A *vital* service (playout, watchdog) ends the process when it fails: the plan is a function
of schedule and time, so a clean process resumes by itself. A *supporting* service (network, content,
boards, health) is restarted in place with growing waits, so a lost server never stops the sound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from agent.clock import Clock
from agent.errors import AgentError, Retry

logger = logging.getLogger(__name__)


class Tier(Enum):
    """What the failure of a service means."""

    VITAL = "vital"
    SUPPORTING = "supporting"


class Service(Protocol):
    """Something that runs until it is cancelled; returning is a failure."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between restarts, in seconds: doubling from `first_s` to `ceiling_s`."""

    first_s: float = 0.5
    ceiling_s: float = 60.0
    healthy_after_s: float = 60.0

    def delay_s(self, failures: int, retry: Retry = Retry.SOON) -> float:
        """Wait before the next try after `failures` failures in a row (>= 1)."""
        if retry is not Retry.SOON:
            return self.ceiling_s
        return min(self.ceiling_s, self.first_s * 2.0 ** min(failures - 1, 16))


class Progress:
    """Signs of life: each watched service must mark itself within its own limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits: dict[str, float] = {}
        self._marked: dict[str, float] = {}

    def watch(self, name: str, limit_s: float) -> Callable[[], None]:
        """Expect a mark from `name` at least every `limit_s`; returns the function that marks."""
        self._limits[name] = limit_s
        self._marked[name] = self._clock.monotonic()

        def mark() -> None:
            self._marked[name] = self._clock.monotonic()

        return mark

    def stalled(self) -> tuple[str, ...]:
        """Names of the services that have been quiet for longer than their limit."""
        now = self._clock.monotonic()
        return tuple(name for name, limit in self._limits.items() if now - self._marked[name] > limit)


async def supervise(
    service: Service,
    tier: Tier,
    clock: Clock,
    *,
    backoff: Backoff | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> None:
    """Keep `service` running until this task is cancelled.

    Args:
        service: what to run.
        tier: VITAL failures pass through, SUPPORTING ones are logged and restarted.
        clock: for waiting.
        backoff: waits between restarts.
        on_failure: told of each failure of a supporting service.

    Raises:
        Exception: whatever a vital service raised.
    """
    waits = backoff or Backoff()
    failures = 0
    while True:
        began = clock.monotonic()
        try:
            # In a task of its own: on Python 3.11 and 3.12 a failing TaskGroup inside `run` leaves its
            # cancellation count on the task it ran in, which would look like a stop below.
            await asyncio.create_task(service.run(), name=service.name)
            raise RuntimeError(f"service {service.name} returned although nobody stopped it")  # noqa: TRY301
        except Exception as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The error came up while stopping and took the place of the cancellation. Without
                # putting it back the service would be restarted and the stop would never end.
                logger.exception("service %s failed while stopping", service.name)
                raise asyncio.CancelledError from error
            if tier is Tier.VITAL:
                raise
            if clock.monotonic() - began >= waits.healthy_after_s:
                failures = 0
            failures += 1
            expected = isinstance(error, AgentError) or hasattr(error, "retry")
            delay_s = waits.delay_s(failures, Retry(getattr(error, "retry", Retry.SOON)))
            level = logging.ERROR if not expected else logging.WARNING if failures == 1 else logging.DEBUG
            logger.log(
                level,
                "service %s failed, again in %.1f s: %s",
                service.name,
                delay_s,
                error,
                exc_info=None if expected else error,
            )
            if on_failure is not None:
                on_failure(service.name, error)
        await clock.sleep(delay_s)


async def run_until(
    stop: asyncio.Event,
    services: Iterable[tuple[Service, Tier]],
    clock: Clock,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> None:
    """Run services until `stop` is set or a vital one fails.

    Raises:
        ExceptionGroup: what the vital service raised.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                supervise(service, tier, clock, on_failure=None if tier is Tier.VITAL else on_failure),
                name=service.name,
            )
            for service, tier in services
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()
