"""Keeps the status of both ways to the source system; logs each loss once and each return once."""

from __future__ import annotations

import logging
from dataclasses import replace

from agent.clock import Clock
from agent.latest import Latest
from agent.source.api import LinkState, SourceStatus
from agent.source.errors import LinkFailure

logger = logging.getLogger(__name__)


class StatusBoard:
    """The one writer of `latest`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost_s: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self.latest: Latest[SourceStatus] = Latest(SourceStatus(LinkState.NOT_ENROLLED, clock.now()))

    def mqtt(self, state: LinkState, error: LinkFailure | None = None) -> None:
        """The pushing link is in `state`; an `error` stays on the board until it is connected again."""
        now = self.latest.value
        if state is LinkState.CONNECTED:
            self._back("push link")
        elif error is not None:
            self._lost("push link", error)
        self.latest.set(
            replace(
                now,
                mqtt=state,
                mqtt_since=now.mqtt_since if state is now.mqtt else self._clock.now(),
                mqtt_error=None if state is LinkState.CONNECTED else error or now.mqtt_error,
            )
        )

    def http(self, error: LinkFailure | None) -> None:
        """A heartbeat was answered, or failed."""
        now = self.latest.value
        up = error is None
        if error is None:
            self._back("heartbeat")
        else:
            self._lost("heartbeat", error)
        moment = self._clock.now()
        self.latest.set(
            replace(
                now,
                http_up=up,
                http_since=now.http_since if now.http_up is up else moment,
                http_ok_at=moment if up else now.http_ok_at,
                http_error=error,
            )
        )

    def oversized(self) -> None:
        """An order was too large to be read."""
        now = self.latest.value
        self.latest.set(replace(now, oversized=now.oversized + 1))

    def _lost(self, what: str, error: LinkFailure) -> None:
        self._lost_s.setdefault(what, self._clock.monotonic())
        # A new cause is news; the same one at every attempt is not.
        level = logging.DEBUG if self._told.get(what) == error.code else logging.WARNING
        self._told[what] = error.code
        logger.log(level, "%s lost (%s): %r", what, error.code, error.detail)

    def _back(self, what: str) -> None:
        lost_s = self._lost_s.pop(what, None)
        self._told.pop(what, None)
        if lost_s is not None:
            logger.info("%s back after %.0f s", what, self._clock.monotonic() - lost_s)
