"""Replicas that die now and then, at random or at given moments, and are there again after a while."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from simulations.cloud import SimulatedCloud
from simulations.faults import Fault, PlannedFaults, RandomFaults
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica

__all__ = ["break_replicas"]


def break_replicas(
    simulation: Simulation,
    cloud: SimulatedCloud,
    faults: RandomFaults | Mapping[int, PlannedFaults],
    *,
    seed: int,
    until_s: float,
) -> None:
    """Let the cloud's replicas fail, also those that start later.

    faults: of each by itself, times since it began to serve; or by a replica's number, times since the start of the
    run. until_s: nobody fails from then on.
    """

    def follow(replica: SimulatedReplica) -> None:
        if isinstance(faults, RandomFaults):
            began_s, times = simulation.now_s, faults.times(Random(f"replica {replica.number} of {seed}"))
        else:
            began_s, times = 0.0, faults.get(replica.number, PlannedFaults()).times(Random(seed))

        def expect() -> None:
            # What was planned for a time before it started is over.
            one = next((one for one in times if began_s + one.until_s > simulation.now_s), None)
            if one is not None and began_s + one.at_s < until_s:
                simulation.at(max(simulation.now_s, began_s + one.at_s), happen, one)

        def happen(one: Fault) -> None:
            cloud.fail(replica)
            simulation.at(began_s + one.until_s, back)

        def back() -> None:
            cloud.recover(replica)
            expect()

        expect()

    for replica in cloud.replicas:
        follow(replica)
    cloud.on_start.append(follow)
