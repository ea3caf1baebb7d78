"""Sound inputs of the box itself: line-in, microphone, and the FM tuner, mute unless it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from agent.clock import Clock
from agent.live.api import (
    LiveLostError,
    LiveRefusedError,
    LiveTimes,
    LiveUnavailableError,
    OpenTuner,
    Sink,
)
from drivers.api import DriverError, Retry, Tuner

logger = logging.getLogger(__name__)

_SIMULATED = "simulated:"


def place_of(inputs: Mapping[str, str], name: str, tuner_input: str) -> str:
    """The capture name of an input; "" means the only one that is not the tuner's.

    Raises:
        LiveRefusedError: there is no such input, or it is not clear which one is meant.
    """
    if name:
        if name not in inputs:
            raise LiveRefusedError(
                f"the box has no input {name[:60]!r}; it has {', '.join(sorted(inputs)) or 'none'}"
            )
        return inputs[name]
    free = [place for one, place in inputs.items() if one != tuner_input]
    if len(free) != 1:
        raise LiveRefusedError(f"an input must be named; the box has {', '.join(sorted(inputs)) or 'none'}")
    return free[0]


class Claims:
    """Which zone reads an input that only one can: ALSA opens `hw` and `plughw` once."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str]] = {}

    def claim(self, place: str, live_id: str, zone: str) -> None:
        """The zone is about to read.

        Raises:
            LiveUnavailableError: another zone does already.
        """
        if not place.startswith(("hw:", "plughw:")):
            return
        _, holder = self._held.get(place, ("", zone))
        if holder != zone:
            raise LiveUnavailableError(
                f"live {live_id!r}: zone {holder!r} reads {place} already, and only one zone can; "
                "make the input a dsnoop device in the configuration"
            )
        self._held[place] = (live_id, zone)

    def release(self, live_id: str, zone: str) -> None:
        """The zone no longer reads."""
        self._held = {place: held for place, held in self._held.items() if held != (live_id, zone)}

    def keep(self, wanted: Collection[tuple[str, str]]) -> None:
        """Nobody reads what is not wanted: live ids with their zones."""
        self._held = {place: held for place, held in self._held.items() if held in wanted}


async def silence_tuner(open_tuner: OpenTuner, in_use: asyncio.Lock, limit_s: float) -> None:
    """Open and close the tuner: its safe state ends what an earlier run that was killed left audible."""
    try:
        async with asyncio.timeout(limit_s), in_use, open_tuner():
            pass
    except (DriverError, TimeoutError) as error:
        logger.warning("FM receiver could not be muted at the start: %s", str(error) or "no answer")


class InputSource:
    """Line-in or microphone: open for as long as it is wanted."""

    def __init__(self, place: str) -> None:
        self._place = place

    async def run(self, sink: Sink) -> None:
        """See `Source`; never returns by itself."""
        _check_simulated(self._place)
        sink.opened()
        await asyncio.get_running_loop().create_future()


class TunerSource:
    """The FM tuner: tuned and audible only while this runs; whatever happens, it ends mute.

    Args:
        open_tuner: None where the box has none.
        in_use: held by whoever uses the tuner.
        megahertz: as written in the order.
        times: of its station and of muting.
        clock: for polling.
    """

    def __init__(
        self,
        open_tuner: OpenTuner | None,
        in_use: asyncio.Lock,
        megahertz: str,
        times: LiveTimes,
        clock: Clock,
    ) -> None:
        self._open_tuner = open_tuner
        self._in_use = in_use
        self._megahertz = megahertz
        self._times = times
        self._clock = clock

    async def run(self, sink: Sink) -> None:
        """See `Source`; never returns by itself."""
        if self._open_tuner is None:
            raise LiveRefusedError("the box has no FM receiver", tuner=True)
        megahertz = _frequency(self._megahertz)
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(2 * self._times.tuner_mute_s):
                    await stack.enter_async_context(self._in_use)
            except TimeoutError as error:
                raise LiveLostError("the FM receiver is used for another station", tuner=True) from error
            try:
                tuner = await stack.enter_async_context(self._open_tuner())
                await self._listen(tuner, megahertz, sink)
            except DriverError as error:
                kind = LiveRefusedError if error.retry is Retry.NEVER else LiveLostError
                raise kind(f"FM receiver: {error}", tuner=True) from error

    async def _listen(self, tuner: Tuner, megahertz: float, sink: Sink) -> None:
        try:
            await tuner.tune(megahertz)
            received_s = self._clock.monotonic()
            audible = False
            while True:
                state = await tuner.read()
                now_s = self._clock.monotonic()
                if state.locked is not False:
                    received_s = now_s
                    if not audible:
                        await tuner.set_mute(muted=False)
                        audible = True
                        sink.opened()
                elif now_s - received_s >= self._times.tuner_lock_s:
                    raise LiveLostError(f"no station is received at {megahertz:g} MHz", tuner=True)
                await self._clock.sleep(self._times.tuner_poll_s if audible else self._times.tick_s)
        finally:
            await self._mute(tuner)

    async def _mute(self, tuner: Tuner) -> None:
        try:
            async with asyncio.timeout(self._times.tuner_mute_s):
                await tuner.set_mute(muted=True)
        except (DriverError, TimeoutError) as error:
            logger.error("FM receiver could not be muted: %s", error)  # noqa: TRY400 — expected, no trace needed


def _check_simulated(place: str) -> None:
    path = Path(place.removeprefix(_SIMULATED))
    if place.startswith(_SIMULATED) and not path.is_file():
        raise LiveLostError(f"the simulated input has no file {path}")


def _frequency(address: str) -> float:
    """Megahertz as written in an order.

    Raises:
        LiveRefusedError: not a frequency of the FM band.
    """
    text = address.strip()
    # the FM band as the driver contract gives it
    if re.fullmatch(r"\d{2,3}(\.\d{1,3})?", text) and 87.0 <= float(text) <= 108.0:  # noqa: PLR2004
        return float(text)
    raise LiveRefusedError(f"the address must be a frequency such as 98.9, not {address[:40]!r}")
