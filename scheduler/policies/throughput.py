"""The most requests a second: the plan whose slowest stage, with what waits before it, is done the soonest."""

from __future__ import annotations

from random import Random

import numpy as np

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.objectives import throughput_stages
from scheduler.policies.corrected import PRICED_AMOUNTS
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import SwitchingOptions
from scheduler.policies.selection import kept_before, least_then_quickest

__all__ = ["ThroughputPolicy", "busiest_s"]


class ThroughputPolicy:
    """The most requests a second: the slowest of edge, uplink, downlink and cloud decides, queues included.

    Edge, link and cloud each work on a request of their own, so the slowest of them sets the pace. A stage takes its
    wait and its own time: max(edge wait + edge, uplink wait + bytes up / bandwidth, bytes down / bandwidth,
    cloud wait + cloud), the least of it: where one side has work to spare, the next request goes to the other. Of plans
    whose bottleneck is equal within 1 % the quickest is taken.
    """

    Options = SwitchingOptions
    explores = True

    def __init__(self, options: SwitchingOptions | None = None) -> None:
        self._switch_cost_s = 0.0 if options is None else options.switch_cost

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable, slowest_s = found.usable(), busiest_s(found)
        best = least_then_quickest(found, usable, slowest_s, rng)
        chosen, kept = kept_before(found, usable, slowest_s, best, self._switch_cost_s)
        return found.choice(chosen, f"bottleneck {slowest_s[chosen] * 1e3:.3g} ms, ", kept)


def busiest_s(found: Forecast) -> list[float]:
    """Seconds until the last of a plan's stages would be free again, by plan."""
    edge, uplink, downlink, cloud = throughput_stages(found.on_link)
    request, prices = found.request, np.zeros((PRICED_AMOUNTS, 4))
    prices[0, 0], prices[5, 0] = edge.edge_s, request.edge_queue_s
    prices[1, 1], prices[6, 1] = uplink.uplink_bytes, uplink.uplink_bytes * request.file_bytes
    prices[4, 1] = request.uplink_queue_s
    prices[2, 2] = downlink.downlink_bytes
    prices[3, 3], prices[4, 3] = cloud.cloud_s, request.cloud_queue_s
    result: list[float] = np.maximum.reduce(found.amounts.matrix.dot(prices), axis=1).tolist()
    return result
