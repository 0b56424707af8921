"""Any plan, drawn by weight."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from scheduler.policies.random_choice import RandomOptions, RandomPolicy
from tests.scheduler.policies.plan_cases import cases, usable_of

DRAWS = 4000


def drawn(policy: RandomPolicy, request: ChoiceRequest, link: Link, seed: int = 0) -> list[str]:
    rng = Random(seed)
    return [policy.choose(request, link, rng).entry.plan.plan_id for _ in range(DRAWS)]


@settings(deadline=None)
@given(cases())
def test_draws_only_what_can_run_in_time(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    rng = Random(0)
    assert all(RandomPolicy().choose(request, link, rng).entry in usable_of(request, link) for _ in range(5))


def test_without_weights_every_plan_is_as_likely(request_of, link) -> None:  # type: ignore[no-untyped-def]
    counts = Counter(drawn(RandomPolicy(), request_of(), link))
    assert len(counts) == 5
    assert min(counts.values()) > DRAWS / 5 * 0.85


def test_a_kinds_weight_is_shared_by_its_plans_and_what_is_not_named_is_not_drawn(table, request_of, link) -> None:  # type: ignore[no-untyped-def]
    weights = {"edge-only": 1.0, "cloud-only": 2.0, table.entries[2].plan.plan_id: 1.0}
    counts = Counter(drawn(RandomPolicy(RandomOptions(weights=weights)), request_of(), link))
    shares = [counts[entry.plan.plan_id] / DRAWS for entry in table.for_form("bytes")]
    assert shares == pytest.approx([0.25, 0.0, 0.25, 0.25, 0.25], abs=0.03)


def test_where_all_that_is_left_weighs_nothing_it_is_drawn_alike(request_of, link) -> None:  # type: ignore[no-untyped-def]
    policy = RandomPolicy(RandomOptions(weights={"cloud-only": 1.0}))
    assert policy.choose(request_of(cloud_reachable=False), link, Random(0)).entry.plan.kind == "edge-only"


def test_the_same_seeds_draw_the_same_and_another_seed_another_sequence(request_of, link) -> None:  # type: ignore[no-untyped-def]
    sequences = [drawn(RandomPolicy(RandomOptions(seed=seed)), request_of(), link) for seed in (1, 1, 2)]
    assert sequences[0] == sequences[1]
    same = sum(a == b for a, b in zip(sequences[0], sequences[2], strict=True))
    assert same < DRAWS * 0.4
    assert drawn(RandomPolicy(), request_of(), link, seed=3) != drawn(RandomPolicy(), request_of(), link)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_is_zero_or_more(weight: float) -> None:
    with pytest.raises(ValidationError):
        RandomOptions(weights={"split": weight})
