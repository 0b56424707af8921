"""The policies of a `Steering`, made once: which one decides for a request, and whose turn the canary is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from isthmus.errors import CloudUnavailable, NotFound, Unavailable
from nodes.chooser import Choice, ChoiceRequest
from nodes.configured_policies import ConfiguredPolicies
from nodes.steering import Canary, PolicySetting, Scope, ShadowReport, Steering
from scheduler.decision_log import ShadowChoice
from scheduler.policies.base import Policy
from scheduler.policies.factory import configured_policy

__all__ = ["Deciding", "SteeredPolicies", "cannot_serve", "shadowed"]

# The fractional parts of its multiples are spread as evenly as can be (Weyl, 1916): any run of decisions gives the
# canary its share, and which ones is a function of their numbers.
_GOLDEN_RATIO = 0.6180339887498949


class Deciding(NamedTuple):
    """Who decides, why it is its turn, the policy, and what its decisions are told as."""

    setting: PolicySetting
    because: str
    policy: Policy
    told_as: str


class SteeredPolicies:
    """Immutable: a change makes another one, so that a request sees all of it or nothing."""

    def __init__(self, steering: Steering, make: Callable[[PolicySetting], Policy]) -> None:
        """Raises what `make` raises."""
        self.steering = steering
        self._made = {setting: make(setting) for setting in steering.settings()}
        self.shadow = None if steering.shadow is None else (steering.shadow, self._made[steering.shadow])
        self._standing = {scope: self._of_scope(scope) for scope in steering.policies}
        self._canary = None if steering.canary is None else self._of_canary(steering.canary)
        self._alone: Deciding | None = None  # where one policy decides for all: most edges, all the time
        if self._canary is None and len(steering.policies) == 1:
            (self._alone,) = self._standing.values()

    @classmethod
    def configured(cls, policies: ConfiguredPolicies) -> SteeredPolicies:
        """As a configuration file says them. Raises as `configured_policy`."""
        steering = Steering(policies.by_scope, configured=policies.by_scope)
        return cls(steering, lambda one: configured_policy(one.name, one.options, policies.folder))

    def for_request(self, model: str, request_class: str, *, canary: bool) -> Deciding:
        """Who decides for a request. canary: whether it is one of the canary's, as long as there is one."""
        if self._alone is not None:
            return self._alone
        if canary and self._canary is not None:
            return self._canary
        return self._standing[self.steering.scope_of(model, request_class)]

    def is_canarys(self, number: int) -> bool:
        """Whether the request of that number is one of the canary's."""
        canary = self.steering.canary
        return canary is not None and number * _GOLDEN_RATIO % 1.0 < canary.share

    def _of_scope(self, scope: Scope) -> Deciding:
        setting = self.steering.policies[scope]
        return Deciding(setting, str(scope), self._made[setting], setting.name)

    def _of_canary(self, canary: Canary) -> Deciding:
        setting, because = canary.policy, f"the canary, {canary.share:.3g} of the requests"
        return Deciding(setting, because, self._made[setting], f"{setting.name} (canary)")

    def changed(self, steering: Steering, make: Callable[[PolicySetting], Policy]) -> SteeredPolicies:
        """Those of another steering; policies that are in both are kept as they are."""
        return SteeredPolicies(steering, lambda setting: self._made.get(setting) or make(setting))


def cannot_serve(setting: PolicySetting, because: str, request: ChoiceRequest, error: NotFound) -> Unavailable:
    """What a client is told where the policy in force finds no plan: whoever configured it has to act, not the client.

    because: why it is the policy's turn. error: what the policy raised.
    """
    kind = Unavailable if request.cloud_reachable else CloudUnavailable
    model = request.table.model
    return kind(
        f"policy {setting} for {because} cannot serve model {model!r}: {error}; "
        f"put another one in force: `isthmus policy set POLICY --model {model}`, `isthmus policy canary off`"
    )


def shadowed(report: ShadowReport, shadow: ShadowChoice, chosen: Choice) -> ShadowReport:
    """`report` with one more decision."""
    report = replace(report, decisions=report.decisions + 1)
    if shadow.choice is None:
        return replace(report, failed=report.failed + 1)
    agreed = shadow.choice.entry.plan.plan_id == chosen.entry.plan.plan_id
    saved_s = chosen.predicted.total_s - shadow.choice.predicted.total_s
    return replace(report, agreed=report.agreed + agreed, saved_s=report.saved_s + saved_s)
