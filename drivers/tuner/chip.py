"""What the tuners share: the band, and a blocking chip driven in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from drivers.api import DeviceRefusedError, DriverError, Tuner, TunerState
from drivers.worker_thread import WorkerThread

logger = logging.getLogger(__name__)

LOWEST_MHZ = 87.0
HIGHEST_MHZ = 108.0
READY_LIMIT_S = 1.0
_LOOK_LIMIT_S = 1.0
_TUNE_LIMIT_S = READY_LIMIT_S + 0.5
_START_LIMIT_S = 2.0
_SLEEP_LIMIT_S = 1.0


class TunerChip(Protocol):
    """A tuner chip on its bus, open and muted; every call blocks for at most about a second."""

    def tune(self, megahertz: float) -> TunerState:
        """Mute, tune and wait until the chip is ready; raises DriverError."""
        ...

    def set_mute(self, *, muted: bool) -> None:
        """Mute or unmute; raises DeviceRefusedError when there is nothing to hear, see `refuse_untuned`."""
        ...

    def state(self) -> TunerState: ...

    def sleep(self) -> None:
        """Mute, then switch the receiver off."""
        ...

    def close(self) -> None: ...


def refuse_outside_band(name: str, megahertz: float) -> None:
    """Raise DeviceRefusedError outside 87.0 to 108.0."""
    if not LOWEST_MHZ <= megahertz <= HIGHEST_MHZ:
        raise DeviceRefusedError(
            f"{name}: {megahertz:g} MHz is outside the band of {LOWEST_MHZ:g} to {HIGHEST_MHZ:g}"
        )


def refuse_untuned(name: str, megahertz: float | None, *, muted: bool) -> None:
    """Raise DeviceRefusedError when noise would come out: unmuted before a frequency is set."""
    if megahertz is None and not muted:
        raise DeviceRefusedError(f"{name}: is tuned to nothing and stays muted")


class OpenTuner:
    """A chip, held; see `open_tuner`."""

    def __init__(self, name: str, chip: TunerChip, thread: WorkerThread) -> None:
        self.name = name
        self._chip = chip
        self._thread = thread

    async def tune(self, megahertz: float) -> TunerState:
        refuse_outside_band(self.name, megahertz)
        return await self._thread.call(lambda: self._chip.tune(megahertz), _TUNE_LIMIT_S)

    async def set_mute(self, *, muted: bool) -> None:
        await self._thread.call(lambda: self._chip.set_mute(muted=muted), _LOOK_LIMIT_S)

    async def read(self) -> TunerState:
        return await self._thread.call(self._chip.state, _LOOK_LIMIT_S)

    async def probe(self) -> None:
        await self.read()


@asynccontextmanager
async def open_tuner(name: str, make: Callable[[], TunerChip]) -> AsyncIterator[Tuner]:
    """Make the chip, muted, in a new thread; at the end it is muted and put to sleep, whatever happens."""
    thread = WorkerThread(name)
    chip: TunerChip | None = None
    try:
        chip = await thread.call(make, _START_LIMIT_S, _put_away)
        yield OpenTuner(name, chip, thread)
    finally:
        if chip is not None:
            await _put_to_sleep(name, chip, thread)
        else:
            thread.close()


async def _put_to_sleep(name: str, chip: TunerChip, thread: WorkerThread) -> None:
    """Wait until the chip sleeps; when we are cancelled meanwhile, the thread still sees to it."""
    try:
        await thread.call(chip.sleep, _SLEEP_LIMIT_S)
    except DriverError as error:
        logger.warning("%s: could not be put to sleep: %s", name, error)
    except BaseException:
        thread.close(lambda: _put_away(chip))
        raise
    thread.close(chip.close)


def _put_away(chip: TunerChip) -> None:
    try:
        chip.sleep()
    finally:
        chip.close()
