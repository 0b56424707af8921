"""The last half hour of an edge, in moments of two seconds: bounded in memory, whatever the load.

A moment is made of two readings of counters that the node keeps anyway, and of the requests that ended between them: a
request pays nothing for being seen. Of a moment's requests the newest 256 at most are looked at, and it says of how
many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from nodes.sight.base import Ended, EndedRequests, LinkBelief
from nodes.sight.summary import Latency, PredictionError, latency, prediction_error, stage_means

__all__ = ["KEPT_MOMENTS", "KEPT_REQUESTS", "MOST_LOOKED_AT", "PERIOD_S", "History", "Moment", "Reading"]

PERIOD_S = 2.0
KEPT_MOMENTS = 900
KEPT_REQUESTS = 512
MOST_LOOKED_AT = 256
# Beyond so many plans in one moment, the rest of its requests count as one plan.
_MOST_PLANS = 24


@dataclass(frozen=True, slots=True)
class Reading:
    """An edge at one time. at_s: monotonic. answered, failed, mistaken: since it started; see RecentFailures.
    cloud_queue_s: of the replica that is the soonest, None without any. ended: since the last reading."""

    at_s: float
    answered: int
    failed: int
    mistaken: int
    waiting: int
    edge_queue_s: float
    cloud_queue_s: float | None
    replicas_usable: int
    resumed_on_edge: int
    link: LinkBelief | None
    ended: EndedRequests


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened between two readings, and how things stood at the second one, at at_s.

    number: 1 for the first. plans: requests by plan name, of those looked at; stages: their mean seconds.
    """

    number: int
    at_s: float
    span_s: float
    answered: int
    failed: int
    mistaken: int
    resumed_on_edge: int
    ended: int
    looked_at: int
    plans: Mapping[str, int]
    stages: Mapping[str, float]
    latency: Latency | None
    error: PredictionError | None
    waiting: int
    edge_queue_s: float
    cloud_queue_s: float | None
    replicas_usable: int
    link: LinkBelief | None


class History:
    """Used on the node's event loop; what it hands out does not change."""

    def __init__(self, first: Reading) -> None:
        self._last = first
        self._count = 0
        self._moments: deque[Moment] = deque(maxlen=KEPT_MOMENTS)
        self._requests: deque[Ended] = deque(first.ended.requests, maxlen=KEPT_REQUESTS)

    @property
    def ended(self) -> int:
        """How many requests had ended at the last reading."""
        return self._last.ended.count

    @property
    def requests(self) -> tuple[Ended, ...]:
        """Those that ended last, as far as they are kept, oldest first."""
        return tuple(self._requests)

    def since(self, number: int) -> tuple[Moment, ...]:
        """The moments after that one, as far as they are kept."""
        kept = tuple(self._moments)
        return kept[max(0, len(kept) - max(0, self._count - number)) :]

    def lately(self, window_s: float) -> tuple[Moment, ...]:
        """The moments that ended within so many seconds before the last one did, that one included."""
        return tuple(moment for moment in self._moments if moment.at_s > self._last.at_s - window_s)

    def add(self, reading: Reading) -> None:
        """A moment has passed; the oldest goes."""
        last, looked_at = self._last, reading.ended.requests
        self._count += 1
        self._moments.append(
            Moment(
                number=self._count,
                at_s=reading.at_s,
                span_s=max(0.0, reading.at_s - last.at_s),
                answered=reading.answered - last.answered,
                failed=reading.failed - last.failed,
                mistaken=reading.mistaken - last.mistaken,
                resumed_on_edge=reading.resumed_on_edge - last.resumed_on_edge,
                ended=reading.ended.count - last.ended.count,
                looked_at=len(looked_at),
                plans=_by_plan(looked_at),
                stages=stage_means(looked_at),
                latency=latency(looked_at),
                error=prediction_error(looked_at),
                waiting=reading.waiting,
                edge_queue_s=reading.edge_queue_s,
                cloud_queue_s=reading.cloud_queue_s,
                replicas_usable=reading.replicas_usable,
                link=reading.link,
            )
        )
        self._requests.extend(looked_at)
        self._last = reading


def _by_plan(requests: tuple[Ended, ...]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for one in requests:
        name = one.plan_name if one.plan_name in counts or len(counts) < _MOST_PLANS else "others"
        counts[name] = counts.get(name, 0) + 1
    return counts
