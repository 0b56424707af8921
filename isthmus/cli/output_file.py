"""Files and folders that a command writes: refused in one line, and before the work where one can tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from isthmus.errors import InvalidInput

__all__ = ["check_folder", "check_output", "write_folder", "write_output"]


def check_output(path: Path | None, option: str) -> None:
    """Raises InvalidInput naming the option where `path` cannot be written: its folder is missing, it is a folder, or
    the system refuses. What is there stays as it is, and what is not is not left there."""
    if path is None:
        return
    try:
        if path.is_dir():
            raise InvalidInput(option, "is a folder", value=str(path), remedy="name a file")
        if not path.parent.is_dir():
            raise InvalidInput(
                option, "is in a folder that is not there", value=str(path), remedy="make the folder first"
            )
        _try_file(path)
    except OSError as error:
        raise _refused(path, option, error, "file") from error


def check_folder(path: Path, option: str) -> None:
    """Raises InvalidInput naming the option where `path` cannot be a folder to write into, made with those above it: a
    file is in the way, or the system refuses. Nothing is left there."""
    try:
        there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not there.is_dir():
            problem = "is a file" if there == path else f"would lie in a file, {there}"
            raise InvalidInput(option, problem, value=str(path), remedy="name a folder")
        with TemporaryDirectory(dir=there):  # asked by doing it: permissions alone do not tell of a read-only disk
            pass
    except OSError as error:
        raise _refused(path, option, error, "folder") from error


def write_folder(path: Path, option: str, write: Callable[[Path], None]) -> None:
    """`write` into `path`. Raises InvalidInput naming the option where the system refuses."""
    try:
        write(path)
    except OSError as error:
        raise _refused(path, option, error, "folder") from error


def write_output(path: Path | None, text: str, option: str) -> None:
    """Write `text`, if there is a path. Raises InvalidInput naming the option where the system refuses."""
    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _refused(path, option, error, "file") from error


def _try_file(path: Path) -> None:
    """Open it for writing without changing it. Raises OSError."""
    if path.is_file():
        os.close(os.open(path, os.O_WRONLY))
    elif not path.exists():  # a device or a pipe is not opened: that may wait for its other end
        target = path.resolve()  # a link to a file that is not there yet stays
        with suppress(FileExistsError):  # made by somebody else meanwhile: not ours to remove
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            target.unlink()


def _refused(path: Path, option: str, error: OSError, what: str) -> InvalidInput:
    remedy = f"name a {what} that you may write"
    return InvalidInput(option, f"cannot be written: {error.strerror}", value=str(path), remedy=remedy)
