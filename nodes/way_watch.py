"""When a request whose bytes do not get up is finished by the edge instead of being waited for. Pure, for edges and
simulator.

Patience waits for as long as bytes move, and for whole seconds where none do: an answer may be late for many reasons,
and on a busy machine predictions are off. Bytes that have not reached the replica are late for one reason only, and
that is known: of those that are too few to be acknowledged an echo tells which follows them. So once they were waited
for in vain for half of what finishing takes, and the rest is expected to take longer than finishing, by how fast they
came up until now, the edge begins (the ski-rental rule: Karlin, Manasse, Rudolph, Sleator 1988).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nodes.protocol.progress import Progress
from nodes.protocol.receipts import ACK_EVERY_BYTES

__all__ = ["LEAST_WAIT_S", "WayWatch"]

# Bytes are overdue so long after they should have been there: predictions err, and event loops are busy.
_OVERDUE_S = 0.05
_FINISH_SHARE = 0.5
LEAST_WAIT_S = 0.3
"""Once they are overdue, bytes are waited for so long at least: a machine that has much to do stands still for less."""
# The echo that follows them may take this many round trips.
_ROUND_TRIPS = 1.5
_LEAST_LOOK_S = 0.02


class WayWatch:
    """Of one request at one replica. Moments are readings of the caller's clock.

    unfinished: bytes of which no more had come up so many seconds after they were sent, as of the last look; None where
    all of them had.
    """

    def __init__(self, sent_s: float, up_s: float, rtt_s: float, moved_bytes: int) -> None:
        """up_s: until its bytes, and those before them, should be there. moved_bytes: as `Progress` said when it was
        sent."""
        self._sent_s, self._rtt_s, self._moved_bytes = sent_s, rtt_s, moved_bytes
        self._look_s = sent_s + up_s + rtt_s + _OVERDUE_S
        self._asked = False
        self.unfinished: tuple[int, float] | None = None

    def leaves_s(
        self, now_s: float, progress: Progress, size_bytes: int, finish_s: float, ask: Callable[[], None]
    ) -> float:
        """The moment at which to look again, and, where it is not after now, to leave; infinite once its bytes are
        there. size_bytes: its own, where `progress` does not say yet where they end. finish_s: what finishing takes
        the edge. ask: called once, when they are overdue; has an echo follow them."""
        arrived = progress.moved_bytes - self._moved_bytes
        size = arrived + size_bytes if progress.end_bytes is None else progress.end_bytes - self._moved_bytes
        if arrived >= size:
            self.unfinished = None
            return math.inf
        heard_s, unseen = now_s - self._sent_s - self._rtt_s, min(ACK_EVERY_BYTES, size - arrived)
        self.unfinished = (arrived + unseen, heard_s) if heard_s > 0 else None
        if now_s < self._look_s:
            return self._look_s
        if not self._asked:
            self._asked = True
            ask()
            self._look_s = now_s + max(_FINISH_SHARE * finish_s, _ROUND_TRIPS * self._rtt_s, LEAST_WAIT_S)
            return self._look_s
        likely = arrived + unseen / 2
        more_s = heard_s * (size - likely) / likely
        if more_s < finish_s:
            self._look_s = now_s + max(more_s, _LEAST_LOOK_S)
        return self._look_s
