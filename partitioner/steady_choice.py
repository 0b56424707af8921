"""Which of several measured plans to take: the quickest, but a split only where measurements can tell that it wins.

The promise is never to be worse than not splitting. A split that wins by less than its own times are uncertain by wins
by luck, and loses as often where somebody measures again; keeping to the unsplit plan then costs no more than that
uncertainty, and spares the second machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from isthmus.errors import InvalidInput
from partitioner.condition import Condition
from partitioner.measured_plan import MeasuredPlan

__all__ = ["steady_choice"]


def steady_choice(plans: Iterable[MeasuredPlan], condition: Condition) -> MeasuredPlan:
    """The quickest plan under `condition`; the quickest unsplit one where a split wins by no more than the spreads.

    The spread of a difference is the root of the sum of both squares. Where several splits win clearly, the quickest of
    them is taken. Raises InvalidInput without plans.
    """
    offered = tuple(plans)
    if not offered:
        raise InvalidInput("plans", "are none", remedy="offer edge-only at least")
    best = _quickest(offered, condition)
    unsplit = [plan for plan in offered if plan.plan.kind != "split"]
    if best.plan.kind != "split" or not unsplit:
        return best
    rival = _quickest(unsplit, condition)
    doubt_s = math.hypot(best.spread_s(condition), rival.spread_s(condition))
    return best if rival.total_s(condition) - best.total_s(condition) > doubt_s else rival


def _quickest(plans: Iterable[MeasuredPlan], condition: Condition) -> MeasuredPlan:
    return min(plans, key=lambda plan: plan.total_s(condition))
