"""What an edge's own requests will put on the way up and on replicas once their prefixes are made.

A request that waits for this device's compute has its plan already, and is on no queue that a wait could be read from.
All that are before it in that queue come to the link and to their replica before the next one: whose plan goes by the
queues of now alone finds them empty, and the replica is flooded once a long prefix ends.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from nodes.queues import WayUp
from partitioner.link import Link

__all__ = ["PlannedCrossing", "PlannedCrossings"]


class PlannedCrossing(NamedTuple):  # made for each request that crosses
    """replica: whom it will ask. ready_s, arrives_s: when its boundary is predicted to be made, and to have arrived, on
    the edge's clock. size_bytes: of what crosses. cloud_s: what its suffix is predicted to take."""

    replica: Hashable
    ready_s: float
    arrives_s: float
    size_bytes: int
    cloud_s: float


class PlannedCrossings:
    """Of one edge, in the order in which their plans were chosen. Each enters once, and leaves when its boundary is
    made or when it ends before. Predictions that are over count as due now."""

    def __init__(self) -> None:
        self._planned: dict[Hashable, PlannedCrossing] = {}

    def __len__(self) -> int:
        return len(self._planned)

    def enter(self, request: Hashable, planned: PlannedCrossing) -> None:
        """request: by what the caller knows it."""
        self._planned[request] = planned

    def leave(self, request: Hashable) -> None:
        """Its boundary is made, or never will be; one that has left may leave again."""
        self._planned.pop(request, None)

    def uplink_s(self, way_up: WayUp, link: Link | None, now_s: float) -> float:
        """Seconds until all of it has crossed, behind what was sent; that alone where nothing is known of the link."""
        wait_s = way_up.wait_s(now_s)
        if link is None or not self._planned:
            return wait_s
        free_s = now_s + way_up.crossing_s(now_s)
        for one in self._planned.values():
            free_s = max(free_s, one.ready_s) + link.uplink_s(one.size_bytes)
        return max(wait_s, free_s - now_s)

    def cloud_s(self, replica: Hashable, sent_s: float, now_s: float) -> float:
        """Seconds until that replica has worked off all of it that goes there. sent_s: until what was sent is."""
        free_s = now_s + sent_s
        for one in self._planned.values():
            if one.replica == replica:
                free_s = max(free_s, one.arrives_s) + one.cloud_s
        return free_s - now_s
