"""Requests that ended, and an edge as it is shown, in numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from nodes.admission import AdmissionCounts
from nodes.chooser import Outcome
from nodes.drift import NEVER_REMEASURED
from nodes.gateway import ModelState
from nodes.resumption import ResumeCounts
from nodes.sight.base import Ended, EndedRequests, LinkBelief
from nodes.sight.history import History, Reading
from nodes.sight.view import EdgeFacts, EdgeView
from nodes.steering import EVERYTHING, PolicySetting, ShadowReport, Steering
from partitioner.plan import Prediction

__all__ = ["HOSTILE", "ended", "failed", "reading", "view"]

HOSTILE = "<img src=x onerror=\"document.title='owned'\">\x1b]0;owned\x07"
LINK = LinkBelief(20e6, 10e6, 0.03, 0.1, 0.2)
_NUMBERS = itertools.count(1)


def ended(plan: str = "edge-only", *, took_s: float = 0.2, predicted_s: float = 0.1, **facts: Any) -> Ended:
    """A request whose edge stage took all its time; keywords override."""
    cloud = plan != "edge-only"
    outcome = Outcome(f"r{next(_NUMBERS)}", edge_s=took_s, finished_by="cloud" if cloud else "edge")
    made = Ended(
        came_s=100.0, model="net", request_class="", policy="latency", explored=False, plan_id=f"id of {plan}",
        plan_name=plan, plan_kind="cloud-only" if cloud else plan, form="bytes",
        predicted=Prediction.of(predicted_s, 0.0, 0.0, 0.0), outcome=outcome,
    )  # fmt: skip
    return replace(made, **facts)


def failed(plan: str = "edge-only") -> Ended:
    """A request without an answer."""
    return ended(plan, outcome=Outcome(f"r{next(_NUMBERS)}", failure="the deadline passed"))


def reading(at_s: float, *requests: Ended, count: int | None = None, **facts: Any) -> Reading:
    """With these requests ended since the last one. count: of all that ended so far."""
    so_far = EndedRequests(len(requests) if count is None else count, requests)
    plain = Reading(
        at_s, answered=0, failed=0, mistaken=0, waiting=0, edge_queue_s=0.0, cloud_queue_s=None, replicas_usable=1,
        resumed_on_edge=0, link=LINK, ended=so_far,
    )  # fmt: skip
    return replace(plain, **facts)


def view(*readings: Reading, **facts: Any) -> EdgeView:
    """An edge with nothing wrong, seen 2 s after the last of these readings; keywords override."""
    history = History(reading(0.0))
    for one in readings:
        history.add(one)
    about = EdgeFacts("edge", "run", "1", "eager", "cpu", 1, (), "", 128, 1000)
    plain = EdgeView(
        facts=about, now_s=(readings[-1].at_s if readings else 0.0) + 2.0, started_s=-1000.0, ready=True,
        steering=Steering({EVERYTHING: PolicySetting("latency")}), shadow_report=ShadowReport(),
        models=(ModelState("net", "v1", "READY"),), paced=False, registry_heard=False,
        registry_away_s=None, replicas=(),
        link=LINK, waiting=0, admission=AdmissionCounts(0, 0),
        edge_queue_s=0.0, kept_bytes=0, answered=0, failed=0, mistaken=0, resumes=ResumeCounts(), log_lost=0,
        moments=history.since(0), lately=history.lately(300.0), requests=history.requests, failures=(),
        drifts=(), remeasured=NEVER_REMEASURED,
    )  # fmt: skip
    return replace(plain, **facts)
