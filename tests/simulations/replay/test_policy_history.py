"""Which policies a log shows in force, and when."""

from __future__ import annotations

from typing import Any

from nodes.steering import EVERYTHING, Canary, PolicySetting, Scope
from simulations.replay.policy_history import policy_history
from tests.simulations.replay.logs import LATENCY, made

ENERGY, SLO = PolicySetting("energy", {"busy": 5}), PolicySetting("slo", {"deadline": 0.2})


def test_one_policy_that_decided_for_all_was_in_force_throughout() -> None:
    (only,) = policy_history([made(float(n)) for n in range(3)])
    assert (only.from_s, only.steering.policies) == (0.0, {EVERYTHING: LATENCY})


def test_a_change_holds_from_the_first_request_that_it_decided_for() -> None:
    first, second = policy_history([made(0.0), made(5.0, policy=ENERGY), made(6.0, policy=ENERGY)])
    assert first.steering.policies[EVERYTHING] == LATENCY
    assert (second.from_s, second.steering.policies[EVERYTHING]) == (5.0, ENERGY)


def test_a_class_keeps_its_own_until_another_policy_decides_for_it() -> None:
    alarm: dict[str, Any] = {"because": "class alarm", "policy": SLO, "request_class": "alarm"}
    history = policy_history([made(0.0), made(1.0, **alarm), made(2.0), made(3.0, request_class="alarm")])
    assert history[0].steering.policies == {EVERYTHING: LATENCY, Scope("", "alarm"): SLO}
    assert (history[1].from_s, history[1].steering.policies) == (3.0, {EVERYTHING: LATENCY})


def test_a_canary_runs_from_its_first_to_its_last_decision() -> None:
    canary: dict[str, Any] = {"because": "the canary, 0.25 of the requests", "policy": ENERGY}
    history = policy_history([made(0.0), made(2.0, **canary), made(3.0), made(4.0, **canary), made(9.0)])
    assert [one.steering.canary for one in history] == [None, Canary(ENERGY, 0.25), None]
    assert history[1].from_s == 2.0
    assert 4.0 < history[2].from_s < 4.1


def test_one_canary_after_another_is_each_in_force_in_its_own_time() -> None:
    small: dict[str, Any] = {"because": "the canary, 0.05 of the requests", "policy": ENERGY}
    large: dict[str, Any] = {"because": "the canary, 0.5 of the requests", "policy": ENERGY}
    other: dict[str, Any] = {"because": "the canary, 0.5 of the requests", "policy": PolicySetting("cost")}
    history = policy_history(
        [made(0.0), made(2.0, **small), made(4.0, **small), made(5.0), made(6.0, **large), made(8.0, **large),
         made(9.0, **other), made(12.0)]
    )  # fmt: skip

    def canary(at_s: float) -> Canary | None:
        return [one.steering.canary for one in history if one.from_s <= at_s][-1]

    assert [canary(at_s) for at_s in (1.0, 3.0, 5.0, 7.0, 8.5, 9.0, 10.0)] == [
        None, Canary(ENERGY, 0.05), None, Canary(ENERGY, 0.5), None, Canary(PolicySetting("cost"), 0.5), None,
    ]  # fmt: skip


def test_requests_that_named_their_own_plan_or_policy_say_nothing_of_what_is_in_force() -> None:
    own = made(0.0, policy=PolicySetting("edge-only"), because="the request's policy")
    (only,) = policy_history([own, made(1.0)])
    assert only.steering.policies == {EVERYTHING: LATENCY}
