"""Values of the on-site tests: what is asked, what was measured, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.field.controls import Sample
from agent.model.issue import Fault

AUDIBLE_DBFS = -60.0
"""Below this nothing is heard."""


class SelfTestKind(StrEnum):
    """The on-site tests."""

    TONE = "tone"
    SWEEP = "sweep"
    SPEECH = "speech"
    AMP = "amp"
    LINE = "line"
    MIC = "mic"
    CLOCK = "clock"


class Outcome(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNMEASURED = "unmeasured"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured value; `name` is a key of the catalogue's `[test.measure]` table."""

    name: str
    value: float | bool | str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of a test.

    Attributes:
        reason: a key of the catalogue's `[test.reason]` table; `[test.do]` helps where no fault does.
        fault: the fault whose text fits.
        measures: everything that was measured.
        title, until: refused or cut: what is on air or begins, and when to try again.
    """

    kind: SelfTestKind
    zone: str
    outcome: Outcome
    reason: str
    fault: Fault | None = None
    measures: tuple[Measure, ...] = ()
    title: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What is normal for the amplifier of a zone; None: nobody knows, so it is not judged."""

    idle_amps: float | None = None
    full_amps: float | None = None
    low_volts: float = 0.0
    high_volts: float = 400.0
    hot_c: float = 85.0


@dataclass(frozen=True, slots=True)
class Window:
    """Samples of one stretch of time, put together; None where nothing measured it."""

    output_dbfs: float | None = None
    line_share: float | None = None
    line_dbfs: float | None = None
    microphone_share: float | None = None
    microphone_dbfs: float | None = None
    volts: float | None = None
    amps: float | None = None
    temperature_c: float | None = None
    powered: bool | None = None
    fault: bool | None = None


def summarise(samples: Sequence[Sample], keep: Callable[[Sample], bool] = lambda _: True) -> Window:
    """Means of the samples that count; the lowest voltage, the highest temperature, any fault."""
    kept = [one for one in samples if keep(one)]
    temperatures = _known(kept, lambda one: one.temperature_c)
    faults = _flags(kept, lambda one: one.fault)
    volts = _known(kept, lambda one: one.volts)
    powered = _flags(kept, lambda one: one.powered)
    return Window(
        output_dbfs=_mean(_known(kept, lambda one: one.output_rms_dbfs)),
        line_share=_share(_flags(kept, lambda one: one.line_active)),
        line_dbfs=_mean(_known(kept, lambda one: one.line_dbfs)),
        microphone_share=_share(_flags(kept, lambda one: one.microphone_active)),
        microphone_dbfs=_mean(_known(kept, lambda one: one.microphone_dbfs)),
        volts=min(volts, default=None),
        amps=_mean(_known(kept, lambda one: one.amps)),
        temperature_c=max(temperatures, default=None),
        powered=any(powered) if powered else None,
        fault=any(faults) if faults else None,
    )


def is_audible(sample: Sample) -> bool:
    """Whether the sound card consumed audible samples around this snapshot."""
    return sample.output_rms_dbfs is not None and sample.output_rms_dbfs > AUDIBLE_DBFS


def is_powered(sample: Sample) -> bool:
    """Whether the amplifier was on at this snapshot."""
    return sample.powered is True


def _known(samples: Sequence[Sample], read: Callable[[Sample], float | None]) -> list[float]:
    return [value for one in samples if (value := read(one)) is not None]


def _flags(samples: Sequence[Sample], read: Callable[[Sample], bool | None]) -> list[bool]:
    return [value for one in samples if (value := read(one)) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
