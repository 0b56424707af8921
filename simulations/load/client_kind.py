"""The clients of a scenario that ask one edge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import InvalidConfiguration
from simulations.scenario.scenario import Scenario
from simulations.workload.arrival_process import ArrivalProcess
from simulations.workload.client_names import client_name, drawn_as
from simulations.workload.closed_loop import ClosedLoop

__all__ = ["Client", "ClientKind", "client_kinds", "patience_s"]

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class ClientKind:
    """`count` clients that are alike, each with arrivals of its own. edge: the group of edges whose first one they ask.
    deadline_s: from the arrival, None for none. files: whether requests bring files rather than tensors."""

    name: str
    edge: str
    model: str
    count: int
    arrivals: ArrivalProcess | ClosedLoop
    deadline_s: float | None
    priority: int
    request_class: str
    files: bool

    @property
    def rate_per_s(self) -> float | None:
        """Requests a second of all of them; None where it depends on the answers."""
        return None if isinstance(self.arrivals, ClosedLoop) else self.count * self.arrivals.mean_rate_per_s


@dataclass(frozen=True, slots=True)
class Client:
    """One of them. number: from 0; over all processes that send load."""

    kind: ClientKind
    number: int

    @property
    def name(self) -> str:
        """What the edge knows it by, in a simulation as well."""
        return client_name(self.kind.name, self.kind.count, self.number)

    def arrivals_source(self, seed: int) -> random.Random:
        """Of its arrivals. As `simulations.fleet` seeds it at the first edge of the group: the same requests come."""
        return random.Random(f"{seed}/{self.kind.edge}-0/{drawn_as(self.kind.name, self.number)}/arrivals")


def client_kinds(scenario: Scenario, edge: str = "") -> tuple[ClientKind, ...]:
    """The clients at one edge of the group `edge`: a running edge stands for one device, whatever the group's count.

    edge: may be empty where there is one group. Raises InvalidConfiguration where there is no such group, where it must
    be named, or where it has no clients.
    """
    groups = [group.name for group in scenario.edges]
    if not edge and len(groups) == 1:
        (edge,) = groups
    if edge not in groups:
        problem = "is no group of edges of the scenario" if edge else "must be named: the scenario has several groups"
        raise InvalidConfiguration("edge", problem, value=edge or None, remedy=f"use one of: {', '.join(groups)}")
    kinds = tuple(
        ClientKind(
            name=client.name,
            edge=edge,
            model=client.model,
            count=client.count,
            arrivals=client.arrivals.process(),
            deadline_s=client.deadline,
            priority=client.priority,
            request_class=client.request_class,
            files=client.file is not None,
        )
        for client in scenario.clients
        if client.edges == edge
    )
    if not kinds:
        raise InvalidConfiguration("edge", "has no clients in the scenario", value=edge, remedy="name another group")
    return kinds


def patience_s(kinds: Sequence[ClientKind]) -> float:
    """How long answers are awaited after the last request was sent: by the longest deadline, 10 s where there is none.
    Whoever waits for the generator goes by the same."""
    return max(_PATIENCE_S if kind.deadline_s is None else kind.deadline_s for kind in kinds)
