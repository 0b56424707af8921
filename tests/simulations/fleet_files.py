"""A small scenario with a plan table that can be worked out by hand, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from simulations.fleet import Fleet
from simulations.run_record import RunRecord
from simulations.scenario.reading import read_scenario
from tests.simulations.test_site import TABLE

__all__ = ["run_scenario", "scenario_file"]


def scenario_file(folder: Path, **changes: Any) -> Path:
    """Two shops with a camera each, on steady links, before one replica, for half a minute; and what is changed."""
    (folder / "net.json").write_text(TABLE.to_json())
    data = {
        "name": "two shops",
        "duration": "30s",
        "warm_up": "5s",
        "replications": 2,
        "spread": 0.05,
        "models": [{"name": "net", "plans": "net.json"}],
        "links": [{"name": "lan", "uplink": "8mbps", "downlink": "8mbps", "rtt": "40ms"}],
        "edges": [{"name": "shop", "count": 2, "link": "lan"}],
        "cloud": {"replicas": 1},
        "clients": [
            {"name": "camera", "edges": "shop", "model": "net", "file": "20kB", "deadline": "2s",
             "arrivals": {"kind": "poisson", "rate_per_s": 1.0}},
        ],
        **changes,
    }  # fmt: skip
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def run_scenario(folder: Path, replication: int = 0, **changes: Any) -> RunRecord:
    """One run of it."""
    file = read_scenario(scenario_file(folder, **changes))
    return Fleet(file.scenario, file.folder).run(replication)
