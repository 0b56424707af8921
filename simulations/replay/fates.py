"""What became of each request in a run, real or simulated, and what a run says as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.chooser import Outcome
from scheduler.policies.reason import plan_name
from simulations.replay.block_bootstrap import P50, P99, Blocks, Interval, Statistic, mean
from simulations.replay.logged_request import LoggedRequest
from simulations.site_request import StageSeconds

__all__ = ["STATISTICS", "End", "Fate", "RunTold", "mix_points", "real_fate", "taken_s", "told"]

End = Literal["answered", "resumed", "refused", "failed"]
"""As a decision log tells them apart. refused: no plan was chosen for it. failed: one was, and there was no answer."""
STATISTICS: Mapping[str, Statistic] = {"p50_s": P50, "p99_s": P99, "mean_s": mean}


class Fate(NamedTuple):
    """took_s: nan where there was no answer. plan: its name, "" where none was chosen. late: it had no answer
    by its deadline, the client's own or that of the policy of this run, the sooner of both; None without one. stages:
    where the time went; a log's edge_s holds what the edge finished, too."""

    took_s: float
    end: End
    plan: str
    late: bool | None
    stages: StageSeconds = StageSeconds()


@dataclass(frozen=True, slots=True)
class RunTold:
    """p50_s, p99_s, mean_s: of what was answered. in_time: share of the requests that had a deadline in this
    run, None without any.
    plans: share of the requests that were placed."""

    p50_s: Interval
    p99_s: Interval
    mean_s: Interval
    in_time: Interval | None
    ends: Mapping[End, int]
    plans: Mapping[str, float]


def real_fate(request: LoggedRequest) -> Fate:
    """Of one that ended in the log."""
    plan = "" if request.placed is None else plan_name(request.placed.entry.plan)
    if request.answered:
        end: End = "resumed" if request.resumed else "answered"
        return Fate(request.took_s, end, plan, request.late, _stages(request.outcome))
    return Fate(float("nan"), "refused" if request.placed is None else "failed", plan, request.late)


def _stages(one: Outcome | None) -> StageSeconds:
    if one is None:
        return StageSeconds()
    return StageSeconds(one.edge_queue_s, one.edge_s, one.uplink_s, one.cloud_queue_s, one.cloud_s, one.downlink_s)


def taken_s(fates: Sequence[Fate]) -> NDArray[np.float64]:
    """Seconds until the answer of each."""
    return np.array([fate.took_s for fate in fates])


def told(fates: Sequence[Fate], blocks: Blocks) -> RunTold:
    """fates: of the requests of `blocks`, in their order."""
    took_s = taken_s(fates)
    intervals = {name: blocks.interval(took_s, statistic) for name, statistic in STATISTICS.items()}
    in_time = np.array([np.nan if fate.late is None else float(not fate.late) for fate in fates])
    counted = Counter(fate.plan for fate in fates if fate.plan)
    return RunTold(
        **intervals,
        in_time=None if np.isnan(in_time).all() else blocks.interval(in_time, mean),
        ends=dict(Counter(fate.end for fate in fates).most_common()),
        plans={plan: count / counted.total() for plan, count in counted.most_common()},
    )


def mix_points(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How far two mixes of plans are from each other: the largest difference of a plan's share, in points of 100."""
    return 100 * max((abs(one.get(plan, 0.0) - other.get(plan, 0.0)) for plan in {*one, *other}), default=0.0)
