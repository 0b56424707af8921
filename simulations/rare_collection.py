"""Python's search for cycles of garbage, put off while a run goes on.

A simulated run makes hardly any: what has ended goes when nothing holds it any more. Looking for cycles after every 700
objects took a tenth of a run of five hundred edges and a fourth of one of a thousand that are just being made. It is
not turned off: a policy of one's own may make some.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["rarely_collected"]

# Of objects that were made and are still there; about 10 MB of the smaller ones.
_MADE = 100_000


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Within it cycles are looked for after so many objects; after it as before. Nothing changes where that is seldomer
    already, or never."""
    before = gc.get_threshold()
    if 0 < before[0] < _MADE:
        gc.set_threshold(_MADE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
