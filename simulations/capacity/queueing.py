"""What queueing theory says of waiting for replicas: a check that a simulated wait is of the right size.

Replicas that share one queue would be M/G/c, for which there is no closed form; Lee and Longton's approximation (1959,
Operational Research Quarterly 10) is M/M/c's wait (Erlang 1917) times (1 + C^2) / 2, exact for one server. Each replica
with a queue of its own, to which requests come at random, is M/G/1 (Pollaczek 1930, Khinchine 1932), exact. An edge
sends to the sooner of two replicas by what it was told lately: what is simulated lies between the two, nearer to the
first. Kingman's bound (1970, Journal of the Royal Statistical Society B 32, for GI/G/c) lies above the first whatever
the distributions are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity

__all__ = ["QueueTheory", "erlang_c", "kingman_bound_s", "lee_longton_s", "pollaczek_khinchine_s", "queue_theory"]


@dataclass(frozen=True, slots=True)
class QueueTheory:
    """Mean waits in seconds, infinite where the work does not fit. rate_per_s: of requests. service_s,
    service_variation: the mean of what one takes, and its standard deviation over it. joint_s: with one queue for all.
    bound_s: above it. apart_s: each replica by itself."""

    rate_per_s: float
    service_s: float
    service_variation: float
    replicas: int
    load: float
    joint_s: float
    bound_s: float
    apart_s: float


def queue_theory(rate_per_s: float, service_s: float, service_variation: float, replicas: int) -> QueueTheory:
    """Of Poisson arrivals. Raises InvalidQuantity for numbers that are none."""
    facts = rate_per_s, service_s, service_variation, replicas
    return QueueTheory(
        *facts,
        load=rate_per_s * service_s / replicas,
        joint_s=lee_longton_s(*facts),
        bound_s=kingman_bound_s(*facts),
        apart_s=pollaczek_khinchine_s(rate_per_s / replicas, service_s, service_variation),
    )


def erlang_c(offered: float, servers: int) -> float:
    """The probability that one has to wait in M/M/c. offered: arrivals a second times service seconds. By Erlang B's
    recursion, which does not overflow."""
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1.0 - offered / servers * (1.0 - blocked))


def lee_longton_s(rate_per_s: float, service_s: float, service_variation: float, servers: int) -> float:
    """The mean wait in M/G/c, approximately."""
    _check(rate_per_s, service_s, service_variation, servers)
    offered = rate_per_s * service_s
    if offered >= servers:
        return math.inf
    markovian_s = erlang_c(offered, servers) * service_s / (servers - offered)
    return markovian_s * (1.0 + service_variation**2) / 2.0


def pollaczek_khinchine_s(rate_per_s: float, service_s: float, service_variation: float) -> float:
    """The mean wait in M/G/1."""
    return lee_longton_s(rate_per_s, service_s, service_variation, 1)


def kingman_bound_s(rate_per_s: float, service_s: float, service_variation: float, servers: int) -> float:
    """No mean wait in M/G/c is longer: lambda (var A + var S / c + (c - 1) / (c mu)^2) / (2 (1 - rho)), with A the time
    from one arrival to the next, S the service time and 1 / mu its mean."""
    _check(rate_per_s, service_s, service_variation, servers)
    load = rate_per_s * service_s / servers
    if load >= 1.0:
        return math.inf
    if rate_per_s == 0.0:
        return 0.0
    between, served = 1.0 / rate_per_s**2, (service_variation * service_s) ** 2
    spread = between + served / servers + (servers - 1) * service_s**2 / servers**2
    return rate_per_s * spread / (2.0 * (1.0 - load))


def _check(rate_per_s: float, service_s: float, service_variation: float, servers: int) -> None:
    for name, value in (("rate", rate_per_s), ("service time", service_s), ("service variation", service_variation)):
        if not (math.isfinite(value) and value >= 0.0):
            raise InvalidQuantity(name, "must be zero or more", value=value)
    if servers < 1:
        raise InvalidQuantity("servers", "must be one or more", value=servers)
