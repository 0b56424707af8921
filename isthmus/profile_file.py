"""A device profile in a file, for the command line and for Python alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import InvalidProfile

if TYPE_CHECKING:
    from partitioner.profiles import DeviceProfile

__all__ = ["read_profile"]


def read_profile(path: Path) -> DeviceProfile:
    """The profile in that file. Raises InvalidProfile naming it."""
    from partitioner.profiles import DeviceProfile  # here: commands that read no profile start without it

    try:
        return DeviceProfile.from_json(path.read_bytes())
    except OSError as error:
        raise InvalidProfile(str(path), f"cannot be read: {error.strerror}", remedy="run `isthmus profile`") from error
    except InvalidProfile as error:
        problem = f"is no profile: {error.field}: {error.problem}"
        raise InvalidProfile(str(path), problem, value=error.value, remedy="run `isthmus profile`") from error
