"""Forced plans and kinds."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from isthmus.errors import CloudUnavailable, DeadlineExceeded, NotFound
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.policies.cloud_only import CloudOnlyPolicy
from scheduler.policies.edge_only import EdgeOnlyPolicy
from scheduler.policies.fixed import FixedPolicy

Requests = Callable[..., ChoiceRequest]


def test_runs_every_plan_by_its_id(table: PlanTable, request_of: Requests, link: Link) -> None:
    for entry in table.for_form("bytes"):
        assert FixedPolicy.of(entry.plan.plan_id).choose(request_of(), link, Random(0)).entry is entry


def test_a_plan_of_the_other_form_is_not_found(table: PlanTable, request_of: Requests, link: Link) -> None:
    other = table.for_form("tensor")[0].plan.plan_id
    with pytest.raises(NotFound, match=other):
        FixedPolicy.of(other).choose(request_of(), link, Random(0))


def test_a_kind_means_its_quickest_plan(request_of: Requests, link: Link) -> None:
    choice = FixedPolicy.of("cloud-only").choose(request_of(), link, Random(0))
    assert choice.entry.plan.boundary[0].codec == "png"
    assert choice.reason.startswith("fixed, cloud-only (png): 83.6 ms")


def test_a_forced_plan_runs_although_it_will_be_late(table: PlanTable, request_of: Requests, link: Link) -> None:
    slow = table.entries[4]
    assert FixedPolicy.of(slow.plan.plan_id).choose(request_of(remaining_s=0.01), link, Random(0)).entry is slow


def test_a_kind_that_is_late_is_refused(request_of: Requests, link: Link) -> None:
    with pytest.raises(DeadlineExceeded):
        FixedPolicy.of("split").choose(request_of(remaining_s=0.01), link, Random(0))


def test_a_forced_cloud_plan_without_the_cloud_is_unavailable(
    table: PlanTable, request_of: Requests, link: Link
) -> None:
    forced = FixedPolicy.of(table.entries[1].plan.plan_id)
    with pytest.raises(CloudUnavailable):
        forced.choose(request_of(cloud_reachable=False), link, Random(0))


def test_cloud_only_takes_the_file_where_it_is_the_quickest(request_of: Requests, link: Link) -> None:
    assert CloudOnlyPolicy().choose(request_of(file_bytes=20_000), link, Random(0)).entry.file_crosses


def test_cloud_only_without_the_cloud_is_unavailable(request_of: Requests, link: Link) -> None:
    with pytest.raises(CloudUnavailable):
        CloudOnlyPolicy().choose(request_of(cloud_reachable=False), link, Random(0))


@pytest.mark.parametrize("kind", ["cloud-only", "split"])
def test_a_kind_that_needs_the_cloud_is_unavailable_before_any_replica_was_there(
    entry: Callable[..., PlanEntry], request_of: Requests, kind: str
) -> None:
    alone = PlanTable("net", "d" * 64, (entry(edge_s=0.1),))
    with pytest.raises(CloudUnavailable, match=f"a {kind} plan needs the cloud"):
        FixedPolicy.of(kind).choose(request_of(table=alone, cloud_reachable=False), None, Random(0))


def test_cloud_only_serves_over_an_unknown_link(request_of: Requests) -> None:
    assert CloudOnlyPolicy().choose(request_of(), None, Random(0)).entry.plan.kind == "cloud-only"


def test_edge_only_stays_on_the_edge_on_the_best_of_links(request_of: Requests) -> None:
    assert EdgeOnlyPolicy().choose(request_of(), Link.of("10gbps"), Random(0)).entry.plan.kind == "edge-only"


def test_edge_only_is_not_found_for_a_model_that_needs_the_cloud(
    entry: Callable[..., PlanEntry], request_of: Requests, link: Link
) -> None:
    table = PlanTable("net", "d" * 64, (entry("input", "raw", size=1000),))
    with pytest.raises(NotFound, match=r"'edge-only'.*of kind cloud-only"):
        EdgeOnlyPolicy().choose(request_of(table=table), link, Random(0))
