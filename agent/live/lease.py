"""When a live source is ready, lost or over: decides, never waits and never reads a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from agent.live.api import LiveTimes
from agent.model.live import LiveState


class Why(StrEnum):
    """What made a live source change its state, or give up a connection."""

    READY = "ready"
    SILENT = "silent"
    STARVED = "starved"
    STALLED = "stalled"
    FINISHED = "finished"
    REFUSED = "refused"
    BROKEN = "broken"


OVER = frozenset({Why.FINISHED, Why.REFUSED, Why.BROKEN})
"""What a connection itself can end with."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of one live source, in seconds.

    Attributes:
        final: silence, a refusal or the end of the stream end it for good.
        connect_s: how long the first sound of a connection may take.
        ready_s: sound that must have come before it counts as ready.
    """

    final: bool
    silence_limit_s: float
    stall_limit_s: float
    connect_s: float = 10.0
    ready_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the present connection; moments in seconds on the monotonic clock.

    Attributes:
        state: the state so far.
        tried_at_s: when this connection was begun.
        opened: a capture input is open; for a stream always False.
        first_data_s: when its first sound came, None before.
        data_s: when its newest sound came, None before.
        sound_s: how much sound has come, as far as the format tells.
        silent_s: inaudible on the output for so long.
        starved_s: nothing to play on the output for so long.
        over: how the connection ended, None while it lasts.
    """

    state: LiveState
    tried_at_s: float
    opened: bool = False
    first_data_s: float | None = None
    data_s: float | None = None
    sound_s: float = 0.0
    silent_s: float = 0.0
    starved_s: float = 0.0
    over: Why | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """The next state. `why` is None when nothing changes; `hang_up` when the connection is to be given up."""

    state: LiveState
    why: Why | None = None
    hang_up: bool = False


def decide(terms: Terms, facts: Facts, now_s: float) -> Next:
    """The state that follows from the facts."""
    if facts.state is LiveState.ENDED:
        return Next(LiveState.ENDED, None, hang_up=True)
    if facts.over is not None:
        return _given_up(terms, facts.over)
    if facts.state is LiveState.READY:
        why = _fails(terms, facts, now_s)
        return Next(facts.state) if why is None else _given_up(terms, why)
    if _comes(terms, facts):
        return Next(LiveState.READY, Why.READY)
    newest_s = facts.tried_at_s if facts.data_s is None else facts.data_s
    if now_s - newest_s > max(terms.stall_limit_s, terms.connect_s):
        return _given_up(terms, Why.STALLED)
    return Next(facts.state)


def _fails(terms: Terms, facts: Facts, now_s: float) -> Why | None:
    # Nothing to play is heard as silence too, but it is a loss and not a mute speaker.
    if facts.silent_s - facts.starved_s > terms.silence_limit_s:
        return Why.SILENT
    if facts.starved_s > terms.stall_limit_s:
        return Why.STARVED
    if facts.data_s is not None and now_s - facts.data_s > terms.stall_limit_s:
        return Why.STALLED
    return None


def _comes(terms: Terms, facts: Facts) -> bool:
    if facts.opened:
        return True
    if facts.first_data_s is None or facts.data_s is None:
        return False
    return facts.sound_s >= terms.ready_s or facts.data_s - facts.first_data_s >= terms.ready_s


def _given_up(terms: Terms, why: Why) -> Next:
    ends = terms.final and why in (Why.SILENT, Why.FINISHED, Why.REFUSED)
    return Next(LiveState.ENDED if ends else LiveState.LOST, why, hang_up=True)


def wait_s(times: LiveTimes, why: Why, failures: int, draw: Callable[[float, float], float]) -> float:
    """How long to stay away after the `failures`th failure in a row (>= 1).

    Args:
        times: bounds of the waits.
        why: what the last connection ended with.
        failures: counted since it was last ready for a while.
        draw: a number between two bounds, at random, so that a fleet does not come back in one second.
    """
    if why in (Why.REFUSED, Why.SILENT):
        return times.rare_s
    most_s = min(times.retry_most_s, times.retry_first_s * 2.0 ** min(failures, 16))
    return draw(times.retry_first_s, max(times.retry_first_s, most_s))
