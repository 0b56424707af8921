"""Fleets to choose from meet the same world."""

from __future__ import annotations

from typing import Any

import pytest

from simulations.answers.prices import Prices
from simulations.capacity.altered import sensitivities
from simulations.capacity.candidate import choices, prices_by_group
from simulations.fleet import Fleet
from simulations.markov_link import MarkovLink
from simulations.run_record import RunRecord
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.sweep import with_settings
from simulations.site_request import Arrival, Served
from tests.simulations.capacity.conftest import Make


class Arrivals:
    """A watcher that keeps what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def arrived(self, arrival: Arrival) -> None:
        """See Watcher."""
        self.seen.append((arrival.time_s, arrival.client, arrival.file_bytes, arrival.noise))

    def ended(self, served: Served) -> None:
        """See Watcher."""


@pytest.fixture
def file(scenario_of: Make) -> ScenarioFile:
    """All that can be drawn is: arrivals, sizes, each request's own pace, links that jump and are gone now and then."""
    rate = {"markov": "lte.json"}
    made = scenario_of(
        spread=0.3,
        links=[{"name": "lan", "uplink": rate, "downlink": rate, "outages": {"every": "20s", "for": "2s"}}],
        clients=[{"name": "camera", "edges": "cell", "model": "net", "file": {"median": "20kB"},
                  "arrivals": {"kind": "poisson", "rate_per_s": 6.0}}],
    )  # fmt: skip
    model = MarkovLink(1.0, (10e6, 50e6), (0.5, 0.5), ((0.7, 0.3), (0.3, 0.7)))
    (made.folder / "lte.json").write_text(model.to_json())
    return made


def candidate(file: ScenarioFile, replicas: int) -> tuple[Arrivals, RunRecord]:
    """What comes to a fleet of so many replicas, and its run."""
    (choice,), arrivals = choices(file), Arrivals()
    return arrivals, Fleet(choice.scenario(file, replicas), file.folder).begin(watcher=arrivals).record()


def carried(run: RunRecord) -> list[list[float]]:
    """What the first edge's uplink carried over the run, moment by moment."""
    (series,) = (number for number, one in enumerate(run.series) if one.measure == "uplink_bps")
    mine = run.samples.series == series
    return [run.samples.time_s[mine].tolist(), run.samples.value[mine].tolist()]


def test_one_replica_and_three_meet_the_same_requests_and_links(file: ScenarioFile) -> None:
    (few_came, few), (many_came, many) = candidate(file, 1), candidate(file, 3)
    assert few_came.seen == many_came.seen
    assert carried(few) == carried(many)
    assert len({size for _, _, size, _ in few_came.seen}) > 100
    assert len({noise for *_, noise in few_came.seen}) == len(few_came.seen) > 1000
    assert set(carried(few)[1]) == {0.0, 10e6, 50e6}
    assert few.requests.took_s.mean() > many.requests.took_s.mean()  # what they make of it is their own


def asked(file: ScenarioFile) -> set[tuple[Any, ...]]:
    """What comes to its fleet of one replica, but for the clients' names."""
    arrivals = Arrivals()
    Fleet(file.scenario, file.folder).begin(watcher=arrivals).record()
    return {(time_s, *rest) for time_s, _, *rest in arrivals.seen}


def test_a_doubled_load_is_the_load_that_there_was_and_as_much_again(file: ScenarioFile) -> None:
    doubled = with_settings(file, dict(sensitivities(file.scenario))["load doubled"])
    again = with_settings(doubled, dict(sensitivities(doubled.scenario))["load doubled"])
    before, twice, four_times = (asked(one) for one in (file, doubled, again))
    assert before < twice < four_times
    assert [len(one) / len(before) for one in (twice, four_times)] == pytest.approx([2.0, 4.0], rel=0.1)


def edge_prices(file: ScenarioFile) -> dict[str, float]:
    """Of the choices of that file, by group of edges."""
    prices = Prices("EUR", {"any": 1.0}, {"pi": 3.0, "any": 7.0})
    (choice,) = choices(file)
    found = prices_by_group(prices, choice.scenario(file, 1), choice)
    assert found is not None
    return dict(found.edge_per_s)


@pytest.mark.parametrize(
    ("sets", "of_type"),
    [
        ({"models.net.plans": "other.json"}, {"cell"}),
        ({"edges.cell.slowdown": 2}, {"cell"}),
        ({"edges.own.slowdown": 2}, {"own"}),
        ({"edges.cell.policy": "edge-only"}, set()),
        ({"edges.cell.policy.name": "edge-only"}, set()),
        ({"edges.1.slowdown": 2}, {"own"}),
        ({"edges.cell": {"name": "cell", "link": "lan", "slowdown": 2}}, {"cell"}),
    ],
)
def test_edges_are_priced_by_the_type_that_sets_their_plans_or_anything_else_of_them(
    scenario_of: Make, sets: dict[str, Any], of_type: set[str]
) -> None:
    edges = [{"name": "cell", "link": "lan"}, {"name": "own", "link": "lan", "plans": {"net": "plans.json"}},
             {"name": "elsewhere", "link": "lan"}]  # fmt: skip
    models = [{"name": name, "plans": "plans.json"} for name in ("net", "word")]
    arrivals = {"kind": "poisson", "rate_per_s": 6.0}
    clients = [{"name": name, "edges": name, "model": model, "file": "20kB", "arrivals": arrivals}
               for name, model in (("cell", "net"), ("own", "net"), ("elsewhere", "word"))]  # fmt: skip
    file = scenario_of(models=models, edges=edges, clients=clients, capacity={"edge_types": {"pi": sets}})
    (file.folder / "other.json").write_text((file.folder / "plans.json").read_text())
    assert {name for name, price in edge_prices(file).items() if price == 3.0} == of_type


def test_what_a_replica_type_sets_of_an_edge_gives_it_no_type(scenario_of: Make) -> None:
    types = {"replica_types": {"small": {"edges.cell.plans.net": "plans.json"}}, "edge_types": {"pi": {}}}
    assert edge_prices(scenario_of(capacity=types)) == {"cell": 7.0}
