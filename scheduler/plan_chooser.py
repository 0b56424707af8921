"""The chooser that a node gets: the live link estimate, the policies in force, and a log of what was decided."""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from isthmus.errors import IsthmusError, NotFound, error_words
from nodes.admission import DEFAULT_PROBABILITY
from nodes.chooser import Choice, ChoiceRequest, Exchange, Outcome, Refused, StageTimes, Terms, Transfer
from nodes.configured_policies import ConfiguredPolicies
from nodes.drift import Drift
from nodes.settings import EdgeSettings
from nodes.sight.base import Ended, EndedRequests, LinkBelief
from nodes.steering import EVERYTHING, PolicySetting, ShadowReport, Steering
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.admission.control import AdmissionControl
from scheduler.decision_log import DEFAULT_CAPACITY, Decision, DecisionLog, Declined, ShadowChoice
from scheduler.decision_random import DecisionRandom
from scheduler.decision_record import AdmissionBounds, Observed, explanation
from scheduler.estimators.drift import DriftEstimator
from scheduler.estimators.drift_alarm import DriftAlarm
from scheduler.estimators.link import LinkEstimate, LinkEstimator
from scheduler.estimators.load import CloudQueueEstimator, EdgeQueueEstimator
from scheduler.estimators.request_rate import RequestRate
from scheduler.estimators.way_up import WayUpEstimator
from scheduler.exploration import DEFAULT_SHARE, Exploration
from scheduler.policies.base import Policy
from scheduler.policies.corrected import Corrections
from scheduler.policies.factory import configured_policy, named_policy
from scheduler.policies.fixed import FixedPolicy
from scheduler.policies.reason import plan_name
from scheduler.replica_choice import sooner_of_two
from scheduler.steered_policies import Deciding, SteeredPolicies, cannot_serve, shadowed

__all__ = ["PlanChooser"]


class PlanChooser:
    """Implements `nodes.chooser.Chooser`, `nodes.steering.Steerable`, `nodes.sight.base.Remembering` and
    `nodes.drift.Drifting`, without a clock: "now" is the time of the last observation.

    A plan that the request forces comes first, then a policy that it names, then the one in force for it. The same
    seed, observations and requests give the same choices.
    """

    def __init__(
        self,
        policy: str | SteeredPolicies = "latency",
        options: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        explore_share: float = DEFAULT_SHARE,
        probability: float = DEFAULT_PROBABILITY,
        log_capacity: int = DEFAULT_CAPACITY,
        journal: Callable[[object], None] | None = None,
    ) -> None:
        """policy, options: see `configured_policy`; or policies that are made already. explore_share: see
        `Exploration`; 0 turns it off. probability: see `AdmissionControl`. journal: gets every Decision, Declined,
        Outcome, Refused, Observed and AdmissionBounds, at once; it must not wait.

        Raises NotFound for an unknown policy, InvalidConfiguration for one that cannot be made.
        """
        self._policies = policy if isinstance(policy, SteeredPolicies) else _alone(policy, options or {})
        self._shadow_report = ShadowReport()
        self._previous: dict[tuple[object, str, str], str] = {}
        self._seed, self._number, self._arrived = seed, 0, 0
        self._rng, self._shadow_rng, self._replica_rng = DecisionRandom(seed), DecisionRandom(seed), Random(seed)
        self._journal = journal
        self._estimator = LinkEstimator()
        self._drift, self._drift_alarm = DriftEstimator(), DriftAlarm()
        self._exploration = Exploration(explore_share)
        self._probability = probability
        self._log = DecisionLog(log_capacity)
        self._now_s = 0.0
        self._estimate: LinkEstimate | None = None
        self._link: Link | None = None
        self._corrections: dict[tuple[str, str], tuple[PlanTable, Corrections]] = {}  # by model and form
        self._asked: ChoiceRequest | None = None
        self._rate = RequestRate()

    @classmethod
    def of_edge(cls, settings: EdgeSettings, journal: Callable[[object], None] | None = None) -> PlanChooser:
        """The chooser of an edge with these settings, seeded by where it is: edges with the same facts draw apart, and
        one edge draws the same again. Raises as the constructor."""
        seed = zlib.crc32(f"{platform.node()} {settings.listen}".encode())
        chooser = cls(seed=seed, journal=journal, probability=settings.admission_probability)
        chooser.configure(settings.policies)
        return chooser

    def choose(self, request: ChoiceRequest) -> Choice:
        """See Chooser."""
        self._number = number = self._number + 1
        steered = not (request.plan_id or request.policy)
        setting, because, policy, told_as = self._deciding(request, number)
        estimate, link = self._estimate or self.estimate(), self._link or self.link()
        self._asked = request
        seen = self._believed(request, told_as, policy, estimate)
        self._rng.begin(number)
        try:
            choice = policy.choose(seen, link, self._rng)
        except Exception as error:
            self._decline(Declined(number, self._seed, setting, because, seen, link, error_words(error)))
            # Not for a form of input that the model does not take: that is what the client sent.
            if steered and isinstance(error, NotFound) and seen.table.for_form(seen.form):
                raise cannot_serve(setting, because, seen, error) from error
            raise
        if steered:
            self._remember(policy, request, choice)
        explored = None
        if getattr(policy, "explores", False):
            explored = self._exploration.instead_of(choice, seen, estimate, self._rng)
        shadow = None if self._policies.shadow is None else self._shadow_choice(request, link, estimate, choice)
        decision = Decision(number, self._seed, setting, because, seen, link, choice, explored, shadow)
        self._log.record(decision)
        if self._journal is not None:
            self._journal(decision)
        acted = explored or choice
        if acted.entry.edge_works:
            self._rate.seen(request.now_s)
        return acted

    def may_cross(self, request: ChoiceRequest) -> bool:
        """See Chooser."""
        try:
            policy = self._deciding(request, self._number + 1).policy
        except IsthmusError:
            return False
        asked = getattr(policy, "may_cross", None)
        return asked is None or bool(asked(request))

    def arrives(self, model: str, request_class: str) -> Terms:
        """See Chooser."""
        self._arrived += 1
        canary = self._policies.is_canarys(self._arrived)
        policy = self._policies.for_request(model, request_class, canary=canary).policy
        return Terms(getattr(policy, "timeout_s", None), canary)

    def decider(self, model: str, request_class: str, policy: str, *, canary: bool) -> str:
        """See Chooser."""
        if not policy:
            return self._policies.for_request(model, request_class, canary=canary).told_as
        try:
            named_policy(policy)
        except IsthmusError:
            return ""
        return policy

    def _deciding(self, request: ChoiceRequest, number: int) -> Deciding:
        """number: of the decision."""
        if request.plan_id or request.policy:
            return _asked_for(request)
        canary = self._policies.is_canarys(number) if request.canary is None else request.canary
        return self._policies.for_request(request.table.model, request.request_class, canary=canary)

    # ---- steering ----------------------------------------------------------------------------------------------

    @property
    def steering(self) -> Steering:
        """See Steerable."""
        return self._policies.steering

    @property
    def shadow_report(self) -> ShadowReport:
        """See Steerable."""
        return self._shadow_report

    def steer(self, steering: Steering) -> None:
        """See Steerable. Nothing is imported for a policy that comes this way; those that are in force stay."""
        self._change(steering, lambda setting: named_policy(setting.name, setting.options))

    def configure(self, policies: ConfiguredPolicies) -> None:
        """See `nodes.edge_host.SteeredChooser`. Unlike for `steer`, a `module:Class` is imported."""
        steering = replace(self.steering, policies=policies.by_scope, configured=policies.by_scope)
        self._change(steering, lambda setting: configured_policy(setting.name, setting.options, policies.folder))

    def explain(self, request_id: str) -> str:
        """See Steerable."""
        return json.dumps(explanation(*self._log.find(request_id)), allow_nan=False)

    def ended(self, since: int, most: int) -> EndedRequests:
        """See `nodes.sight.base.Remembering`."""
        count = self._log.ended_count
        return EndedRequests(count, tuple(_ended(*one) for one in self._log.ended(min(most, count - since))))

    def link_belief(self) -> LinkBelief | None:
        """See `nodes.sight.base.Remembering`."""
        link, estimate = self.link(), self.estimate()
        if link is None:
            return None
        return LinkBelief(
            link.uplink_bps, link.downlink_bps, link.rtt_s, estimate.uplink_spread, estimate.downlink_spread
        )

    # ---- observing ---------------------------------------------------------------------------------------------

    def choose_replica(self, count: int, finish_s: Callable[[int], float]) -> int:
        """See Chooser."""
        return sooner_of_two(count, finish_s, self._replica_rng)

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """See Chooser."""
        self._observed(transfer, now_s)
        self._estimator.observe_transfer(transfer, now_s)

    def observe_exchange(self, exchange: Exchange, now_s: float) -> None:
        """See Chooser."""
        self._observed(exchange, now_s)
        self._estimator.observe_exchange(exchange, now_s)

    def observe_stages(self, times: StageTimes) -> None:
        """See Chooser."""
        if self._journal is not None:
            self._journal(Observed(times, None))
        self._drift.observe(times)
        self._corrections.clear()
        asked = self._asked
        if asked is not None:  # now, when nobody waits, rather than for the next request
            self._drift_alarm.observe(times, asked.now_s)
            self._corrected(asked).amounts(asked.table, asked.form, asked.batch)

    def drifts(self, now_s: float) -> tuple[Drift, ...]:
        """See `nodes.drift.Drifting`."""
        return self._drift_alarm.drifts(now_s)

    def edge_measured_again(self, plan_ids: Collection[str]) -> None:
        """See `nodes.drift.Drifting`."""
        self._drift.forget_edge(plan_ids)
        self._drift_alarm.forget_edge(plan_ids)
        self._corrections.clear()

    def observe_outcome(self, outcome: Outcome) -> None:
        """See Chooser."""
        self._log.record_outcome(outcome)
        if self._journal is not None:
            self._journal(outcome)

    def observe_refusal(self, refused: Refused) -> None:
        """See Chooser."""
        self._log.record_refused(refused)
        if self._journal is not None:
            self._journal(refused)

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """See Chooser."""
        self._observed(rtt_s, now_s)
        self._estimator.observe_rtt(rtt_s, now_s)

    def edge_queue(self) -> EdgeQueueEstimator:
        """See Chooser."""
        return EdgeQueueEstimator()

    def cloud_queue(self) -> CloudQueueEstimator:
        """See Chooser."""
        return CloudQueueEstimator()

    def way_up(self) -> WayUpEstimator:
        """See Chooser."""
        return WayUpEstimator()

    def admission(self, queue: int, depth: int) -> AdmissionControl:
        """See Chooser."""
        if self._journal is not None:
            self._journal(AdmissionBounds(queue, depth, self._probability))
        return AdmissionControl(queue, depth, self._probability)

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
    def log(self) -> DecisionLog:
        """What was decided lately."""
        return self._log

    def _change(self, steering: Steering, make: Callable[[PolicySetting], Policy]) -> None:
        before = self._policies.steering
        self._policies = self._policies.changed(steering, make)
        if steering != before:  # another shadow, or others that it is compared with
            self._shadow_report = ShadowReport()
        self._previous.clear()

    def _observed(self, what: Transfer | Exchange | float, now_s: float) -> None:
        if self._journal is not None:
            self._journal(Observed(what, now_s))
        if now_s > self._now_s:
            self._now_s = now_s
        self._estimate = self._link = None

    def _corrected(self, request: ChoiceRequest) -> Corrections:
        """Of the plans that this request may take, worked out once after something was learned."""
        table, form = request.table, request.form
        key = table.model, form
        known = self._corrections.get(key)
        if known is None or known[0] is not table:
            factors = self._drift.factors(table.plan_ids(form))
            known = self._corrections[key] = table, Corrections.learned(table.cost_arrays(form).index, factors)
        return known[1]

    def _believed(self, request: ChoiceRequest, told_as: str, policy: Policy, estimate: LinkEstimate) -> ChoiceRequest:
        """What a policy is asked: the request with all that is believed. told_as: who decides."""
        previous = self._previous.get((_known_by(policy), request.table.model, request.form), "")
        spreads = estimate.uplink_spread, estimate.downlink_spread
        return request.believing(told_as, *spreads, self._corrected(request), previous, self._rate.per_s(request.now_s))

    def _decline(self, declined: Declined) -> None:
        self._log.record_declined(declined)
        if self._journal is not None:
            self._journal(declined)

    def _remember(self, policy: Policy, request: ChoiceRequest, choice: Choice) -> None:
        """For a policy that does not switch lightly: what it chose last for such requests."""
        self._previous[_known_by(policy), request.table.model, request.form] = choice.entry.plan.plan_id

    def _shadow_choice(
        self, request: ChoiceRequest, link: Link | None, estimate: LinkEstimate, chosen: Choice
    ) -> ShadowChoice:
        assert self._policies.shadow is not None
        setting, policy = self._policies.shadow
        self._shadow_rng.begin(self._number)
        report = self._shadow_report
        try:
            choice = policy.choose(self._believed(request, setting.name, policy, estimate), link, self._shadow_rng)
            self._remember(policy, request, choice)
            found = ShadowChoice(setting, choice)
            report = shadowed(report, found, chosen)
        except Exception as error:  # whatever it does, the request is another policy's
            found = ShadowChoice(setting, None, error_words(error))
            report = shadowed(report, found, chosen)
        self._shadow_report = report
        return found


def _known_by(policy: Policy) -> object:
    """Itself, or its kind where it has no hash, as a dataclass has none: all that it must have is `choose`."""
    try:
        hash(policy)
    except TypeError:
        return type(policy)
    return policy


def _alone(policy: str, options: Mapping[str, Any]) -> SteeredPolicies:
    """One policy for all requests."""
    in_force = Steering({EVERYTHING: PolicySetting(policy, options)})
    return SteeredPolicies(in_force, lambda setting: configured_policy(setting.name, setting.options))


def _asked_for(request: ChoiceRequest) -> Deciding:
    """The plan or the policy that the request itself names."""
    if request.plan_id:
        setting = PolicySetting(f"fixed:{request.plan_id}")
        return Deciding(setting, "the request's plan", FixedPolicy.of(request.plan_id), setting.name)
    name = request.policy
    return Deciding(PolicySetting(name), "the request's policy", named_policy(name), name)


def _ended(decision: Decision, outcome: Outcome) -> Ended:
    """A request as an edge shows it."""
    request, acted = decision.request, decision.acted
    plan = acted.entry.plan
    return Ended(
        came_s=request.now_s,
        model=request.table.model,
        request_class=request.request_class,
        policy=decision.request.policy,
        explored=decision.explored is not None,
        plan_id=plan.plan_id,
        plan_name=plan_name(plan),
        plan_kind=plan.kind,
        form=request.form,
        predicted=acted.predicted,
        outcome=outcome,
        waited_s=request.waited_s,
    )
