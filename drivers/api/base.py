"""What every driver shares: its options and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Options = Mapping[str, object]


class Retry(StrEnum):
    """Whether trying again can help."""

    SOON = "soon"
    LATER = "later"
    NEVER = "never"


class DriverError(Exception):
    """A device did not do what its contract says."""

    retry: Retry = Retry.SOON


class DeviceUnavailableError(DriverError):
    """No answer: unplugged, unpowered, or held by another program."""

    retry = Retry.SOON


class DeviceProtocolError(DriverError):
    """The device answered something its manual does not allow."""

    retry = Retry.LATER


class DeviceRefusedError(DriverError):
    """The device understood and declined."""

    retry = Retry.NEVER


class DriverSetupError(DriverError):
    """The configuration of this driver cannot work."""

    retry = Retry.NEVER
