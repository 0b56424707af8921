"""Plans offered to a replica."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.errors import CloudUnavailable, ComputeFailed, InvalidPlan, InvalidRequest, IsthmusError, Overloaded
from nodes.plan_offers import UNDER_WAY, cloud_times
from nodes.plan_shapes import cut_plan
from nodes.protocol.events import MeasuredBatch, PlanDefinition, PlanTimes
from partitioner.plan import Plan
from tests.nodes.sites import small_model

MODEL = small_model()
TIMES = PlanTimes((MeasuredBatch(1, 0.001, 0.0, 0.0),), ((1, 0.001), (8, 0.002)))


def plans(count: int) -> dict[str, Plan]:
    ops = tuple(op.name for op in MODEL.graph.ops)
    made = (cut_plan(MODEL, ops[:length], {}, "raw") for length in range(count))
    return {plan.wire_digest: plan for plan in made}


class Replica:
    """Answers when told to; refuses the plans whose digests it was given, with that error."""

    def __init__(self, *refused: str, error: IsthmusError | None = None) -> None:
        self.waiting: list[str] = []
        self.times = TIMES
        self.go = asyncio.Event()
        self._refused = refused
        self._error = error or InvalidPlan("plan", "is none here")

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        self.waiting.append(offer.wire_digest)
        await self.go.wait()
        if offer.wire_digest in self._refused:
            raise self._error
        return self.times


async def test_the_next_offer_is_there_while_one_is_measured() -> None:
    replica, offers = Replica(), plans(4)
    times = asyncio.create_task(cloud_times(replica.prepare, offers))
    for _ in range(10):
        await asyncio.sleep(0)
    assert replica.waiting == list(offers)[:UNDER_WAY]
    replica.go.set()
    assert await times == (dict.fromkeys(offers, TIMES), False)


@pytest.mark.parametrize(
    ("error", "more_later"),
    [
        (InvalidPlan("plan", "is none here"), False),
        (ComputeFailed("cannot be prepared: RuntimeError"), True),
        (InvalidRequest("request", "models.source: its artifact has changed"), False),
        (Overloaded("cloud.model_memory: no room"), True),
    ],
)
async def test_a_refused_plan_has_no_times_and_stops_no_other(error: IsthmusError, more_later: bool) -> None:
    offers = plans(3)
    first, *others = offers
    replica = Replica(first, error=error)
    replica.go.set()
    assert await cloud_times(replica.prepare, offers) == (dict.fromkeys(others, TIMES), more_later)


async def test_a_plan_of_which_a_replica_tells_no_time_counts_as_refused() -> None:
    replica = Replica()
    replica.times = PlanTimes((), TIMES.suffix_s)
    replica.go.set()
    assert await cloud_times(replica.prepare, plans(2)) == ({}, False)


async def test_a_model_without_room_is_offered_no_further_once_all_under_way_say_so() -> None:
    offers = plans(6)
    replica = Replica(*offers, error=Overloaded("cloud.model_memory: no room"))
    replica.go.set()
    assert await cloud_times(replica.prepare, offers) == ({}, True)
    assert replica.waiting == list(offers)[:UNDER_WAY]


async def test_room_that_is_found_lets_the_offers_go_on() -> None:
    offers = plans(4)
    first, second, third, fourth = offers
    replica = Replica(first, third, error=Overloaded("cloud.model_memory: no room"))
    replica.go.set()
    assert await cloud_times(replica.prepare, offers) == ({second: TIMES, fourth: TIMES}, True)


async def test_a_connection_that_breaks_ends_the_offers() -> None:
    async def broken(_offer: PlanDefinition) -> PlanTimes:
        raise CloudUnavailable("gone")

    with pytest.raises(CloudUnavailable, match="gone"):
        await cloud_times(broken, plans(3))
