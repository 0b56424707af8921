"""Which policy decides for which requests: the value that operators change while an edge serves, and who keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from isthmus.errors import InvalidRequest, NotFound

__all__ = ["EVERYTHING", "Canary", "PolicySetting", "Scope", "ShadowReport", "Steerable", "Steering"]


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """A policy's name and its options, not checked: whoever makes the policy checks them."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name} ({given})" if given else self.name


@dataclass(frozen=True, slots=True)
class Scope:
    """Requests of a model, of a class that requests state, or of both. Neither: all that no other scope names."""

    model: str = ""
    request_class: str = ""

    def __str__(self) -> str:
        parts = [f"model {self.model}"] if self.model else []
        parts += [f"class {self.request_class}"] if self.request_class else []
        return ", ".join(parts) or "all requests"


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Canary:
    """A policy that decides for a share of the requests, in place of the one in force.

    Raises InvalidRequest for a share that is none.
    """

    policy: PolicySetting
    share: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.share) and 0 < self.share <= 1):
            raise InvalidRequest("canary.share", "is no share above 0 and up to 1", value=self.share)


@dataclass(frozen=True)
class Steering:
    """The whole of it. policies: by scope, `EVERYTHING` among them. shadow: decides and is logged, without effect.
    configured: what the configuration file last said, empty where that is not known."""

    policies: Mapping[Scope, PolicySetting]
    shadow: PolicySetting | None = None
    canary: Canary | None = None
    configured: Mapping[Scope, PolicySetting] = field(default_factory=dict, compare=False)

    def scope_of(self, model: str, request_class: str) -> Scope:
        """The narrowest scope that holds such a request: a class weighs more than a model."""
        wanted = (Scope(model, request_class), Scope("", request_class), Scope(model, ""))
        return next((scope for scope in wanted if scope in self.policies), EVERYTHING)

    @property
    def by_operator(self) -> Mapping[Scope, PolicySetting | None]:
        """What an operator set in place of what is configured, None where they took a policy back; lasts until the
        file is read again."""
        if not self.configured:
            return {}
        scopes = dict.fromkeys((*self.policies, *self.configured))
        return {one: self.policies.get(one) for one in scopes if self.policies.get(one) != self.configured.get(one)}

    def replaced_by(self, configured: Mapping[Scope, PolicySetting]) -> str:
        """What an operator did that goes when the file that says this is read, in words; "" for nothing."""
        went = {scope: policy for scope, policy in self.by_operator.items() if configured.get(scope) != policy}
        return "; ".join(f"{scope}: {policy or 'taken back'}" for scope, policy in went.items())

    def settings(self) -> set[PolicySetting]:
        """Every policy that there is in it, once."""
        shadow = {self.shadow} if self.shadow is not None else set()
        return {*self.policies.values(), *shadow, *({self.canary.policy} if self.canary is not None else ())}

    def with_policy(self, scope: Scope, policy: PolicySetting) -> Steering:
        """That policy for that scope."""
        return replace(self, policies={**self.policies, scope: policy})

    def without_policy(self, scope: Scope) -> Steering:
        """No policy of its own for that scope. Raises NotFound where it has none, InvalidRequest for `EVERYTHING`."""
        if scope == EVERYTHING:
            raise InvalidRequest("scope", "all requests need a policy", remedy="set another one")
        if scope not in self.policies:
            raise NotFound(f"policy: {scope} has none of its own")
        return replace(self, policies={key: policy for key, policy in self.policies.items() if key != scope})


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Since the policies were last changed, those beside the shadow too, as they are what it is compared with.

    failed: it found no plan where there was one. saved_s: sum over the others of the time predicted for what was
    chosen, less that predicted for the shadow's choice.
    """

    decisions: int = 0
    agreed: int = 0
    failed: int = 0
    saved_s: float = 0.0


class Steerable(Protocol):
    """What an operator steers: the chooser of an edge."""

    @property
    def steering(self) -> Steering:
        """As it is now."""
        ...

    @property
    def shadow_report(self) -> ShadowReport:
        """How the shadow does."""
        ...

    def steer(self, steering: Steering) -> None:
        """From the next request on. Raises NotFound for an unknown policy, InvalidInput for options that it does not
        take; everything stays as it was then."""
        ...

    def explain(self, request_id: str) -> str:
        """A JSON object: what was decided for a request, from what, and what became of it; of the newest one for "".

        Raises NotFound for a request that is not known, or no longer.
        """
        ...
