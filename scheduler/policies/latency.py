"""The quickest plan: least predicted time from now to the answer; the surest of those that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from isthmus.units import format_duration
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.prediction import Candidate, candidates, in_time, reachable
from scheduler.policies.reason import plan_name, reason_line
from scheduler.policies.steadiness import NEAR_EQUAL, Steady, steadiest

__all__ = ["LatencyPolicy", "quickest"]


class LatencyPolicy:
    """Edge wait + prefix + bytes over bandwidth + round trip + cloud wait + suffix + way back: the least of it.

    Of plans whose times are equal within their spreads, the surest is taken (see `steadiness`); among near-equals of
    these one is drawn at random, so that a fleet with the same facts does not jump together. While the link is unknown,
    edge-only where the model has it.
    """

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        everything = candidates(request, link)
        fit = in_time(request, _cautious(link, reachable(request, everything)))
        if link is None:
            chosen, why = quickest(fit, rng), ""
        else:
            steady = steadiest(fit, request, link)
            chosen = quickest([rival.candidate for rival in steady.surest], rng)
            why = _why_not_quicker(chosen, steady)
        return Choice(chosen.entry, chosen.predicted, reason_line(request, link, chosen, everything) + why)


def quickest(among: Sequence[Candidate], rng: Random) -> Candidate:
    """One of those whose total is within NEAR_EQUAL of the least; `rng` is drawn from only when there are several."""
    least_s = min(candidate.total_s for candidate in among)
    near = [candidate for candidate in among if candidate.total_s <= least_s * (1 + NEAR_EQUAL)]
    return near[0] if len(near) == 1 else rng.choice(near)


def _why_not_quicker(chosen: Candidate, steady: Steady) -> str:
    """Names the quickest plan and both spreads where a surer one was taken; nothing where it was not passed over."""
    if any(rival.candidate is steady.quickest.candidate for rival in steady.surest):
        return ""
    surer = next(rival for rival in steady.surest if rival.candidate is chosen)
    sure, unsure = format_duration(surer.spread_s), format_duration(steady.quickest.spread_s)
    best = steady.quickest.candidate
    rival = f"{plan_name(best.entry.plan)} {format_duration(best.total_s)}"
    return f"; equal to {rival} within the spreads, and surer (± {sure} against ± {unsure})"


def _cautious(link: Link | None, among: Sequence[Candidate]) -> Sequence[Candidate]:
    if link is not None:
        return among
    local = [candidate for candidate in among if candidate.entry.plan.kind == "edge-only"]
    return local or among
