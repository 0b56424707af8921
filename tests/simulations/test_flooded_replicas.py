"""An edge that is slow by itself before quick replicas: a slow prefix drives nobody to another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partitioner.plan_table import PlanTable
from simulations.fleet import Fleet
from simulations.run_record import RunRecord
from simulations.scenario.reading import read_scenario
from tests.simulations.fleet_files import scenario_file
from tests.simulations.test_site import DIGEST, entry_of


def run(folder: Path, edge_s: float, cloud_s: float, uplink: str, rate_per_s: float) -> RunRecord:
    """The edge takes so long by itself, a replica so long for all but a millisecond of it."""
    plans = (entry_of("edge-only", edge_s, 0, 0.0), entry_of("split", 0.001, 2_000, cloud_s, local_s=edge_s))
    client = {"name": "camera", "edges": "shop", "model": "net", "file": "20kB",
              "arrivals": {"kind": "poisson", "rate_per_s": rate_per_s}}  # fmt: skip
    path = scenario_file(
        folder,
        duration="60s",
        links=[{"name": "lan", "uplink": uplink, "downlink": "50mbps", "rtt": "10ms"}],
        edges=[{"name": "shop", "link": "lan", "policy": "latency", "batching": {"max_batch": 1}}],
        cloud={"replicas": 2, "batching": {"max_batch": 1}},
        clients=[client],
    )
    (folder / "net.json").write_text(PlanTable("net", DIGEST, plans).to_json())
    file = read_scenario(path)
    return Fleet(file.scenario, file.folder).run()


@pytest.mark.parametrize(
    ("edge_s", "cloud_s", "uplink", "rate_per_s", "mean_s"),
    [
        pytest.param(0.18, 0.048, "50mbps", 20.0, 0.15, id="half of the replicas' time"),
        pytest.param(0.10, 0.060, "0.8mbps", 26.0, 0.80, id="four fifths of the replicas' time"),
        pytest.param(0.10, 0.020, "0.8mbps", 38.0, 0.40, id="four fifths of the uplink's time"),
    ],
)
def test_what_replicas_and_link_can_carry_is_answered_soon(
    tmp_path: Path, edge_s: float, cloud_s: float, uplink: str, rate_per_s: float, mean_s: float
) -> None:
    """By the queues of the moment, and by what is best for each request alone, the mean was 3 to 5 s: each slow prefix
    had all that came meanwhile sent at once, the replicas or the link then looked full, the next request stayed, and
    the edge's queue grew for good."""
    counted = run(tmp_path, edge_s, cloud_s, uplink, rate_per_s).counted()
    assert len(counted) > 900
    assert float(np.mean(counted.took_s)) < mean_s
