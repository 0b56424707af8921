"""Which clients of a scenario ask one edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import InvalidConfiguration
from simulations.load.client_kind import Client, client_kinds, patience_s
from simulations.scenario.reading import checked
from simulations.scenario.scenario import Scenario
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.poisson import Poisson

FOLDER = Path("/")


def scenario(*clients: dict[str, Any]) -> Scenario:
    edges: list[dict[str, Any]]
    edges = [{"name": "shop", "count": 100, "link": "lte"}, {"name": "office", "link": "lte"}]
    return checked(
        {
            "duration": "10s",
            "models": [{"name": "m", "plans": "p.json"}],
            "links": [{"name": "lte", "uplink": "5mbps", "downlink": "20mbps"}],
            "edges": [edge for edge in edges if any(client["edges"] == edge["name"] for client in clients)],
            "clients": [{"model": "m", **client} for client in clients],
        },
        FOLDER,
    )


CAMERAS: dict[str, Any] = {
    "name": "cameras",
    "edges": "shop",
    "count": 3,
    "arrivals": {"kind": "poisson", "rate_per_s": 2.0},
    "file": "100kB",
    "deadline": "300ms",
    "priority": 1,
    "request_class": "gold",
}
THINKING = {"kind": "closed-loop", "users": 4, "think": "1s"}
DESKS: dict[str, Any] = {"name": "desks", "edges": "office", "arrivals": THINKING}


def test_a_client_is_taken_as_the_scenario_says_and_the_group_counts_once() -> None:
    (cameras,) = client_kinds(scenario(CAMERAS))
    assert (cameras.name, cameras.model, cameras.count, cameras.arrivals) == ("cameras", "m", 3, Poisson(2.0))
    assert (cameras.deadline_s, cameras.priority, cameras.request_class, cameras.files) == (0.3, 1, "gold", True)
    assert cameras.rate_per_s == 6.0


def test_one_of_several_groups_is_named() -> None:
    (desks,) = client_kinds(scenario(CAMERAS, DESKS), "office")
    assert desks.arrivals == ClosedLoop(4, 1.0)
    assert desks.rate_per_s is None


@pytest.mark.parametrize(("edge", "words"), [("", "must be named"), ("shed", "is no group")])
def test_a_group_that_is_not_clear_is_refused(edge: str, words: str) -> None:
    with pytest.raises(InvalidConfiguration, match=words):
        client_kinds(scenario(CAMERAS, DESKS), edge)


@pytest.mark.parametrize(
    ("deadlines", "wanted_s"), [([None, "3ms"], 10.0), (["3ms", "2s"], 2.0), (["60s", None], 60.0)]
)
def test_answers_are_awaited_by_the_longest_deadline(deadlines: list[str | None], wanted_s: float) -> None:
    cameras = [{**CAMERAS, "name": f"c{number}", "deadline": one} for number, one in enumerate(deadlines)]
    assert patience_s(client_kinds(scenario(*cameras))) == wanted_s


def test_clients_differ_and_runs_do_not() -> None:
    (cameras,) = client_kinds(scenario(CAMERAS))
    one, two = Client(cameras, 0), Client(cameras, 1)
    assert one.name != two.name
    assert one.arrivals_source(1).random() == one.arrivals_source(1).random()
    assert len({one.arrivals_source(1).random(), one.arrivals_source(2).random(), two.arrivals_source(1).random()}) == 3


@pytest.mark.parametrize(("number", "same"), [(0, True), (1, False)])
def test_the_first_of_several_asks_when_it_asks_alone(number: int, same: bool) -> None:
    (alone,), (several,) = client_kinds(scenario({**CAMERAS, "count": 1})), client_kinds(scenario(CAMERAS))
    draws = Client(alone, 0).arrivals_source(1).random(), Client(several, number).arrivals_source(1).random()
    assert (draws[0] == draws[1]) == same
