"""What an operator asks for that cannot serve, as far as that is known before any request comes."""

from __future__ import annotations

from collections.abc import Collection

from isthmus.errors import InvalidRequest, NotFound
from nodes.gateway import ModelState
from nodes.steering import PolicySetting, Scope, Steering

__all__ = ["check_steering"]


def check_steering(before: Steering, after: Steering, models: Collection[ModelState]) -> None:
    """What is new in `after`. models: that this edge is configured with.

    Raises NotFound for a policy of a model that is none of these, InvalidRequest for one that never leaves the edge
    where it would decide for a model that needs the cloud, also because another one is taken back. A shadow harms no
    request.
    """
    for scope, policy in after.policies.items():
        if before.policies.get(scope) != policy:
            _check_model(scope, models)
            ruled = (one.name for one in models if one.cloud_required and _rules(after, scope, one.name))
            _check_policy(policy, "policy", tuple(ruled))
    for scope, policy in before.policies.items():
        if scope not in after.policies and not _stays(policy):
            for model in (one.name for one in models if one.cloud_required and _rules(before, scope, one.name)):
                left_to = after.scope_of(model, scope.request_class)
                _check_policy(after.policies[left_to], "policy", (model,), left_to)
    if after.canary is not None and after.canary != before.canary:
        _check_policy(after.canary.policy, "canary.policy", tuple(one.name for one in models if one.cloud_required))


def _check_model(scope: Scope, models: Collection[ModelState]) -> None:
    names = sorted(one.name for one in models)
    if scope.model and scope.model not in names:
        raise NotFound(f"model {scope.model!r} is not served here; models: {', '.join(names)}")


def _rules(steering: Steering, scope: Scope, model: str) -> bool:
    """Whether requests for that model, of the scope's class, are the scope's."""
    return steering.scope_of(model, scope.request_class) == scope


def _check_policy(
    policy: PolicySetting, field: str, cloud_required: tuple[str, ...], left_to: Scope | None = None
) -> None:
    """left_to: whose policy it is already, where it would come to decide because another one is taken back."""
    if cloud_required and _stays(policy):
        needing = ", ".join(sorted(cloud_required))
        remedy = "set it as the policy of the other models (isthmus policy set --model)"
        problem = f"never asks the cloud, without which these models cannot be served: {needing}"
        if left_to is not None:
            problem, remedy = f"of {left_to} {problem}", f"set another one for {left_to} first"
        raise InvalidRequest(field, problem, value=policy.name, remedy=remedy)


def _stays(policy: PolicySetting) -> bool:
    """As the built-in policies are called that do nothing else."""
    plan = policy.options.get("plan") if policy.name == "fixed" else policy.name.removeprefix("fixed:")
    return plan == "edge-only"
