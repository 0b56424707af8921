"""How many cloud replicas there should be, by the work that edges bring and the work that waits: pure, without a clock.

Serve's own count of requests sees none of this traffic, as it never passes through Serve. The whole state of a decision
comes in and goes out, so that the simulator repeats what the cluster does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = [
    "BUSY_SHARE",
    "CATCH_UP_S",
    "LOOK_BACK_S",
    "PUSH_S",
    "AutoscalingRule",
    "ReplicaLoad",
    "ScalingDecision",
    "ScalingMemory",
    "decide",
    "wanted_by",
]

# A queue grows as 1 / (1 - busy share): at 0.8 a request waits for two others on average, and a burst finds room.
BUSY_SHARE = 0.8
# What waits beyond the target is to be gone so soon after the replicas that were asked for have started.
CATCH_UP_S = 5.0
# What a replica says arrives after up to PUSH_S and counts as the mean over LOOK_BACK_S: a step in load is seen within
# half a second and believed within two. Serve's defaults, 10 and 30 s, are for what it sees at every request.
PUSH_S, LOOK_BACK_S = 0.5, 2.0
# Rates are measured: what is this close to a whole number of replicas is that number.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class AutoscalingRule:
    """What an operator asks for. target_queue_s: seconds of work that may wait at a replica, as the mean over all.
    scale_down_after_s: for so long fewer replicas must have been enough before one goes.

    min_replicas equal to max_replicas: a fixed number.
    """

    min_replicas: int
    max_replicas: int
    target_queue_s: float = 0.1
    scale_down_after_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_replicas <= self.max_replicas or self.max_replicas < 1:
            raise ValueError(f"replicas must be 0 <= min <= max, 1 <= max: {self.min_replicas}, {self.max_replicas}")
        if not (0 < self.target_queue_s < math.inf and 0 < self.scale_down_after_s < math.inf):
            raise ValueError(f"times must be above 0 and finite: {self.target_queue_s}, {self.scale_down_after_s}")

    @classmethod
    def fixed(cls, replicas: int) -> AutoscalingRule:
        """So many replicas, whatever the load."""
        return cls(replicas, replicas)

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to decide."""
        return self.min_replicas == self.max_replicas

    @property
    def at_start(self) -> int:
        """Replicas to begin with: one at least, so that what does not start is found out at the start."""
        return max(1, self.min_replicas)


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """One replica. queued_s: seconds of work that wait there, without what runs: however long that takes, it says of no
    number of replicas that it is too small. offered: seconds of work that came for it each second, at the pace of its
    best batch, what it refused included: above 1 it cannot keep up. preparing: plans are being prepared there; no
    request comes for them before that is done, which may take an engine minutes. busy: something runs there."""

    queued_s: float
    offered: float
    preparing: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True)
class ScalingMemory:
    """What a decision must know of those before. since_s: when the load was first known, None before. needed: replicas
    that were needed at moments of the last `scale_down_after_s`, falling, the latest last: older and lower ones
    cannot be the most any more."""

    since_s: float | None = None
    needed: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """replicas: that should be there now, within the rule's bounds. needed: by this moment's load alone, unbounded."""

    replicas: int
    needed: int
    memory: ScalingMemory = field(default_factory=ScalingMemory)


def decide(
    rule: AutoscalingRule, target: int, loads: Sequence[ReplicaLoad | None], memory: ScalingMemory, now_s: float
) -> ScalingDecision:
    """How many replicas there should be. target: as decided before. loads: of each replica that runs, None where it
    has not said anything yet. now_s: a reading of one clock that never goes back.

    More are asked for at once. Fewer only when all loads are known, and were for the whole of `scale_down_after_s`, in
    which no moment needed more: one that fluctuates faster than that cannot make the number oscillate. From zero it
    is not this decision that wakes: nothing there can tell a load. O(moments kept).
    """
    known = [load for load in loads if load is not None]
    needed = _needed(rule, known)
    if not known or len(known) < len(loads):
        # A replica that is just up takes over work of the others, who tell less of it from then on.
        more = max(target, needed) if known else target
        return ScalingDecision(_bounded(rule, more), needed, ScalingMemory())
    since_s = now_s if memory.since_s is None else memory.since_s
    kept = _remembered(memory.needed, needed, now_s, rule.scale_down_after_s)
    most = kept[0][1]
    settled = now_s - since_s >= rule.scale_down_after_s
    replicas = most if settled or most > target else target
    return ScalingDecision(_bounded(rule, replicas), needed, ScalingMemory(since_s, kept))


def wanted_by(rule: AutoscalingRule, load: ReplicaLoad) -> float:
    """Of the replicas that are needed, what one replica's work asks for. The sum over all, rounded up, is what `decide`
    goes by where their queues are alike; where some wait for less than the target it is more."""
    return load.offered / BUSY_SHARE + max(0.0, load.queued_s - rule.target_queue_s) / CATCH_UP_S


def _needed(rule: AutoscalingRule, loads: Sequence[ReplicaLoad]) -> int:
    """Enough for the work that comes, and to work off within CATCH_UP_S what waits beyond the target."""
    offered = math.fsum(load.offered for load in loads)
    backlog_s = math.fsum(load.queued_s for load in loads) - rule.target_queue_s * len(loads)
    needed = math.ceil(offered / BUSY_SHARE + max(0.0, backlog_s) / CATCH_UP_S - _SLACK)
    needed = max(needed, sum(load.preparing for load in loads))
    if backlog_s > 0:
        return max(needed, len(loads) + 1)  # whatever the rates say, these are too few for the target
    works = offered > 0 or any(load.queued_s > 0 or load.busy for load in loads)
    return max(needed, 1) if works else needed


def _remembered(
    before: tuple[tuple[float, int], ...], needed: int, now_s: float, window_s: float
) -> tuple[tuple[float, int], ...]:
    """The maximum over a sliding window as a falling queue (Lemire 2006), whose first entry is the most."""
    kept = [(at_s, replicas) for at_s, replicas in before if at_s > now_s - window_s and replicas > needed]
    return (*kept, (now_s, needed))


def _bounded(rule: AutoscalingRule, replicas: int) -> int:
    return min(rule.max_replicas, max(rule.min_replicas, replicas))
