"""Files and folders that a command writes: refused in one line, and before the work where one can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isthmus.errors import InvalidInput

__all__ = ["check_folder", "check_output", "write_folder", "write_output"]


def check_output(path: Path | None, option: str) -> None:
    """Raises InvalidInput naming the option where `path` cannot be a file: its folder is missing, or it is one."""
    if path is not None and path.is_dir():
        raise InvalidInput(option, "is a folder", value=str(path), remedy="name a file")
    if path is not None and not path.parent.is_dir():
        raise InvalidInput(option, "is in a folder that is not there", value=str(path), remedy="make the folder first")


def check_folder(path: Path, option: str) -> None:
    """Raises InvalidInput naming the option where `path` cannot be a folder: it is a file."""
    if path.exists() and not path.is_dir():
        raise InvalidInput(option, "is a file", value=str(path), remedy="name a folder")


def write_folder(path: Path, option: str, write: Callable[[Path], None]) -> None:
    """`write` into `path`. Raises InvalidInput naming the option where the system refuses."""
    try:
        write(path)
    except OSError as error:
        raise InvalidInput(option, f"cannot be written: {error.strerror}", value=str(path)) from error


def write_output(path: Path | None, text: str, option: str) -> None:
    """Write `text`, if there is a path. Raises InvalidInput naming the option where the system refuses."""
    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(option, f"cannot be written: {error.strerror}", value=str(path)) from error
