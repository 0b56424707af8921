"""Autoscaling of simulated replicas by the live decision (`scheduler.autoscaling`), as Ray Serve carries it out.

What Serve does besides is here, and no more of it: each replica says its load every PUSH_S, what it said in the last
LOOK_BACK_S counts as its mean, a replica has no load before it has said one, and where there is no replica it is an
edge that wakes one. Serve decides ten times a second and replicas push at moments of their own; here a decision follows
the pushes, all at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import fmean

from scheduler.autoscaling import LOOK_BACK_S, PUSH_S, AutoscalingRule, ReplicaLoad, ScalingMemory, decide
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica

__all__ = ["SimulatedAutoscaler"]

_SAID = round(LOOK_BACK_S / PUSH_S)


class _Loads:
    """What one replica said lately."""

    def __init__(self, replica: SimulatedReplica) -> None:
        self._replica, self._offered_s = replica, replica.offered_s
        self._said: deque[ReplicaLoad] = deque(maxlen=_SAID)

    def push(self) -> None:
        offered_s, self._offered_s = self._replica.offered_s - self._offered_s, self._replica.offered_s
        busy = self._replica.queued_s > 0
        self._said.append(ReplicaLoad(self._replica.waiting_s, offered_s / PUSH_S, busy=busy))

    def mean(self) -> ReplicaLoad | None:
        if not self._said:
            return None
        queued_s, offered = (fmean(getattr(one, name) for one in self._said) for name in ("queued_s", "offered"))
        return ReplicaLoad(queued_s, offered, busy=any(one.busy for one in self._said))


class SimulatedAutoscaler:
    """target: how many replicas there should be."""

    def __init__(self, simulation: Simulation, cloud: SimulatedCloud, rule: AutoscalingRule, until_s: float) -> None:
        """cloud: with `rule.at_start` replicas to begin with. until_s: it decides no more from then on, so that the
        simulation can end."""
        self._simulation, self._cloud, self._rule, self._until_s = simulation, cloud, rule, until_s
        self._memory = ScalingMemory()
        self._loads: dict[SimulatedReplica, _Loads] = {}
        self.target = rule.at_start
        cloud.on_want.append(self._wake)
        if not rule.is_fixed:
            self._follow()
            simulation.after(PUSH_S, self._turn)

    def _turn(self) -> None:
        now_s = self._simulation.now_s
        if now_s >= self._until_s:
            return
        self._simulation.after(PUSH_S, self._turn)
        loads = self._pushed()
        if self.target == 0:
            return  # Serve does not ask: only an edge that wants one wakes it
        decision = decide(self._rule, self.target, loads, self._memory, now_s)
        self._memory = decision.memory
        self._aim_at(decision.replicas)

    def _pushed(self) -> Sequence[ReplicaLoad | None]:
        for loads in self._loads.values():
            loads.push()
        self._follow()
        return [loads.mean() for loads in self._loads.values()]

    def _follow(self) -> None:
        """Those that serve, and are not down: what Serve has running."""
        self._loads = {one: self._loads.get(one) or _Loads(one) for one in self._cloud.serving if one.up}

    def _wake(self) -> None:
        if self.target == 0:
            self._memory = ScalingMemory()
            self._aim_at(1)

    def _aim_at(self, replicas: int) -> None:
        for _ in range(self.target, replicas):
            self._cloud.start()
        for _ in range(replicas, self.target):
            self._cloud.drain_one()
        self.target = replicas
