"""One run of a fleet as large as they come, in a process of its own: how long it takes, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

__all__ = ["FleetScale", "fleet_scale"]

_TIMEOUT_S = 1200.0
_RUN = """
import json, resource, time
from benchmarks.simulator_speed import run
began_s = time.perf_counter()
record, took_s = run({edges}, {requests}, {seed}, {replicas})
peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(record.requests), time.perf_counter() - began_s, peak_kib / 1024]))
"""


@dataclass(frozen=True, slots=True)
class FleetScale:
    """took_s: with making the fleet. peak_mib: the most memory that the process ever had."""

    edges: int
    replicas: int
    requests: int
    took_s: float
    peak_mib: float

    def said(self) -> dict[str, object]:
        """As a detail of a figure."""
        name = f"{self.edges:,} edges and {self.replicas:,} replicas"
        return {name: f"{self.requests:,} requests in {self.took_s:.1f} s, {self.peak_mib:.0f} MiB at most, once"}


def fleet_scale(edges: int, replicas: int, requests: int, seed: int) -> FleetScale:
    """So many requests, in the mean. Raises CalledProcessError, TimeoutExpired."""
    code = _RUN.format(edges=edges, replicas=replicas, requests=requests, seed=seed)
    printed = subprocess.check_output([sys.executable, "-c", code], timeout=_TIMEOUT_S)
    served, took_s, peak_mib = json.loads(printed)
    return FleetScale(edges, replicas, served, took_s, peak_mib)
