"""Folders for code that this node made: code is loaded from nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from isthmus.errors import InvalidConfiguration

__all__ = ["check_private", "compiled_folder", "private_folder"]


def compiled_folder() -> Path:
    """Where compiled segments lie: isthmus/compiled below $XDG_CACHE_HOME, else below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "isthmus" / "compiled"


def private_folder(folder: Path) -> Path:
    """`folder` itself, made when missing. Raises InvalidConfiguration where anybody else could put a file into it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        remedy = "set XDG_CACHE_HOME to a folder that may be written"
        raise InvalidConfiguration(str(folder), f"cannot be made: {error.strerror}", remedy=remedy) from error
    check_private(folder)
    return folder


def check_private(path: Path) -> None:
    """Raise InvalidConfiguration unless `path` is no link, is this user's, and nobody else may write to it."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        remedy = "delete it, or make it yours alone (chown, chmod go-w): code is loaded from it"
        raise InvalidConfiguration(str(path), "could be changed by another user", remedy=remedy)
