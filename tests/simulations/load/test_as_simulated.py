"""A load's requests are those of a simulation with the same scenario and seed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from simulations.fleet import Fleet
from simulations.load.client_kind import Client, client_kinds
from simulations.load.open_loop import Answer, OpenLoop, Outcome
from simulations.scenario.reading import ScenarioFile, read_scenario
from tests.simulations.fleet_files import scenario_file

CLIENTS = [
    {"name": "cameras", "edges": "shop", "model": "net", "file": "20kB", "count": 2,
     "arrivals": {"kind": "poisson", "rate_per_s": 20.0}},
    {"name": "till", "edges": "shop", "model": "net", "file": "20kB",
     "arrivals": {"kind": "steady", "period": "50ms", "jitter": "20ms"}},
]  # fmt: skip


async def loaded(file: ScenarioFile) -> list[Outcome]:
    """What became of the requests of an edge that answers at once."""

    async def ask(client: Client, left_s: float | None) -> Answer:
        return Answer(10, 0.0, "plan", "edge")

    scenario, outcomes = file.scenario, list[Outcome]()
    load = OpenLoop(ask, outcomes.append, seed=scenario.seed, until_s=scenario.duration)
    for kind in client_kinds(scenario):
        for number in range(kind.count):
            load.begin(Client(kind, number))
    await asyncio.sleep(scenario.duration + 0.2)
    await load.finish(1.0)
    return outcomes


@pytest.mark.parametrize("seed", [3, 8])
async def test_a_loaded_edge_gets_the_requests_that_the_first_simulated_one_gets(tmp_path: Path, seed: int) -> None:
    file = read_scenario(scenario_file(tmp_path, seed=seed, duration="1s", warm_up="0s", clients=CLIENTS))
    run = Fleet(file.scenario, file.folder).run()
    outcomes = await loaded(file)
    for name, least in (("cameras", 20), ("till", 19)):
        mine = (run.requests.edge == run.id_of("shop-0")) & (run.requests.client == run.id_of(name))
        sent_s = sorted(one.due_s for one in outcomes if one.client == name)
        assert sent_s == pytest.approx(sorted(run.requests.time_s[mine].tolist()), abs=1e-6)
        assert len(sent_s) >= least
