"""The policy in Serve's terms, without a cluster."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from scheduler.serve.replica_scaling import OFFERED, PREPARING, QUEUED_S, ReplicaScaling

RULE = {"min_replicas": 0, "max_replicas": 9, "target_queue_s": 0.1, "scale_down_after_s": 60.0}


def context(running: int, target: int, queued: dict[int, float], offered: dict[int, float], state: Any = None) -> Any:
    """What Serve hands in."""
    said = {QUEUED_S: queued, OFFERED: offered}
    return SimpleNamespace(
        running_replicas=list(range(running)), target_num_replicas=target, aggregated_metrics=said,
        policy_state=state or {},
    )  # fmt: skip


def test_what_replicas_say_decides() -> None:
    replicas, state = ReplicaScaling(**RULE)(context(2, 2, {0: 0.0, 1: 0.0}, {0: 2.0, 1: 2.0}))
    assert replicas == 5
    assert json.loads(json.dumps(state))["needed"][0][1] == 5


def test_a_replica_that_says_nothing_yet_holds_the_number_and_those_at_zero_stay_there() -> None:
    policy = ReplicaScaling(**RULE)
    long_known = {"since_s": -1e9, "needed": []}
    assert policy(context(2, 2, {0: 0.0, 1: 0.0}, {0: 0.1, 1: 0.0}, long_known))[0] == 1
    assert policy(context(2, 2, {0: 0.0}, {0: 0.1}, long_known))[0] == 2
    assert policy(context(0, 0, {}, {}))[0] == 0


def test_one_that_prepares_plans_stays() -> None:
    long_known = {"since_s": -1e9, "needed": []}
    idle = context(2, 2, {0: 0.0, 1: 0.0}, {0: 0.0, 1: 0.0}, long_known)
    assert ReplicaScaling(**RULE)(idle)[0] == 0
    idle.aggregated_metrics[PREPARING] = {0: 1.0, 1: 0.0}
    assert ReplicaScaling(**RULE)(idle)[0] == 1


def test_its_memory_goes_through_serve_and_what_serve_keeps_there_stays() -> None:
    policy = ReplicaScaling(**RULE)
    _, state = policy(context(1, 1, {0: 0.0}, {0: 3.0}, {"serves own": 1}))
    replicas, after = policy(context(1, 4, {0: 0.0}, {0: 0.1}, json.loads(json.dumps(state))))
    assert replicas == 4
    assert after["serves own"] == 1
    assert after["since_s"] == state["since_s"]
