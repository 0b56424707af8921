"""The chooser that a node gets: the live link estimate, the policy in force, and a log of what was decided."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from nodes.chooser import Choice, ChoiceRequest, Exchange, StageTimes, Transfer
from nodes.settings import EdgeSettings
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.decision_log import DecisionLog
from scheduler.estimators.drift import DriftEstimator
from scheduler.estimators.link import LinkEstimate, LinkEstimator
from scheduler.estimators.load import CloudQueueEstimator, EdgeQueueEstimator
from scheduler.exploration import DEFAULT_SHARE, Exploration
from scheduler.policies.base import Policy
from scheduler.policies.corrected import Corrections
from scheduler.policies.factory import configured_policy, named_policy
from scheduler.policies.fixed import FixedPolicy
from scheduler.replica_choice import sooner_of_two

__all__ = ["PlanChooser"]


class PlanChooser:
    """Implements `nodes.chooser.Chooser`, without a clock: "now" is the time of the last observation.

    A plan that the request forces comes first, then a policy that it names, then the configured one. The same seed,
    observations and requests give the same choices.
    """

    def __init__(
        self,
        policy: str = "latency",
        options: Mapping[str, Any] | None = None,
        *,
        folder: str = "",
        seed: int = 0,
        explore_share: float = DEFAULT_SHARE,
        log_capacity: int = 256,
    ) -> None:
        """policy, options, folder: see `configured_policy`. explore_share: see `Exploration`; 0 turns it off.

        Raises NotFound for an unknown policy, InvalidConfiguration for one that cannot be made.
        """
        self._policy_name = policy
        self._policy = configured_policy(policy, options, folder)
        self._previous: dict[tuple[str, str], str] = {}
        self._rng = Random(seed)
        self._estimator = LinkEstimator()
        self._drift = DriftEstimator()
        self._exploration = Exploration(explore_share)
        self._log = DecisionLog(log_capacity)
        self._now_s = 0.0
        self._estimate: LinkEstimate | None = None
        self._link: Link | None = None
        self._corrections: dict[str, tuple[PlanTable, Corrections]] = {}
        self._asked: ChoiceRequest | None = None

    @classmethod
    def of_edge(cls, settings: EdgeSettings) -> PlanChooser:
        """The chooser of an edge with these settings, seeded by where it is: edges with the same facts draw apart, and
        one edge draws the same again. Raises as the constructor."""
        seed = zlib.crc32(f"{platform.node()} {settings.listen}".encode())
        return cls(settings.policy, settings.policy_options, folder=settings.policy_folder, seed=seed)

    def choose(self, request: ChoiceRequest) -> Choice:
        """See Chooser."""
        name, policy = self._policy_name, self._policy
        if request.plan_id or request.policy:
            name, policy = self._in_force(request)
        estimate, link = self._estimate or self.estimate(), self._link or self.link()
        self._asked = request
        key = request.table.model, request.form
        seen = request.believing(
            name, estimate.uplink_spread, estimate.downlink_spread, self._corrected(request),
            self._previous.get(key, ""),
        )  # fmt: skip
        choice = policy.choose(seen, link, self._rng)
        if policy is self._policy:
            self._previous[key] = choice.entry.plan.plan_id
        if getattr(policy, "explores", False):
            choice = self._exploration.instead_of(choice, seen, estimate, self._rng) or choice
        self._log.record(name, seen, link, choice)
        return choice

    def choose_replica(self, count: int, finish_s: Callable[[int], float]) -> int:
        """See Chooser."""
        return sooner_of_two(count, finish_s, self._rng)

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
        asked = self._asked
        if asked is not None:  # now, when nobody waits, rather than for the next request
            self._corrected(asked).amounts(asked.table, asked.form, asked.batch)

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
        if self._link is None:
            self._link = self.estimate().link
        return self._link

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
        if now_s > self._now_s:
            self._now_s = now_s
        self._estimate = self._link = None

    def _corrected(self, request: ChoiceRequest) -> Corrections:
        """Of the plans that this request may take, worked out once after something was learned."""
        table, form = request.table, request.form
        known = self._corrections.get(form)
        if known is None or known[0] is not table:
            known = self._corrections[form] = table, Corrections(self._drift.corrections(table.plan_ids(form)))
        return known[1]

    def _in_force(self, request: ChoiceRequest) -> tuple[str, Policy]:
        if request.plan_id:
            return f"fixed:{request.plan_id}", FixedPolicy.of(request.plan_id)
        if request.policy and request.policy != self._policy_name:
            return request.policy, named_policy(request.policy)
        return self._policy_name, self._policy
