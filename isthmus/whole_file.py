"""A file that is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(path: Path, unfinished: Path) -> Iterator[Path]:
    """Gives `unfinished`, to be written in the block: it becomes `path` at the end, in place of what was there, and is
    gone where the block raises, an interruption included. unfinished: on the same disk. Raises OSError."""
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
