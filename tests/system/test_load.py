"""`isthmus load`: locust, in a process of its own, on a real `isthmus up`."""

from __future__ import annotations

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.zoo import demo_photos
from tests.system.conftest import MODEL, Up

# Importing it here would patch this process's sockets and threads.
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


def scenario(folder: Path, *clients: dict[str, Any]) -> Path:
    path = folder / "scenario.yaml"
    content = {
        "duration": "4s",
        "warm_up": "1s",
        "models": [{"name": MODEL, "plans": "plans.json"}],
        "links": [{"name": "lan", "uplink": "200mbps", "downlink": "200mbps", "rtt": "5ms"}],
        "edges": [{"name": "shop", "link": "lan"}],
        "clients": [{"edges": "shop", "model": MODEL, **client} for client in clients],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def load(path: Path, server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", "load", str(path), "--server", server, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_scenario_loads_a_live_edge(up: Up, tmp_path: Path) -> None:
    cameras = {"name": "cameras", "count": 2, "arrivals": {"kind": "steady", "period": "250ms"}, "file": "100kB"}
    desks = {"name": "desks", "arrivals": {"kind": "poisson", "rate_per_s": 4.0}, "deadline": "3ms", "file": "100kB"}
    path = scenario(tmp_path, cameras, desks)
    done = load(path, up.address, "--input", str(demo_photos()[0]), "--csv", str(tmp_path / "out"))
    with (tmp_path / "out_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert 20 <= int(rows["cameras"]["Request Count"]) <= 26  # two at four a second, three seconds of them
    assert int(rows["cameras"]["Failure Count"]) == 0
    assert float(rows["cameras"]["Min Response Time"]) > 1.0
    assert int(rows["desks"]["Failure Count"]) == int(rows["desks"]["Request Count"]) > 0
    assert done.returncode == 1  # as locust says it where requests failed
    assert "RATE" in done.stderr or "kept its rate" in done.stderr
    assert "DeadlineExceeded" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_edge_that_is_not_there_ends_the_load_with_the_reason(tmp_path: Path) -> None:
    path = scenario(tmp_path, {"name": "cameras", "arrivals": {"kind": "poisson", "rate_per_s": 1.0}})
    done = load(path, "127.0.0.1:1")
    assert done.returncode == 1
    assert "no edge is ready at 127.0.0.1:1" in done.stderr
