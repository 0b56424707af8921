"""Which policies were in force over the time of a decision log: what its replay puts in force, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nodes.steering import EVERYTHING, Canary, Scope, Steering
from simulations.replay.logged_request import LoggedRequest, Placed

__all__ = ["InForce", "policy_history"]

_CANARY = "the canary, "


class InForce(NamedTuple):
    """From that moment on, until the next."""

    from_s: float
    steering: Steering


def policy_history(requests: Sequence[LoggedRequest]) -> tuple[InForce, ...]:
    """As decisions tell of it, in the order in which they came; from 0 on.

    A change is seen with the first request that it decided for, and a canary's end with its last one, or with the first
    of another canary. Where a model or a class has a policy of its own, it is taken to have had it until another one
    decided.
    """
    decided = [(one, one.placed, scope) for one in requests if one.placed is not None and (scope := _scope(one))]
    canaries = [(one.asked.came_s, one.placed) for one in requests if one.placed is not None and _is_canary(one.placed)]
    first = {scope: placed.policy for _, placed, scope in reversed(decided)}
    fallback = next(one.placed.policy for one in requests if one.placed is not None)  # where requests named their own
    steering = Steering({EVERYTHING: fallback, **first})
    history = [InForce(0.0, steering)]
    for one, placed, scope in decided:
        steering = _corrected(steering, one, placed, scope)
        if steering != history[-1].steering:
            history.append(InForce(one.asked.came_s, steering))
    return tuple(history) if not canaries else tuple(_with_canary(history, canaries))


def _corrected(steering: Steering, one: LoggedRequest, placed: Placed, scope: Scope) -> Steering:
    """So that it decides for that request as it was decided."""
    if steering.policies.get(scope) != placed.policy:
        steering = steering.with_policy(scope, placed.policy)
    while (narrower := steering.scope_of(one.asked.model, one.asked.request_class)) != scope:
        steering = steering.without_policy(narrower)
    return steering


def _scope(one: LoggedRequest) -> Scope | None:
    """For which requests the policy decided; None where the request named it, or the canary did."""
    assert one.placed is not None
    model, of_class = one.asked.model, one.asked.request_class
    known = (EVERYTHING, Scope(model), Scope("", of_class), Scope(model, of_class))
    return next((scope for scope in known if str(scope) == one.placed.because), None)


def _is_canary(placed: Placed) -> bool:
    return placed.because.startswith(_CANARY)


def _with_canary(history: Sequence[InForce], canaries: Sequence[tuple[float, Placed]]) -> list[InForce]:
    """Each from its first decision until after its last."""
    spans = list[tuple[float, float, Canary]]()
    for came_s, placed in canaries:
        canary = Canary(placed.policy, float(placed.because.removeprefix(_CANARY).partition(" ")[0]))
        if spans and spans[-1][2] == canary:
            spans[-1] = spans[-1][0], came_s, canary
        else:
            spans.append((came_s, came_s, canary))
    ends = {moment_s for first_s, last_s, _ in spans for moment_s in (first_s, last_s + 1e-9)}
    made = []
    for moment_s in sorted({one.from_s for one in history} | ends):
        steering = [one.steering for one in history if one.from_s <= moment_s][-1]
        canary_then = next((one for first_s, last_s, one in reversed(spans) if first_s <= moment_s <= last_s), None)
        made.append(InForce(moment_s, replace(steering, canary=canary_then)))
    return made
