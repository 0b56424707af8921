"""A fleet in a process of its own is as large as it was asked for, and its time and memory are told."""

from __future__ import annotations

from benchmarks.fleet_scale import fleet_scale


def test_a_fleet_runs_in_a_process_of_its_own_and_tells_what_it_took() -> None:
    found = fleet_scale(20, 3, 200, 0)
    assert (found.edges, found.replicas) == (20, 3)
    assert 120 < found.requests < 280
    assert found.took_s > 0.0
    assert 20 < found.peak_mib < 4000
    ((name, said),) = found.said().items()
    assert name == "20 edges and 3 replicas"
    assert f"{found.requests} requests in" in str(said)
