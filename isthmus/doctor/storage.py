"""Room on the disks that nodes write to: caches and the decision log."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.doctor.finding import Finding, fail, ok, warn
from isthmus.units import format_size

__all__ = ["FolderFacts", "check_folders", "folder_facts"]


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """name: what is kept there. writable: this user may make files, in it or in the folder that it would be made in.
    wanted_bytes: how much more may be written."""

    name: str
    path: str
    writable: bool
    free_bytes: int
    held_bytes: int
    wanted_bytes: int


def folder_facts(name: str, path: Path, most_bytes: int) -> FolderFacts:
    """Look. most_bytes: how much lies there at most, once the node has run for long."""
    there = next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
    held = _held_bytes(path)
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK | os.X_OK)
    return FolderFacts(name, str(path), writable, free, held, max(0, most_bytes - held))


def _held_bytes(path: Path) -> int:
    """Of all files below; those that go meanwhile do not count."""
    held = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                held += os.lstat(os.path.join(folder, name)).st_size
    return held


def check_folders(folders: Sequence[FolderFacts]) -> Iterator[Finding]:
    """Each on its own: two on one disk share what is free."""
    for folder in folders:
        said = f"{folder.path} holds {format_size(folder.held_bytes)}, {format_size(folder.free_bytes)} free"
        if not folder.writable:
            yield fail(
                f"{folder.name} folder", f"{folder.path} cannot be written to", "let the node's user write there"
            )
        elif folder.free_bytes < folder.wanted_bytes:
            message = f"{said}, up to {format_size(folder.wanted_bytes)} more may be written"
            yield warn(f"{folder.name} folder", message, "make room, or move it to a larger disk")
        else:
            yield ok(f"{folder.name} folder", said)
