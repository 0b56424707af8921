"""Steering as messages, and back. What comes from outside is checked where it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from isthmus.errors import InvalidRequest
from isthmus.v1 import operator_pb2 as pb
from nodes.steering import Canary, PolicySetting, Scope, ShadowReport, Steering

__all__ = [
    "canary_message", "change_words", "changed", "policy_message", "scope_message", "steering_from_message",
    "steering_message",
]  # fmt: skip


def steering_message(steering: Steering, report: ShadowReport) -> pb.Steering:
    """All of it."""
    message = pb.Steering(policies=_scoped(steering.policies), configured=_scoped(steering.configured))
    if steering.canary is not None:
        message.canary.CopyFrom(canary_message(steering.canary))
    if steering.shadow is not None:
        message.shadow.CopyFrom(policy_message(steering.shadow))
        message.shadow_report.CopyFrom(
            pb.ShadowReport(
                decisions=report.decisions, agreed=report.agreed, failed=report.failed, saved_s=report.saved_s
            )
        )
    return message


def steering_from_message(message: pb.Steering) -> tuple[Steering, ShadowReport]:
    """What `steering_message` was given. Raises InvalidRequest."""
    report = message.shadow_report
    steering = Steering(
        {_scope(one.scope): _policy(one.policy) for one in message.policies},
        _policy(message.shadow) if message.HasField("shadow") else None,
        _canary(message.canary) if message.HasField("canary") else None,
        {_scope(one.scope): _policy(one.policy) for one in message.configured},
    )
    return steering, ShadowReport(report.decisions, report.agreed, report.failed, report.saved_s)


def changed(steering: Steering, request: pb.SteerRequest) -> Steering:
    """`steering` after that change. Raises InvalidRequest for none, NotFound for a scope without a policy."""
    match request.WhichOneof("change"):
        case "set_policy":
            return steering.with_policy(_scope(request.set_policy.scope), _policy(request.set_policy.policy))
        case "unset_policy":
            return steering.without_policy(_scope(request.unset_policy))
        case "set_shadow":
            return replace(steering, shadow=_policy(request.set_shadow))
        case "unset_shadow":
            return replace(steering, shadow=None)
        case "set_canary":
            return replace(steering, canary=_canary(request.set_canary))
        case "unset_canary":
            return replace(steering, canary=None)
    raise InvalidRequest("change", "is missing", remedy="say what to set or to unset")


def change_words(request: pb.SteerRequest) -> str:
    """What was changed, for the log: for a request that `changed` has taken."""
    match request.WhichOneof("change"):
        case "set_policy":
            return f"{_scope(request.set_policy.scope)}: {_policy(request.set_policy.policy)}"
        case "unset_policy":
            return f"{_scope(request.unset_policy)}: no policy of its own"
        case "set_shadow":
            return f"shadow: {_policy(request.set_shadow)}"
        case "set_canary":
            canary = _canary(request.set_canary)
            return f"canary, {canary.share:.3g} of the requests: {canary.policy}"
        case other:
            return f"{(other or '').removeprefix('unset_')}: off"


def policy_message(policy: PolicySetting) -> pb.PolicySetting:
    """A policy; "" for no options."""
    return pb.PolicySetting(
        name=policy.name, options_json=json.dumps(dict(policy.options), sort_keys=True) if policy.options else ""
    )


def scope_message(scope: Scope) -> pb.Scope:
    """A scope."""
    return pb.Scope(model=scope.model, request_class=scope.request_class)


def canary_message(canary: Canary) -> pb.Canary:
    """A canary."""
    return pb.Canary(policy=policy_message(canary.policy), share=canary.share)


def _scoped(policies: Mapping[Scope, PolicySetting]) -> list[pb.ScopedPolicy]:
    return [
        pb.ScopedPolicy(scope=scope_message(scope), policy=policy_message(policy)) for scope, policy in policies.items()
    ]


def _policy(message: pb.PolicySetting) -> PolicySetting:
    if not message.name:
        raise InvalidRequest("policy.name", "is missing", remedy="name one of `isthmus policy list`")
    try:
        options = json.loads(message.options_json or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("policy.options_json", f"is not JSON: {error}", value=message.options_json) from None
    if not isinstance(options, dict):
        raise InvalidRequest("policy.options_json", "is no JSON object", value=message.options_json)
    return PolicySetting(message.name, options)


def _scope(message: pb.Scope) -> Scope:
    return Scope(message.model, message.request_class)


def _canary(message: pb.Canary) -> Canary:
    return Canary(_policy(message.policy), message.share)
