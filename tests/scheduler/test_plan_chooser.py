"""The chooser that a node gets."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

import pytest

from isthmus.errors import CloudUnavailable, DeadlineUnreachable, InvalidConfiguration, NotFound, Unavailable
from nodes.chooser import Choice, ChoiceRequest, Chooser, Outcome, Refused, StageTimes, Transfer
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.settings import EdgeSettings
from nodes.steering import EVERYTHING, Canary, PolicySetting, Scope, Steering
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.plan_chooser import PlanChooser
from tests.scheduler.conftest import DIGEST

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


def test_the_policy_hears_how_many_requests_keep_the_edge_busy(request_of: Requests) -> None:
    link = Link.of("1gbps", "1ms")
    chooser = chooser_on(link)
    for number in range(200):  # as they came: nothing for the edge's worker
        assert not chooser.choose(request_of(now_s=10 + number / 20, file_bytes=10_000)).entry.edge_works
    for number in range(200):
        chooser.choose(request_of(now_s=20 + number / 20, policy="edge-only"))
    untouched, busy = (decision.request.rate_per_s for decision in chooser.log.last(201)[::200])
    assert untouched == 0.0
    assert 10.0 < busy < 20.0


def test_the_configured_policy_rules(request_of: Requests, link: Link) -> None:
    assert chooser_on(link, "cloud-only").choose(request_of()).entry.plan.kind == "cloud-only"


def test_the_deadline_of_requests_is_that_of_the_policy_that_stands_for_them() -> None:
    chooser = PlanChooser("slo", {"deadline": 0.2})
    assert chooser.arrives("net", "") == (0.2, False)
    scopes = {Scope("", "alarm"): PolicySetting("slo", {"deadline": 2.0}), Scope("net", ""): PolicySetting("latency")}
    chooser.steer(Steering({**chooser.steering.policies, **scopes}))
    asked = ("net", "alarm"), ("net", ""), ("other", "")
    assert [chooser.arrives(*of).timeout_s for of in asked] == [2.0, None, 0.2]


@pytest.mark.parametrize(
    ("canary", "its_s"), [(PolicySetting("slo", {"deadline": 0.1}), 0.1), (PolicySetting("latency"), None)]
)
def test_the_deadline_of_a_canarys_requests_is_its_own(
    request_of: Requests, link: Link, canary: PolicySetting, its_s: float | None
) -> None:
    standing = {EVERYTHING: PolicySetting("slo", {"deadline": 0.2})}
    chooser = steered(chooser_on(link), policies=standing, canary=Canary(canary, 0.2))
    terms = [chooser.arrives("net", "") for _ in range(50)]
    assert [one.timeout_s for one in terms] == [its_s if one.canary else 0.2 for one in terms]
    assert sum(one.canary for one in terms) == pytest.approx(10, abs=1)
    for one in reversed(terms):  # in whatever order their turns come
        chooser.choose(request_of(canary=one.canary))
        assert (chooser.log.last(1)[0].policy == canary) is one.canary


def test_a_request_of_a_canary_that_has_ended_is_the_standing_policys(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), canary=Canary(PolicySetting("edge-only"), 1.0))
    canary = chooser.arrives("net", "").canary
    steered(chooser)
    assert canary
    assert chooser.choose(request_of(canary=canary)).entry.plan.kind == "split"


def test_a_request_that_came_before_the_canary_is_not_its(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    canary = chooser.arrives("net", "").canary
    steered(chooser, canary=Canary(PolicySetting("edge-only"), 1.0))
    assert chooser.choose(request_of(canary=canary)).entry.plan.kind == "split"


def test_what_a_canary_decides_is_told_apart_from_what_the_same_policy_decides(
    request_of: Requests, link: Link
) -> None:
    before, canary = PolicySetting("slo", {"deadline": 0.2}), PolicySetting("slo", {"deadline": 0.3})
    chooser = steered(chooser_on(link), policies={EVERYTHING: before}, canary=Canary(canary, 0.5))
    told = {chooser.choose(request_of()).policy for _ in range(20)}
    assert told == {"slo", "slo (canary)"}
    for one in chooser.log.last(20):
        assert one.choice.policy == one.request.policy == ("slo" if one.policy == before else "slo (canary)")


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
    assert (decision.number, decision.policy) == (1, PolicySetting("cloud-only"))
    assert decision.link == chooser.link()


def steered(chooser: PlanChooser, **changes: object) -> PlanChooser:
    chooser.steer(Steering(**{"policies": chooser.steering.policies, **changes}))  # type: ignore[arg-type]
    return chooser


def kinds(chooser: PlanChooser, request: ChoiceRequest, count: int) -> list[str]:
    return [chooser.choose(request).entry.plan.kind for _ in range(count)]


def test_an_operator_changes_the_policy_from_the_next_request_on(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    assert chooser.choose(request_of()).entry.plan.kind == "split"
    steered(chooser, policies={EVERYTHING: PolicySetting("edge-only")})
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"


@pytest.mark.parametrize(
    ("scope", "request_class", "kind"),
    [
        (Scope("net", ""), "", "cloud-only"),
        (Scope("other", ""), "", "edge-only"),
        (Scope("", "alarm"), "alarm", "cloud-only"),
        (Scope("", "alarm"), "", "edge-only"),
        (Scope("net", "alarm"), "alarm", "cloud-only"),
        (Scope("other", "alarm"), "alarm", "edge-only"),
    ],
)
def test_a_policy_holds_for_its_scope(
    request_of: Requests, link: Link, scope: Scope, request_class: str, kind: str
) -> None:
    everything = {EVERYTHING: PolicySetting("edge-only"), scope: PolicySetting("cloud-only")}
    chooser = steered(chooser_on(link), policies=everything)
    assert chooser.choose(request_of(request_class=request_class)).entry.plan.kind == kind


def test_a_class_weighs_more_than_a_model_and_both_most(request_of: Requests, link: Link) -> None:
    everything, of_model = {EVERYTHING: PolicySetting("latency")}, {Scope("net"): PolicySetting("edge-only")}
    of_class = {Scope("", "alarm"): PolicySetting("cloud-only")}
    chooser = steered(chooser_on(link), policies={**everything, **of_model, **of_class})
    assert chooser.choose(request_of(request_class="alarm")).entry.plan.kind == "cloud-only"
    of_both = {Scope("net", "alarm"): PolicySetting("edge-only")}
    steered(chooser, policies={**everything, **of_class, **of_both})
    assert chooser.choose(request_of(request_class="alarm")).entry.plan.kind == "edge-only"


def test_the_request_comes_before_what_an_operator_set(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), policies={EVERYTHING: PolicySetting("edge-only")})
    assert chooser.choose(request_of(policy="cloud-only")).entry.plan.kind == "cloud-only"


@pytest.mark.parametrize("name", ["best", "builtins:dict"])
def test_a_change_that_cannot_be_made_changes_nothing(request_of: Requests, link: Link, name: str) -> None:
    chooser = chooser_on(link)
    before = chooser.steering
    for change in (
        {"policies": {EVERYTHING: PolicySetting(name)}},
        {"shadow": PolicySetting(name)},
        {"canary": Canary(PolicySetting(name), 0.5)},
    ):
        with pytest.raises(NotFound, match=name):
            steered(chooser, **change)
    assert chooser.steering is before


def test_a_configured_class_outlives_a_change_over_the_wire(request_of: Requests, link: Link) -> None:
    name = "scheduler.policies.cloud_only:CloudOnlyPolicy"
    chooser = steered(chooser_on(link, name), shadow=PolicySetting("edge-only"))
    assert chooser.choose(request_of()).entry.plan.kind == "cloud-only"


def configured(*scoped: tuple[Scope, PolicySetting]) -> ConfiguredPolicies:
    return ConfiguredPolicies(tuple(ScopedPolicy(*one) for one in scoped))


CLASS = "scheduler.policies.cloud_only:CloudOnlyPolicy"
BY_SCOPE = configured(
    (EVERYTHING, PolicySetting("latency")),
    (Scope("net"), PolicySetting("edge-only")),
    (Scope("", "alarm"), PolicySetting(CLASS)),
)


def test_the_policies_of_the_settings_are_in_force_from_the_start(request_of: Requests, link: Link) -> None:
    chooser = PlanChooser.of_edge(EdgeSettings((), "127.0.0.1:0", "", policies=BY_SCOPE))
    teach(chooser, link, 0.0)
    assert chooser.choose(request_of()).entry.plan.kind == "edge-only"
    assert chooser.choose(request_of(request_class="alarm")).entry.plan.kind == "cloud-only"


def test_a_new_configuration_replaces_what_was_set_and_leaves_shadow_and_canary(
    request_of: Requests, link: Link
) -> None:
    shadow, canary = PolicySetting("throughput"), Canary(PolicySetting("edge-only"), 1e-9)
    chooser = steered(chooser_on(link), policies={EVERYTHING: PolicySetting("edge-only")}, shadow=shadow, canary=canary)
    chooser.choose(request_of())
    chooser.configure(configured((EVERYTHING, PolicySetting("latency")), (Scope("", "alarm"), PolicySetting(CLASS))))
    assert chooser.choose(request_of()).entry.plan.kind == "split"
    assert chooser.choose(request_of(request_class="alarm")).entry.plan.kind == "cloud-only"
    assert (chooser.steering.shadow, chooser.steering.canary) == (shadow, canary)
    assert chooser.shadow_report.decisions == 2  # since then


def test_a_configuration_that_cannot_be_made_changes_nothing(link: Link) -> None:
    chooser = chooser_on(link)
    before = chooser.steering
    for wrong in (PolicySetting("best"), PolicySetting("slo", {"probability": 7}), PolicySetting("no.such:Policy")):
        with pytest.raises((NotFound, InvalidConfiguration)):
            chooser.configure(configured((EVERYTHING, PolicySetting("edge-only")), (Scope("net"), wrong)))
    assert chooser.steering is before


def test_a_canary_decides_for_its_share(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), canary=Canary(PolicySetting("edge-only"), 0.2))
    chosen = kinds(chooser, request_of(), 200)
    assert chosen.count("edge-only") == pytest.approx(40, abs=2)
    assert chosen[:20].count("edge-only") == pytest.approx(4, abs=2)  # and evenly
    assert {one.because for one in chooser.log.last()} == {"all requests", "the canary, 0.2 of the requests"}


def test_a_shadow_decides_without_effect_and_is_reported(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), shadow=PolicySetting("edge-only"))
    assert kinds(chooser, request_of(), 3) == ["split"] * 3
    decision = chooser.log.last(1)[0]
    assert decision.shadow is not None
    assert decision.shadow.choice is not None
    assert decision.shadow.choice.entry.plan.kind == "edge-only"
    report, slower_s = chooser.shadow_report, decision.choice.predicted.total_s - 0.101
    assert (report.decisions, report.agreed, report.failed) == (3, 0, 0)
    assert report.saved_s == pytest.approx(3 * slower_s)
    chooser.choose(request_of(policy="edge-only"))
    assert chooser.shadow_report.agreed == 1
    steered(chooser, shadow=PolicySetting("cloud-only"))
    assert chooser.shadow_report.decisions == 0


@pytest.mark.parametrize(
    "change",
    [{"policies": {EVERYTHING: PolicySetting("edge-only")}}, {"canary": Canary(PolicySetting("throughput"), 0.5)}],
)
def test_a_shadow_is_reported_of_one_regime_at_a_time(
    request_of: Requests, link: Link, change: Mapping[str, object]
) -> None:
    shadow = PolicySetting("edge-only")
    chooser = steered(chooser_on(link), shadow=shadow)
    chooser.choose(request_of())
    steered(chooser, shadow=shadow)
    assert chooser.shadow_report.decisions == 1  # nothing has changed
    steered(chooser, shadow=shadow, **change)
    assert chooser.shadow_report.decisions == 0


def test_a_shadow_that_finds_no_plan_harms_nobody(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), shadow=PolicySetting("fixed:" + "0" * 16))
    assert chooser.choose(request_of()).entry.plan.kind == "split"
    decision = chooser.log.last(1)[0]
    assert decision.shadow is not None
    assert (decision.shadow.choice, "0000" in decision.shadow.failure) == (None, True)
    assert (chooser.shadow_report.decisions, chooser.shadow_report.failed) == (1, 1)


class Raises:
    """A policy with a bug."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: random.Random) -> Choice:
        raise ZeroDivisionError("no items")


class SaysNothing(Raises):
    """A policy with another one."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: random.Random) -> Choice:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("bug", "failure"), [("Raises", "ZeroDivisionError: no items"), ("SaysNothing", "AttributeError: ")]
)
def test_a_shadow_with_a_bug_harms_nobody(request_of: Requests, link: Link, bug: str, failure: str) -> None:
    shadow, chooser = PolicySetting(f"{__name__}:{bug}"), chooser_on(link)
    chooser.configure(configured((EVERYTHING, PolicySetting("latency")), (Scope("", "alarm"), shadow)))
    steered(chooser, shadow=shadow)
    assert chooser.choose(request_of()).entry.plan.kind == "split"
    found = chooser.log.last(1)[0].shadow
    assert found is not None
    assert (found.choice, found.failure.startswith(failure)) == (None, True)
    assert (chooser.shadow_report.decisions, chooser.shadow_report.failed) == (1, 1)


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


def test_requests_that_ended_are_told_from_a_known_one_on(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    for number in range(3):
        told = {"request_id": f"r{number}", "request_class": "alarm", "now_s": float(number), "came_s": number - 0.5}
        chosen = chooser.choose(request_of(**told))
        chooser.observe_outcome(Outcome(f"r{number}", edge_s=0.5, finished_by="cloud"))
    found = chooser.ended(since=1, most=10)
    assert (found.count, [one.outcome.request_id for one in found.requests]) == (3, ["r1", "r2"])
    newest = found.requests[-1]
    assert (newest.came_s, newest.model, newest.request_class, newest.form) == (2.0, "net", "alarm", "bytes")
    assert newest.waited_s == 0.5
    assert (newest.policy, newest.plan_kind, newest.plan_name) == ("latency", "split", "split at blocks.4 (zstd)")
    assert newest.predicted == chosen.predicted
    assert [one.outcome.request_id for one in chooser.ended(since=0, most=1).requests] == ["r2"]
    assert chooser.ended(since=3, most=10).requests == ()


def test_what_a_policy_refused_is_explained_with_what_was_asked_and_believed(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    with pytest.raises(DeadlineUnreachable) as refused:
        chooser.choose(request_of(request_id="r1", remaining_s=0.01, cloud_queue_s=0.2))
    chooser.observe_refusal(refusal_of("r1", str(refused.value)))
    told = json.loads(chooser.explain("r1"))
    assert told["failure"] == str(refused.value)
    assert told["link"]["uplink_bps"] == pytest.approx(link.uplink_bps, rel=0.1)
    assert (told["request"]["cloud_queue_s"], told["request"]["policy"]) == (0.2, "latency")
    assert told["request"]["uplink_spread"] > 0
    assert len(told["candidates"]) > 2
    assert "choice" not in told
    assert chooser.log.count == 0
    assert json.loads(chooser.explain("")) == told


def test_what_ended_before_a_policy_was_asked_is_explained_in_words(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    chooser.observe_refusal(refusal_of("r1", "shed"))
    told = json.loads(chooser.explain("r1"))
    assert (told["failure"], told["model"], told["candidates"]) == ("shed", "net", [])
    assert (told["request"]["request_id"], told["request"]["remaining_s"]) == ("r1", 0.3)


def test_a_form_that_no_plan_takes_is_explained_without_any(request_of: Requests, link: Link) -> None:
    chooser = chooser_on(link)
    with pytest.raises(NotFound):
        chooser.choose(request_of(table=PlanTable("net", DIGEST, ()), request_id="r1"))
    assert json.loads(chooser.explain("r1"))["candidates"] == []


GONE = "0" * 16


@pytest.mark.parametrize("policy", ["edge-only", f"fixed:{GONE}"])
def test_a_policy_in_force_that_finds_no_plan_is_no_fault_of_the_client(
    table: PlanTable, request_of: Requests, link: Link, policy: str
) -> None:
    cloud = PlanTable("net", DIGEST, tuple(one for one in table.entries if one.plan.kind != "edge-only"))
    with pytest.raises(Unavailable) as refused:
        chooser_on(link, policy).choose(request_of(table=cloud))
    assert not isinstance(refused.value, CloudUnavailable)
    said = str(refused.value)
    assert said.startswith(f"policy {policy} for all requests cannot serve model 'net': plan ")
    assert "`isthmus policy set POLICY --model net`" in said


def test_a_policy_in_force_that_finds_no_plan_may_find_one_once_the_cloud_is_there(request_of: Requests) -> None:
    with pytest.raises(CloudUnavailable, match=f"policy fixed:{GONE} for all requests"):
        PlanChooser(f"fixed:{GONE}").choose(request_of(cloud_reachable=False))


def test_a_canary_that_finds_no_plan_is_no_fault_of_the_client(request_of: Requests, link: Link) -> None:
    chooser = steered(chooser_on(link), canary=Canary(PolicySetting(f"fixed:{GONE}"), 1.0))
    with pytest.raises(Unavailable, match="for the canary, 1 of the requests cannot serve"):
        chooser.choose(request_of())


def refusal_of(request_id: str, failure: str) -> Refused:
    return Refused(1.0, "net", "bytes", 1, 900, 0.3, 0, "", "alarm", "", "", failure, request_id, asked_s=0.3)


def test_the_link_is_told_with_its_spread(link: Link) -> None:
    assert PlanChooser().link_belief() is None
    belief = chooser_on(link).link_belief()
    assert belief is not None
    assert (belief.uplink_bps, belief.rtt_s) == pytest.approx((link.uplink_bps, link.rtt_s), rel=0.1)
    assert 0 < belief.uplink_spread < 1


@pytest.mark.parametrize(
    ("policy", "options", "wishes", "may"),
    [
        ("latency", {}, {}, True),
        ("edge-only", {}, {"remaining_s": 0.5}, False),
        ("edge-only", {}, {"policy": "cloud-only"}, True),
        ("latency", {}, {"policy": "edge-only"}, False),
        ("latency", {}, {"policy": "no-such-policy"}, False),
        ("fixed:edge-only", {}, {}, False),
        ("fixed:split", {}, {}, True),
        ("latency", {}, {"plan_id": "0" * 16}, True),  # maybe a plan that is on offer once a replica is there
        ("cost", {"price": 1.0}, {}, False),
        ("cost", {"price": 1.0}, {"remaining_s": 0.5}, True),
        ("slo", {}, {}, False),
        ("slo", {"deadline": 0.2}, {}, True),
        ("slo", {}, {"remaining_s": 0.0}, True),
    ],
)
def test_tells_which_requests_stay_on_the_edge_whatever_the_cloud_has(
    request_of: Requests, policy: str, options: Mapping[str, float], wishes: Mapping[str, object], may: bool
) -> None:
    assert PlanChooser(policy, options).may_cross(request_of(cloud_reachable=False, **wishes)) is may


def test_a_forced_plan_tells_by_where_it_runs(table: PlanTable, request_of: Requests) -> None:
    for entry in table.for_form("bytes"):
        told = PlanChooser().may_cross(request_of(plan_id=entry.plan.plan_id))
        assert told is (entry.plan.kind != "edge-only")


def test_what_the_edge_cannot_run_alone_may_cross_at_any_price(table: PlanTable, request_of: Requests) -> None:
    cloud = PlanTable("net", DIGEST, tuple(one for one in table.entries if one.plan.kind != "edge-only"))
    assert PlanChooser("cost", {"price": 1.0}).may_cross(request_of(table=cloud))
    assert PlanChooser("slo").may_cross(request_of(table=cloud))


def test_asking_whether_a_request_may_cross_changes_no_choice(request_of: Requests) -> None:
    asked, unasked = (PlanChooser("random", seed=3) for _ in range(2))
    for _ in range(20):
        asked.may_cross(request_of())
        assert asked.choose(request_of()).entry is unasked.choose(request_of()).entry
