"""Taking one plan by a value of each: the least, drawn among near-equals, and the one before where a switch costs more.

What a switch costs: the first request of another plan finds both sides' caches cold and the plan's code and weights
out of them, and in the cloud it waits apart from the batch that requests of the plan before would have joined. Nobody
measures that; `switch_cost` states it, as seconds of the device whose seconds the policy counts, and it is 0 unless
somebody does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from isthmus.units import format_duration
from nodes.chooser import ChoiceRequest
from scheduler.policies.forecast import Forecast
from scheduler.policies.reason import plan_name

__all__ = ["NEAR_EQUAL", "Kept", "draw_least", "kept_before", "least_then_quickest", "runs_alone"]

# Plans within 1 % of the best are as good, and below what a prediction can tell apart.
NEAR_EQUAL = 0.01


def draw_least(among: Sequence[int], values: Sequence[float], rng: Random) -> int:
    """One of those whose value is within NEAR_EQUAL of the least, so that a fleet with the same facts does not jump
    together; `rng` is drawn from only when there are several."""
    most = min([values[number] for number in among]) * (1 + NEAR_EQUAL)
    near = [number for number in among if values[number] <= most]
    return near[0] if len(near) == 1 else rng.choice(near)


def least_then_quickest(forecast: Forecast, among: Sequence[int], values: Sequence[float], rng: Random) -> int:
    """Of those whose value is within NEAR_EQUAL of the least, the quickest, drawn as `draw_least` does."""
    most = min([values[number] for number in among]) * (1 + NEAR_EQUAL)
    near = [number for number in among if values[number] <= most]
    return near[0] if len(near) == 1 else draw_least(near, forecast.total_s, rng)


def runs_alone(request: ChoiceRequest) -> bool:
    """Whether the edge can do all of the request by itself: where the cloud's seconds are what counts, it does."""
    return any(entry.plan.kind == "edge-only" for entry in request.table.for_form(request.form))


class Kept:
    """Says that the plan before was kept, and what a switch would have gained and cost."""

    __slots__ = ("_cost", "_forecast", "_gain", "_other", "_unit")

    def __init__(self, forecast: Forecast, other: int, gain: float, cost: float, unit: Callable[[float], str]) -> None:
        self._forecast, self._other, self._gain, self._cost, self._unit = forecast, other, gain, cost, unit

    def __call__(self) -> str:
        """As the end of a reason."""
        other = plan_name(self._forecast.entries[self._other].plan)
        return f"; kept: {other} would gain {self._unit(self._gain)}, a switch costs {self._unit(self._cost)}"


def kept_before(
    forecast: Forecast, among: Sequence[int], values: Sequence[float], best: int, switch_cost: float,
    unit: Callable[[float], str] = format_duration,
) -> tuple[int, Kept | str]:  # fmt: skip
    """`best`, or the plan chosen before where it is among these and `best` gains no more than a switch costs; and the
    end of the reason. switch_cost: in the unit of the values, 0 to follow every gain."""
    if switch_cost <= 0:
        return best, ""
    previous = forecast.amounts.index.get(forecast.request.previous, best)
    gain = values[previous] - values[best]
    if previous == best or previous not in among or gain > switch_cost:
        return best, ""
    return previous, Kept(forecast, best, gain, switch_cost, unit)
