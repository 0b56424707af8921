"""A log run again under the policy that ran, to see how near the replay comes, and then under others.

What really happened is the measure: the first replay's error is stated beside whatever a counterfactual says. Its own
interval says how much chance there is in it (blocks of the log's time, resampled); where the link was not seen, it is
run with the slower and with the faster of the two sightings besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from isthmus.errors import InvalidRequest
from nodes.steering import EVERYTHING, PolicySetting, Steering
from simulations.replay.block_bootstrap import Blocks, Interval
from simulations.replay.fates import STATISTICS, Fate, RunTold, mix_points, real_fate, taken_s, told
from simulations.replay.link_history import Gaps
from simulations.replay.logged_run import LoggedRun
from simulations.replay.policy_history import InForce, policy_history
from simulations.replay.recorded_world import RecordedWorld

__all__ = ["Counterfactual", "ReplayAnswer", "ReplayError", "replay"]

# A block holds many requests' times, so that few reach into the next one.
_BLOCK_TIMES = 20.0
_LEAST_BLOCK_S = 5.0
_BOUNDS: tuple[Gaps, ...] = ("slower", "faster")


@dataclass(frozen=True, slots=True)
class ReplayError:
    """Of the replay under the policy that ran. changes: over what really happened, by statistic. mix_points: the
    largest difference of a plan's share, in points of 100."""

    changes: Mapping[str, Interval]
    mix_points: float


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What another policy would have done. changes: over the replay of the policy that ran, by statistic. links: the
    statistics by each other way of filling in what was not seen of the link. never_ran: share of the requests that it
    places on plans which the log never ran."""

    policy: str
    told: RunTold
    changes: Mapping[str, Interval]
    links: Mapping[Gaps, Mapping[str, float]]
    never_ran: float


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """counted: the requests whose end the log tells, of models with plans. ran: the policies that did. link_seen: share
    of the counted requests near which the link was seen. caveats: what the log does not tell, for whoever believes the
    rest."""

    requests: int
    counted: int
    span_s: float
    blocks: int
    ran: tuple[str, ...]
    link_seen: float
    really: RunTold
    again: RunTold
    error: ReplayError
    others: tuple[Counterfactual, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Judge:
    """Runs the world under policies and tells of the requests that count."""

    world: RecordedWorld
    counted: tuple[int, ...]
    blocks: Blocks

    def fates(self, under: Sequence[InForce], gaps: Gaps = "nearest") -> list[Fate]:
        every = self.world.run(under, gaps)
        return [every[number] for number in self.counted]

    def told(self, fates: Sequence[Fate]) -> RunTold:
        return told(fates, self.blocks)

    def changes(self, fates: Sequence[Fate], others: Sequence[Fate]) -> dict[str, Interval]:
        change = partial(self.blocks.change, taken_s(fates), taken_s(others))
        return {name: change(statistic) for name, statistic in STATISTICS.items()}

    def counterfactual(self, steering: Steering, ran: Sequence[Fate], known: frozenset[str]) -> Counterfactual:
        under = (InForce(0.0, steering),)
        fates = self.fates(under)
        found = self.told(fates)
        return Counterfactual(
            policy=_words(steering),
            told=found,
            changes=self.changes(fates, ran),
            links={gaps: _values(self.told(self.fates(under, gaps))) for gaps in _BOUNDS},
            never_ran=sum(share for plan, share in found.plans.items() if plan not in known),
        )


def replay(run: LoggedRun, others: Sequence[PolicySetting | Steering], seed: int = 0) -> ReplayAnswer:
    """others: what to run it under: a policy for all requests, or which one for which. seed: of the resampling.

    Raises InvalidRequest for a log that does not show what is needed, NotFound and InvalidInput for a policy that
    cannot be made.
    """
    world, history = RecordedWorld.of(run), policy_history(run.requests)
    counted = tuple(number for number, one in enumerate(run.requests) if one.ended and world.knows(one))
    if not counted:
        remedy = "give the log of an edge that answered something before it was stopped"
        raise InvalidRequest("log", "tells of no request's end", value=f"{len(run.requests)} requests", remedy=remedy)
    requests = [run.requests[number] for number in counted]
    real = [real_fate(one) for one in requests]
    blocks = Blocks.of([one.asked.came_s for one in requests], _block_s(real), seed)
    judge = _Judge(world, counted, blocks)
    own = judge.fates(history)
    really, again = judge.told(real), judge.told(own)
    known = frozenset(really.plans)
    return ReplayAnswer(
        requests=len(run.requests),
        counted=len(counted),
        span_s=run.span_s,
        blocks=blocks.number,
        ran=tuple(dict.fromkeys(str(setting) for one in history for setting in one.steering.settings())),
        link_seen=world.link.seen_share([one.asked.came_s for one in requests]),
        really=really,
        again=again,
        error=ReplayError(judge.changes(own, real), mix_points(again.plans, really.plans)),
        others=tuple([judge.counterfactual(_steering(one), own, known) for one in others]),
        caveats=world.caveats(),
    )


def _steering(policy: PolicySetting | Steering) -> Steering:
    return policy if isinstance(policy, Steering) else Steering({EVERYTHING: policy})


def _words(steering: Steering) -> str:
    scoped = [f"{policy} for {scope}" for scope, policy in steering.policies.items() if scope != EVERYTHING]
    return ", ".join([str(steering.policies[EVERYTHING]), *scoped])


def _block_s(real: Sequence[Fate]) -> float:
    took_s = taken_s(real)
    longest_s = float(np.nanquantile(took_s, 0.9)) if not np.isnan(took_s).all() else 0.0
    return max(_LEAST_BLOCK_S, _BLOCK_TIMES * longest_s)


def _values(found: RunTold) -> dict[str, float]:
    return {name: getattr(found, name).value for name in STATISTICS}
