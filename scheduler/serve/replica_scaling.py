"""Serve's autoscaling of cloud replicas by what they say of their work: `scheduler.autoscaling` in Serve's terms.

The policy runs in Serve's controller ten times a second. Its memory goes through Serve as a dictionary, so that it is
Serve that keeps it, and forgets it with the application. At zero replicas Serve itself wakes one for a call through its
handle (see `RayRuntime.wake`) and does not ask here.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict
from typing import Any

from scheduler.autoscaling import LOOK_BACK_S, PUSH_S, AutoscalingRule, ReplicaLoad, ScalingMemory, decide

__all__ = [
    "BUSY",
    "OFFERED",
    "PREPARING",
    "QUEUED_S",
    "ReplicaScaling",
    "autoscaling_config",
    "replica_count",
    "rule_arguments",
]

QUEUED_S, OFFERED, PREPARING, BUSY = "queued_s", "offered", "preparing", "busy"
"""The metrics that a replica reports; see `ReplicaLoad`."""


class ReplicaScaling:
    """A Serve autoscaling policy. Made in the controller from `rule_arguments`."""

    def __init__(self, **rule: float) -> None:
        self._rule = AutoscalingRule(**rule)  # type: ignore[arg-type]  # JSON keeps integers

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """context: Serve's AutoscalingContext."""
        said = context.aggregated_metrics or {}
        queued_s, offered, preparing, busy = (said.get(name, {}) for name in (QUEUED_S, OFFERED, PREPARING, BUSY))
        loads = [
            ReplicaLoad(queued_s[one], offered[one], preparing.get(one, 0.0) > 0, busy.get(one, 0.0) > 0)
            if one in queued_s and one in offered
            else None
            for one in context.running_replicas
        ]
        state = dict(context.policy_state)
        memory = ScalingMemory(state.get("since_s"), tuple(map(tuple, state.get("needed", ()))))
        decision = decide(self._rule, context.target_num_replicas, loads, memory, time.monotonic())
        kept = {"since_s": decision.memory.since_s, "needed": decision.memory.needed}
        return decision.replicas, {**state, **kept}


def rule_arguments(rule: AutoscalingRule) -> dict[str, float]:
    """Those of the rule, for what is made elsewhere."""
    return asdict(rule)


def replica_count(rule: AutoscalingRule, replicas: int) -> dict[str, Any]:
    """What a deployment is told of how many there are, so many to begin with."""
    return {"num_replicas": replicas} if rule.is_fixed else {"autoscaling_config": autoscaling_config(rule, replicas)}


def autoscaling_config(rule: AutoscalingRule, replicas: int) -> Any:
    """Serve's AutoscalingConfig for `rule`, with so many replicas to begin with. The rule has the delays, Serve gets
    none of its own."""
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

    with warnings.catch_warnings():
        # Serve names an environment variable as the successor of `metrics_interval_s`, and does not read it (2.60).
        warnings.simplefilter("ignore")
        return AutoscalingConfig(
            min_replicas=rule.min_replicas,
            initial_replicas=replicas,
            max_replicas=rule.max_replicas,
            metrics_interval_s=PUSH_S,
            look_back_period_s=LOOK_BACK_S,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            policy=AutoscalingPolicy(policy_function=f"{__name__}:ReplicaScaling", policy_kwargs=rule_arguments(rule)),
        )
