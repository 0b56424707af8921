"""Decision logs in numbers: requests of one model with three plans, as lines that the live encoder wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodes.chooser import Asked, Choice, ChoiceRequest, Outcome, Refused
from nodes.steering import PolicySetting
from partitioner.measurements import AffineTime
from partitioner.plan import Prediction
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.decision_log import Decision
from scheduler.decision_record import RecordEncoder
from simulations.replay.logged_request import LoggedRequest, Placed
from tests.scheduler.conftest import DIGEST, make_entry

__all__ = ["EDGE", "FILE", "LATENCY", "SPLIT", "TABLE", "decided", "ended", "lines_of", "made", "refused", "written"]


def _finished_by_the_edge_in(entry: PlanEntry, seconds: float) -> PlanEntry:
    return replace(entry, costs=replace(entry.costs, local_finish=AffineTime(seconds, 0.0)))


EDGE = make_entry(edge_s=0.1)
SPLIT = _finished_by_the_edge_in(make_entry("blocks.4", "zstd", edge_s=0.03, size=100_000, cloud_s=0.01), 0.08)
FILE = _finished_by_the_edge_in(make_entry("input", "file", cloud_s=0.02), 0.1)
TABLE = PlanTable("net", DIGEST, (EDGE, SPLIT, FILE))
LATENCY = PolicySetting("latency")


def made(
    came_s: float,
    entry: PlanEntry | None = SPLIT,
    outcome: Outcome | None = None,
    *,
    policy: PolicySetting = LATENCY,
    because: str = "all requests",
    **asked: Any,
) -> LoggedRequest:
    """A request as a log tells of it. entry: None for one that was refused."""
    facts: dict[str, Any] = {
        "model": "net", "form": "bytes", "batch": 1, "file_bytes": 200_000, "timeout_s": None, "priority": 0,
        "client": "", "request_class": "", "policy": "", "plan_id": "", **asked,
    }  # fmt: skip
    facts.setdefault("asked_s", facts["timeout_s"])
    placed = None if entry is None else Placed(policy, because, 0, entry, TABLE, True)
    return LoggedRequest(Asked(came_s, **facts), placed, outcome, "shed" if entry is None else "")


def ended(request_id: str = "", **stages: Any) -> Outcome:
    """An answer; by the cloud where something crossed."""
    crossed = "uplink_s" in stages
    return Outcome(request_id, **{"finished_by": "cloud" if crossed else "edge", "sendings": int(crossed), **stages})


def lines_of(items: Iterable[object]) -> list[Mapping[str, Any]]:
    """As the encoder writes them, read back."""
    encoder = RecordEncoder()
    text = encoder.begin_file() + b"".join(encoder.encode(item) for item in items)
    return [json.loads(line) for line in text.splitlines()]


def written(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """A file of a log."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def refused(came_s: float, **asked: Any) -> Refused:
    """A request that was not let in."""
    facts: dict[str, Any] = {
        "model": "net", "form": "bytes", "batch": 1, "file_bytes": 20_000, "timeout_s": None, "priority": 0,
        "client": "", "request_class": "", "policy": "", "plan_id": "", **asked,
    }  # fmt: skip
    facts.setdefault("asked_s", facts["timeout_s"])
    return Refused(came_s, **facts, failure="shed")


def decided(request: ChoiceRequest, entry: PlanEntry, number: int = 1) -> Decision:
    """By `latency`."""
    choice = Choice(entry, Prediction.of(0.0, 0.0, 0.0, 0.0), "because")
    return Decision(number, 7, LATENCY, "all requests", request, None, choice)
