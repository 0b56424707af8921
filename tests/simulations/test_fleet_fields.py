"""What single fields of a scenario change in its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulations.run_record import RunRecord
from tests.simulations.fleet_files import run_scenario

CAMERA = {"name": "camera", "edges": "shop", "model": "net", "file": "20kB"}
ALONE = {"replicas": 1, "batching": {"max_batch": 1}}


def played(folder: Path, times_s: list[float], **client: Any) -> dict[str, Any]:
    """A client whose requests come at these moments, the first of which is 0."""
    asked = {**CAMERA, **client}
    (folder / f"{asked['name']}.txt").write_text("".join(f"{time_s}\n" for time_s in times_s))
    return {**asked, "arrivals": {"kind": "recorded", "file": f"{asked['name']}.txt", "start": "0s"}}


def shop(policy: str, **fields: Any) -> dict[str, Any]:
    return {"name": "shop", "link": "lan", "policy": policy, **fields}


def ended(run: RunRecord, outcome: str) -> list[float]:
    """When the requests came that ended so."""
    times_s: list[float] = run.requests.time_s[run.requests.outcome == run.id_of(outcome)].tolist()
    return times_s


@pytest.mark.parametrize("registry_s", [0.5, 5.0])
def test_an_edge_hears_so_late_that_a_replica_is_there_again(tmp_path: Path, registry_s: float) -> None:
    failure = {"at": "10s", "for": "2s", "replica": 0}
    client = {**CAMERA, "arrivals": {"kind": "steady", "period": "100ms"}}
    cloud = {**ALONE, "registry": registry_s, "failures": [failure]}
    run = run_scenario(tmp_path, edges=[shop("cloud-only")], clients=[client], cloud=cloud)
    known_s = 10.0 + 2.0 + registry_s + 0.020 + 3 * 0.040  # the way of the word, and three round trips to connect
    assert known_s - 0.1 <= max(ended(run, "refused")) < known_s


@pytest.mark.parametrize(("report", "kind"), [("500ms", "edge-only"), ("1000s", "cloud-only")])
def test_an_edge_avoids_a_queue_of_which_a_report_has_told(tmp_path: Path, report: str, kind: str) -> None:
    """Ten seconds of others' work come at once; the till's next request comes before any of it is given up."""
    edges = [shop("cloud-only", name="crowd", count=20), shop("latency", explore=0.0)]
    clients = [
        played(tmp_path, [0.0, *[5.0] * 10], name="many", edges="crowd"),
        played(tmp_path, [0.0, 1.0, 2.0, 3.0, 4.0, 5.9], name="till"),
    ]
    cloud = {**ALONE, "report": report}
    run = run_scenario(tmp_path, edges=edges, clients=clients, cloud=cloud, spread=0.0)
    till = run.requests.kind[run.requests.client == run.id_of("till")]
    assert [run.words[number] for number in till[-2:]] == ["cloud-only", kind]


def most_at_once(run: RunRecord) -> int:
    """Requests that the replica had, of those that it answered."""
    one = run.requests
    crossed = (one.outcome == run.id_of("answered")) & (one.cloud_s > 0.0)
    came_s: list[float] = (one.time_s + one.edge_queue_s + one.edge_s + one.uplink_s)[crossed].tolist()
    stay_s: list[float] = (one.cloud_queue_s + one.cloud_s)[crossed].tolist()
    stays = [(came, came + stay) for came, stay in zip(came_s, stay_s, strict=True)]
    return max(sum(came <= moment + 1e-9 < left for came, left in stays) for moment in came_s)


@pytest.mark.parametrize(("queue", "most"), [(1, 1), (3, 3), (256, 7)])
def test_a_replica_takes_so_many_requests_and_the_edge_finishes_the_others(
    tmp_path: Path, queue: int, most: int
) -> None:
    clients = [played(tmp_path, [0.0] * 10)]  # one is there every 20 ms, and takes 50
    run = run_scenario(
        tmp_path, edges=[shop("cloud-only")], clients=clients, cloud={**ALONE, "queue": queue}, spread=0.0
    )
    assert most_at_once(run) == most
    assert bool(ended(run, "resumed")) == (queue < 10)


@pytest.mark.parametrize(("queue", "shed"), [(5, 15), (12, 8), (128, 0)])
def test_an_edge_lets_in_so_many_requests(tmp_path: Path, queue: int, shed: int) -> None:
    clients = [played(tmp_path, [0.0] * 20)]
    run = run_scenario(tmp_path, edges=[shop("edge-only", queue=queue)], clients=clients)
    assert len(ended(run, "refused")) == shed
    assert len(ended(run, "answered")) == 20 - shed


@pytest.mark.parametrize(("explore", "looks"), [(0.0, False), (1.0, True)])
def test_such_a_share_of_requests_looks_at_a_link_that_was_not_seen_lately(
    tmp_path: Path, explore: float, looks: bool
) -> None:
    """So far away that the edge itself is quicker, and not so far that a look costs too much."""
    link = {"name": "lan", "uplink": "8mbps", "downlink": "8mbps", "rtt": "300ms"}
    client = {**CAMERA, "arrivals": {"kind": "steady", "period": "1s"}}
    edges = [shop("latency", explore=explore)]
    run = run_scenario(tmp_path, links=[link], edges=edges, clients=[client], spread=0.0)
    crossed_s = run.requests.time_s[(run.requests.up_bytes > 0) & (run.requests.time_s > 1.0)].tolist()
    assert bool(crossed_s) is looks
    assert not looks or min(crossed_s) > 10.0  # until then it was seen lately: by what a new connection sends


def test_the_surer_requests_have_to_end_in_time_the_fewer_are_let_in(tmp_path: Path) -> None:
    """Many at once wait for each other, by what is only predicted; one that comes alone is not asked to be sure."""

    def refused(probability: float, at_once: int) -> int:
        moments_s = [10.0 * number for number in range(3) for _ in range(at_once)]
        clients = [played(tmp_path, moments_s, deadline="1s")]
        edges = [shop("cloud-only", admission={"probability": probability})]
        return len(ended(run_scenario(tmp_path, edges=edges, clients=clients, cloud=ALONE, spread=0.0), "refused"))

    assert refused(0.5, at_once=1) == refused(0.99, at_once=1) == 0
    assert refused(0.5, at_once=16) < refused(0.9, at_once=16) < refused(0.99, at_once=16)


@pytest.mark.parametrize(("rtt", "trips_s"), [({}, [0.04, 0.4]), ({"rtt": "100ms"}, [0.1, 0.1])])
def test_a_request_meets_the_round_trip_that_was_recorded_for_its_moment_unless_another_is_said(
    tmp_path: Path, rtt: dict[str, str], trips_s: list[float]
) -> None:
    (tmp_path / "ride.csv").write_text("time_s,up_mbps,down_mbps,rtt_ms\n0,8,8,40\n10,8,8,400\n")
    rate = {"trace": "ride.csv", "start": "0s"}
    link = {"name": "lan", "uplink": rate, "downlink": rate, **rtt}
    run = run_scenario(
        tmp_path, links=[link], edges=[shop("cloud-only")], clients=[played(tmp_path, [0.0, 12.0])], spread=0.0,
        warm_up="0s",
    )  # fmt: skip
    assert run.requests.uplink_s == pytest.approx([0.02 + trip_s / 2 for trip_s in trips_s])
    assert run.requests.downlink_s == pytest.approx([0.004 + trip_s / 2 for trip_s in trips_s])
