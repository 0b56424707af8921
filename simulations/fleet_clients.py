"""Clients on a simulated clock: each asks its edge, whether or not it was answered, or when it was."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nodes.chooser import Asked
from partitioner.plan import InputForm
from scheduler.admission.refusal import LEAST_RETRY_S
from simulations.kernel import Simulation
from simulations.scenario.arrivals import file_sizes
from simulations.scenario.clients import ClientSection
from simulations.site_request import Arrival, Served
from simulations.workload.arrival_process import ArrivalProcess
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.logged import Logged

__all__ = ["ClosedLoopClient", "LoggedClient", "OpenLoopClient", "RequestMaker"]

Arrive = Callable[[Arrival], None]


class RequestMaker:
    """Makes one client's requests."""

    def __init__(self, section: ClientSection, client: str, seed: str) -> None:
        """client: its name at its edge. seed: equal ones give equal requests."""
        self._section, self._client = section, client
        self._rng = Random(f"{seed}/requests")
        self._sizes = None if section.file is None else file_sizes(section.file)
        self._form: InputForm = "tensor" if section.file is None else "bytes"

    def request(self, now_s: float) -> Arrival:
        """That comes now."""
        rng, section = self._rng, self._section
        size = 0 if self._sizes is None else self._sizes.draw(rng)
        return Arrival(
            now_s, size, section.deadline, _noise(rng), self._client, section.priority, section.model,
            section.request_class, self._form,
        )  # fmt: skip


def _noise(rng: Random) -> tuple[float, float, float]:
    """Of a request: see Arrival."""
    return rng.gauss(0.0, 1.0), rng.gauss(0.0, 1.0), rng.gauss(0.0, 1.0)


class OpenLoopClient:
    """Its next request is on the clock, and no more of them."""

    def __init__(
        self, simulation: Simulation, process: ArrivalProcess, make: RequestMaker, arrive: Arrive, seed: str
    ) -> None:
        self._simulation, self._make, self._arrive = simulation, make, arrive
        self._process, self._rng = process, Random(f"{seed}/arrivals")

    def start(self, until_s: float) -> None:
        """Requests come from now on until then."""
        self._times = self._process.times(self._rng, until_s)
        self._expect()

    def _expect(self) -> None:
        time_s = next(self._times, None)
        if time_s is not None:
            self._simulation.at(time_s, self._come)

    def _come(self) -> None:
        self._arrive(self._make.request(self._simulation.now_s))
        self._expect()


class LoggedClient:
    """Asks what the clients of a log asked. Its next request is on the clock, and no more of them."""

    def __init__(self, simulation: Simulation, logged: Logged, client: str, arrive: Arrive, seed: str) -> None:
        """client: its name at its edge. What came of different clients comes of different ones here, too."""
        self._simulation, self._logged, self._client, self._arrive = simulation, logged, client, arrive
        self._rng, self._noise_rng = Random(f"{seed}/arrivals"), Random(f"{seed}/requests")

    def start(self, until_s: float) -> None:
        """Requests come from now on until then."""
        self._coming = self._logged.played(self._rng, until_s)
        self._expect()

    def _expect(self) -> None:
        asked = next(self._coming, None)
        if asked is not None:
            self._simulation.at(asked.came_s, self._come, asked)

    def _come(self, asked: Asked) -> None:
        client = f"{self._client}#{asked.client}" if asked.client else self._client
        self._arrive(
            Arrival(
                asked.came_s, asked.file_bytes, asked.asked_s, _noise(self._noise_rng), client, asked.priority,
                asked.model, asked.request_class, asked.form, asked.policy, asked.plan_id, items=asked.batch,
            )
        )  # fmt: skip
        self._expect()


class ClosedLoopClient:
    """Its users think, ask, and wait for the answer; `ended` is to be called with each of its requests that has ended.
    Who was refused asks again no sooner than a refusal says at least."""

    def __init__(self, simulation: Simulation, loop: ClosedLoop, make: RequestMaker, arrive: Arrive, seed: str) -> None:
        self._simulation, self._loop, self._make, self._arrive = simulation, loop, make, arrive
        self._rng = Random(f"{seed}/arrivals")
        self._until_s = 0.0

    def start(self, until_s: float) -> None:
        """All users begin to think; none asks from then on."""
        self._until_s = until_s
        for _ in range(self._loop.users):
            self._think(0.0)

    def ended(self, served: Served) -> None:
        """One of its requests."""
        self._think(LEAST_RETRY_S if served.refused else 0.0)

    def _think(self, least_s: float) -> None:
        asks_s = self._simulation.now_s + max(least_s, self._loop.pause_s(self._rng))
        if asks_s < self._until_s:
            self._simulation.at(asks_s, self._ask)

    def _ask(self) -> None:
        self._arrive(self._make.request(self._simulation.now_s))
