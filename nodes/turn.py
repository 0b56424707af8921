"""The turn of a request that an edge has let in."""

from __future__ import annotations

from typing import NamedTuple

from nodes.admission_gate import Admitted
from nodes.resumption import due_after_s

__all__ = ["Turn"]


class Turn(NamedTuple):
    """A request that was let in, with its moments on the monotonic clock: when it came, and when its turn began.
    timeout_s: from when it came, None without a deadline."""

    admitted: Admitted
    came_s: float
    began_s: float
    timeout_s: float | None

    @property
    def due_s(self) -> float | None:
        """By when the edge would have to be done."""
        return None if self.timeout_s is None else self.came_s + due_after_s(self.timeout_s)

    @property
    def remaining_s(self) -> float | None:
        """Until its deadline, when its turn began."""
        return None if self.timeout_s is None else self.came_s + self.timeout_s - self.began_s

    @property
    def waited_s(self) -> float:
        """Until its turn began."""
        return self.began_s - self.came_s
