"""A small scenario whose fleets are quickly simulated: requests that only replicas answer in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from partitioner.plan_table import PlanTable
from simulations.scenario.reading import ScenarioFile, read_scenario
from tests.scheduler.conftest import DIGEST, make_entry

Make = Callable[..., ScenarioFile]


def scenario_file(folder: Path, **changed: Any) -> ScenarioFile:
    """In that folder, with these top-level keys set; None leaves one out."""
    table = PlanTable("net", DIGEST, (make_entry(edge_s=2.0), make_entry("input", "file", cloud_s=0.1)))
    (folder / "plans.json").write_text(table.to_json())
    (folder / "prices.yaml").write_text(
        "currency: EUR\nreplicas: {cloud: 1/h, small: 1/h, large: 1.4/h}\nuplink: 0.1/GB\n"
    )
    data: dict[str, Any] = {
        "name": "small", "seed": 3, "duration": "65s", "warm_up": "5s", "replications": 2,
        "models": [{"name": "net", "plans": "plans.json"}],
        "links": [{"name": "lan", "uplink": "50mbps", "downlink": "50mbps", "rtt": "10ms"}],
        "edges": [{"name": "cell", "count": 4, "link": "lan"}],
        "cloud": {"batching": {"max_batch": 1}},
        "clients": [
            {"name": "camera", "edges": "cell", "model": "net", "file": "20kB",
             "arrivals": {"kind": "poisson", "rate_per_s": 6.0}}
        ],
        "slo": {"within": "400ms", "share": 0.9},
        "capacity": {"replicas": {"most": 6}},
    }  # fmt: skip
    data = {key: value for key, value in {**data, **changed}.items() if value is not None}
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(data))
    return read_scenario(path)


@pytest.fixture
def scenario_of(tmp_path: Path) -> Make:
    """See `scenario_file`."""
    return lambda **changed: scenario_file(tmp_path, **changed)
