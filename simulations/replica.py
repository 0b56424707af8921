"""A cloud replica on a simulated clock: works through suffixes in their order, one at a time."""

from __future__ import annotations

from simulations.kernel import Simulation

__all__ = ["SimulatedReplica"]


class SimulatedReplica:
    """Any number of sites may send it work. busy_s: what it has worked, or is bound to."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._free_s = 0.0
        self.busy_s = 0.0

    @property
    def free_s(self) -> float:
        """When it will have done what it has."""
        return self._free_s

    @property
    def queued_s(self) -> float:
        """Seconds of work that wait or run."""
        return max(0.0, self._free_s - self._simulation.now_s)

    def work(self, seconds: float) -> float:
        """Work that comes now and takes so long; when it will be done."""
        self._free_s = max(self._simulation.now_s, self._free_s) + seconds
        self.busy_s += seconds
        return self._free_s
