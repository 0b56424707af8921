"""What edges and links of a fleet did: added up, the busiest of many, what they took, whose a link is."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partitioner.condition import CostVector
from partitioner.link import Link
from partitioner.measurements import Power
from partitioner.objectives import energy_stage
from partitioner.plan_table import PlanEntry
from simulations.answers.energy import energy_answers
from simulations.answers.fleet import UtilisationAnswer, utilisation_answers
from simulations.run_record import RunRecord
from tests.simulations.fleet_files import run_scenario
from tests.simulations.test_site import EDGE, FILE, SPLIT

CAMERA = {"name": "camera", "edges": "shop", "model": "net", "file": "20kB",
          "arrivals": {"kind": "poisson", "rate_per_s": 1.0}}  # fmt: skip
POWER = {"busy": "5W", "idle": "1W", "radio": "2W"}


def told(run: RunRecord) -> dict[tuple[str, str], UtilisationAnswer]:
    return {(one.kind, one.group): one for one in utilisation_answers([run], 0.95)}


def by_edge(run: RunRecord, values: Any) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for number, value in zip(run.requests.edge.tolist(), values.tolist(), strict=True):
        sums[run.words[number]] += value
    return sums


def recorded(folder: Path, text: str) -> dict[str, Any]:
    """A camera that asks at these moments, at every edge."""
    (folder / "log.txt").write_text(text)
    return {**CAMERA, "arrivals": {"kind": "recorded", "file": "log.txt", "start": "0s"}}


# ---- the busiest ---------------------------------------------------------------------------------------------------


def test_the_busiest_link_of_a_group_is_one_link_and_not_their_mean(tmp_path: Path) -> None:
    client = {**CAMERA, "arrivals": {"kind": "poisson", "rate_per_s": 0.02}}
    edges = [{"name": "shop", "count": 6, "link": "lan", "policy": "cloud-only"}]
    run = run_scenario(tmp_path, edges=edges, clients=[client], warm_up="0s")
    sent = by_edge(run, run.requests.up_bytes)
    assert 0 < len(sent) < 6  # the others have nothing to do
    found = told(run)["uplink", "lan"]
    assert found.n == 6
    assert found.share.value == pytest.approx(sum(sent.values()) / 1e6 / 30 / 6)
    assert found.busiest == pytest.approx(max(sent.values()) / 1e6 / 30)


def test_the_busiest_of_very_many_edges_is_one_of_them(tmp_path: Path) -> None:
    client = {**CAMERA, "arrivals": {"kind": "poisson", "rate_per_s": 0.1}}
    edges = [{"name": "shop", "count": 201, "link": "lan", "policy": "edge-only"}]
    run = run_scenario(tmp_path, edges=edges, clients=[client], warm_up="0s", duration="10s")
    began_s = run.requests.time_s + run.requests.edge_queue_s
    worked_s = by_edge(run, np.minimum(run.requests.edge_s, np.maximum(0.0, 10.0 - began_s)))
    found = told(run)["edge", "shop"]
    assert sum(one.kind == "edge" for one in run.resources) == 1
    assert found.share.value == pytest.approx(sum(worked_s.values()) / 2010)
    assert found.busiest == pytest.approx(max(worked_s.values()) / 10)


# ---- links that are shared -----------------------------------------------------------------------------------------


def test_groups_that_name_one_shared_link_share_one_line(tmp_path: Path) -> None:
    def run(robots_link: str) -> RunRecord:
        rates = {"uplink": "2mbps", "downlink": "8mbps", "rtt": "40ms", "shared": True}
        links = [{"name": name, **rates} for name in ("lan", "air")]
        edges = [
            {"name": name, "count": 5, "link": link, "policy": "cloud-only"}
            for name, link in (("shop", "lan"), ("robot", robots_link))
        ]
        clients = [CAMERA, {**CAMERA, "name": "arm", "edges": "robot"}]
        return run_scenario(tmp_path, links=links, edges=edges, clients=clients, cloud={"replicas": 10})

    together, apart = run("lan"), run("air")
    assert [told(together)["uplink", "lan"].n, told(apart)["uplink", "lan"].n] == [1, 1]
    assert ("uplink", "air") not in told(together)
    # Ten requests of 20 kB a second are 80 % of a line, five are 40 %.
    assert told(together)["uplink", "lan"].share.value > 1.7 * told(apart)["uplink", "lan"].share.value
    waited, alone = (float(np.quantile(one.requests.took_s, 0.9)) for one in (together, apart))
    assert waited > alone + 0.1


def test_groups_whose_edges_have_a_link_each_are_told_of_together(tmp_path: Path) -> None:
    edges = [{"name": name, "count": 2, "link": "lan", "policy": "cloud-only"} for name in ("shop", "robot")]
    clients = [CAMERA, {**CAMERA, "name": "arm", "edges": "robot"}]
    assert told(run_scenario(tmp_path, edges=edges, clients=clients))["uplink", "lan"].n == 4


# ---- energy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 10])
def test_an_edge_is_idle_once_whoever_waits_and_also_where_nobody_does(tmp_path: Path, at_once: int) -> None:
    edges = [{"name": "shop", "link": "lan", "policy": "edge-only", "power": POWER}]
    run = run_scenario(tmp_path, edges=edges, clients=[recorded(tmp_path, "0\n" * at_once)], spread=0.0, warm_up="0s")
    (edge,) = (one for one in run.resources if one.kind == "edge")
    assert edge.energy_j == pytest.approx(1.0 * 30 + (5.0 - 1.0) * 0.3 * at_once)


def test_the_radio_is_that_of_an_edges_own_bytes_on_a_line_that_is_shared(tmp_path: Path) -> None:
    rates = {"uplink": "8mbps", "downlink": "8mbps", "rtt": "40ms", "shared": True}
    edges = [{"name": "shop", "count": 2, "link": "lan", "policy": "cloud-only", "power": POWER}]
    run = run_scenario(
        tmp_path, links=[{"name": "lan", **rates}], edges=edges, clients=[recorded(tmp_path, "0\n1\n2")],
        spread=0.0, warm_up="0s",
    )  # fmt: skip
    energies_j = [one.energy_j for one in run.resources if one.kind == "edge"]
    assert energies_j == pytest.approx([1.0 * 30 + 2.0 * 3 * (0.020 + 0.004)] * 2)


@pytest.mark.parametrize("entry", [EDGE, SPLIT, FILE], ids=["edge-only", "split", "cloud-only"])
def test_an_edge_that_always_has_one_request_takes_what_the_energy_policy_prices(
    tmp_path: Path, entry: PlanEntry
) -> None:
    costs = entry.costs
    vector = CostVector(costs.edge.at(1), entry.uplink_bytes(1, 20_000), entry.downlink_bytes(1), costs.cloud.at(1))
    stage = energy_stage(Link(8e6, 8e6, 0.04), Power(5.0, 1.0, 2.0, "the scenario"))
    policy = {"name": "fixed", "plan": entry.plan.plan_id}
    client = {**CAMERA, "arrivals": {"kind": "closed-loop", "users": 1, "think": "0s"}}
    edges = [{"name": "shop", "link": "lan", "policy": policy, "power": POWER}]
    found, _ = energy_answers([run_scenario(tmp_path, edges=edges, clients=[client], spread=0.0)], 0.95)
    assert found.per_answer_j is not None
    assert found.per_answer_j.value == pytest.approx(stage.value(vector, crosses=entry is not EDGE), rel=0.02)


def replicas_of(run: RunRecord) -> dict[str, Any]:
    return {one.name: one for one in run.resources if one.kind == "replica"}


def test_a_replica_is_idle_for_all_the_time_in_which_it_does_not_compute(tmp_path: Path) -> None:
    edges = [{"name": "shop", "link": "lan", "policy": "cloud-only"}]
    cloud = {"replicas": 2, "power": {"busy": "300W", "idle": "60W"}}
    run = run_scenario(
        tmp_path, edges=edges, clients=[recorded(tmp_path, "0\n10\n20")], cloud=cloud, spread=0.0, warm_up="0s"
    )
    found = replicas_of(run)
    assert sum(one.busy_s for one in found.values()) == pytest.approx(3 * 0.050)
    for one in found.values():
        assert one.energy_j == pytest.approx(60.0 * 30 + (300.0 - 60.0) * one.busy_s)


def test_a_replica_takes_nothing_before_it_is_asked_for_and_idles_while_it_starts(tmp_path: Path) -> None:
    rule = {"min_replicas": 0, "max_replicas": 1, "scale_down_after": "5s"}
    cloud = {"autoscaling": rule, "start": "4s", "power": {"busy": "300W", "idle": "60W"}}
    client = recorded(tmp_path, "0\n20\n")
    client["arrivals"]["start"] = "5s"  # so that one comes at 15 s, when the first replica has gone
    run = run_scenario(tmp_path, edges=[{"name": "shop", "link": "lan"}], clients=[client], cloud=cloud, warm_up="0s")
    first, woken = replicas_of(run).values()
    assert first.present_s < 10.0
    assert 4.0 <= woken.present_s < 15.0
    for one in (first, woken):
        assert one.energy_j == pytest.approx(60.0 * one.present_s + (300.0 - 60.0) * one.busy_s)


def test_without_power_nobody_knows_what_replicas_took(tmp_path: Path) -> None:
    assert all(one.energy_j is None for one in replicas_of(run_scenario(tmp_path)).values())
