"""The chooser that a node gets."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import ClassVar

import pytest

from isthmus.errors import InvalidConfiguration, NotFound
from nodes.chooser import Choice, ChoiceRequest, Chooser, StageTimes, Transfer
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.latency import LatencyPolicy

Requests = Callable[..., ChoiceRequest]


def chooser_on(link: Link, policy: str = "latency", **settings: float) -> PlanChooser:
    chooser = PlanChooser(policy, **settings)  # type: ignore[arg-type]
    teach(chooser, link, 0.0)
    return chooser


def teach(chooser: Chooser, link: Link, now_s: float) -> None:
    for number in range(4):
        chooser.observe_rtt(link.rtt_s, now_s + number / 10)
        chooser.observe_transfer(Transfer("up", 100_000, link.uplink_s(100_000)), now_s + number / 10)
        chooser.observe_transfer(Transfer("down", 100_000, link.downlink_s(100_000)), now_s + number / 10)


def test_believes_nothing_before_the_first_transfer(request_of: Requests) -> None:
    chooser = PlanChooser()
    assert chooser.link() is None
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"


def test_the_choice_follows_what_transfers_taught(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    assert chooser.choose(request_of()).entry.plan.kind == "split"
    teach(chooser, Link.of("1mbps", "100ms"), 5.0)
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"


def test_the_policy_hears_how_sure_the_link_is(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    chooser.choose(request_of())
    chooser.observe_rtt(link.rtt_s, 100.0)  # nothing crossed for long
    chooser.choose(request_of())
    soon, late = (decision.request for decision in chooser.log.last(2))
    assert 0 < soon.uplink_spread < late.uplink_spread
    assert 0 < soon.downlink_spread < late.downlink_spread


def test_the_configured_policy_rules(request_of: Requests, link: Link) -> None:
    assert chooser_on(link, "cloud-only").choose(request_of()).entry.plan.kind == "cloud-only"


def test_a_request_may_name_another_policy(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link, "cloud-only")
    assert chooser.choose(request_of(policy="edge-only")).entry.plan.kind == "edge-only"


def test_a_forced_plan_comes_before_any_policy(table: PlanTable, request_of: Requests, link: Link) -> None:
    forced = table.entries[4]
    request = request_of(policy="edge-only", plan_id=forced.plan.plan_id)
    assert chooser_on(link).choose(request).entry is forced


@pytest.mark.parametrize("facts", [{"policy": "best"}, {"plan_id": "0" * 16}, {"policy": "builtins:dict"}])
def test_an_unknown_wish_is_not_found_and_not_logged(request_of: Requests, link: Link, facts: dict[str, str]) -> None:
    chooser = chooser_on(link)
    with pytest.raises(NotFound):
        chooser.choose(request_of(**facts))
    assert chooser.log.count == 0


def test_an_unknown_configured_policy_fails_at_the_start() -> None:
    with pytest.raises(NotFound, match="latency"):
        PlanChooser("best")
    with pytest.raises(InvalidConfiguration):
        PlanChooser("no.such:Policy")


def test_a_decision_is_logged_with_its_facts(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    choice = chooser.choose(request_of(policy="cloud-only"))
    decision = chooser.log.last(1)[0]
    assert decision.choice is choice
    assert (decision.number, decision.policy) == (1, "cloud-only")
    assert decision.link == chooser.link()


def test_an_edge_that_lost_sight_of_a_link_looks_again(request_of: Requests) -> None:
    chooser = chooser_on(Link.of("4mbps", "20ms"), explore_share=1.0)
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"
    chooser.observe_rtt(0.02, 60.0)
    assert chooser.choose(request_of()).entry.plan.kind == "split"


def test_no_looking_again_where_it_would_cost_much(request_of: Requests) -> None:
    chooser = chooser_on(Link.of("100kbps", "100ms"), explore_share=1.0)
    chooser.observe_rtt(0.1, 60.0)
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"


def test_looking_for_a_link_never_seen_waits_for_the_first_echo(request_of: Requests) -> None:
    chooser = PlanChooser(explore_share=1.0)
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"
    chooser.observe_rtt(0.02, 0.0)
    assert chooser.choose(request_of()).reason.endswith("to learn the link, not measured lately")


@pytest.mark.parametrize("facts", [{"cloud_reachable": False}, {"remaining_s": 0.11}, {"policy": "edge-only"}])
def test_looking_again_respects_the_request(request_of: Requests, facts: dict[str, object]) -> None:
    chooser = PlanChooser(explore_share=1.0)
    chooser.observe_rtt(0.2, 0.0)
    assert chooser.choose(request_of(**facts)).entry.plan.kind == "edge-only"


def test_the_same_seed_gives_the_same_choices(request_of: Requests) -> None:
    def run(seed: int) -> list[str]:
        chooser = PlanChooser(seed=seed, explore_share=0.5)
        chooser.observe_rtt(0.02, 0.0)
        return [chooser.choose(request_of()).entry.plan.kind for _ in range(30)]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_requests_that_take_longer_than_the_costs_say_change_the_choice(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    choice = chooser.choose(request_of())
    assert choice.entry.plan.kind == "split"
    for _ in range(5):
        chooser.observe_stages(StageTimes(choice.entry, 1, 250_000, 4 * choice.predicted.edge_s, 0.005, 40_000))
    assert chooser.choose(request_of()).entry.plan.kind != "split"


def test_the_log_keeps_the_corrections_that_a_choice_was_made_with(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    entry = chooser.choose(request_of()).entry
    chooser.observe_stages(StageTimes(entry, 1, 250_000, 0.06, 0.005, 40_000))
    chooser.choose(request_of())
    assert chooser.log.last(1)[0].request.corrections[entry.plan.plan_id].edge > 1.0


def test_the_same_question_has_the_same_choice_while_nothing_was_learned(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    first, again = chooser.choose(request_of()), chooser.choose(request_of())
    assert again is first
    assert [decision.number for decision in chooser.log.last()] == [1, 2]


@pytest.mark.parametrize("other", [{"edge_queue_s": 0.5}, {"policy": "edge-only"}, {"batch": 2}, {"remaining_s": 9.0}])
def test_another_question_is_chosen_for_anew(request_of: Requests, link: Link, other: dict[str, object]) -> None:
    chooser, fresh = chooser_on(link), chooser_on(link)
    chooser.choose(request_of())
    assert chooser.choose(request_of(**other)) == fresh.choose(request_of(**other))


class _Drawing:
    """A policy that draws."""

    drawn: ClassVar[list[float]] = []

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        self.drawn.append(rng.random())
        return LatencyPolicy().choose(request, link, rng)


def test_a_choice_that_was_drawn_is_drawn_anew(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link, f"{__name__}:_Drawing")
    for _ in range(3):
        chooser.choose(request_of())
    assert len(set(_Drawing.drawn)) == 3
