"""What is sampled of a fleet's links while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulations.run_record import Measure, RunRecord, Series
from tests.simulations.fleet_files import run_scenario


def samples(run: RunRecord, measure: Measure, of: str) -> dict[float, float]:
    """Values by their moments."""
    mine = run.samples.series == run.series.index(Series(measure, of))
    return dict(zip(run.samples.time_s[mine].tolist(), run.samples.value[mine].tolist(), strict=True))


def camera(folder: Path, text: str) -> dict[str, Any]:
    (folder / "log.txt").write_text(text)
    arrivals = {"kind": "recorded", "file": "log.txt", "start": "0s"}
    return {"name": "camera", "edges": "shop", "model": "net", "file": "20kB", "arrivals": arrivals}


def test_what_waits_for_uplinks_is_seen_by_link(tmp_path: Path) -> None:
    """At each of two edges ten files of 80 ms."""
    link = {"name": "lan", "uplink": "2mbps", "downlink": "8mbps", "rtt": "40ms"}
    edges = [{"name": "shop", "count": 2, "link": "lan", "policy": "cloud-only"}]
    run = run_scenario(
        tmp_path, links=[link], edges=edges, clients=[camera(tmp_path, "0\n" * 10)], cloud={"replicas": 9}
    )
    waits_s = samples(run, "uplink_queue_s", "lan")
    assert waits_s[0.125] == pytest.approx(2 * (0.8 - 0.125), abs=0.15)
    assert waits_s[15.0] == 0.0


def test_what_a_link_carries_stands_beside_what_is_believed_of_it(tmp_path: Path) -> None:
    (tmp_path / "ride").write_text("0 8\n10 4\n")
    link = {"name": "lan", "uplink": {"trace": "ride", "start": "0s"}, "downlink": "8mbps",
            "outages": [{"at": "15s", "for": "2s"}]}  # fmt: skip
    edges = [{"name": "shop", "count": 2, "link": "lan", "policy": "cloud-only"}]
    run = run_scenario(tmp_path, links=[link], edges=edges, clients=[camera(tmp_path, "0\n1\n2")])
    carried_bps = samples(run, "uplink_bps", "shop-0")
    assert [carried_bps[time_s] for time_s in (5.0, 12.5, 15.0, 16.5, 17.5, 25.0)] == [8e6, 4e6, 0, 0, 4e6, 8e6]
    assert samples(run, "uplink_estimate_bps", "shop-0").keys() <= carried_bps.keys()


def test_what_waits_for_edges_is_seen_by_group(tmp_path: Path) -> None:
    """At each of two edges three requests of 0.3 s."""
    edges = [{"name": "shop", "count": 2, "link": "lan", "policy": "edge-only"}]
    run = run_scenario(tmp_path, edges=edges, clients=[camera(tmp_path, "0\n0\n0")], spread=0.0)
    waits_s = samples(run, "edge_queue_s", "shop")
    assert waits_s[0.125] == pytest.approx(2 * (0.9 - 0.125))
    assert waits_s[0.75] == pytest.approx(2 * (0.9 - 0.75))
    assert waits_s[15.0] == 0.0
