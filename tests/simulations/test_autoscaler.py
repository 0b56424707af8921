"""Simulated replicas follow the load by the live decision: they start late, drain, and are woken from zero."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits
from scheduler.autoscaling import AutoscalingRule
from simulations.autoscaler import SimulatedAutoscaler
from simulations.cloud import SimulatedCloud
from simulations.faults import Fault, PlannedFaults, RandomFaults
from simulations.kernel import Simulation
from simulations.replica import Suffix
from simulations.replica_faults import break_replicas
from simulations.replica_kind import PlanSuffix, ReplicaKind

PLAN = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 0.05}))
START_S = 5.0


@dataclass
class Load:
    """Work that comes at a rate, each piece to the replica that has least to do."""

    cloud: SimulatedCloud
    simulation: Simulation
    ran: int = 0
    sent: int = 0
    replicas: list[tuple[float, int]] = field(default_factory=list)

    def come(self, begin_s: float, end_s: float, rate_per_s: float) -> None:
        rng, now_s = Random(1), begin_s
        while (now_s := now_s + rng.expovariate(rate_per_s)) < end_s:
            self.simulation.at(now_s, self._one)

    def _one(self) -> None:
        self.sent += 1
        replica = min(self.cloud.serving, key=lambda one: one.queued_s)
        replica.submit(Suffix(PLAN, 1.0, self._ran, lambda _: None))

    def _ran(self, _: object) -> None:
        self.ran += 1

    def watch(self, until_s: float) -> None:
        """Once a second."""
        for second in range(int(until_s)):
            self.simulation.at(second, lambda: self.replicas.append((self.simulation.now_s, len(self.cloud.serving))))

    def at(self, time_s: float) -> int:
        return dict(self.replicas)[time_s]


def scaled(rule: AutoscalingRule, until_s: float) -> tuple[Simulation, SimulatedCloud, SimulatedAutoscaler, Load]:
    simulation = Simulation()
    cloud = SimulatedCloud(
        simulation, ReplicaKind(BatchLimits(max_batch=1), queue=1 << 20), rule.at_start, start_s=START_S
    )
    scaler = SimulatedAutoscaler(simulation, cloud, rule, until_s)
    load = Load(cloud, simulation)
    load.watch(until_s)
    return simulation, cloud, scaler, load


def test_replicas_start_when_load_comes_and_drain_when_it_has_gone() -> None:
    """60 a second of 50 ms are three replicas of work; at 80 % that is four, and more for what waited meanwhile."""
    rule = AutoscalingRule(1, 10, scale_down_after_s=20.0)
    simulation, cloud, _, load = scaled(rule, 120.0)
    load.come(10.0, 60.0, 60.0)
    simulation.run()
    assert load.at(10.0 + START_S) == 1  # asked for, not there yet
    assert min(load.at(second) for second in range(20, 60)) >= 4
    assert load.at(118.0) == 1
    assert load.ran == load.sent
    assert cloud.running == 1


def test_what_replicas_cost_is_from_when_they_were_asked_for_until_they_are_gone() -> None:
    simulation, cloud, *_ = scaled(AutoscalingRule.fixed(2), 10.0)
    simulation.at(4.0, cloud.start)
    simulation.at(7.0, cloud.drain_one)
    simulation.run(10.0)
    assert cloud.paid_s(10.0) == pytest.approx(2 * 10.0 + 3.0)


def test_without_load_there_is_none_and_an_edge_that_wants_one_wakes_it() -> None:
    rule = AutoscalingRule(0, 3, scale_down_after_s=10.0)
    simulation, cloud, scaler, load = scaled(rule, 60.0)
    simulation.at(30.0, cloud.want)
    simulation.at(30.5, cloud.want)
    simulation.run()
    assert load.at(9.0) == 1
    assert load.at(29.0) == 0
    assert load.at(34.0) == 0
    assert load.at(36.0) == 1
    assert load.at(58.0) == 0
    assert scaler.target == 0
    assert len(cloud.members) == 2


def test_a_replica_that_still_starts_is_the_first_to_be_given_up() -> None:
    simulation, cloud, *_ = scaled(AutoscalingRule.fixed(1), 20.0)
    simulation.at(2.0, cloud.start)
    simulation.at(3.0, cloud.drain_one)
    simulation.run()
    assert [one.number for one in cloud.serving] == [0]
    assert cloud.running == 1
    assert cloud.members[1].gone_s == 3.0
    assert cloud.paid_s(20.0) == pytest.approx(21.0)


def test_planned_failures_come_when_they_are_planned() -> None:
    simulation = Simulation()
    cloud = SimulatedCloud(simulation, replicas=2)
    faults = {1: PlannedFaults((Fault(5.0, 6.0), Fault(2.0, 3.0)))}
    break_replicas(simulation, cloud, faults, seed=0, until_s=100.0)
    simulation.run()
    one, other = cloud.replicas
    assert (one.faults, other.faults) == ([], [Fault(2.0, 3.0), Fault(5.0, 6.0)])


def test_a_failure_that_was_over_before_the_replica_started_is_none_of_it() -> None:
    simulation = Simulation()
    cloud = SimulatedCloud(simulation, replicas=1, start_s=1.0)
    faults = {1: PlannedFaults((Fault(5.0, 6.0), Fault(30.0, 31.0)))}
    break_replicas(simulation, cloud, faults, seed=0, until_s=100.0)
    simulation.at(10.0, cloud.start)
    simulation.run()
    assert [replica.faults for replica in cloud.replicas] == [[], [Fault(30.0, 31.0)]]


def test_random_failures_are_each_replica_s_own_and_those_of_later_replicas_too() -> None:
    def failed(seed: int) -> list[list[Fault]]:
        simulation = Simulation()
        cloud = SimulatedCloud(simulation, replicas=2, start_s=1.0)
        break_replicas(simulation, cloud, RandomFaults(10.0, 1.0), seed=seed, until_s=200.0)
        simulation.at(100.0, cloud.start)
        simulation.run()
        return [replica.faults for replica in cloud.replicas]

    one, other, later = failed(1)
    assert one != other
    assert later
    assert later[0].at_s > 101.0
    assert failed(1) == [one, other, later]
    assert failed(2) != [one, other, later]
