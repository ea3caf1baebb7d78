"""Keeps a zone's audio worker open: replaces one that is lost, and looks for the card while nothing plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.clock import Clock
from agent.model.bulletin import ZoneId
from agent.model.issue import Fault
from agent.playout.contracts import Issues
from drivers.api import Audio, AudioEvent, DriverError

_WRONG_CARD = "wrong sound card"
"""How the text of an error begins when a card is there but not the configured one; see `drivers.audio`."""


class AudioKeeper:
    """One sound output over the lives of many workers.

    Attributes:
        audio: the worker at hand, None while there is none.
    """

    def __init__(
        self,
        zone: ZoneId,
        open_audio: Callable[[], AbstractAsyncContextManager[Audio]],
        clock: Clock,
        issues: Issues,
        *,
        take: Callable[[AudioEvent], None],
        lost: Callable[[bool], None],
        possible: Callable[[bool], None],
        busy: Callable[[], bool],
    ) -> None:
        """Wire a keeper.

        Args:
            zone: its id.
            open_audio: opens a fresh worker.
            clock: time.
            issues: where faults are told.
            take: told every event of the worker.
            lost: told when the worker is gone; True if because the agent stops.
            possible: told whether the zone can sound.
            busy: whether something is cued, so that the card need not be looked for.
        """
        self.audio: Audio | None = None
        self._zone = zone
        self._open = open_audio
        self._clock = clock
        self._issues = issues
        self._take = take
        self._lost = lost
        self._possible = possible
        self._busy = busy
        self._ok = True
        self._scope: asyncio.Timeout | None = None

    def restart(self) -> None:
        """Replace the worker at once."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def card_lost(self, detail: str) -> None:
        """The card went away under a sound."""
        self._issues.raise_(Fault.AUDIO_CARD_MISSING, self._zone, detail)
        self._tell(ok=False)

    async def run(self) -> None:
        """Keep a worker open until cancelled."""
        failures = 0
        while True:
            opened = False
            try:
                async with self._open() as audio:
                    self.audio, opened, failures = audio, True, 0
                    self._issues.clear(Fault.AUDIO_HUNG, self._zone)
                    self._tell(ok=True)
                    async with asyncio.timeout(None) as self._scope:
                        async for event in audio.events():
                            self._take(event)
            except TimeoutError:
                self._issues.raise_(Fault.AUDIO_HUNG, self._zone, "restarted")
            except DriverError as error:
                failures += 1
                fault = Fault.AUDIO_HUNG if opened else _card_fault(error)
                self._issues.raise_(fault, self._zone, str(error))
            finally:
                self.audio = self._scope = None
                task = asyncio.current_task()
                self._ok = False
                self._lost(task is not None and task.cancelling() > 0)
            # A worker that was lost is replaced at once; one that cannot start is tried ever more rarely.
            await self._clock.sleep(0.0 if opened else min(10.0, 0.25 * 2 ** min(failures, 6)))

    async def probe(self) -> None:
        """See a missing card before something is due, and see it come back."""
        while True:
            await self._clock.sleep(10.0 if self._ok else 2.0)
            audio = self.audio
            if audio is None or self._busy():
                continue
            try:
                await audio.probe()
            except DriverError as error:
                await self._clock.sleep(0.2)
                if self.audio is audio:  # the worker lives, so it is the card that is missing
                    self._issues.raise_(_card_fault(error), self._zone, str(error))
                    self._tell(ok=False)
            else:
                if not self._ok:
                    self._tell(ok=True)

    def _tell(self, *, ok: bool) -> None:
        if ok:
            self._issues.clear(Fault.AUDIO_CARD_MISSING, self._zone)
            self._issues.clear(Fault.AUDIO_CARD_WRONG, self._zone)
        self._ok = ok
        self._possible(ok)


def _card_fault(error: DriverError) -> Fault:
    wrong = _WRONG_CARD in str(error).lower()
    return Fault.AUDIO_CARD_WRONG if wrong else Fault.AUDIO_CARD_MISSING
