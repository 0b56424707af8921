"""Offers an edge's plans to a replica, which prepares and times its half of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from isthmus.errors import ComputeFailed, InvalidInput, NotFound, Overloaded
from isthmus.telemetry import get_logger
from nodes.background import run_together
from nodes.model_runtime import plan_definition
from nodes.protocol.events import PlanDefinition, PlanTimes
from partitioner.plan import Plan

__all__ = ["CloudTimes", "Prepare", "cloud_times"]

UNDER_WAY = 2
Prepare = Callable[[PlanDefinition], Awaitable[PlanTimes]]
"""See `CloudConnection.prepare`."""


class CloudTimes(NamedTuple):
    """plans: by wire digest, nothing of one that the replica refuses. more_later: whether it may take one of those
    another time."""

    plans: Mapping[str, PlanTimes]
    more_later: bool


async def cloud_times(prepare: Prepare, offers: Mapping[str, Plan]) -> CloudTimes:
    """What the replica measured of each plan.

    offers: of one model. One that it does not take, or that raises while it is measured, is no reason to let go of
    others. Where it has no room for the model it says so after waiting for some, to all that are under way: the others
    would wait as long each, so they are not offered then. It measures one after the other, and has the next offer by
    then: a learned table takes its time on a slow link.
    Raises what else `prepare` does.
    """
    free = asyncio.Semaphore(UNDER_WAY)
    full, more_later = 0, False  # full: in a row

    async def _offered(plan: Plan) -> PlanTimes | None:
        nonlocal full, more_later
        async with free:
            if full >= UNDER_WAY:
                return None
            try:
                times = await prepare(plan_definition(plan))
            except (InvalidInput, NotFound, Overloaded, ComputeFailed) as error:
                get_logger("edge").warning("replica refuses a plan", plan_id=plan.plan_id, reason=str(error))
                full += isinstance(error, Overloaded)
                more_later = more_later or isinstance(error, Overloaded | ComputeFailed)
                return None
            full = 0
            return times

    found = await run_together(*(_offered(plan) for plan in offers.values()))
    named = zip(offers, found, strict=True)
    return CloudTimes({digest: times for digest, times in named if times is not None and times.batches}, more_later)
