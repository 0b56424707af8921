"""The chooser that a node gets: the live link estimate, the policy in force, and a log of what was decided."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from nodes.chooser import Choice, ChoiceRequest, Exchange, StageTimes, Transfer
from partitioner.link import Link
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
        self._rng = Random(seed)
        self._estimator = LinkEstimator()
        self._drift = DriftEstimator()
        self._exploration = Exploration(explore_share)
        self._log = DecisionLog(log_capacity)
        self._now_s = 0.0

    def choose(self, request: ChoiceRequest) -> Choice:
        """See Chooser."""
        name, policy = self._in_force(request)
        estimate = self.estimate()
        link = estimate.link
        plan_ids = tuple(entry.plan.plan_id for entry in request.table.for_form(request.form))
        seen = replace(
            request,
            policy=name,
            corrections=self._drift.corrections(plan_ids),
            uplink_spread=estimate.uplink_spread,
            downlink_spread=estimate.downlink_spread,
        )
        choice = policy.choose(seen, link, self._rng)
        if isinstance(policy, LatencyPolicy):
            choice = self._exploration.instead_of(choice, seen, estimate, self._rng) or choice
        self._log.record(name, seen, link, choice)
        return choice

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """See Chooser."""
        self._now_s = max(self._now_s, now_s)
        self._estimator.observe_transfer(transfer, now_s)

    def observe_exchange(self, exchange: Exchange, now_s: float) -> None:
        """See Chooser."""
        self._now_s = max(self._now_s, now_s)
        self._estimator.observe_exchange(exchange, now_s)

    def observe_stages(self, times: StageTimes) -> None:
        """See Chooser."""
        self._drift.observe(times)

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """See Chooser."""
        self._now_s = max(self._now_s, now_s)
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
        return self._estimator.estimate(self._now_s)

    @property
    def policy_name(self) -> str:
        """The configured policy."""
        return self._policy_name

    @property
    def log(self) -> DecisionLog:
        """What was decided lately."""
        return self._log

    def _in_force(self, request: ChoiceRequest) -> tuple[str, Policy]:
        if request.plan_id:
            return f"fixed:{request.plan_id}", FixedPolicy(request.plan_id)
        if request.policy and request.policy != self._policy_name:
            return request.policy, named_policy(request.policy)
        return self._policy_name, self._policy
