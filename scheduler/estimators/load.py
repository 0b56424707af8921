"""How long new work will wait: on the edge from its own queue, in the cloud from aged reports and own requests."""

from __future__ import annotations

import math
from collections import OrderedDict

__all__ = ["CloudQueueEstimator", "EdgeQueueEstimator"]

# A report older than this says nothing any more: queues of inference work turn over in well under a second.
REPORT_LIFETIME_S = 5.0


class EdgeQueueEstimator:
    """The expected wait before new work starts on this machine's `workers`, from the work already accepted.

    Every piece of work is `submitted` with its predicted seconds and `finished` once (also when it was dropped); work
    starts in the order of submission, as a worker is free. Work unknown to the estimator is ignored. The wait is the
    remaining work over the number of workers; work that runs longer than predicted counts as about to end.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = max(1, workers)
        self._waiting: OrderedDict[int, float] = OrderedDict()
        self._running_until: dict[int, float] = {}

    def submitted(self, work_id: int, expected_s: float, now_s: float) -> None:
        """Work was queued that is predicted to take `expected_s`."""
        self._waiting[work_id] = expected_s
        self._start(now_s)

    def finished(self, work_id: int, now_s: float) -> None:
        """Work ended, or was dropped from the queue."""
        if self._running_until.pop(work_id, None) is None:
            self._waiting.pop(work_id, None)
        else:
            self._start(now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until work submitted now would start; 0.0 while a worker is free."""
        running = self._running_until
        if len(running) < self._workers:
            return 0.0
        left_s = [until - now_s for until in running.values() if until > now_s]
        return math.fsum((*self._waiting.values(), *left_s)) / self._workers

    def _start(self, now_s: float) -> None:
        while self._waiting and len(self._running_until) < self._workers:
            work_id, expected_s = self._waiting.popitem(last=False)
            self._running_until[work_id] = now_s + expected_s


class CloudQueueEstimator:
    """The expected wait before a suffix starts on one replica.

    The replica's last report, less what it has worked off since (a queue drains by one second a second), plus the own
    requests that were sent after the report was made and so are not in it.
    """

    def __init__(self, report_lifetime_s: float = REPORT_LIFETIME_S) -> None:
        self._lifetime_s = report_lifetime_s
        self._reported_s = 0.0
        self._reported_at_s: float | None = None
        # Work by request id: (sent at, predicted seconds), in the order of sending.
        self._own: dict[int, tuple[float, float]] = {}

    def reported(self, queued_s: float, now_s: float, delay_s: float = 0.0) -> None:
        """A load report came in. delay_s: how long it travelled, half the round trip."""
        self._reported_s = max(0.0, queued_s)
        self._reported_at_s = now_s - delay_s

    def sent(self, request_id: int, expected_s: float, now_s: float) -> None:
        """An own request left for this replica, its suffix predicted to take `expected_s`."""
        self._own[request_id] = (now_s, expected_s)

    def finished(self, request_id: int) -> None:
        """An own request was answered, failed or was cancelled."""
        self._own.pop(request_id, None)

    def wait_s(self, now_s: float) -> float:
        """Seconds that a suffix sent now is expected to wait."""
        reported_at_s, own = self._reported_at_s, self._own.values()
        if reported_at_s is None or now_s - reported_at_s > self._lifetime_s:
            return math.fsum([expected_s for _, expected_s in own])
        own_s = 0.0
        for sent_s, expected_s in reversed(own):
            if sent_s <= reported_at_s:
                break
            own_s += expected_s
        left_s = self._reported_s - (now_s - reported_at_s)
        return own_s + left_s if left_s > 0 else own_s
