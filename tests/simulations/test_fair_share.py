"""Clients and priorities on a simulated edge that is asked for more than it can do: with deadlines, without a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from partitioner.plan_table import PlanTable
from scheduler.admission.control import AdmissionControl
from simulations.site import Arrival, Served
from tests.simulations.test_site import DIGEST, entry_of, run

LENGTH_S = 120.0


@dataclass(frozen=True)
class Client:
    """Sends requests with a deadline of a second."""

    name: str
    per_s: float
    priority: int = 0

    def arrivals(self, rng: Random) -> list[Arrival]:
        arrivals, now_s = list[Arrival](), rng.expovariate(self.per_s)
        while now_s < LENGTH_S:
            noise = (rng.gauss(0.0, 1.0), 0.0, 0.0)
            arrivals.append(
                Arrival(now_s, 1, 1.0, noise, client=self.name, priority=self.priority, cloud_reachable=False)
            )
            now_s += rng.expovariate(self.per_s)
        return arrivals


def served(edge_s: float, *clients: Client, seed: int = 0) -> list[Served]:
    """edge_s: that a request takes, but for 5 %."""
    rng = Random(seed)
    arrivals = sorted((one for client in clients for one in client.arrivals(rng)), key=lambda one: one.time_s)
    table = PlanTable("net", DIGEST, (entry_of("edge-only", edge_s, 0, 0.0),))
    return run("latency", arrivals, table=table, spread=0.05, admission=AdmissionControl(128, 16))


def in_time(among: list[Served], client: str) -> float:
    """The share of its requests."""
    own = [one for one in among if one.arrival.client == client]
    return sum(one.in_time for one in own) / len(own)


def per_s(among: list[Served]) -> float:
    """Answers in time."""
    return sum(one.in_time for one in among) / LENGTH_S


@pytest.mark.parametrize(
    ("edge_s", "greedy"), [(0.1, 100.0), (0.1, 20.0), (0.02, 100.0)], ids=["10x", "2x", "2x, many"]
)
def test_who_asks_for_little_gets_it_beside_one_that_asks_for_more_than_there_is(edge_s: float, greedy: float) -> None:
    ended = served(edge_s, Client("greedy", greedy), Client("modest", 1.0))
    assert in_time(ended, "modest") >= 0.97
    assert per_s(ended) >= 0.98 / edge_s
    assert all(one.in_time or one.refused for one in ended)


@pytest.mark.parametrize("modest", [1.0, 5.0])
def test_an_earlier_priority_gets_all_that_it_asks_for_beside_a_later_one(modest: float) -> None:
    ended = served(0.1, Client("bulk", 100.0, 2), Client("alarm", modest, 1))
    assert in_time(ended, "alarm") >= 0.97
    assert per_s(ended) >= 0.98 * 10.0


def test_one_client_that_is_alone_gets_all_there_is() -> None:
    assert per_s(served(0.1, Client("only", 20.0))) >= 0.98 * 10.0


def test_equals_get_equal_shares() -> None:
    clients = [Client(f"camera {number}", 1.0) for number in range(20)]
    ended = served(0.1, *clients)
    assert per_s(ended) >= 0.98 * 10.0
    assert all(0.35 <= in_time(ended, one.name) <= 0.65 for one in clients)
