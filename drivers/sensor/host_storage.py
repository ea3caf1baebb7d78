"""Room on the file system of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import DeviceUnavailableError, Options, StorageState
from drivers.options import refuse_unknown

if TYPE_CHECKING:
    from drivers.api import StorageSensor


class HostStorage:
    """Asks statvfs."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build; there are no options. Raises DriverSetupError when there is one."""
        refuse_unknown(name, options, frozenset())
        return cls()

    def read(self, path: Path) -> StorageState:
        """Room for an ordinary user on the file system of `path` or of its nearest existing parent.

        Raises:
            DeviceUnavailableError: the file system does not answer.
        """
        while not path.exists() and path != path.parent:
            path = path.parent
        try:
            found = os.statvfs(path)
        except OSError as error:
            raise DeviceUnavailableError(f"storage at {path}: {error.strerror}") from error
        return StorageState(
            total_bytes=found.f_blocks * found.f_frsize, free_bytes=found.f_bavail * found.f_frsize
        )


if TYPE_CHECKING:
    _driver: type[StorageSensor] = HostStorage
