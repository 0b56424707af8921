"""Fleets on a simulated clock: what comes out is what the scenario says, and the same again anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import InvalidConfiguration
from simulations.edge_facts import EdgeFacts
from simulations.fleet import Fleet
from simulations.fleet_plans import read_plans, scaled_table
from simulations.replica_kind import ReplicaKind
from simulations.run_record import STAGES, RunRecord
from simulations.scenario.reading import read_scenario
from tests.simulations.fleet_files import run_scenario, scenario_file
from tests.simulations.test_site import EDGE, FILE, SPLIT, TABLE

CAMERA = {"name": "camera", "edges": "shop", "model": "net", "file": "20kB",
          "arrivals": {"kind": "poisson", "rate_per_s": 1.0}}  # fmt: skip
RUN = """
import sys
from pathlib import Path
from simulations.fleet import Fleet
from simulations.scenario.reading import read_scenario
file = read_scenario(Path(sys.argv[1]))
Fleet(file.scenario, file.folder).run().save(Path(sys.argv[2]))
"""


def words(run: RunRecord, column: str) -> list[str]:
    return [run.words[number] for number in getattr(run.requests, column)]


def shares(run: RunRecord, column: str) -> dict[str, float]:
    found = words(run, column)
    return {word: found.count(word) / len(found) for word in set(found)}


def busy_scenario() -> dict[str, Any]:
    """Something of everything."""
    rates = {"uplink": "2mbps", "downlink": "8mbps", "rtt": "40ms"}
    return {
        "links": [
            {"name": "lan", **rates, "jitter": "5ms", "shared": True},
            {"name": "air", **rates, "outages": {"every": "8s", "for": "2s"}},
        ],
        "edges": [
            {"name": "shop", "count": 2, "link": "lan"},
            {"name": "van", "count": 2, "link": "air", "slowdown": 2, "policy": {"name": "slo", "deadline": "500ms"}},
        ],
        "cloud": {"replicas": 3, "failures": {"every": "10s", "for": "2s"}},
        "clients": [
            {**CAMERA, "count": 2, "deadline": "2s"},
            {**CAMERA, "name": "till", "edges": "van", "request_class": "till", "priority": 1,
             "arrivals": {"kind": "closed-loop", "users": 2, "think": "500ms"}},
        ],
    }  # fmt: skip


def test_a_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    path, here, there = scenario_file(tmp_path, **busy_scenario()), tmp_path / "here.npz", tmp_path / "there.npz"
    hash_seed = "7" if os.environ.get("PYTHONHASHSEED") != "7" else "8"
    command = [sys.executable, "-c", RUN, str(path), str(there)]
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True, timeout=120)
    file = read_scenario(path)
    Fleet(file.scenario, file.folder).run().save(here)
    assert here.read_bytes() == there.read_bytes()


def test_replications_and_seeds_differ_and_follow_each_other(tmp_path: Path) -> None:
    runs = [run_scenario(tmp_path, seed=seed, replication=number) for seed, number in ((1, 0), (1, 1), (2, 0))]
    first, second, other = (run.requests.time_s.tolist() for run in runs)
    assert first != second
    assert second == other
    assert [run.facts.seed for run in runs] == [1, 2, 2]


def test_a_policy_that_cannot_be_made_is_refused_before_any_run(tmp_path: Path) -> None:
    (tmp_path / "broken_policy.py").write_text(
        "class Broken:\n    def __init__(self): raise RuntimeError\n    def choose(self, request, link, rng): ...\n"
    )
    edges = [{"name": "shop", "link": "lan", "policy": "broken_policy:Broken"}]
    file = read_scenario(scenario_file(tmp_path, edges=edges))
    with pytest.raises(InvalidConfiguration, match="cannot be made"):
        Fleet(file.scenario, file.folder)


def test_requests_come_at_the_rate_and_all_end(tmp_path: Path) -> None:
    run = run_scenario(tmp_path, edges=[{"name": "shop", "count": 40, "link": "lan"}], cloud={"replicas": 40})
    assert len(run.requests) == pytest.approx(40 * 30, rel=0.1)
    assert set(words(run, "outcome")) <= {"answered", "resumed", "refused", "dropped"}
    assert len(set(words(run, "edge"))) == 40
    assert shares(run, "outcome")["answered"] > 0.99


def test_stages_sum_to_what_a_request_took(tmp_path: Path) -> None:
    run = run_scenario(tmp_path, **busy_scenario())
    finished = np.isin(run.requests.outcome, [run.id_of("answered"), run.id_of("resumed")])
    stages = sum(getattr(run.requests, stage) for stage in STAGES)
    assert {"answered", "resumed"} <= set(words(run, "outcome"))
    assert stages[finished] == pytest.approx(run.requests.took_s[finished])
    assert all((getattr(run.requests, stage) >= -1e-9).all() for stage in STAGES)


def test_the_same_requests_come_under_every_policy(tmp_path: Path) -> None:
    runs = [
        run_scenario(tmp_path, edges=[{"name": "shop", "count": 2, "link": "lan", "policy": policy}])
        for policy in ("edge-only", "cloud-only")
    ]
    assert runs[0].requests.time_s.tolist() == runs[1].requests.time_s.tolist()
    assert [set(words(run, "plan")) for run in runs] == [{EDGE.plan.plan_id}, {FILE.plan.plan_id}]


def test_policies_are_by_request_class_and_by_model(tmp_path: Path) -> None:
    run = run_scenario(
        tmp_path,
        models=[{"name": "net", "plans": "net.json"}, {"name": "other", "plans": "net.json", "policy": "edge-only"}],
        edges=[{"name": "shop", "link": "lan", "request_classes": {"split": {"name": "fixed", "plan": "split"}}}],
        clients=[
            {**CAMERA, "name": "a", "request_class": "split"},
            {**CAMERA, "name": "b", "model": "other"},
        ],
    )
    plans = {(client, plan) for client, plan in zip(words(run, "client"), words(run, "plan"), strict=True)}
    assert plans == {("a", SPLIT.plan.plan_id), ("b", EDGE.plan.plan_id)}


def test_edges_of_a_group_wait_for_each_other_on_a_link_that_they_share(tmp_path: Path) -> None:
    def p90_s(shared: bool) -> float:
        link = {"name": "lan", "uplink": "2mbps", "downlink": "8mbps", "rtt": "40ms", "shared": shared}
        edges = [{"name": "shop", "count": 10, "link": "lan", "policy": "cloud-only"}]
        run = run_scenario(tmp_path, links=[link], edges=edges, cloud={"replicas": 10})
        return float(np.quantile(run.requests.took_s, 0.9))

    # Ten requests of 20 kB a second are 80 % of the link: in the mean each waits for two others.
    assert p90_s(shared=True) > p90_s(shared=False) + 0.2


@pytest.mark.parametrize(("start", "apart"), [({}, 4), ({"start": "1s"}, 1)])
def test_clients_that_play_one_recording_begin_apart_from_each_other(
    tmp_path: Path, start: dict[str, str], apart: int
) -> None:
    (tmp_path / "log.txt").write_text("0\n1\n3\n9")
    client = {**CAMERA, "count": 2, "arrivals": {"kind": "recorded", "file": "log.txt", **start}}
    run = run_scenario(tmp_path, edges=[{"name": "shop", "count": 2, "link": "lan"}], clients=[client])
    assert len(run.requests) == 4 * 4
    assert len(set(run.requests.time_s.round(6).tolist())) == 4 * apart


def test_users_of_a_closed_loop_wait_for_their_answers(tmp_path: Path) -> None:
    client = {**CAMERA, "arrivals": {"kind": "closed-loop", "users": 3, "think": "0s"}}
    run = run_scenario(tmp_path, edges=[{"name": "shop", "link": "lan", "policy": "edge-only"}], clients=[client])
    # Three at once, each takes 0.3 s of the only worker.
    assert len(run.requests) == pytest.approx(30 / 0.3, rel=0.05)
    assert float(np.median(run.requests.took_s)) == pytest.approx(0.9, rel=0.1)


def test_users_think_once_their_answer_is_back_with_them(tmp_path: Path) -> None:
    client = {**CAMERA, "arrivals": {"kind": "closed-loop", "users": 1, "think": "0s"}}
    edges = [{"name": "shop", "link": "lan", "policy": "edge-only", "overhead": "100ms"}]
    run = run_scenario(tmp_path, edges=edges, clients=[client], spread=0.0)
    assert len(run.requests) == pytest.approx(30 / (0.3 + 0.1), abs=1)


def test_as_many_requests_are_before_the_edges_compute_as_its_batches_are_large(tmp_path: Path) -> None:
    """Clients share turns: who comes after ten others of one client waits for those whose turn it was already."""
    many, late = tmp_path / "many.txt", tmp_path / "late.txt"
    many.write_text("0\n" * 10)
    late.write_text("0\n0.01")
    clients = [
        {**CAMERA, "name": path.stem, "arrivals": {"kind": "recorded", "file": path.name, "start": "0s"}}
        for path in (many, late)
    ]

    def late_took_s(**edge: Any) -> float:
        edges = [{"name": "shop", "link": "lan", "policy": "edge-only", **edge}]
        run = run_scenario(tmp_path, edges=edges, clients=clients, spread=0.0)
        return float(run.requests.took_s[run.requests.client == run.id_of("late")][-1])

    assert late_took_s() == pytest.approx(12 * 0.3 - 0.01)
    assert late_took_s(batching={"max_batch": 1}) < 3.0


def test_users_who_are_refused_ask_again_later_and_not_at_once(tmp_path: Path) -> None:
    client = {**CAMERA, "deadline": "10ms", "arrivals": {"kind": "closed-loop", "users": 1, "think": "0s"}}
    run = run_scenario(tmp_path, edges=[{"name": "shop", "link": "lan"}], clients=[client])
    assert set(words(run, "outcome")) == {"refused"}
    assert set(words(run, "reason")) == {"deadline"}
    assert 30 / 0.1 * 0.9 < len(run.requests) <= 30 / 0.1 + 1


def test_a_replica_that_fails_loses_no_request(tmp_path: Path) -> None:
    cloud = {"replicas": 2, "failures": [{"at": "10s", "for": "10s", "replica": 0}]}
    edges = [{"name": "shop", "count": 20, "link": "lan", "policy": "cloud-only"}]
    run = run_scenario(tmp_path, edges=edges, cloud=cloud, clients=[CAMERA])
    assert set(words(run, "outcome")) <= {"answered", "resumed"}
    away = (run.requests.time_s > 11.0) & (run.requests.time_s < 19.0)
    assert {run.words[number] for number in run.requests.replica[away]} <= {"1", ""}
    assert {"0", "1"} <= {run.words[number] for number in run.requests.replica[~away]}


def test_replicas_follow_the_load(tmp_path: Path) -> None:
    rule = {"min_replicas": 1, "max_replicas": 6, "scale_down_after": "60s"}
    cloud = {"autoscaling": rule, "start": "2s", "batching": {"max_batch": 1}}
    edges = [{"name": "shop", "count": 60, "link": "lan", "policy": "cloud-only"}]
    run = run_scenario(tmp_path, edges=edges, cloud=cloud, clients=[CAMERA])
    (series,) = (number for number, one in enumerate(run.series) if one.measure == "replicas")
    replicas = run.samples.value[run.samples.series == series]
    assert replicas[0] == 1
    assert 3 <= replicas[-1] <= 6  # 60 requests of 50 ms a second, at a busy share of 0.8


@pytest.mark.parametrize(("policy", "woken"), [("edge-only", False), ("latency", True)])
def test_requests_that_stay_on_the_edge_wake_no_replica(tmp_path: Path, policy: str, woken: bool) -> None:
    rule = {"min_replicas": 0, "max_replicas": 2, "scale_down_after": "5s"}
    edges = [{"name": "shop", "link": "lan", "policy": policy}]
    clients = [{**CAMERA, "arrivals": {"kind": "steady", "period": "10s"}}]  # it has gone before the next
    run = run_scenario(tmp_path, edges=edges, cloud={"autoscaling": rule, "start": "2s"}, clients=clients)
    (series,) = (number for number, one in enumerate(run.series) if one.measure == "replicas")
    later = (run.samples.series == series) & (run.samples.time_s > 12.0)
    assert bool(run.samples.value[later].any()) is woken


def test_a_faster_cloud_and_a_slower_edge_take_as_much_less_and_more(tmp_path: Path) -> None:
    quick: dict[str, Any] = {"spread": 0.0, "cloud": {"replicas": 10, "speed": 2}}
    cloud = run_scenario(tmp_path, edges=[{"name": "shop", "link": "lan", "policy": "cloud-only"}], **quick)
    edge = run_scenario(
        tmp_path, edges=[{"name": "shop", "link": "lan", "policy": "edge-only", "slowdown": 1.5}],
        clients=[{**CAMERA, "arrivals": {"kind": "steady", "period": "1s"}}], **quick,
    )  # fmt: skip
    assert np.median(cloud.requests.cloud_s) == pytest.approx(0.025)
    assert np.median(edge.requests.took_s) == pytest.approx(0.45)


def test_requests_that_were_recorded_at_one_moment_come_at_one_moment(tmp_path: Path) -> None:
    """0.503 + (1.506 - 0.503) is an ulp more than 1.506: the last request would have been before now."""
    times_s = [0.0, 0.503, 1.506, 1.506]
    (tmp_path / "log.txt").write_text("".join(f"{time_s}\n" for time_s in times_s))
    client = {**CAMERA, "arrivals": {"kind": "recorded", "file": "log.txt", "start": "0s"}}
    run = run_scenario(tmp_path, edges=[{"name": "shop", "link": "lan"}], clients=[client])
    assert run.requests.time_s.tolist() == times_s


@pytest.mark.parametrize("own", [False, True])
def test_a_model_that_needs_the_cloud_is_refused(tmp_path: Path, own: bool) -> None:
    """What no replica answers fails live, and would be finished here."""
    (tmp_path / "cloud.json").write_text(replace(TABLE, entries=(SPLIT, FILE)).to_json())
    cameras = [{"name": "shop", "link": "lan", "plans": {"net": "cloud.json"} if own else {}}]
    models = [{"name": "net", "plans": "net.json" if own else "cloud.json"}]
    field = r"edges\.shop\.plans\.net" if own else r"models\.net\.plans"
    with pytest.raises(InvalidConfiguration, match=rf"{field}: holds no plan by which an edge answers files alone"):
        run_scenario(tmp_path, edges=cameras, clients=[CAMERA], models=models)


def test_a_request_meets_the_same_jitter_whoever_else_asks(tmp_path: Path) -> None:
    """All of what the till meets but for the few that wait for one of the crowd's."""
    link = {"name": "lan", "uplink": "800mbps", "downlink": "800mbps", "rtt": "40ms", "jitter": "10ms"}
    edges = [{"name": "shop", "link": "lan", "policy": "cloud-only"}]
    till = {**CAMERA, "name": "till", "arrivals": {"kind": "poisson", "rate_per_s": 2.0}}

    def way_s(*others: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        run = run_scenario(tmp_path, links=[link], edges=edges, clients=[till, *others], cloud={"replicas": 9})
        mine = run.requests.where(run.requests.client == run.id_of("till"))
        return mine.uplink_s + mine.downlink_s

    alone_s, among_s = way_s(), way_s({**CAMERA, "name": "crowd"})
    assert np.std(alone_s) > 0.005
    assert np.mean(np.isclose(alone_s, among_s, atol=1e-9)) > 0.9


def curved(folder: Path, name: str = "curved.json", two_s: float = 0.29) -> list[dict[str, str]]:
    """The model, its edge-only and cloud-only plans in batches that cost nothing but 10 ms a request of codecs."""
    edge = replace(EDGE, costs=replace(EDGE.costs, prefix_s=((1, 0.29), (2, two_s), (8, two_s))))
    file = replace(FILE, costs=replace(FILE.costs, suffix_s=((1, 0.04), (8, 0.04))))
    (folder / name).write_text(replace(TABLE, entries=(edge, file)).to_json())
    return [{"name": "net", "plans": name}]


def test_prefixes_that_wait_for_an_edge_run_as_one_in_their_measured_time(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("0\n" * 5)
    client = {**CAMERA, "arrivals": {"kind": "recorded", "file": path.name, "start": "0s"}}

    def run(**edge: Any) -> RunRecord:
        edges = [{"name": "shop", "link": "lan", "policy": "edge-only", **edge}]
        return run_scenario(tmp_path, models=curved(tmp_path), edges=edges, clients=[client], spread=0.0)

    joined = run()
    assert joined.requests.took_s == pytest.approx([0.3] + [0.3 + 0.29 + 4 * 0.01] * 4)
    assert joined.requests.edge_s == pytest.approx(0.3)  # a request's own; the rest of its batch was its wait
    assert run(batching={"max_batch": 1}).requests.took_s == pytest.approx([0.3 * n for n in range(1, 6)])
    slowed = run(slowdown=2)
    assert slowed.requests.took_s == pytest.approx(2 * joined.requests.took_s)


def test_prefixes_of_which_two_at_once_save_nothing_run_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("0\n" * 5)
    client = {**CAMERA, "arrivals": {"kind": "recorded", "file": path.name, "start": "0s"}}
    edges = [{"name": "shop", "link": "lan", "policy": "edge-only"}]
    models = curved(tmp_path, two_s=0.57)
    run = run_scenario(tmp_path, models=models, edges=edges, clients=[client], spread=0.0)
    assert run.requests.took_s == pytest.approx([0.3 * n for n in range(1, 6)])


def test_files_and_tensors_share_no_batch_on_an_edge() -> None:
    facts = EdgeFacts({"net": TABLE})
    tensor = replace(EDGE, plan=replace(EDGE.plan, form="tensor"))
    assert facts.group(EDGE) != facts.group(tensor)


def test_a_faster_cloud_takes_as_much_less_for_a_batch(tmp_path: Path) -> None:
    def busy_s(speed: float) -> float:
        table = scaled_table(read_plans(tmp_path / curved(tmp_path)[0]["plans"], "models.net.plans"), 1.0, speed)
        return ReplicaKind().suffix(table.by_id(FILE.plan.plan_id)).times.at(8)

    assert (busy_s(1.0), busy_s(2.0)) == pytest.approx((0.04 + 8 * 0.01, 0.02 + 8 * 0.005))


@pytest.mark.parametrize(
    ("plans", "kind"),
    [(None, "cloud-only"), (["split"], "split"), (["split", FILE.plan.plan_id], "cloud-only"), ([], "edge-only")],
)
def test_edges_use_what_replicas_offer_and_what_needs_none(tmp_path: Path, plans: list[str] | None, kind: str) -> None:
    """The link carries the file soonest, then the cut."""
    run = run_scenario(tmp_path, cloud={"replicas": 1, "plans": plans})
    used = shares(run, "kind")
    assert max(used, key=used.__getitem__) == kind
    assert ("cloud-only" in used) == (kind == "cloud-only")
    assert used.get(kind, 0.0) > 0.8


@pytest.mark.parametrize("name", ["splits", "edge-only"])
def test_a_plan_that_no_replica_could_offer_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=rf"cloud\.plans: is no plan of a replica.*{name}"):
        run_scenario(tmp_path, cloud={"replicas": 1, "plans": ["split", name]})


def test_replicas_must_offer_something_where_edges_have_nothing_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(replace(TABLE, entries=(FILE,)).to_json())
    models = [{"name": "net", "plans": "file.json"}]
    with pytest.raises(InvalidConfiguration, match=r"cloud\.plans: leaves no plan of net"):
        run_scenario(tmp_path, models=models, cloud={"replicas": 1, "plans": []})


def test_overhead_is_in_what_a_request_took(tmp_path: Path) -> None:
    edges = [{"name": "shop", "link": "lan", "policy": "cloud-only", "overhead": "10ms"}]
    client = {**CAMERA, "arrivals": {"kind": "steady", "period": "1s"}}
    run = run_scenario(tmp_path, edges=edges, clients=[client], spread=0.0)
    took_s = 0.010 + 0.020 + 0.020 + 0.050 + 0.004 + 0.020
    assert run.requests.took_s == pytest.approx(took_s)


def test_what_a_request_to_the_cloud_takes_besides_is_on_its_way_up_and_the_edge_learns_it(tmp_path: Path) -> None:
    """20 kB at 8 Mbit/s are 20 ms; another 10 ms look like a line that carries less."""
    client = {**CAMERA, "arrivals": {"kind": "steady", "period": "1s"}}

    def run(overhead: str) -> tuple[float, float, float]:
        edges = [{"name": "shop", "link": "lan", "policy": "cloud-only", "cloud_overhead": overhead}]
        record = run_scenario(tmp_path, edges=edges, clients=[client], spread=0.0)
        (series,) = (number for number, one in enumerate(record.series) if one.measure == "uplink_estimate_bps")
        believed_bps = record.samples.value[record.samples.series == series][-1]
        requests = record.counted()
        return float(requests.uplink_s.mean()), float(requests.cloud_queue_s.max()), float(believed_bps)

    uplink_s, queue_s, believed_bps = run("10ms")
    _, _, without_bps = run("0s")
    assert [uplink_s, queue_s] == pytest.approx([0.020 + 0.020 + 0.010, 0.0], abs=1e-6)
    assert believed_bps < 0.8 * without_bps


def test_resources_were_as_busy_as_the_requests_made_them(tmp_path: Path) -> None:
    run = run_scenario(tmp_path, edges=[{"name": "shop", "count": 2, "link": "lan", "policy": "cloud-only"}])
    counted = run.counted()
    busy = {one.kind: one for one in run.resources}
    assert busy["replica"].present_s == 25.0
    assert busy["replica"].busy_s == pytest.approx(float(counted.cloud_s.sum()), rel=0.1)
    assert busy["uplink"].busy_s == pytest.approx(float(counted.up_bytes.sum()) * 8 / 8e6, rel=0.1)
    assert busy["edge"].busy_s == 0.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"models": [{"name": "net", "plans": "none.json"}]}, "models.net.plans"),
        ({"models": [{"name": "net", "plans": "scenario.yaml"}]}, "models.net.plans"),
        ({"links": [{"name": "lan", "uplink": {"trace": "net.json"}, "downlink": "1mbps"}]}, "links.lan.uplink"),
        ({"edges": [{"name": "shop", "link": "lan", "policy": "best"}]}, "edges.shop.policy"),
        (
            {"edges": [{"name": "shop", "link": "lan", "policy": {"name": "slo", "probability": 2}}]},
            "edges.shop.policy.probability",
        ),
        ({"clients": [{**CAMERA, "file": None}]}, "clients.camera.file"),
    ],
)
def test_what_a_file_of_the_scenario_lacks_is_named_by_field(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    file = read_scenario(scenario_file(tmp_path, **changes))
    with pytest.raises(InvalidConfiguration) as raised:
        Fleet(file.scenario, file.folder)
    assert raised.value.field == field
