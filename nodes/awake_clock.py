"""A clock that stands still while this process does."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["BEAT_S", "AwakeClock"]

BEAT_S = 0.25


class AwakeClock:
    """Seconds during which the process could hear others; to be told so every BEAT_S by `beat`.

    A machine that was suspended, a debugger, a long collection of garbage: while they last, messages of others wait
    unread, and their silence says nothing about them. Between two beats the clock advances by two of them at most,
    whoever asks first after such a pause.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat_s = self._awake_s = clock()

    def __call__(self) -> float:
        """Seconds, from the same zero as the clock's; never going back."""
        return self._awake_s + min(self._clock() - self._beat_s, 2 * BEAT_S)

    def beat(self) -> None:
        """The process runs."""
        self._awake_s = self()
        self._beat_s = self._clock()
