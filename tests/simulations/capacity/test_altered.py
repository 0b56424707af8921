"""Scenarios a little otherwise can be simulated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.capacity.altered import edge_count, sensitivities, with_edges
from simulations.scenario.edges import EdgeSection
from simulations.scenario.links import MarkovRate, TraceRate
from simulations.scenario.scenario import Scenario
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make

SCENARIO = Scenario.model_validate(
    {
        "duration": 1,
        "models": [{"name": "net", "plans": "net.json"}],
        "links": [{"name": "lan", "uplink": "9mbps", "downlink": "9mbps"}],
        "edges": [{"name": "shop", "link": "lan"}],
        "clients": [
            {"name": "till", "edges": "shop", "model": "net", "arrivals": {"kind": "poisson", "rate_per_s": 1}}
        ],
    }
)


@pytest.mark.parametrize(("uplink", "half_bps"), [("50mbps", 25e6), ("1500bps", 750.0), ("1bps", 0.5)])
def test_half_of_any_uplink_is_an_uplink(scenario_of: Make, uplink: str, half_bps: float) -> None:
    file = with_settings(scenario_of(), [("links.lan.uplink", uplink)])
    halved = dict(sensitivities(file.scenario))["uplink halved"]
    assert with_settings(file, halved).scenario.links[0].uplink == half_bps


@pytest.mark.parametrize(
    ("uplink", "half"),
    [
        ({"markov": "/lte.json"}, MarkovRate(markov="/lte.json", scale=0.5)),
        ({"markov": "/lte.json", "scale": 3}, MarkovRate(markov="/lte.json", scale=1.5)),
        ({"trace": "/bus", "start": 9, "scale": 4}, TraceRate(trace="/bus", start=9.0, scale=2.0)),
    ],
)
def test_a_fitted_or_recorded_uplink_is_halved_by_its_scale(
    scenario_of: Make, uplink: dict[str, object], half: MarkovRate | TraceRate
) -> None:
    file = with_settings(scenario_of(), [("links.lan.uplink", uplink)])
    halved = dict(sensitivities(file.scenario))["uplink halved"]
    assert with_settings(file, halved).scenario.links[0].uplink == half


@pytest.mark.parametrize(("speed", "slower"), [(1.0, 0.75), (2.0, 1.5)])
def test_slower_replicas_have_three_quarters_of_their_speed(scenario_of: Make, speed: float, slower: float) -> None:
    file = with_settings(scenario_of(), [("cloud.speed", speed)])
    changed = dict(sensitivities(file.scenario))["replicas at 75% of their speed"]
    assert with_settings(file, changed).scenario.cloud.speed == slower


@given(counts=st.lists(st.integers(1, 50), min_size=1, max_size=12), more=st.integers(0, 200))
def test_as_many_edges_as_are_said_are_simulated_in_their_proportions(counts: list[int], more: int) -> None:
    edges = tuple(EdgeSection(name=f"group{n}", count=count, link="lan") for n, count in enumerate(counts))
    scenario = SCENARIO.model_copy(update={"edges": edges})
    wanted = edge_count(scenario) + more
    found = dict(with_edges(scenario, wanted))
    assert sum(found.values()) == wanted
    for one in edges:
        assert abs(found[f"edges.{one.name}.count"] - one.count * wanted / sum(counts)) < 1.0


def test_what_is_left_over_goes_to_those_that_are_the_farthest_from_a_whole_one() -> None:
    edges = tuple(EdgeSection(name=name, count=count, link="lan") for name, count in (("a", 5), ("b", 3), ("c", 2)))
    scenario = SCENARIO.model_copy(update={"edges": edges})
    assert [count for _, count in with_edges(scenario, 13)] == [6, 4, 3]  # of 6.5, 3.9 and 2.6
