"""The chooser that a node gets: the live link estimate, the policy in force, and a log of what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodes.chooser import Choice, ChoiceRequest, Exchange, StageTimes, Transfer
from partitioner.link import Link
from partitioner.plan_table import Correction
from scheduler.counted_random import CountedRandom
from scheduler.decision_log import DecisionLog
from scheduler.estimators.drift import DriftEstimator
from scheduler.estimators.link import LinkEstimate, LinkEstimator
from scheduler.estimators.load import CloudQueueEstimator, EdgeQueueEstimator
from scheduler.exploration import DEFAULT_SHARE, Exploration
from scheduler.policies.base import Policy
from scheduler.policies.factory import configured_policy, named_policy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.latency import LatencyPolicy

__all__ = ["PlanChooser"]

PlanIds = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """The last choice, and all that it was made from; policies are pure."""

    request: ChoiceRequest
    estimate: LinkEstimate
    corrections: Mapping[str, Correction]
    policy: str
    seen: ChoiceRequest
    choice: Choice

    def holds(self, request: ChoiceRequest, estimate: LinkEstimate, corrections: Mapping[str, Correction]) -> bool:
        """Whether it would be made again: the same question, and nothing was learned since."""
        return self.estimate is estimate and self.corrections is corrections and self.request == request


class PlanChooser:
    """Implements `nodes.chooser.Chooser`, without a clock: "now" is the time of the last observation.

    A plan that the request forces comes first, then a policy that it names, then the configured one. The same seed,
    observations and requests give the same choices.
    """

    def __init__(
        self,
        policy: str = "latency",
        *,
        seed: int = 0,
        explore_share: float = DEFAULT_SHARE,
        log_capacity: int = 256,
    ) -> None:
        """policy: as in the configuration, `module:Class` included. explore_share: see `Exploration`; 0 turns it off.

        Raises NotFound for an unknown policy, InvalidConfiguration for one that cannot be made.
        """
        self._policy_name = policy
        self._policy = configured_policy(policy)
        self._rng = CountedRandom(seed)
        self._estimator = LinkEstimator()
        self._drift = DriftEstimator()
        self._exploration = Exploration(explore_share)
        self._log = DecisionLog(log_capacity)
        self._now_s = 0.0
        self._estimate: LinkEstimate | None = None
        self._corrections: dict[PlanIds, Mapping[str, Correction]] = {}
        self._asked: PlanIds = ()
        self._last: _Made | None = None

    def choose(self, request: ChoiceRequest) -> Choice:
        """See Chooser."""
        estimate = self.estimate()
        self._asked = request.table.plan_ids(request.form)
        corrections, made = self._corrected(self._asked), self._last
        if made is None or not made.holds(request, estimate, corrections):
            made = self._made(request, estimate, corrections)
        self._log.record(made.policy, made.seen, estimate.link, made.choice)
        return made.choice

    def _made(self, request: ChoiceRequest, estimate: LinkEstimate, corrections: Mapping[str, Correction]) -> _Made:
        name, policy = self._in_force(request)
        seen = replace(
            request,
            policy=name,
            corrections=corrections,
            uplink_spread=estimate.uplink_spread,
            downlink_spread=estimate.downlink_spread,
        )
        draws = self._rng.draws
        choice = policy.choose(seen, estimate.link, self._rng)
        if isinstance(policy, LatencyPolicy):
            choice = self._exploration.instead_of(choice, seen, estimate, self._rng) or choice
        made = _Made(request, estimate, corrections, name, seen, choice)
        self._last = made if draws == self._rng.draws else None  # what was drawn is drawn anew for the next one
        return made

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """See Chooser."""
        self._observed(now_s)
        self._estimator.observe_transfer(transfer, now_s)

    def observe_exchange(self, exchange: Exchange, now_s: float) -> None:
        """See Chooser."""
        self._observed(now_s)
        self._estimator.observe_exchange(exchange, now_s)

    def observe_stages(self, times: StageTimes) -> None:
        """See Chooser."""
        self._drift.observe(times)
        self._corrections.clear()
        self._corrected(self._asked)  # now, when nobody waits, rather than for the next request

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """See Chooser."""
        self._observed(now_s)
        self._estimator.observe_rtt(rtt_s, now_s)

    def edge_queue(self) -> EdgeQueueEstimator:
        """See Chooser."""
        return EdgeQueueEstimator()

    def cloud_queue(self) -> CloudQueueEstimator:
        """See Chooser."""
        return CloudQueueEstimator()

    def link(self) -> Link | None:
        """See Chooser."""
        return self.estimate().link

    def estimate(self) -> LinkEstimate:
        """The link as now believed, with its uncertainty."""
        if self._estimate is None:
            self._estimate = self._estimator.estimate(self._now_s)
        return self._estimate

    @property
    def policy_name(self) -> str:
        """The configured policy."""
        return self._policy_name

    @property
    def log(self) -> DecisionLog:
        """What was decided lately."""
        return self._log

    def _observed(self, now_s: float) -> None:
        self._now_s = max(self._now_s, now_s)
        self._estimate = None

    def _corrected(self, plan_ids: PlanIds) -> Mapping[str, Correction]:
        known = self._corrections.get(plan_ids)
        if known is None:
            known = self._corrections[plan_ids] = self._drift.corrections(plan_ids)
        return known

    def _in_force(self, request: ChoiceRequest) -> tuple[str, Policy]:
        if request.plan_id:
            return f"fixed:{request.plan_id}", FixedPolicy(request.plan_id)
        if request.policy and request.policy != self._policy_name:
            return request.policy, named_policy(request.policy)
        return self._policy_name, self._policy
