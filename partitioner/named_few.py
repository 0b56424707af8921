"""Many names in a sentence: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["named_few"]

_MOST_SHOWN = 3


def named_few(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c", "a, b, c and 47 more". names: at least one."""
    shown = list(names[:_MOST_SHOWN])
    if len(names) > _MOST_SHOWN:
        shown.append(f"{len(names) - _MOST_SHOWN} more")
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last
