"""Keeps what an engine made of the slices that were used last, within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["MOST_SLICES", "RecentlyUsed"]

MOST_SLICES = 256
"""Whose compiled code an engine keeps: of as many plans as a replica keeps. A plan that is ready holds its own."""

# So many of those that went are known.
_GONE = 1024

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class RecentlyUsed(Generic[Key, Made]):
    """Thread-safe. What was asked for last always stays, however large it is."""

    def __init__(self, most: int, size_of: Callable[[Made], int] = lambda made: 1) -> None:
        """most: summed over all, by size_of; so many of them where nothing is said."""
        self._most, self._size_of = most, size_of
        self._kept: OrderedDict[Key, Made] = OrderedDict()
        self._gone: OrderedDict[int, int] = OrderedDict()  # hashes: a key may hold a whole model
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Of all that is kept."""
        with self._lock:
            return self._size()

    def gone(self, key: Key) -> int:
        """How often what was kept for `key` had to go, as far as is remembered."""
        with self._lock:
            return self._gone.get(hash(key), 0)

    def find(self, key: Key) -> Made | None:
        """What is kept for `key`, None where there is nothing."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def get(self, key: Key, make: Callable[[], Made]) -> Made:
        """What is kept for `key`, made by `make` where there is nothing. Whoever uses what goes keeps it till then."""
        found = self.find(key)
        if found is not None:
            return found
        made = make()  # outside the lock: it takes long, and others need not wait
        with self._lock:
            self._kept[key] = made
            self._kept.move_to_end(key)
            self._shrink()
        return made

    def _size(self) -> int:
        return sum(map(self._size_of, self._kept.values()))

    def _shrink(self) -> None:
        held = self._size()
        while held > self._most and len(self._kept) > 1:
            key, gone = self._kept.popitem(last=False)
            held -= self._size_of(gone)
            self._gone[hash(key)] = self._gone.pop(hash(key), 0) + 1
            if len(self._gone) > _GONE:
                self._gone.popitem(last=False)
