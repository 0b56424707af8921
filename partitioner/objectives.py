"""What a plan is chosen for: latency, throughput, energy, cost, or a weighted sum of them.

Each is made of stages, linear in the cost vector; the dearest stage decides. What throughput is no part of has one
stage. A sum with throughput has its four, and in each of them the whole of the linear rest: what is added to all of
some values is added to the largest of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from isthmus.errors import InvalidInput
from partitioner.condition import CostVector
from partitioner.link import Link
from partitioner.measurements import Power, Price
from partitioner.setting import Setting

__all__ = [
    "Objective",
    "Stage",
    "cost_stage",
    "energy_stage",
    "latency_stage",
    "objective_for",
    "throughput_stages",
]


class Stage(NamedTuple):  # made for each request, in a third of the time of a frozen dataclass
    """A price for each edge second, byte up, byte down and cloud second (idle devices), and for leaving the edge."""

    edge_s: float = 0.0
    uplink_bytes: float = 0.0
    downlink_bytes: float = 0.0
    cloud_s: float = 0.0
    crossing: float = 0.0

    @property
    def prices(self) -> tuple[float, float, float, float]:
        """In the order of a cost vector."""
        return (self.edge_s, self.uplink_bytes, self.downlink_bytes, self.cloud_s)

    def scaled(self, factor: float) -> Stage:
        """All prices times `factor`."""
        return Stage(*(factor * price for price in (*self.prices, self.crossing)))

    def plus(self, other: Stage) -> Stage:
        """The prices of both."""
        pairs = zip((*self.prices, self.crossing), (*other.prices, other.crossing), strict=True)
        return Stage(*(a + b for a, b in pairs))

    def value(self, costs: CostVector, crosses: bool) -> float:
        """What a plan pays in this stage."""
        amounts = (costs.edge_s, costs.uplink_bytes, costs.downlink_bytes, costs.cloud_s)
        terms = [price * amount for price, amount in zip(self.prices, amounts, strict=True)]
        return math.fsum((*terms, self.crossing if crosses else 0.0))


@dataclass(frozen=True, slots=True)
class Objective:
    """The least of the dearest stage is wanted. unit: of its values ("s", "J", ...)."""

    name: str
    unit: str
    stages: tuple[Stage, ...]

    def value(self, costs: CostVector, crosses: bool) -> float:
        """What a plan is judged by."""
        return max(stage.value(costs, crosses) for stage in self.stages)

    def words(self, value: float) -> str:
        """A value with its name and unit, in six digits."""
        return f"{self.name}: {value:.6g} {self.unit}".rstrip()


def objective_for(wanted: str | Mapping[str, float], setting: Setting) -> Objective:
    """The objective of that name, or the sum of several by weight (`{"latency": 1, "energy": 0.2}`).

    "latency": seconds. "throughput": seconds a request of the slowest of edge, uplink, downlink and cloud, each busy
    with a request of its own. "energy": joules of the edge device (busy while it computes, idle while it waits, the
    radio on top while bytes move). "cost": the price of the cloud's seconds. As text, a sum is "latency+0.2*energy".
    What weighs nothing is left out, and one that is left alone is itself, whatever its weight.
    Raises InvalidInput for an unknown name, one that is named twice, a weight below zero, a sum that weighs nothing, a
    device that declares no power or price.
    """
    given = dict(wanted) if isinstance(wanted, Mapping) else _read_sum(wanted)
    for name, weight in given.items():
        if name not in _UNITS:
            raise InvalidInput("objective", "is not known", value=name, remedy=f"use one of: {', '.join(_UNITS)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidInput(f"objective {name}", "needs a weight of zero or more", value=weight)
    weights = {name: weight for name, weight in given.items() if weight > 0}
    if not weights:
        problem = "weighs nothing, so that every plan would be the best"
        raise InvalidInput("objective", problem, value=wanted, remedy="give one of its parts a weight above zero")
    if len(weights) == 1:
        weights = dict.fromkeys(weights, 1.0)  # what is asked for alone is best for any weight
    total = Stage()
    for name, weight in weights.items():
        if name in _LINEAR:
            total = total.plus(_LINEAR[name](setting).scaled(weight))
    stages = [total]
    if "throughput" in weights:
        stages = [total.plus(stage.scaled(weights["throughput"])) for stage in _throughput(setting)]
    if len(weights) == 1:
        name = next(iter(weights))
        return Objective(name, _UNITS[name], tuple(stages))
    return Objective("+".join(f"{weight:g}*{name}" for name, weight in weights.items()), "", tuple(stages))


def _read_sum(text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for term in _PLUS.split(text):
        factor, times, name = (part.strip() for part in term.rpartition("*"))
        if name in weights:
            remedy = f"write {name} once, with the sum of its weights"
            raise InvalidInput("objective", f"names {name} more than once", value=text, remedy=remedy)
        try:
            weights[name] = float(factor) if times else 1.0
        except ValueError:
            raise InvalidInput(
                "objective", "is no sum", value=text, remedy="write it like latency+0.2*energy"
            ) from None
    return weights


def latency_stage(link: Link, edge_load: float = 1.0, cloud_load: float = 1.0) -> Stage:
    """Seconds, one request after the other."""
    return Stage(edge_load, 8.0 / link.uplink_bps, 8.0 / link.downlink_bps, cloud_load, link.rtt_s)


def throughput_stages(link: Link, edge_load: float = 1.0, cloud_load: float = 1.0) -> tuple[Stage, Stage, Stage, Stage]:
    """Seconds of the edge, the uplink, the downlink and the cloud, each busy with a request of its own."""
    return (
        Stage(edge_s=edge_load),
        Stage(uplink_bytes=link.uplink_s(1.0)),
        Stage(downlink_bytes=link.downlink_s(1.0)),
        Stage(cloud_s=cloud_load),
    )


def energy_stage(link: Link, power: Power, edge_load: float = 1.0, cloud_load: float = 1.0) -> Stage:
    """Joules of the edge device: busy while it computes, idle while it waits, the radio on top while bytes move."""
    moving_w = power.idle_w + power.radio_w
    return Stage(
        edge_load * power.busy_w,
        link.uplink_s(1.0) * moving_w,
        link.downlink_s(1.0) * moving_w,
        cloud_load * power.idle_w,
        link.rtt_s * power.idle_w,
    )


def cost_stage(price: Price, cloud_load: float = 1.0) -> Stage:
    """The price of the cloud's seconds."""
    return Stage(cloud_s=cloud_load * price.per_s)


def _latency(setting: Setting) -> Stage:
    condition = setting.condition
    return latency_stage(condition.link, condition.edge_load, condition.cloud_load)


def _throughput(setting: Setting) -> Iterable[Stage]:
    condition = setting.condition
    return throughput_stages(condition.link, condition.edge_load, condition.cloud_load)


def _energy(setting: Setting) -> Stage:
    power = setting.edge.power
    if power is None:
        raise InvalidInput(
            "objective energy",
            "needs the edge's power",
            remedy="state it: isthmus declare EDGE.json --busy 5W --idle 1W --radio 2W",
        )
    condition = setting.condition
    return energy_stage(condition.link, power, condition.edge_load, condition.cloud_load)


def _cost(setting: Setting) -> Stage:
    price = setting.cloud.price
    if price is None:
        raise InvalidInput(
            "objective cost", "needs the cloud's price", remedy="state it: isthmus declare CLOUD.json --price 0.9/h"
        )
    return cost_stage(price, setting.condition.cloud_load)


# Not that of an exponent, as in 1e+3.
_PLUS = re.compile(r"(?<![0-9.][eE])\+")
_LINEAR: Mapping[str, Callable[[Setting], Stage]] = {"latency": _latency, "energy": _energy, "cost": _cost}
_UNITS: Mapping[str, str] = {"latency": "s", "energy": "J", "cost": "", "throughput": "s"}
