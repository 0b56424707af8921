"""The cloud's replicas as a Serve application, for a cluster that somebody else runs, as KubeRay does.

There the cluster places the replicas and keeps them alive; their data plane is their own, as everywhere.
"""

from __future__ import annotations

from ray import serve
from ray.serve import Application

from nodes.settings import CloudSettings
from scheduler.autoscaling import AutoscalingRule
from scheduler.serve.replica_scaling import replica_count, rule_arguments
from scheduler.serve.replicas import CloudReplica

__all__ = ["Application", "cloud_application"]

_HEALTH_PERIOD_S, _HEALTH_TIMEOUT_S = 2.0, 10.0


def cloud_application(settings: CloudSettings, rule: AutoscalingRule, cpus: float, gpus: float) -> Application:
    """Replicas by that rule, each with so many CPUs and GPUs of its node."""
    deployment = serve.deployment(
        CloudReplica,
        name="cloud",
        **replica_count(rule, rule.at_start),
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        graceful_shutdown_timeout_s=2 * settings.drain_s + 5,
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=_HEALTH_PERIOD_S,
        health_check_timeout_s=_HEALTH_TIMEOUT_S,
    )
    return deployment.bind(settings.to_json(), rule_arguments(rule))
