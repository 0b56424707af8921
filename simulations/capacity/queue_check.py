"""A simulated wait for replicas beside what queueing theory says of it."""

from __future__ import annotations

import numpy as np

from simulations.answers.interval import CONFIDENCE, estimate, mean
from simulations.answers.slo import answered
from simulations.capacity.plan_answer import QueueCheck
from simulations.capacity.queueing import queue_theory
from simulations.run_record import RunRecord

__all__ = ["queue_check"]

# Approximations, arrivals that are not quite Poisson, reports that are late: of the right size is what is asked.
_SLACK = 2.0
_NOTHING_S = 1e-3


def queue_check(run: RunRecord, replicas: int, *, batched: bool, poisson: bool) -> QueueCheck | None:
    """None where too few requests crossed to tell. batched: replicas may run several requests as one, which takes less
    than theory says and waits for companions. Where they bear more that way than one by one, no wait would be too long
    or too short for theory: it then says nothing. poisson: all clients ask by a Poisson process. Of bursts, of rates
    that change and of users who wait for their answers theory says nothing: their waits may be any."""
    counted = run.counted()
    crossed = answered(run, counted) & (counted.cloud_s > 0.0)
    service_s, wait_s = counted.cloud_s[crossed], counted.cloud_queue_s[crossed]
    simulated = estimate([wait_s], mean, CONFIDENCE)
    if simulated is None or simulated.low is None or simulated.high is None:
        return None
    seconds = run.facts.duration_s - run.facts.warm_up_s
    variation = float(np.std(service_s) / np.mean(service_s))
    theory = queue_theory(len(service_s) / seconds, float(np.mean(service_s)), variation, replicas)
    if not poisson or (batched and theory.load >= 1.0):
        return QueueCheck(theory, simulated, batched, plausible=None, poisson=poisson)
    least_s = 0.0 if batched else theory.joint_s / _SLACK - _NOTHING_S
    most_s = max(theory.bound_s, theory.apart_s) * _SLACK + _NOTHING_S
    return QueueCheck(theory, simulated, batched, simulated.high >= least_s and simulated.low <= most_s)
