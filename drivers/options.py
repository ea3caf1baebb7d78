"""Reads the options of drivers out of the configuration, refusing what is unknown or out of range."""

from __future__ import annotations

from drivers.api import DriverSetupError, Options


def refuse_unknown(name: str, options: Options, known: frozenset[str]) -> None:
    """Raise DriverSetupError when there is an option that the driver does not have."""
    unknown = sorted(set(options) - known)
    if unknown:
        raise DriverSetupError(
            f"{name}: unknown option {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        )


def text(name: str, options: Options, key: str, default: str | None = None) -> str:
    """Text option; required when `default` is None. Raises DriverSetupError."""
    value = options.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise DriverSetupError(f"{name}: option {key!r} must be text")
    return value


def integer(name: str, options: Options, key: str, *, low: int, high: int, default: int | None = None) -> int:
    """Whole number from `low` to `high`; required when `default` is None. Raises DriverSetupError."""
    value = options.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DriverSetupError(f"{name}: option {key!r} must be a whole number from {low} to {high}")
    return value


def maybe_integer(name: str, options: Options, key: str, *, low: int, high: int) -> int | None:
    """Whole number from `low` to `high`, or None when absent. Raises DriverSetupError."""
    return None if options.get(key) is None else integer(name, options, key, low=low, high=high)


def boolean(name: str, options: Options, key: str, *, default: bool) -> bool:
    """True or false. Raises DriverSetupError."""
    value = options.get(key, default)
    if not isinstance(value, bool):
        raise DriverSetupError(f"{name}: option {key!r} must be true or false")
    return value


def number(
    name: str, options: Options, key: str, *, low: float, high: float, default: float | None = None
) -> float:
    """Number from `low` to `high`; required when `default` is None. Raises DriverSetupError."""
    value = options.get(key, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise DriverSetupError(f"{name}: option {key!r} must be a number from {low:g} to {high:g}")
    return float(value)
