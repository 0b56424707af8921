"""Where a user's own modules are looked up: models' factories and policies alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["on_module_path"]


@contextmanager
def on_module_path(folder: str) -> Iterator[None]:
    """With the current directory and `folder` ("" for none, usually the configuration's) before all others. What is on
    the path already stays where it is, afterwards too."""
    fresh = [one for one in (os.getcwd(), folder) if one and one not in sys.path]
    sys.path[:0] = fresh
    try:
        yield
    finally:
        for one in fresh:
            if one in sys.path:
                sys.path.remove(one)
