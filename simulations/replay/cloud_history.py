"""What a decision log shows of waiting in the cloud: what of it was the edge's own work, and what was others'.

An edge does not see what others send. Of a request that crossed it knows how long it waited; what its own requests
before it explain is taken away, and the rest is the wait that whoever came at that moment would have met. Under
another policy the edge's own work changes and others' is taken as it was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from simulations.replay.logged_request import LoggedRequest

__all__ = ["CloudHistory", "cloud_history"]

_WINDOW = 100  # requests, of which the replicas are counted


@dataclass(frozen=True, slots=True)
class CloudHistory:
    """replicas: that answered this edge within a while. moments_s, others_s: the wait for others' work, as it was met;
    empty where nothing crossed."""

    replicas: int
    moments_s: tuple[float, ...]
    others_s: tuple[float, ...]

    def wait_s(self, at_s: float) -> float:
        """For others' work, of what comes then: as the request nearest to that moment met it."""
        if not self.moments_s:
            return 0.0
        place = bisect_left(self.moments_s, at_s)
        near = range(max(0, place - 1), min(len(self.moments_s), place + 1))
        return self.others_s[min(near, key=lambda one: abs(self.moments_s[one] - at_s))]


def cloud_history(requests: Sequence[LoggedRequest]) -> CloudHistory:
    """Of a run's requests."""
    free_s: dict[str, float] = {}
    found = list[tuple[float, float, str]]()
    for request in sorted((one for one in requests if one.crossed), key=_arrived_s):
        assert request.outcome is not None
        arrived_s, replica = _arrived_s(request), request.outcome.replica
        own_s = max(0.0, free_s.get(replica, 0.0) - arrived_s)
        others_s = max(0.0, request.outcome.cloud_queue_s - own_s)
        free_s[replica] = arrived_s + request.outcome.cloud_queue_s + request.outcome.cloud_s
        found.append((arrived_s, others_s, replica))
    windows = [found[first : first + _WINDOW] for first in range(0, len(found), _WINDOW)]
    replicas = median(len({replica for *_, replica in window}) for window in windows) if windows else 1
    return CloudHistory(
        max(1, round(replicas)), tuple(moment_s for moment_s, *_ in found), tuple(wait_s for _, wait_s, _ in found)
    )


def _arrived_s(request: LoggedRequest) -> float:
    assert request.outcome is not None
    return request.sent_s + request.outcome.uplink_s
