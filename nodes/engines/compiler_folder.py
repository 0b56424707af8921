"""Where Inductor's compiler works: a private folder whose contents spare a later compilation some of its work."""

from __future__ import annotations

from pathlib import Path

from nodes.engines.private_folder import compiled_folder, private_folder, shed_oldest

__all__ = ["MOST_BYTES", "compiler_folder"]

MOST_BYTES = 1 << 30
"""Of C++ sources, libraries and precompiled headers, all of them made anew where they are missing."""


def compiler_folder(base: Path | None) -> Path:
    """`inductor` below `base` or below `compiled_folder()`, made when missing, its oldest files shed beyond the bound.

    Never torch's own default: that is a folder of a known name where every user may write, and code is loaded from it.
    Raises InvalidConfiguration where others may write to it.
    """
    folder = private_folder((base or compiled_folder()) / "inductor")
    shed_oldest(folder, MOST_BYTES)
    return folder
