"""Folders for code that this node made: code is loaded from nowhere else."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from isthmus.cache_folder import cache_folder
from isthmus.errors import InvalidConfiguration

__all__ = ["check_private", "compiled_folder", "private_folder", "shed_oldest"]

_IN_USE_S = 3600.0


def compiled_folder() -> Path:
    """Where compiled segments lie: isthmus/compiled below $XDG_CACHE_HOME, else below ~/.cache."""
    return cache_folder("compiled")


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


def shed_oldest(folder: Path, most_bytes: int) -> None:
    """Delete the files below `folder` that were written first until the rest is at most so large.

    What is younger than an hour stays: a compiler may be at work with it.
    """
    files = [(found.st_mtime, found.st_size, path) for path in folder.rglob("*") for found in _stats(path)]
    held, old = sum(size for _, size, _ in files), time.time() - _IN_USE_S
    for written, size, path in sorted(files):
        if held <= most_bytes or written > old:
            return
        path.unlink(missing_ok=True)
        held -= size


def _stats(path: Path) -> list[os.stat_result]:
    """Of a file; nothing for a folder, and for a file that another process has just deleted."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return []
    return [] if stat.S_ISDIR(found.st_mode) else [found]
