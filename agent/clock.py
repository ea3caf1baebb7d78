"""Time, and how far it may be believed; the only place that reads the wall clock.

The wall clock says *when* something is due, the monotonic clock measures *how long*. A box without
a clock chip boots in the past: `trust` says so, and `floor` keeps the newest moment ever known.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agent.model.bulletin import ClockTrust

NS = 1_000_000_000
_SLACK = timedelta(minutes=5)


class Clock(Protocol):
    """What services ask of time; tests hand in their own."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on CLOCK_MONOTONIC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds on CLOCK_MONOTONIC, the clock the audio worker counts in."""
        ...

    @property
    def trust(self) -> ClockTrust:
        """How far `now()` may be believed."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait; negative delays return at the next turn of the loop."""
        ...


class SystemClock:
    """The machine's clocks, with trust read from a clock sensor and a floor from the store.

    Args:
        read_trust: asks the driver for the source of the wall clock; called at most once a second.
        floor: newest moment that a verified order proves; a wall clock behind it is wrong, whoever set it.
        seen: newest moment at which an earlier run had a synchronised clock. It turns an unknown clock into
            a restored one, and unmasks a clock chip that lost its time; a synchronised clock overrides it,
            because one wrong answer of a time server must not silence a box for good.
    """

    def __init__(
        self,
        read_trust: Callable[[], ClockTrust],
        floor: datetime | None = None,
        seen: datetime | None = None,
    ) -> None:
        self._read_trust = read_trust
        self._floor = floor
        self._seen = seen
        self._trust = ClockTrust.UNKNOWN
        self._trust_read_s = float("-inf")

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def raise_floor(self, moment: datetime) -> None:
        """Remember that it is at least `moment`: a verified order says so."""
        if self._floor is None or moment > self._floor:
            self._floor = moment

    @property
    def floor(self) -> datetime | None:
        """Newest moment proved by an order, None if there is none."""
        return self._floor

    @property
    def at_least(self) -> datetime | None:
        """Newest moment ever known for certain, from orders or from a clock that was set; None if none is."""
        return max((one for one in (self._floor, self._seen) if one is not None), default=None)

    @property
    def trust(self) -> ClockTrust:
        if self.monotonic() - self._trust_read_s >= 1.0:
            self._trust = self._read_trust()
            self._trust_read_s = self.monotonic()
        now = self.now()
        if self._floor is not None and now < self._floor - _SLACK:
            return ClockTrust.UNKNOWN
        if self._trust is ClockTrust.SYNCHRONISED:
            return self._trust
        if self._seen is not None:
            behind = now < self._seen - _SLACK
            return ClockTrust.UNKNOWN if behind else max(self._trust, ClockTrust.RESTORED)
        return self._trust

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(max(0.0, delay_s))


def wall_to_monotonic_ns(clock: Clock, moment: datetime) -> int:
    """The CLOCK_MONOTONIC nanosecond at which the wall clock will say `moment`, if nothing steps it."""
    ahead = moment - clock.now()
    return clock.monotonic_ns() + (ahead // timedelta(microseconds=1)) * 1000


def monotonic_to_wall(clock: Clock, at_ns: int) -> datetime:
    """The wall-clock moment of a CLOCK_MONOTONIC nanosecond, by the clocks as they stand now."""
    return clock.now() + timedelta(microseconds=(at_ns - clock.monotonic_ns()) / 1000)


class ClockStepWatcher:
    """Service: tells when somebody sets the wall clock, at once and without polling.

    Source: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET: a read fails with ECANCELED when the realtime
    clock makes a discontinuous change. `os.timerfd_create` exists from Python 3.13 only.
    """

    name = "clock step watcher"

    def __init__(self, on_step: Callable[[], None]) -> None:
        self._on_step = on_step

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        stepped = asyncio.Event()
        descriptor = _armed_timer()
        try:
            loop.add_reader(descriptor, stepped.set)
            while True:
                await stepped.wait()
                stepped.clear()
                if _was_cancelled(descriptor):
                    self._on_step()
                _arm(descriptor)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)


class _TimeSpec(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_FAR_AHEAD_S = 10 * 365 * 86_400


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _armed_timer() -> int:
    descriptor = int(_libc().timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create failed")
    _arm(descriptor)
    return descriptor


def _arm(descriptor: int) -> None:
    spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(int(time.time()) + _FAR_AHEAD_S, 0))
    flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
    if _libc().timerfd_settime(descriptor, flags, ctypes.byref(spec), None) < 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime failed")


def _was_cancelled(descriptor: int) -> bool:
    try:
        os.read(descriptor, 8)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.ECANCELED:
            return True
        raise
    return False  # the far-ahead moment itself was reached
