"""Plans that edges offer to one replica: prepared once each, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from isthmus.errors import InvalidPlan, Overloaded, TooLarge
from nodes.byte_budget import ByteBudget
from nodes.offered_plans import OfferedPlans, held_bytes
from nodes.protocol.events import MeasuredBatch, PlanDefinition, PlanTimes, WireCodec

TIMES = PlanTimes((MeasuredBatch(1, 0.001, 0.0, 0.0),))
BUDGET_BYTES = 100_000


def offer(digest: str = "plan", table: str = "") -> PlanDefinition:
    return PlanDefinition(digest, "model", ("op",), (WireCodec("x", "transform", {"table": table}),), ())


class Preparing:
    """Prepares once it may; an offer with a table of "false" is not what its digest says."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may = asyncio.Event()

    def check_offer(self, offer: PlanDefinition) -> None:
        if offer.uplink[0].parameters["table"] == "false":
            raise InvalidPlan("wire_digest", "does not match")

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        self.begun.append(offer.wire_digest)
        await self.may.wait()
        if offer.wire_digest == "failing":
            raise InvalidPlan("plan", "is none here")
        return TIMES


@pytest.fixture
def node() -> Preparing:
    return Preparing()


@pytest.fixture
def budget() -> ByteBudget:
    return ByteBudget(BUDGET_BYTES, "cloud.limits.memory")


@pytest.fixture
def offers(node: Preparing, budget: ByteBudget) -> OfferedPlans:
    return OfferedPlans(node, budget)


async def test_a_plan_that_several_edges_offer_is_prepared_once(node: Preparing, offers: OfferedPlans) -> None:
    both = [offers.begin(offer()) for _ in range(2)]
    node.may.set()
    assert await asyncio.gather(*both) == [TIMES, TIMES]
    assert node.begun == ["plan"]


async def test_a_false_offer_is_refused_at_once_and_takes_nobodys_place(node: Preparing, offers: OfferedPlans) -> None:
    for _ in range(2):  # before the true one, and while that is under way
        with pytest.raises(InvalidPlan):
            offers.begin(offer(table="false"))
        true = offers.begin(offer())
    node.may.set()
    assert await true == TIMES


async def test_what_is_begun_is_held_until_its_end_also_where_its_edge_leaves(
    node: Preparing, offers: OfferedPlans, budget: ByteBudget
) -> None:
    waits = asyncio.ensure_future(asyncio.shield(offers.begin(offer())))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.sleep(0)
    assert budget.held_bytes == held_bytes(offer())
    again = offers.begin(offer())
    node.may.set()
    assert await again == TIMES
    assert (node.begun, budget.held_bytes) == (["plan"], 0)


async def test_one_that_fails_gives_back_what_it_held_and_may_be_offered_again(
    node: Preparing, offers: OfferedPlans, budget: ByteBudget
) -> None:
    node.may.set()
    for _ in range(2):
        with pytest.raises(InvalidPlan, match="is none here"):
            await offers.begin(offer("failing"))
        assert budget.held_bytes == 0
    assert node.begun == ["failing", "failing"]


async def test_more_plans_than_may_be_under_way_are_refused_until_one_is_ready(
    node: Preparing, offers: OfferedPlans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodes.offered_plans.MOST_UNDER_WAY", 2)
    first, _ = offers.begin(offer("a")), offers.begin(offer("b"))
    with pytest.raises(Overloaded, match="preparing 2 plans already"):
        offers.begin(offer("c"))
    assert offers.begin(offer("a")) is first  # no further one
    node.may.set()
    await first
    assert await offers.begin(offer("c")) == TIMES


@pytest.mark.parametrize(("held", "refused"), [(BUDGET_BYTES - 1_000, Overloaded), (0, TooLarge)])
async def test_an_offer_counts_in_the_memory_of_all_requests(
    offers: OfferedPlans, budget: ByteBudget, held: int, refused: type[Exception]
) -> None:
    budget.reserve(held, 1.0)
    with pytest.raises(refused, match=r"cloud\.limits\.memory"):
        offers.begin(offer(table="t" * (2_000 if held else BUDGET_BYTES)))
    assert budget.held_bytes == held


async def test_closing_ends_what_is_under_way(offers: OfferedPlans, budget: ByteBudget) -> None:
    under_way = offers.begin(offer())
    await asyncio.sleep(0)
    offers.close()
    await asyncio.wait([under_way], timeout=5)
    assert under_way.cancelled()
    assert budget.held_bytes == 0


@pytest.mark.parametrize(
    "longer",
    [
        lambda one: replace(one, edge_ops=tuple(f"{n:04}" for n in range(1_000))),
        lambda one: replace(one, downlink=(WireCodec("", "", {}),) * 1_000),
    ],
    ids=["ops", "codecs"],
)
def test_short_names_and_empty_codecs_count_as_what_they_take_here(
    longer: Callable[[PlanDefinition], PlanDefinition],
) -> None:
    assert held_bytes(longer(offer())) - held_bytes(offer()) > 50 * 1_000
