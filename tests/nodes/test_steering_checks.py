"""What an operator asks for is refused at once where it is known that it cannot serve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.errors import InvalidRequest, NotFound
from nodes.gateway import ModelState
from nodes.steering import EVERYTHING, Canary, PolicySetting, Scope, Steering
from nodes.steering_checks import check_steering

MODELS = ModelState("net", "1", "READY"), ModelState("big", "1", "READY", cloud_required=True)
BEFORE = Steering({EVERYTHING: PolicySetting("latency")})
STAYS = PolicySetting("edge-only")


def check(scope: Scope, policy: PolicySetting, before: Steering = BEFORE) -> None:
    check_steering(before, before.with_policy(scope, policy), MODELS)


@pytest.mark.parametrize(
    "policy", [STAYS, PolicySetting("fixed:edge-only"), PolicySetting("fixed", {"plan": "edge-only"})]
)
@pytest.mark.parametrize("scope", [EVERYTHING, Scope("big", ""), Scope("", "alarm")])
def test_a_policy_that_never_asks_the_cloud_is_refused_for_a_model_that_needs_it(
    scope: Scope, policy: PolicySetting
) -> None:
    with pytest.raises(InvalidRequest, match=r"never asks the cloud, .*: big .*--model"):
        check(scope, policy)


@pytest.mark.parametrize("policy", ["latency", "cloud-only", "fixed:split", "fixed:0123456789abcdef"])
def test_any_other_policy_may_serve_it(policy: str) -> None:
    check(EVERYTHING, PolicySetting(policy))


def test_a_model_that_the_edge_can_run_may_stay_there() -> None:
    check(Scope("net", ""), STAYS)


def test_a_model_that_has_a_policy_of_its_own_is_not_ruled_by_that_of_all_others() -> None:
    check(EVERYTHING, STAYS, BEFORE.with_policy(Scope("big", ""), PolicySetting("cloud-only")))


def test_a_canary_decides_for_every_model() -> None:
    with pytest.raises(InvalidRequest, match=r"canary\.policy: never asks the cloud"):
        check_steering(BEFORE, replace(BEFORE, canary=Canary(STAYS, 0.1)), MODELS)


def test_a_shadow_may_be_any() -> None:
    check_steering(BEFORE, replace(BEFORE, shadow=STAYS), MODELS)


def test_a_model_that_is_not_served_is_refused_and_those_that_are_are_named() -> None:
    with pytest.raises(NotFound, match="model 'nett' is not served here; models: big, net"):
        check(Scope("nett", ""), PolicySetting("latency"))


def test_what_is_in_force_already_is_not_checked_again() -> None:
    before = BEFORE.with_policy(Scope("nett", ""), STAYS).with_policy(EVERYTHING, STAYS)
    check(Scope("net", ""), PolicySetting("latency"), before)


@pytest.mark.parametrize(
    ("scope", "policies", "said"),
    [
        (Scope("big", ""), {EVERYTHING: STAYS}, "of all requests never asks"),
        (Scope("", "alarm"), {EVERYTHING: STAYS}, "of all requests never asks"),
        (Scope("big", "alarm"), {EVERYTHING: PolicySetting("latency"), Scope("", "alarm"): STAYS}, "of class alarm ne"),
        (
            Scope("", "alarm"),
            {EVERYTHING: PolicySetting("latency"), Scope("big", ""): STAYS},
            "of model big never asks",
        ),
    ],
)
def test_taking_a_policy_back_is_refused_where_what_is_left_never_asks_the_cloud(
    scope: Scope, policies: dict[Scope, PolicySetting], said: str
) -> None:
    before = Steering({**policies, scope: PolicySetting("cloud-only")})
    with pytest.raises(InvalidRequest, match=rf"policy: {said}.*: big .*set another one for"):
        check_steering(before, before.without_policy(scope), MODELS)


@pytest.mark.parametrize(
    ("scope", "policies"),
    [
        (Scope("big", ""), {EVERYTHING: PolicySetting("latency")}),
        (Scope("net", ""), {EVERYTHING: STAYS, Scope("big", ""): PolicySetting("cloud-only")}),
        (Scope("", "alarm"), {EVERYTHING: STAYS, Scope("big", ""): PolicySetting("cloud-only")}),
        # It decided for none of the requests that would be served no more.
        (Scope("", "alarm"), {EVERYTHING: PolicySetting("latency"), Scope("big", "alarm"): STAYS}),
        (Scope("gone", ""), {EVERYTHING: STAYS, Scope("big", ""): PolicySetting("cloud-only")}),
    ],
)
def test_any_other_policy_is_taken_back(scope: Scope, policies: dict[Scope, PolicySetting]) -> None:
    before = Steering({**policies, scope: PolicySetting("latency")})
    check_steering(before, before.without_policy(scope), MODELS)


def test_one_that_never_asked_the_cloud_either_is_taken_back() -> None:
    before = BEFORE.with_policy(Scope("big", ""), STAYS).with_policy(EVERYTHING, STAYS)
    check_steering(before, before.without_policy(Scope("big", "")), MODELS)
