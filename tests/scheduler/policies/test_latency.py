"""The quickest plan: least predicted time from now to the answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.errors import CloudUnavailable, DeadlineExceeded, NotFound
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import Correction, PlanEntry, PlanTable
from scheduler.policies.forecast import forecast
from scheduler.policies.latency import LatencyPolicy
from scheduler.policies.selection import NEAR_EQUAL
from tests.scheduler.policies.plan_cases import cases

Requests = Callable[..., ChoiceRequest]
Entries = Callable[..., PlanEntry]
LATENCY = LatencyPolicy()

seconds = st.floats(0, 2)
plans = st.tuples(
    st.sampled_from(["", "input", "a", "b"]), st.sampled_from(["raw", "zstd"]), seconds, st.integers(0, 10**6), seconds
)


def total_by_hand(entry: PlanEntry, request: ChoiceRequest, link: Link) -> float:
    costs = entry.costs
    edge_s = request.edge_queue_s + costs.edge.fixed_s
    if entry.plan.kind == "edge-only":
        return edge_s
    wire_s = costs.uplink_bytes_fixed * 8 / link.uplink_bps + costs.downlink_bytes_fixed * 8 / link.downlink_bps
    return edge_s + wire_s + link.rtt_s + request.cloud_queue_s + costs.cloud.fixed_s


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    drawn=st.lists(plans, min_size=1, max_size=6, unique_by=lambda plan: plan[:2] if plan[0] else ""),
    rates=st.tuples(st.floats(1e4, 1e10), st.floats(1e4, 1e10), st.floats(0, 1)),
    queues=st.tuples(seconds, seconds),
)
def test_chooses_the_least_of_all_predictions(entry: Entries, drawn, rates, queues) -> None:  # type: ignore[no-untyped-def]
    entries = tuple(entry(name, codec, edge_s=e, size=size, cloud_s=c) for name, codec, e, size, c in drawn)
    request = ChoiceRequest(
        PlanTable("net", "d" * 64, entries), "bytes", 1, edge_queue_s=queues[0], cloud_queue_s=queues[1]
    )
    link = Link(*rates)
    choice = LATENCY.choose(request, link, Random(0))
    least_s = min(total_by_hand(one, request, link) for one in entries)
    assert choice.predicted.total_s <= least_s * (1 + NEAR_EQUAL) + 1e-9
    assert choice.predicted.total_s == pytest.approx(total_by_hand(choice.entry, request, link))


def test_says_why_in_one_line(request_of: Requests, link: Link) -> None:
    choice = LATENCY.choose(request_of(), link, Random(0))
    assert choice.reason == (
        "split at blocks.4 (zstd): 72.6 ms beats cloud-only (png) 83.6 ms and edge-only 101 ms at 20 Mbit/s, RTT 20 ms"
    )


@pytest.mark.parametrize(
    ("bandwidth", "rtt", "kind"),
    [("1mbps", "100ms", "edge-only"), ("20mbps", "20ms", "split"), ("1gbps", "1ms", "cloud-only")],
)
def test_the_choice_follows_the_link(request_of: Requests, bandwidth: str, rtt: str, kind: str) -> None:
    choice = LATENCY.choose(request_of(), Link.of(bandwidth, rtt), Random(0))
    assert choice.entry.plan.kind == kind


def test_a_small_file_crosses_as_it_came(request_of: Requests, link: Link) -> None:
    choice = LATENCY.choose(request_of(file_bytes=10_000), link, Random(0))
    assert choice.entry.file_crosses


def test_a_wait_on_the_edge_drives_the_file_to_the_cloud(request_of: Requests, link: Link) -> None:
    choice = LATENCY.choose(request_of(edge_queue_s=0.5), link, Random(0))
    assert choice.entry.file_crosses
    assert choice.predicted.edge_s == 0.0


def test_a_wait_in_the_cloud_keeps_the_request_on_the_edge(request_of: Requests, link: Link) -> None:
    choice = LATENCY.choose(request_of(cloud_queue_s=0.5), link, Random(0))
    assert choice.entry.plan.kind == "edge-only"


def test_what_every_plan_costs_besides_is_predicted_and_changes_no_choice(request_of: Requests, link: Link) -> None:
    bare, whole = (LATENCY.choose(request_of(overhead_s=s, edge_queue_s=0.01), link, Random(0)) for s in (0.0, 0.003))
    assert whole.entry == bare.entry
    assert whole.predicted.total_s == pytest.approx(bare.predicted.total_s + 0.003)
    assert whole.predicted.overhead_s == 0.003


def test_a_plan_that_costs_more_besides_loses(entry: Entries, request_of: Requests, link: Link) -> None:
    near = (entry(edge_s=0.100), entry("a", edge_s=0.0772))  # with the link 98.8 ms
    slow = {near[1].plan.plan_id: Correction(overhead_s=0.004)}
    table = PlanTable("net", "d" * 64, near)
    chosen = [LATENCY.choose(request_of(table=table, corrections=c), link, Random(0)).entry for c in ({}, slow)]
    assert [one.plan.kind for one in chosen] == ["split", "edge-only"]


def test_edge_only_while_the_cloud_is_not_reachable(request_of: Requests) -> None:
    choice = LATENCY.choose(request_of(cloud_reachable=False), Link.of("1gbps", "1ms"), Random(0))
    assert choice.reason == "edge-only: 101 ms, the cloud is not reachable"


def test_edge_only_while_the_link_is_unknown(request_of: Requests) -> None:
    choice = LATENCY.choose(request_of(), None, Random(0))
    assert choice.reason == "edge-only: 101 ms, the link is not measured yet"


def test_a_model_without_edge_only_uses_the_cloud_over_an_unknown_link(entry: Entries, request_of: Requests) -> None:
    table = PlanTable("net", "d" * 64, (entry("input", "raw", size=1000),))
    assert LATENCY.choose(request_of(table=table), None, Random(0)).entry.plan.kind == "cloud-only"


def test_a_model_that_needs_the_cloud_is_unavailable_without_it(
    entry: Entries, request_of: Requests, link: Link
) -> None:
    table = PlanTable("net", "d" * 64, (entry("input", "raw", size=1000),))
    with pytest.raises(CloudUnavailable, match="net"):
        LATENCY.choose(request_of(table=table, cloud_reachable=False), link, Random(0))


def test_a_deadline_that_no_plan_can_meet_is_refused(request_of: Requests, link: Link) -> None:
    with pytest.raises(DeadlineExceeded, match="20 ms are left"):
        LATENCY.choose(request_of(remaining_s=0.02), link, Random(0))


def test_of_two_near_equals_the_one_in_time_is_taken(entry: Entries, request_of: Requests, link: Link) -> None:
    near = (entry(edge_s=0.1000), entry("a", edge_s=0.0792, cloud_s=0.0))  # the second takes 20 ms + 1.6 ms more
    request = request_of(table=PlanTable("net", "d" * 64, near), remaining_s=0.1004)
    assert {LATENCY.choose(request, link, Random(seed)).entry.plan.kind for seed in range(20)} == {"edge-only"}


def test_near_equals_are_drawn_at_random_by_the_seed(entry: Entries, request_of: Requests, link: Link) -> None:
    near = (entry(edge_s=0.1000), entry("a", edge_s=0.0792))
    request = request_of(table=PlanTable("net", "d" * 64, near))
    drawn = [LATENCY.choose(request, link, Random(seed)).entry.plan.kind for seed in range(20)]
    again = [LATENCY.choose(request, link, Random(seed)).entry.plan.kind for seed in range(20)]
    assert drawn == again
    assert set(drawn) == {"edge-only", "split"}


def test_a_surer_plan_that_is_as_good_is_taken_and_the_reason_says_so(
    entry: Entries, request_of: Requests, link: Link
) -> None:
    near = (entry(edge_s=0.100, spread=0.01), entry("a", edge_s=0.0767, spread=0.05))  # with the link 98.3 ms
    choice = LATENCY.choose(request_of(table=PlanTable("net", "d" * 64, near)), link, Random(0))
    assert choice.reason == (
        "edge-only: 100 ms against split at a (raw) 98.3 ms at 20 Mbit/s, RTT 20 ms; "
        "equal to split at a (raw) 98.3 ms within the spreads, and surer (± 1 ms against ± 3.84 ms)"
    )


def test_a_form_without_plans_is_not_found(entry: Entries, request_of: Requests, link: Link) -> None:
    table = PlanTable("net", "d" * 64, (entry(edge_s=0.1, form="tensor"),))
    with pytest.raises(NotFound, match="'bytes' form"):
        LATENCY.choose(request_of(table=table), link, Random(0))


def test_never_chooses_the_cloud_while_it_is_away(request_of: Requests) -> None:
    for rate, remaining_s in itertools.product(("1mbps", "1gbps"), (None, 5.0)):
        request = request_of(cloud_reachable=False, remaining_s=remaining_s)
        assert LATENCY.choose(request, Link.of(rate, "1ms"), Random(0)).entry.plan.kind == "edge-only"


def test_a_long_prefix_costs_those_behind_it_while_the_edge_has_a_queue(
    entry: Entries, request_of: Requests, link: Link
) -> None:
    """100 ms of the edge, or 119 of which it has 1: of ten requests a second five and a half are behind it."""
    near = (entry(edge_s=0.100), entry("a", edge_s=0.001, cloud_s=0.0965))  # with the link 119 ms
    queued = request_of(table=PlanTable("net", "d" * 64, near), edge_queue_s=0.5)
    alone, behind, idle = (
        LATENCY.choose(request, link, Random(0))
        for request in (queued, queued._replace(rate_per_s=10.0), queued._replace(rate_per_s=10.0, edge_queue_s=0.0))
    )
    assert [one.entry.plan.kind for one in (alone, behind, idle)] == ["edge-only", "split", "edge-only"]
    assert "; edge-only 600 ms would make others wait for 550 ms in all" in behind.reason
    assert "others wait" not in alone.reason + idle.reason


@given(cases(), st.floats(0, 100))
def test_what_a_plan_costs_with_those_behind_it_is_never_less_than_its_time(
    case: tuple[ChoiceRequest, Link], rate_per_s: float
) -> None:
    request, link = case
    found = forecast(request._replace(rate_per_s=rate_per_s), link)
    for number, (alone_s, shared_s) in enumerate(zip(found.total_s, found.shared_s, strict=True)):
        edge_s, queue_s = found.amounts.edge_s[number], request.edge_queue_s
        others_s = rate_per_s * edge_s * (queue_s + edge_s / 2) if queue_s > 0 else 0.0
        assert shared_s == pytest.approx(alone_s + others_s)


def test_a_prefix_that_joins_others_keeps_the_edge_for_what_it_adds(
    entry: Entries, request_of: Requests, link: Link
) -> None:
    """Of eight prefixes that take 80 ms together, where one takes 90, each saves 80."""
    alone = entry(edge_s=0.100)
    joined = replace(alone, costs=replace(alone.costs, prefix_s=((1, 0.09), (2, 0.1), (8, 0.08))))
    for one, adds_s in ((alone, 0.1), (joined, 0.1 - (0.09 - 0.01))):
        found = forecast(request_of(table=PlanTable("net", "d" * 64, (one,)), edge_queue_s=0.5, rate_per_s=10.0), link)
        assert found.shared_s[0] - found.total_s[0] == pytest.approx(10.0 * adds_s * (0.5 + adds_s / 2))
