"""The policies of a `Steering`, made once: which one decides for a request, and whose turn the canary is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nodes.chooser import Choice
from nodes.steering import EVERYTHING, PolicySetting, ShadowReport, Steering
from scheduler.decision_log import ShadowChoice
from scheduler.policies.base import Policy

__all__ = ["Deciding", "SteeredPolicies", "shadowed"]

# The fractional parts of its multiples are spread as evenly as can be (Weyl, 1916): any run of decisions gives the
# canary its share, and which ones is a function of their numbers.
_GOLDEN_RATIO = 0.6180339887498949


Deciding = tuple[PolicySetting, str, Policy]
"""Who decides, why it is its turn, and the policy."""


class SteeredPolicies:
    """Immutable: a change makes another one, so that a request sees all of it or nothing."""

    def __init__(self, steering: Steering, make: Callable[[PolicySetting], Policy]) -> None:
        """Raises what `make` raises."""
        self.steering = steering
        self._made = {setting: make(setting) for setting in steering.settings()}
        self._names = {scope: str(scope) for scope in steering.policies}
        self.shadow = None if steering.shadow is None else (steering.shadow, self._made[steering.shadow])
        self._canary = None if steering.canary is None else (steering.canary, self._made[steering.canary.policy])
        self._alone: Deciding | None = None  # where one policy decides for all: most edges, all the time
        if steering.canary is None and len(steering.policies) == 1:
            (setting,) = steering.policies.values()
            self._alone = setting, str(EVERYTHING), self._made[setting]

    def for_request(self, model: str, request_class: str, number: int) -> Deciding:
        """Who decides for a request. number: of the decision."""
        if self._alone is not None:
            return self._alone
        if self._canary is not None:
            canary, policy = self._canary
            if number * _GOLDEN_RATIO % 1.0 < canary.share:
                return canary.policy, f"the canary, {canary.share:.3g} of the requests", policy
        scope = self.steering.scope_of(model, request_class)
        setting = self.steering.policies[scope]
        return setting, self._names[scope], self._made[setting]

    def changed(self, steering: Steering, make: Callable[[PolicySetting], Policy]) -> SteeredPolicies:
        """Those of another steering; policies that are in both are kept as they are."""
        return SteeredPolicies(steering, lambda setting: self._made.get(setting) or make(setting))


def shadowed(report: ShadowReport, shadow: ShadowChoice, chosen: Choice) -> ShadowReport:
    """`report` with one more decision."""
    report = replace(report, decisions=report.decisions + 1)
    if shadow.choice is None:
        return replace(report, failed=report.failed + 1)
    agreed = shadow.choice.entry.plan.plan_id == chosen.entry.plan.plan_id
    saved_s = chosen.predicted.total_s - shadow.choice.predicted.total_s
    return replace(report, agreed=report.agreed + agreed, saved_s=report.saved_s + saved_s)
